"""Points that walk under prior·L^β by themselves, by steps near and far.

They begin at weighted draws, resampled. Steps along differences of other points follow modes and
sheets of any shape, Hamiltonian ones take their place where only gradients are cheap; independent
draws of a proposal let points go from mode to mode. All leave prior·L^β as it is, wherever the
proposal hardly draws as well. Flows are trained on walked points where a pool is poor, and they are
a second opinion on a final proposal; no weight ever rests on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.bridge import Walked
from nfanneal.anneal.hmc import moved
from nfanneal.anneal.proposals.base import Proposal, log_standard_normal
from nfanneal.anneal.proposals.flow import whitening
from nfanneal.anneal.weights import tempered
from nfanneal.arrays import Array
from nfanneal.target import Spent, Target

SWEEPS = 4
"""Steps of a round along differences."""
TRANSITIONS = 2
"""Hamiltonian transitions of a round, of five gradients each, in their place."""
LEAST_ROUNDS, MOST_ROUNDS = 4, 24
GROWN = 1.0
"""A share of the points that grew by so many standard errors since halfway has not settled."""
RELATED = 0.2
"""A walk has forgotten where it began when nothing at its points correlates more than this."""
ACCEPTANCE = 0.2
"""Each kind of step has its own size, steered towards this mean acceptance."""
FAR = 1e3
"""Log-weights further out are all alike."""
KINDS = ("far", "near", "gaussian")
FIRST_SIZE = 0.5
"""First step size in units of d^(-1/2)."""
NEAR = 1 / 40
"""Near points are those so close in rank along a random direction, as a share of all."""
FEWEST = 20
"""A mode of fewer points than this takes directions from all of them."""


@dataclass(frozen=True)
class Walk:
    """Points on their way: z (m, d), log L (m,), log N(z; 0, I) − log q(z) (m,); what it took.

    They walk under prior·L^`beta`. `log_sizes` are the logarithms of the step sizes of every kind.
    """

    z: Array
    log_likelihood: Array
    log_ratio: Array
    log_sizes: Array
    beta: float = 1.0
    failed: int = 0
    spent: Spent = field(default_factory=Spent)

    @property
    def log_weight(self) -> Array:
        """Log importance weights (m,) that they would have as draws of the proposal."""
        return tempered(self.log_ratio, self.log_likelihood, self.beta)

    @property
    def log_density(self) -> Array:
        """log of prior·L^β (m,)."""
        return tempered(log_standard_normal(self.z), self.log_likelihood, self.beta)


@dataclass(frozen=True)
class Ways:
    """What a walk needs: where it goes, a proposal to come back to, the modes of its points (m,).

    `by_gradients`: points go by Hamiltonian transitions, not along differences.
    """

    target: Target
    proposal: Proposal
    mode: NDArray[np.int64]
    by_gradients: bool
    rng: np.random.Generator
    generator: torch.Generator


def walk_apart(
    start: Walk,
    ways: Ways,
    ancestor: NDArray[np.int64],
    log_rare: float,
    told: Callable[[int, int], None],
    most: int = MOST_ROUNDS,
) -> tuple[Walked, Walk]:
    """Walk until the points have forgotten where they began, or for `most` rounds.

    And for as long as ever more of them have a log-weight above `log_rare`, where the proposal
    hardly draws.
    """
    walk, past = start, [start.log_weight]
    for done in range(most):
        told(done, most)
        walk = round_of(walk, ways)
        past.append(walk.log_weight)
        halfway = past[len(past) // 2]
        before, now = (float(np.mean(half > log_rare)) for half in (halfway, walk.log_weight))
        settled = now - before <= GROWN * math.sqrt(now / len(walk.z))
        if done + 1 >= LEAST_ROUNDS and settled and _memory(start, walk) < RELATED:
            break
    memory = _memory(start, walk)
    end = Walked(walk.z, walk.log_likelihood, walk.log_ratio, halfway, ancestor, memory)
    return end, walk


def round_of(walk: Walk, ways: Ways) -> Walk:
    """The walk after a round: steps near and far, then one to an independent draw."""
    if ways.by_gradients:
        walk = _hamiltonian(walk, ways)
    else:
        for _ in range(SWEEPS):
            walk = _sweep(walk, ways)
    return _independent_step(_weighed(walk, ways), ways)


def round_evaluations(by_gradients: bool) -> int:
    """Evaluations of a point's round; gradients are not counted among them."""
    return 2 if by_gradients else SWEEPS + 1


def most_evaluations(by_gradients: bool) -> int:
    """Evaluations of a point's walk at most; gradients are not counted among them."""
    return MOST_ROUNDS * round_evaluations(by_gradients)


def begun(z: Array, log_likelihood: Array, log_ratio: Array, beta: float = 1.0) -> Walk:
    """A walk that begins at points z (m, d)."""
    first = math.log(FIRST_SIZE / math.sqrt(z.shape[1]))
    return Walk(z, log_likelihood, log_ratio, np.full(len(KINDS), first), beta)


def _memory(start: Walk, now: Walk) -> float:
    """The largest correlation of what is at the points with what was where they began.

    Of log L, of every column, and of the weights: these tell of where the proposal draws too
    rarely, from where independent steps take no point away.
    """
    before, after = (
        np.column_stack([walk.log_likelihood, np.clip(walk.log_weight, -FAR, FAR), walk.z])
        for walk in (start, now)
    )
    before, after = before - before.mean(axis=0), after - after.mean(axis=0)
    sizes = np.linalg.norm(before, axis=0) * np.linalg.norm(after, axis=0)
    products = np.abs((before * after).sum(axis=0))
    return float(np.max(products[sizes > 0.0] / sizes[sizes > 0.0], initial=0.0))


def _weighed(walk: Walk, ways: Ways) -> Walk:
    """The same points with the proposal's density at them."""
    log_ratio = log_standard_normal(walk.z) - ways.proposal.log_density(walk.z)
    return replace(walk, log_ratio=log_ratio)


def _independent_step(walk: Walk, ways: Ways) -> Walk:
    """A Metropolis step of every point to a fresh draw of the proposal."""
    z = ways.proposal.draw(len(walk.z), ways.generator)
    found = ways.target.evaluate(z, False)
    log_ratio = log_standard_normal(z) - ways.proposal.log_density(z)
    with np.errstate(invalid="ignore"):
        log_chance = tempered(log_ratio, found.log_likelihood, walk.beta) - walk.log_weight
    taken = np.log(ways.rng.random(len(z))) < log_chance
    return replace(
        walk,
        z=np.where(taken[:, None], z, walk.z),
        log_likelihood=np.where(taken, found.log_likelihood, walk.log_likelihood),
        log_ratio=np.where(taken, log_ratio, walk.log_ratio),
        failed=walk.failed + int(found.failed.sum()),
        spent=walk.spent + Spent(evaluations=len(z)),
    )


def _hamiltonian(walk: Walk, ways: Ways) -> Walk:
    """Hamiltonian transitions, each mode with the covariance of its own points."""
    z, spent = walk.z.copy(), walk.spent
    for rows in _groups(ways.mode, np.arange(len(z))):
        even = np.full(len(rows), 1.0 / len(rows))
        factor = whitening(z[rows], even)[1]
        z[rows], more = moved(ways.target, z[rows], walk.beta, factor, TRANSITIONS, ways.rng)
        spent += more
    found = ways.target.evaluate(z, False)
    spent += Spent(evaluations=len(z))
    return replace(walk, z=z, log_likelihood=found.log_likelihood, spent=spent)


def _sweep(walk: Walk, ways: Ways) -> Walk:
    """A Metropolis step of each half of the points, along directions from the other half."""
    rows = ways.rng.permutation(len(walk.z))
    first, second = np.array_split(rows, 2)
    kind = int(ways.rng.integers(len(KINDS)))
    for own, other in ((first, second), (second, first)):
        direction = np.empty((len(own), walk.z.shape[1]))
        for mine, theirs in _paired(ways.mode, own, other):
            direction[mine] = _directions(KINDS[kind], walk.z[theirs], len(mine), ways.rng)
        walk = _stepped(walk, ways, own, direction, kind)
    return walk


def _stepped(walk: Walk, ways: Ways, own: NDArray[np.int64], direction: Array, kind: int) -> Walk:
    """A Metropolis step of the points `own` along directions (k, d) of a kind."""
    size = math.exp(walk.log_sizes[kind])
    scale = size * np.exp(-ways.rng.exponential(0.5, (len(own), 1)))
    tried = walk.z[own] + scale * direction
    found = ways.target.evaluate(tried, False)
    density = tempered(log_standard_normal(tried), found.log_likelihood, walk.beta)
    with np.errstate(invalid="ignore"):
        log_chance = density - walk.log_density[own]
    chance = np.exp(np.minimum(np.where(np.isnan(log_chance), -np.inf, log_chance), 0.0))
    taken = ways.rng.random(len(own)) < chance
    z, log_likelihood, log_sizes = walk.z.copy(), walk.log_likelihood.copy(), walk.log_sizes.copy()
    z[own[taken]], log_likelihood[own[taken]] = tried[taken], found.log_likelihood[taken]
    log_sizes[kind] += float(chance.mean()) - ACCEPTANCE
    return replace(
        walk,
        z=z,
        log_likelihood=log_likelihood,
        log_sizes=log_sizes,
        failed=walk.failed + int(found.failed.sum()),
        spent=walk.spent + Spent(evaluations=len(own)),
    )


def _directions(kind: str, z: Array, n: int, rng: np.random.Generator) -> Array:
    """n directions (n, d) of a kind from points z (m, d).

    Source: ter Braak & Vrugt (2008), doi:10.1007/s11222-008-9104-9, for differences.
    """
    m, d = z.shape
    if kind == "gaussian":
        factor = whitening(z, np.full(m, 1.0 / m))[1]
        return np.asarray(rng.standard_normal((n, d)) @ factor.T)
    first = rng.integers(m, size=n)
    if kind == "far":
        return np.asarray(z[first] - z[rng.integers(m, size=n)])
    order = np.argsort(z @ rng.standard_normal(d), kind="stable")
    apart = rng.integers(1, max(math.ceil(NEAR * m), 1) + 1, size=n) * rng.choice((-1, 1), n)
    return np.asarray(z[order[first]] - z[order[(first + apart) % m]])


def _groups(mode: NDArray[np.int64], rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each mode that has enough points, and all others together."""
    counts = np.bincount(mode[rows], minlength=int(mode.max(initial=0)) + 1)
    enough = counts[mode[rows]] >= FEWEST
    groups = [rows[mode[rows] == k] for k in np.flatnonzero(counts >= FEWEST)]
    return [*groups, rows[~enough]] if not enough.all() else groups


def _paired(
    mode: NDArray[np.int64], own: NDArray[np.int64], other: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Positions in `own` of each mode, with the rows of `other` that they take directions from."""
    pairs = []
    for k in np.unique(mode[own]):
        theirs = other[mode[other] == k]
        mine = np.flatnonzero(mode[own] == k)
        pairs.append((mine, theirs if len(theirs) >= FEWEST else other))
    return pairs
