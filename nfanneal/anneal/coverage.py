"""Does the final proposal cover every mode? A check that does not rest on its own draws.

Points drawn at every level of the path, from the prior on, share one mixture density. Weighted to
the posterior they say how much of it lies where the final proposal hardly ever draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nfanneal.anneal.pool import Generation
from nfanneal.anneal.proposals.base import Proposal
from nfanneal.anneal.weights import Evidence, evidence, mixture_log_density, normalized, tempered

RARE = 30.0
"""A point is under-covered if the proposal draws its surroundings this many times too rarely."""
MOST_GENERATIONS = 16
"""Generations of the path that are scored under each other: bounds the cost of the check."""


@dataclass(frozen=True)
class Coverage:
    """What the path's points say of the final proposal.

    `uncovered_mass` is the posterior mass where the proposal draws `RARE` times too rarely, with
    its standard error; `path_evidence` is the path's own estimate of log Z.
    """

    uncovered_mass: float
    uncovered_error: float
    path_evidence: Evidence


def check_coverage(path: Sequence[Generation], proposal: Proposal, log_evidence: float) -> Coverage:
    """Re-score the path's points under the final `proposal` whose evidence is `log_evidence`.

    A point's weight p/(q·Z) under the final proposal says how many times too rarely q draws
    there; its posterior mass comes from the path's own mixture density.
    """
    generations = _spread(path)
    counts = [len(g.z) for g in generations]
    z = np.concatenate([g.z for g in generations])
    log_joint = np.concatenate([tempered(g.log_prior, g.log_likelihood, 1.0) for g in generations])
    log_mixture = mixture_log_density([g.proposal.log_density(z) for g in generations], counts)
    mass = normalized(log_joint - log_mixture)
    heavy = np.flatnonzero(mass > 0)
    under = np.zeros(len(z), dtype=bool)
    log_ratio = log_joint[heavy] - proposal.log_density(z[heavy]) - log_evidence
    under[heavy] = log_ratio > math.log(RARE)
    uncovered = float(mass[under].sum())
    error = math.sqrt(float(np.sum(mass**2 * (under - uncovered) ** 2)))
    return Coverage(uncovered, error, evidence(log_joint - log_mixture))


def _spread(path: Sequence[Generation]) -> list[Generation]:
    """At most `MOST_GENERATIONS` of the path, evenly spread, the first and the last included."""
    if len(path) <= MOST_GENERATIONS:
        return list(path)
    chosen = np.unique(np.linspace(0, len(path) - 1, MOST_GENERATIONS).round().astype(int))
    return [path[i] for i in chosen]
