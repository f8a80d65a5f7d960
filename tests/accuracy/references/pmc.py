"""Log-evidences by population Monte Carlo with Student-t mixtures, without flows or annealing.

    python tests/accuracy/references/pmc.py NAME > tests/accuracy/references/NAME.json

Searches (Levenberg–Marquardt; L-BFGS where the Fisher information is not known) from the best and
from random draws of the prior give the first components: an optimum and the inverse of its
Hessian. A mixture is fitted to weighted draws of the last mixture by steps of
expectation–maximisation (Cappé et al. 2008, doi:10.1007/s11222-008-9059-x), after half of the
generations with further components beside those there are. Where parameters can change places,
draws are sorted before the fit and every component has a copy for each order. A part of each
proposal is wider, and a part is the prior. The evidence is that of fresh draws of the last
mixture, for each of two seeds that share nothing.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp

from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.weights import effective_sample_size, evidence, normalized, pareto_k
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import read_spec
from nfanneal.target import Target

Array = NDArray[np.float64]
PROBLEMS = Path(__file__).parents[1] / "problems"
DF = 5.0
GENERATIONS, EM_STEPS, KEPT = 12, 3, 3
CHUNK = 10_000
WIDE, PRIOR = 0.08, 0.02
WIDER = 3.0
SEARCH_STEPS = 80


@dataclass(frozen=True)
class Setting:
    """A spec, blocks of columns that can change places (sorted by their first), and the effort."""

    spec: str
    blocks: tuple[tuple[int, ...], ...] = ()
    starts: int = 1000
    components: int = 30
    fresh: int = 60_000
    draws: int = 10_000


SETTINGS = {
    "waves": Setting("waves_ode", ((2, 0, 4), (3, 1, 5)), starts=2000),
    "planets": Setting("planets_ode", ((3, 1, 5), (4, 2, 6)), starts=2000),
    "three_normals": Setting(
        "three_normals", ((0, 3, 6), (1, 4, 7), (2, 5, 8)), starts=40, fresh=100_000
    ),
    "german_credit": Setting("german_credit", starts=3, components=3),
    "lorenz": Setting("lorenz_ode"),
    "one_comp_mm": Setting("one_comp_mm_ode"),
    "repressilator_two": Setting("repressilator_two_ode", (), 1000, 200, 400_000, 40_000),
    "repressilator_third": Setting("repressilator_third_ode", components=50, fresh=100_000),
    "repressilator_noise": Setting("repressilator_noise_ode", (), 1000, 200, 400_000, 40_000),
    # known exactly, to test this script:
    "flip_flop": Setting("flip_flop_ode", ((0,), (1,))),
    "schools": Setting("schools_noncentred", starts=20),
}


def sorted_blocks(z: Array, blocks: tuple[tuple[int, ...], ...]) -> Array:
    """z with its blocks in the order of their first columns."""
    if not blocks:
        return z
    where = np.array(blocks)
    order = np.argsort(z[:, where[:, 0]], axis=1)
    out = z.copy()
    for i, block in enumerate(blocks):
        out[:, block] = np.take_along_axis(z[:, where], order[:, :, None], axis=1)[:, i]
    return out


def orders(d: int, blocks: tuple[tuple[int, ...], ...]) -> list[list[int]]:
    """For each order of the blocks, the column that each column is taken from."""
    found = []
    for permuted in itertools.permutations(blocks):
        columns = list(range(d))
        for block, source in zip(blocks, permuted, strict=True):
            for column, other in zip(block, source, strict=True):
                columns[column] = other
        found.append(columns)
    return found


@dataclass(frozen=True)
class Mixture:
    """Student-t components: shares (k,), centres (k, d), Cholesky factors (k, d, d)."""

    share: Array
    centre: Array
    factor: Array

    def copies(self, columns: list[list[int]]) -> Mixture:
        """A copy of all components for each order of the columns."""
        covariance = self.factor @ self.factor.transpose(0, 2, 1)
        return Mixture(
            np.tile(self.share / len(columns), len(columns)),
            np.concatenate([self.centre[:, c] for c in columns]),
            np.concatenate([np.linalg.cholesky(covariance[:, c][:, :, c]) for c in columns]),
        )

    def squares(self, z: Array) -> Array:
        """Mahalanobis distances squared, (n, k)."""
        found = np.empty((len(z), len(self.share)))
        for k, (centre, factor) in enumerate(zip(self.centre, self.factor, strict=True)):
            found[:, k] = (solve_triangular(factor, (z - centre).T, lower=True) ** 2).sum(axis=0)
        return found

    def log_parts(self, squares: Array, wider: float = 1.0) -> Array:
        """log share·density, (n, k)."""
        d = self.centre.shape[1]
        log_det = np.log(np.diagonal(self.factor, axis1=1, axis2=2)).sum(axis=1)
        constant = gammaln((DF + d) / 2) - gammaln(DF / 2) - d / 2 * math.log(DF * math.pi)
        constant -= d * math.log(wider)
        tails = np.log1p(squares / (DF * wider**2))
        return np.asarray(np.log(self.share) - log_det + constant - (DF + d) / 2 * tails)

    def log_density(self, z: Array) -> Array:
        """With the wider part and the prior, (n,)."""
        squares = self.squares(z)
        parts = [
            math.log(1.0 - WIDE - PRIOR) + logsumexp(self.log_parts(squares), axis=1),
            math.log(WIDE) + logsumexp(self.log_parts(squares, WIDER), axis=1),
            math.log(PRIOR) + log_standard_normal(z),
        ]
        return np.asarray(logsumexp(parts, axis=0))

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """n draws with the wider part and the prior, (n, d)."""
        d = self.centre.shape[1]
        which = rng.choice(len(self.share), n, p=self.share / self.share.sum())
        kind = rng.choice(3, n, p=[1.0 - WIDE - PRIOR, WIDE, PRIOR])
        noise = rng.standard_normal((n, d))
        heavy = noise * np.sqrt(DF / rng.chisquare(DF, n))[:, None]
        heavy[kind == 1] *= WIDER
        z = self.centre[which] + np.einsum("nij,nj->ni", self.factor[which], heavy)
        z[kind == 2] = noise[kind == 2]
        return np.asarray(z)

    def fitted(self, z: Array, weights: Array) -> Mixture:
        """After one step of expectation–maximisation on weighted points."""
        d = z.shape[1]
        squares = self.squares(z)
        parts = self.log_parts(squares)
        own = np.exp(parts - logsumexp(parts, axis=1)[:, None]) * weights[:, None]
        share = own.sum(axis=0)
        pull = own * (DF + d) / (DF + squares)
        kept = np.flatnonzero(share > 1e-4 * share.max())
        centres, factors = [], []
        for k in kept:
            centre = pull[:, k] @ z / pull[:, k].sum()
            away = z - centre
            covariance = (away * pull[:, k, None]).T @ away / share[k]
            few = 1.0 / (1.0 + share[k] ** 2 / (own[:, k] ** 2).sum() / (5 * d))
            before = self.factor[k] @ self.factor[k].T
            covariance = (1.0 - few) * covariance + few * before
            centres.append(centre)
            factors.append(np.linalg.cholesky(covariance + 1e-8 * np.eye(d)))
        return Mixture(share[kept] / share[kept].sum(), np.array(centres), np.array(factors))

    def joined(self, z: Array, weights: Array, n: int, rng: np.random.Generator) -> Mixture:
        """With n narrower components at points drawn by their weights, like those they lie in."""
        rows = rng.choice(len(z), n, p=weights)
        parent = self.log_parts(self.squares(z[rows])).argmax(axis=1)
        share = np.r_[0.5 * self.share, np.full(n, 0.5 / n)]
        factor = np.r_[self.factor, 0.6 * self.factor[parent]]
        return Mixture(share, np.r_[self.centre, z[rows]], factor)


def log_posterior(target: Target, z: Array) -> Array:
    """log L + log N(z; 0, I), (n,)."""
    return np.asarray(target.evaluate(z, False).log_likelihood + log_standard_normal(z))


def slopes(target: Target, z: Array) -> tuple[Array, Array]:
    """−log posterior up to a constant and its gradient; a cliff where the model fails."""
    found = target.evaluate(z, True)
    assert found.gradient is not None
    value = np.where(np.isfinite(found.log_likelihood), found.log_likelihood, -1e10)
    return 0.5 * (z**2).sum(axis=1) - value, z - found.gradient


def optimum(target: Target, start: Array) -> tuple[Array, Array, float]:
    """The end of a search, its covariance, and the log of the mass of a Gaussian there."""

    def one(z: Array) -> tuple[float, Array]:
        value, slope = slopes(target, z[None])
        return float(value[0]), slope[0]

    end = minimize(one, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    d, h = len(end), 1e-4
    steps = np.concatenate([end + h * np.eye(d), end - h * np.eye(d)])
    slope = slopes(target, steps)[1]
    curvature = (slope[:d] - slope[d:]) / (2.0 * h)
    values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
    values = np.maximum(values, 0.3)
    mass = -one(end)[0] - 0.5 * float(np.log(values).sum())
    return end, (vectors / values) @ vectors.T, mass


def optima(target: Target, starts: Array) -> list[tuple[Array, Array, float]]:
    """The ends of Levenberg–Marquardt searches, which go side by side.

    A step solves (I + F + damping·diag(I + F))·step = ∂ log posterior.
    """
    z, d = starts.copy(), starts.shape[1]
    damping, best = np.full(len(z), 1.0), np.full(len(z), -np.inf)
    for step in range(SEARCH_STEPS):
        found = target.evaluate(z, True)
        assert found.gradient is not None and found.information is not None
        now = found.log_likelihood + log_standard_normal(z)
        better = now > best
        if not np.any(better | (damping < 1e6)):
            break
        if step == 0:
            kept, slope, metric = z.copy(), found.gradient - z, found.information + np.eye(d)
        kept[better], best[better] = z[better], now[better]
        slope[better] = (found.gradient - z)[better]
        metric[better] = found.information[better] + np.eye(d)
        damping = np.where(better, damping / 4.0, np.minimum(damping * 4.0, 1e8))
        diagonal = damping[:, None, None] * metric * np.eye(d)
        z = kept + np.linalg.solve(metric + diagonal, slope[..., None])[..., 0]
    mass = best - 0.5 * np.linalg.slogdet(metric)[1]
    rows = np.flatnonzero(np.isfinite(best))
    return list(zip(kept[rows], np.linalg.inv(metric[rows]), mass[rows], strict=True))


def in_order(
    end: tuple[Array, Array, float], blocks: tuple[tuple[int, ...], ...]
) -> tuple[Array, Array, float]:
    """An optimum with its blocks in order, and its covariance likewise."""
    centre, covariance, mass = end
    columns = np.arange(len(centre))
    first = sorted(blocks, key=lambda block: centre[block[0]])
    for block, source in zip(blocks, first, strict=True):
        columns[list(block)] = source
    return centre[columns], covariance[np.ix_(columns, columns)], mass


def first_mixture(target: Target, setting: Setting, rng: np.random.Generator) -> Mixture:
    """Distinct optima, whose shares go with the square root of their masses."""
    prior = rng.standard_normal((20_000, target.dimension))
    best = np.argsort(-log_posterior(target, prior))[: setting.starts // 2]
    starts = prior[np.r_[best, np.arange(setting.starts - len(best))]]
    if target.has_information:
        found = optima(target, starts)
    else:
        found = [optimum(target, z) for z in starts]
    found = [in_order(end, setting.blocks) for end in found]
    found.sort(key=lambda end: -end[2])
    kept: list[tuple[Array, Array, float]] = []
    for end in found:
        if end[2] < found[0][2] - 20.0 or len(kept) == setting.components:
            break
        away = [end[0] - other[0] for other in kept]
        if all(a @ np.linalg.solve(other[1], a) > 0.5 for a, other in zip(away, kept, strict=True)):
            kept.append(end)
    print(f"{len(kept)} optima, {[round(k[2], 2) for k in kept[:8]]}", file=sys.stderr)
    share = np.exp(0.5 * (np.array([k[2] for k in kept]) - kept[0][2]))
    factors = np.linalg.cholesky(np.array([k[1] for k in kept]))
    return Mixture(share / share.sum(), np.array([k[0] for k in kept]), factors)


def weighted(
    target: Target, proposal: Mixture, n: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """n draws and their log-weights."""
    z = proposal.draw(n, rng)
    return z, log_posterior(target, z) - proposal.log_density(z)


def tempered(log_weights: Array, least: float) -> Array:
    """Weights ∝ w^b with a b ≤ 1 that leaves `least` effective points."""
    b = 1.0
    while effective_sample_size(normalized(b * log_weights)) < least and b > 0.05:
        b *= 0.9
    return np.asarray(normalized(b * log_weights))


def estimate(setting: Setting, seed: int) -> dict[str, object]:
    """The evidence by one seed, with what speaks for it."""
    problem = build_problem(read_spec(PROBLEMS / f"{setting.spec}.yaml"))
    target, rng = problem.target, np.random.default_rng(seed)
    columns = orders(target.dimension, setting.blocks)
    base = first_mixture(target, setting, rng)
    kept: list[tuple[Array, Array]] = []
    for generation in range(GENERATIONS):
        z, log_weight = weighted(target, base.copies(columns), setting.draws, rng)
        kept = [*kept[1 - KEPT :], (sorted_blocks(z, setting.blocks), log_weight)]
        print(generation, len(base.share), evidence(log_weight), file=sys.stderr, flush=True)
        points = np.concatenate([pair[0] for pair in kept])
        weights = tempered(np.concatenate([pair[1] for pair in kept]), 20 * target.dimension)
        if generation == GENERATIONS // 2 and len(base.share) < setting.components:
            more = setting.components - len(base.share)
            base = base.joined(points, weights, more, rng)
        for _ in range(EM_STEPS):
            base = base.fitted(points, weights)
    proposal = base.copies(columns)
    parts = [weighted(target, proposal, CHUNK, rng) for _ in range(setting.fresh // CHUNK)]
    return summary(seed, problem.latent.from_latent, parts)


def summary(
    seed: int, to_theta: Callable[[Array], Array], parts: list[tuple[Array, Array]]
) -> dict[str, object]:
    """What is kept of a seed."""
    log_weight = np.concatenate([pair[1] for pair in parts])
    final = evidence(log_weight)
    theta = np.concatenate([to_theta(pair[0]) for pair in parts])
    weights = normalized(log_weight)
    mean = weights[weights > 0] @ theta[weights > 0]
    return {
        "seed": seed,
        "log_evidence": round(final.log_evidence, 5),
        "error": round(final.error, 5),
        "ess": round(effective_sample_size(weights)),
        "draws": len(log_weight),
        "pareto_k": round(pareto_k(log_weight), 3),
        "means": [float(f"{m:.5g}") for m in mean],
    }


def main(name: str) -> None:
    """Two seeds as JSON."""
    set_threads(1)
    found = [estimate(SETTINGS[name], seed) for seed in (1, 2)]
    sys.stdout.write("[\n" + ",\n".join(json.dumps(seed) for seed in found) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
