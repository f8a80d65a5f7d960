"""Does the final proposal cover every mode? A check that does not rest on its own draws.

Points drawn at every level of the path, from the prior on, share one mixture density. Weighted to
the posterior they say how much of it lies where the final proposal hardly ever draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from nfanneal.anneal.pool import Generation
from nfanneal.anneal.proposals.base import Proposal, log_standard_normal
from nfanneal.anneal.weights import Evidence, evidence, mixture_log_density, normalized, tempered
from nfanneal.arrays import Array, rows_of

RARE = 30.0
"""A point is under-covered if the proposal draws its surroundings this many times too rarely."""
SURE = 0.975
PLENTY, LEAST_SHARE = 0.1, 0.25
"""Of a tenth or more a quarter counts as sure, even if a single draw stands for it."""
MOST_SEEN = 1024
"""Draws of the prior that are kept of those that were looked at."""
MOST_GENERATIONS = 16
"""Generations of the path that are scored under each other: bounds the cost of the check."""


@dataclass(frozen=True)
class Rare:
    """Points z (k, d) where a proposal hardly ever draws, with log prior·L (k,).

    Each has a `share` (k,) of the posterior.
    """

    z: Array
    log_joint: Array
    share: Array

    @property
    def mass(self) -> float:
        """What share of the posterior they have together."""
        return float(self.share.sum())

    def under(self, proposal: Proposal, log_evidence: float) -> Rare:
        """Those where this proposal hardly ever draws."""
        if not len(self.z):
            return self
        log_weight = self.log_joint - proposal.log_density(self.z)
        return rows_of(self, log_weight - log_evidence > math.log(RARE))


@dataclass(frozen=True)
class Coverage:
    """What the path's points say of the final proposal.

    `uncovered_mass` is the posterior mass where the proposal draws `RARE` times too rarely, with
    its standard error; `path_evidence` is the path's own estimate of log Z. `rare` are the points
    that have that mass.
    """

    uncovered_mass: float
    uncovered_error: float
    path_evidence: Evidence
    rare: Rare


@dataclass(frozen=True)
class Seen:
    """The likeliest of `n` draws of the prior that were looked at: z (k, d), log L (k,)."""

    z: Array
    log_likelihood: Array
    n: int

    def shares(self, log_evidence: float) -> Array:
        """What share of the posterior each stands for, (k,)."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.log_likelihood - log_evidence) / self.n)


def likeliest(z: Array, log_likelihood: Array) -> Seen:
    """The `MOST_SEEN` likeliest of draws z (n, d) of the prior."""
    finite = np.flatnonzero(np.isfinite(log_likelihood))
    rows = finite[np.argsort(-log_likelihood[finite], kind="stable")[:MOST_SEEN]]
    return Seen(z[rows], log_likelihood[rows], len(z))


def hardly_drawn(seen: Seen, proposal: Proposal, log_evidence: float) -> Rare:
    """The prior's draws where `proposal` hardly ever draws.

    A plateau, where no search is led, is seen by these alone.
    """
    log_joint = tempered(log_standard_normal(seen.z), seen.log_likelihood, 1.0)
    share = np.minimum(seen.shares(log_evidence), 1.0)
    return Rare(seen.z, log_joint, share).under(proposal, log_evidence)


def with_error(shares: Array) -> tuple[float, float]:
    """The sum of such shares (k,), and half of its distance to a lower bound.

    Few draws that stand for much each were found by chance; but that there is something is sure.
    The bound is what the mean of a Poisson count is above with a chance of `SURE`; of a sum beyond
    `PLENTY` at least `LEAST_SHARE`.
    """
    total, square = float(shares.sum()), float((shares**2).sum())
    if not total > 0.0:
        return 0.0, 0.0
    each = square / total
    lower = each * float(gammaincinv(total / each, 1.0 - SURE))
    total = min(total, 1.0)
    if total >= PLENTY:
        lower = max(lower, LEAST_SHARE * total)
    return total, 0.5 * max(total - lower, 0.0)


def check_coverage(path: Sequence[Generation], proposal: Proposal, log_evidence: float) -> Coverage:
    """Re-score the path's points under the final `proposal` whose evidence is `log_evidence`.

    A point's weight p/(q·Z) under the final proposal says how many times too rarely q draws
    there; its posterior mass comes from the path's own mixture density.
    """
    generations = _spread(path)
    counts = [len(g.z) for g in generations]
    z = np.concatenate([g.z for g in generations])
    log_joint = np.concatenate([tempered(g.log_prior, g.log_likelihood, 1.0) for g in generations])
    proposals = {id(g.proposal): g.proposal for g in generations}  # hot ones drew at many levels
    log_density = {key: proposal.log_density(z) for key, proposal in proposals.items()}
    log_mixture = mixture_log_density([log_density[id(g.proposal)] for g in generations], counts)
    mass = normalized(log_joint - log_mixture)
    rare = rows_of(Rare(z, log_joint, mass), mass > 0).under(proposal, log_evidence)
    uncovered, square = rare.mass, float((mass**2).sum())
    of_rare = float((rare.share**2).sum())
    error = math.sqrt(of_rare * (1.0 - uncovered) ** 2 + (square - of_rare) * uncovered**2)
    return Coverage(uncovered, error, evidence(log_joint - log_mixture), rare)


def _spread(path: Sequence[Generation]) -> list[Generation]:
    """At most `MOST_GENERATIONS` of the path, evenly spread, the first and the last included."""
    if len(path) <= MOST_GENERATIONS:
        return list(path)
    chosen = np.unique(np.linspace(0, len(path) - 1, MOST_GENERATIONS).round().astype(int))
    return [path[i] for i in chosen]
