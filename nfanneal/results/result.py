"""The result of a run: weighted draws, evidence, diagnostics, and whether to trust them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.weights import (
    PARETO_LIMIT,
    effective_sample_size,
    evidence,
    normalized,
    pareto_k,
    systematic_resample,
)

Array = NDArray[np.float64]

HEAVIEST_SHARE = 0.01
"""A heavy tail matters once one draw carries this share of all weight."""
FEWEST_EFFECTIVE = 200
GOOD_SHARE = 0.05
"""Where so many of few draws are effective, more draws are what is missing."""
UNCOVERED_LIMIT = 0.02
DISAGREEMENT = 4.0


@dataclass(frozen=True)
class WeightedDraws:
    """All n final draws: θ (n, d), log-weights (n,), and what these are made of (n,).

    `log_prior` and `log_proposal` are densities of θ, in natural coordinates:
    log_weight = log_prior + log_likelihood − log_proposal, and its log-mean-exp is log Z.
    """

    theta: Array
    log_weight: Array
    log_prior: Array
    log_likelihood: Array
    log_proposal: Array

    @property
    def log_ratio(self) -> Array:
        """log prior − log proposal (n,); −inf where rounding left no density of the prior."""
        with np.errstate(invalid="ignore"):
            log_ratio = self.log_prior - self.log_proposal
        return np.where(np.isneginf(self.log_prior), -np.inf, log_ratio)

    def weighted(self, log_ratio: Array) -> WeightedDraws:
        """The same draws as those of another proposal, by log prior − log proposal (n,)."""
        known = np.where(np.isneginf(log_ratio), 0.0, log_ratio)
        return replace(
            self,
            log_weight=log_ratio + self.log_likelihood,
            log_proposal=np.where(
                np.isneginf(log_ratio), self.log_proposal, self.log_prior - known
            ),
        )


def joined(parts: Sequence[WeightedDraws]) -> WeightedDraws:
    """All draws of several sets."""
    names = (field.name for field in fields(WeightedDraws))
    return WeightedDraws(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


@dataclass(frozen=True)
class ParameterSummary:
    """Weighted posterior moments and quantiles of one scalar."""

    mean: float
    sd: float
    median: float
    q05: float
    q95: float


@dataclass(frozen=True)
class Diagnostics:
    """The numbers that say whether to trust the evidence and the draws."""

    log_evidence: float
    log_evidence_error: float
    ess: float
    n_samples: int
    pareto_k: float
    largest_weight: float
    uncovered_mass: float
    uncovered_error: float
    path_log_evidence: float
    path_log_evidence_error: float
    reached_beta: float

    @property
    def ess_fraction(self) -> float:
        """ESS as a share of the draws."""
        return self.ess / self.n_samples


@dataclass(frozen=True)
class History:
    """One row per level, and the loss of every training step with the level it belongs to."""

    levels: Mapping[str, Array]
    losses: Array
    loss_levels: NDArray[np.int64]
    seconds: Array


@dataclass(frozen=True)
class ObservedData:
    """The data of one observable: c cells at their times, noisy replicates and pointwise log L."""

    times: Array
    values: Array
    pointwise: Array
    replicates: Array


@dataclass(frozen=True)
class Prediction:
    """Trajectories of one observable at times (m,): (n, m) without noise and with it.

    nan where the model failed; `noisy` is None if the observable has no noise model.
    """

    times: Array
    clean: Array
    noisy: Array | None


@dataclass(frozen=True)
class Pruning:
    """What pruning changed: the weights before, the draws it touched, and what it bought.

    `changed` are the draws whose weights were dropped, smoothed or clipped; `lost_share` is the
    share of all weight that went with them. `before` and `after` hold ESS, log-evidence, its
    error and Pareto k̂. `clustered`: the outlying draws lie together, as those of a mode do.
    """

    method: str
    changed: NDArray[np.int64]
    original_log_weight: Array
    lost_share: float
    clustered: bool
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def bias(self) -> float:
        """How far the log-evidence may have sunk: −log(1 − lost share)."""
        return -math.log1p(-self.lost_share)


@dataclass(frozen=True)
class Combination:
    """What several runs of one problem said of its log-evidence, and whether they agree.

    `chi_square` is Σ (log Z − mean)²/error² with one degree of freedom less than there are runs;
    `p_value` is the chance of so large a spread if the reported errors are right.
    """

    log_evidences: Array
    errors: Array
    chi_square: float
    p_value: float


@dataclass(frozen=True)
class StoredFlow:
    """The final proposal as plain data: what rebuilds it, and its arrays by name."""

    layout: Mapping[str, object]
    arrays: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Result:
    """Everything a run leaves behind; `nfanneal.results.store` writes and reads it.

    `origin` is the command that made it, `sources` the files that it was made from.
    `n_gradients_dropped` of the gradients were not finite where the likelihood was.
    """

    name: str
    spec_yaml: str
    seed: int
    parameters: tuple[str, ...]
    sizes: tuple[int | None, ...]
    labels: tuple[str, ...]
    units: tuple[str, ...]
    draws: WeightedDraws
    posterior: Array
    posterior_index: NDArray[np.int64]
    diagnostics: Diagnostics
    warnings: tuple[str, ...]
    history: History
    observed: Mapping[str, ObservedData]
    flow: StoredFlow
    n_likelihood_evaluations: int
    n_gradient_evaluations: int
    n_failed: int
    failed_theta: Array
    wall_time: float
    versions: Mapping[str, str]
    command: str = ""
    origin: str = "run"
    sources: tuple[str, ...] = ()
    pruning: Pruning | None = None
    combination: Combination | None = None
    n_gradients_dropped: int = 0

    @property
    def converged(self) -> bool:
        """No diagnostic says otherwise."""
        return not self.warnings

    @property
    def column_names(self) -> tuple[str, ...]:
        """A name for each column of θ: `k` or `k[0]`, `k[1]`, …"""
        names: list[str] = []
        for name, size in zip(self.parameters, self.sizes, strict=True):
            names += [name] if size is None else [f"{name}[{i}]" for i in range(size)]
        return tuple(names)

    @property
    def data_fingerprint(self) -> str | None:
        """Hash of the data's times and values, whatever they are called; None without data."""
        if not self.observed:
            return None
        series = sorted(
            np.column_stack([o.times, o.values]).astype("<f8").tobytes()
            for o in self.observed.values()
        )
        return hashlib.sha256(b"".join(series)).hexdigest()

    @property
    def column_units(self) -> dict[str, str]:
        """The unit of each column of θ."""
        sizes = (size or 1 for size in self.sizes)
        units = [u for unit, size in zip(self.units, sizes, strict=True) for u in [unit] * size]
        return dict(zip(self.column_names, units, strict=True))

    def summaries(self) -> dict[str, ParameterSummary]:
        """Weighted posterior summary of every column of θ."""
        weights = normalized(self.draws.log_weight)
        return {
            name: summarize(self.draws.theta[:, i], weights)
            for i, name in enumerate(self.column_names)
        }


def summarize(values: Array, weights: Array) -> ParameterSummary:
    """Mean, sd, median and 5 %/95 % quantiles of values (n,) under weights (n,) that sum to 1."""
    used = weights > 0
    values, weights = values[used], weights[used]
    if not len(values):
        return ParameterSummary(*[math.nan] * 5)
    mean = float(weights @ values)
    sd = math.sqrt(max(float(weights @ (values - mean) ** 2), 0.0))
    order = np.argsort(values)
    centres = np.cumsum(weights[order]) - 0.5 * weights[order]
    q05, median, q95 = np.interp((0.05, 0.5, 0.95), centres, values[order])
    return ParameterSummary(mean, sd, float(median), float(q05), float(q95))


def band(values: Array) -> dict[str, Array]:
    """Mean, sd and quantiles over draws of `values` (n, m), each (m,); nan draws are left out."""
    good = values[np.isfinite(values).all(axis=1)]
    if not len(good):
        good = np.full((1, values.shape[1]), np.nan)
    levels = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
    quantiles = np.quantile(good, list(levels.values()), axis=0)
    moments = {"mean": good.mean(axis=0), "sd": good.std(axis=0)}
    return moments | dict(zip(levels, quantiles, strict=True))


def equal_weight_indices(log_weight: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of ⌈ESS⌉ equal-weight draws: no more than the weights are worth."""
    weights = normalized(log_weight)
    size = max(1, math.ceil(effective_sample_size(weights)))
    return systematic_resample(weights, size, rng)


def diagnose(
    log_weight: Array,
    *,
    uncovered: tuple[float, float],
    path_evidence: tuple[float, float],
    reached_beta: float,
) -> Diagnostics:
    """Evidence, ESS and k̂ from log-weights (n,), beside the path's view of them."""
    estimate = evidence(log_weight)
    return Diagnostics(
        log_evidence=estimate.log_evidence,
        log_evidence_error=estimate.error,
        ess=effective_sample_size(normalized(log_weight)),
        n_samples=len(log_weight),
        pareto_k=pareto_k(log_weight),
        largest_weight=float(normalized(log_weight).max()),
        uncovered_mass=uncovered[0],
        uncovered_error=uncovered[1],
        path_log_evidence=path_evidence[0],
        path_log_evidence_error=path_evidence[1],
        reached_beta=reached_beta,
    )


def rediagnosed(d: Diagnostics, log_weight: Array) -> Diagnostics:
    """Diagnostics of new log-weights (n,), with what the annealing path said of the proposal."""
    return diagnose(
        log_weight,
        uncovered=(d.uncovered_mass, d.uncovered_error),
        path_evidence=(d.path_log_evidence, d.path_log_evidence_error),
        reached_beta=d.reached_beta,
    )


def warnings_of(d: Diagnostics) -> tuple[str, ...]:
    """Why not to trust the result, in words and with what to do; empty if there is no reason."""
    found = [check(d) for check in (_beta, _ess, _tail, _uncovered, _disagreement)]
    return tuple(text for text in found if text)


def _beta(d: Diagnostics) -> str | None:
    if d.reached_beta >= 1.0:
        return None
    return (
        f"the annealing stopped at inverse temperature {d.reached_beta:.3g}, short of 1: the flow "
        "was never trained on the posterior itself. Raise anneal.max_levels or "
        "anneal.max_evaluations, or draw more points per level (anneal.draws)"
    )


def _ess(d: Diagnostics) -> str | None:
    if d.ess >= FEWEST_EFFECTIVE:
        return None
    advice = (
        "The flow is good: draw more with `nfanneal sample`, or set output.samples"
        if d.ess_fraction >= GOOD_SHARE
        else "Raise anneal.max_rounds or anneal.draws, or use a larger flow"
    )
    return (
        f"only {d.ess:.0f} of the {d.n_samples} draws are effective (at least {FEWEST_EFFECTIVE} "
        f"are needed): moments and evidence rest on a handful of draws. {advice}"
    )


def _tail(d: Diagnostics) -> str | None:
    if not d.pareto_k >= PARETO_LIMIT or d.largest_weight < HEAVIEST_SHARE:
        return None
    return (
        f"the largest weights have a heavy tail (Pareto k = {d.pareto_k:.2f}, above "
        f"{PARETO_LIMIT}; one draw carries {d.largest_weight:.1%} of all weight): the reported "
        "error of the evidence is too small, because somewhere the flow draws far too rarely. "
        "Raise anneal.max_rounds or anneal.draws"
    )


def _uncovered(d: Diagnostics) -> str | None:
    if d.uncovered_mass - 2.0 * d.uncovered_error < UNCOVERED_LIMIT:
        return None
    return (
        f"points met on the annealing path put {d.uncovered_mass:.1%} of the posterior where the "
        "final flow hardly ever draws: a mode may be missing. Raise anneal.draws, or make the "
        "steps smaller (anneal.relative_ess)"
    )


def _disagreement(d: Diagnostics) -> str | None:
    error = math.hypot(d.log_evidence_error, d.path_log_evidence_error)
    gap = d.path_log_evidence - d.log_evidence
    if not gap > max(DISAGREEMENT * error, 0.1):
        return None
    return (
        f"the annealing path's own estimate of the log-evidence ({d.path_log_evidence:.2f} ± "
        f"{d.path_log_evidence_error:.2f}) is above that of the final draws "
        f"({d.log_evidence:.2f} ± {d.log_evidence_error:.2f}): the final flow may have lost a "
        "mode. Run again with another seed and more points per level (anneal.draws)"
    )
