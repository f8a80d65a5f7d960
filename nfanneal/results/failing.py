"""How much of the posterior may lie where the model fails: failed draws beside heavy ones.

A draw that failed counts as a likelihood of zero. Far from the data that is as good as true; next
to draws that carry the posterior it may hide a part of it. What a failed draw would weigh is told
from its neighbours: their likelihood, with its own prior and proposal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array, Bools

NEIGHBOURS = 8
REACH = 1.5
"""A failed draw is beside its neighbours if it is nearer than so many times their own distances."""
MOST_FAILED, MOST_KNOWN = 2048, 8192


@dataclass(frozen=True)
class Failing:
    """The share of the posterior that may lie where the model fails, and where that is.

    `column` of θ tells failed from other draws best, the failed ones lying above (1) or below (0)
    in it, around the value `near`. `rows` are the failed draws that would weigh most.
    """

    mass: float
    column: int
    above: float
    near: float
    rows: NDArray[np.int64]


def failing(theta: Array, z: Array, log_ratio: Array, log_l: Array, failed: Bools) -> Failing:
    """The same from draws θ and z (n, d) with log N(z; 0, I) − log q, log L and failures (n,)."""
    inside = np.isfinite(z).all(axis=1)
    known = np.flatnonzero(~failed & inside & np.isfinite(log_l))[:MOST_KNOWN]
    lost = np.flatnonzero(failed & inside)[:MOST_FAILED]
    nothing = Failing(0.0, 0, 0.0, np.nan, np.empty(0, dtype=np.int64))
    if not len(lost) or len(known) <= NEIGHBOURS:
        return nothing
    weights = normalized(log_ratio[known] + log_l[known])
    spread = np.sqrt(weights @ (z[known] - weights @ z[known]) ** 2)
    scaled = z / np.where(spread > 0, spread, 1.0)
    tree = cKDTree(scaled[known])
    away, near = tree.query(scaled[lost], k=NEIGHBOURS)
    used = np.unique(near)
    own = np.full(len(known), np.inf)
    own[used] = tree.query(scaled[known[used]], k=NEIGHBOURS + 1)[0][:, -1]
    beside = away[:, 0] < REACH * np.median(own[near], axis=1)
    if not beside.any():
        return nothing
    there = logsumexp(log_l[known][near], axis=1) - np.log(NEIGHBOURS)
    log_weight = np.where(beside, log_ratio[lost] + there, -np.inf)
    share = len(lost) / max(int((failed & inside).sum()), 1)
    total = logsumexp(log_ratio[known] + log_l[known])
    total += np.log(max(int((~failed & inside & np.isfinite(log_l)).sum()), 1) / len(known))
    odds = float(np.exp(min(logsumexp(log_weight) - np.log(share) - total, 100.0)))
    at = normalized(log_weight)
    column, above = _side(theta[lost], at, theta[known], weights)
    value = float(at @ theta[lost][:, column])
    heaviest = lost[np.argsort(-log_weight, kind="stable")[:NEIGHBOURS]]
    return Failing(odds / (1.0 + odds), column, above, value, heaviest)


def _side(failed: Array, at: Array, known: Array, weights: Array) -> tuple[int, float]:
    """The column of θ in which failed draws and others lie furthest apart by rank, and the side."""
    best, column, above = -1.0, 0, 0.0
    for j in range(known.shape[1]):
        order = np.argsort(known[:, j], kind="stable")
        below = np.concatenate([[0.0], np.cumsum(weights[order])])
        rank = float(at @ below[np.searchsorted(known[order, j], failed[:, j])])
        if abs(rank - 0.5) > best:
            best, column, above = abs(rank - 0.5), j, float(rank > 0.5)
    return column, above
