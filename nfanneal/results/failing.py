"""How much of the posterior may lie where the model fails: is it cut off there?

A draw that failed counts as a likelihood of zero. Far from the data that is as good as true; where
failures begin in the midst of draws that carry the posterior, they may hide a part of it. How dense
the posterior is along that boundary, and how fast it grows away from it, say how much would lie
beyond if it went on as it comes. Where few draws failed along it, these themselves say more: by the
weights that they would have if log L went on from the nearest draw that did not fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array, Bools

NEIGHBOURS = 8
LAYER = 0.25
"""Thickness of the layer of draws along the boundary, in standard deviations of the posterior; or
what reaches so many neighbours."""
SLOWEST = 0.8
"""A posterior falls off beyond its boundary by so much a standard deviation at least: half a normal
does by that, on average."""
SCATTERED = 0.05
"""Failures that are less than this share of what is around them are no boundary."""
ONE_SIDED = 0.25
"""Failed draws whose mean rank among others is nearer to the middle than this lie on no side."""
MOST_FAILED, MOST_KNOWN = 1024, 8192


@dataclass(frozen=True)
class Failing:
    """The share of the posterior that may lie where the model fails, and where that is.

    `column` of θ tells failed from other draws best, the failed ones lying above (1) or below (0)
    in it, or in the midst of the others (0.5), around the value `near`. `rows` are the failed draws
    that are nearest to heavy ones.
    """

    mass: float
    column: int
    above: float
    near: float
    rows: NDArray[np.int64]


def failing(theta: Array, z: Array, log_ratio: Array, log_l: Array, failed: Bools) -> Failing:
    """The same from draws θ and z (n, d) with log N(z; 0, I) − log q, log L and failures (n,)."""
    inside = np.isfinite(z).all(axis=1)
    known = np.flatnonzero(~failed & inside & np.isfinite(log_l))
    lost = np.flatnonzero(failed & inside)
    n_known, known = len(known), known[:MOST_KNOWN]
    nothing = Failing(0.0, 0, 0.0, np.nan, np.empty(0, dtype=np.int64))
    if not len(lost) or len(known) <= NEIGHBOURS:
        return nothing
    weights = normalized(log_ratio[known] + log_l[known])
    spread = np.sqrt(weights @ (z[known] - weights @ z[known]) ** 2)
    scaled = z / np.where(spread > 0, spread, 1.0)
    tree = cKDTree(scaled[known])
    lost = lost[np.argsort(tree.query(scaled[lost])[0], kind="stable")][:MOST_FAILED]
    away, nearest = cKDTree(scaled[lost]).query(scaled[known])
    layer = max(LAYER, float(weights @ tree.query(scaled[known], k=NEIGHBOURS + 1)[0][:, -1]))
    share = _failing_share(scaled, log_ratio, known, lost, layer)
    share = np.where(share < SCATTERED, 0.0, np.minimum(2.0 * share, 1.0))
    of_lost = _odds_by_weight(tree, scaled, log_ratio, log_l, known, lost, layer)
    of_lost *= (share > 0.0) * len(known) / n_known
    along = weights * share[nearest]
    first = float(along[away < layer].sum())
    second = float(along[(away >= layer) & (away < 2.0 * layer)].sum())
    if first == 0.0 and not of_lost.any():
        return nothing
    growth = math.log(second / first) / layer if second > first > 0.0 else 0.0
    odds = max(first / layer / max(growth, SLOWEST), float(of_lost.sum()))
    beside = np.bincount(nearest[away < layer], along[away < layer], minlength=len(lost))
    by_failed = np.asarray(beside if first > 0.0 else of_lost)
    heaviest = np.argsort(-by_failed, kind="stable")[:NEIGHBOURS]
    at = by_failed / by_failed.sum()
    column, above = _side(theta[lost], at, theta[known], weights)
    value = float(at @ theta[lost][:, column])
    return Failing(odds / (1.0 + odds), column, above, value, lost[heaviest])


def _odds_by_weight(
    tree: cKDTree,
    scaled: Array,
    log_ratio: Array,
    log_l: Array,
    known: NDArray[np.int64],
    lost: NDArray[np.int64],
    layer: float,
) -> Array:
    """The weight of each failed draw over that of all others, if it had log L of the nearest.

    Less by what a posterior falls off at least, for the way beyond the layer.
    """
    away, near = tree.query(scaled[lost])
    fallen = SLOWEST * np.maximum(away - layer, 0.0)
    beyond = log_ratio[lost] + log_l[known[near]] - fallen
    return np.asarray(np.exp(beyond - logsumexp(log_ratio[known] + log_l[known])))


def _failing_share(
    scaled: Array,
    log_ratio: Array,
    known: NDArray[np.int64],
    lost: NDArray[np.int64],
    reach: float,
) -> Array:
    """Of each failed draw, the share of the prior within `reach` of it that fails.

    It is about a half at a boundary, and next to nothing around a failure here and there.
    """
    good, bad = cKDTree(scaled[known]), cKDTree(scaled[lost])
    top = max(log_ratio[known].max(), log_ratio[lost].max())
    of_known, of_lost = np.exp(log_ratio[known] - top), np.exp(log_ratio[lost] - top)
    found = np.zeros(len(lost))
    for j, own in enumerate(lost):
        sound = of_known[good.query_ball_point(scaled[own], reach)].sum()
        failing = of_lost[bad.query_ball_point(scaled[own], reach)].sum()
        found[j] = failing / (sound + failing)
    return found


def _side(failed: Array, at: Array, known: Array, weights: Array) -> tuple[int, float]:
    """The column of θ in which failed draws and others are most unlike each other, and the side.

    By the largest difference of their distribution functions. 0.5 where failed draws lie in the
    midst of the others.
    """
    best, column, above = -1.0, 0, 0.0
    for j in range(known.shape[1]):
        order = np.argsort(known[:, j], kind="stable")
        below = np.concatenate([[0.0], np.cumsum(weights[order])])
        ranks = below[np.searchsorted(known[order, j], failed[:, j])]
        by_rank = np.argsort(ranks, kind="stable")
        after = np.cumsum(at[by_rank])
        apart = np.abs([after - ranks[by_rank], after - at[by_rank] - ranks[by_rank]]).max()
        if apart > best:
            mean = float(at @ ranks)
            best, column = float(apart), j
            above = 0.5 if abs(mean - 0.5) < ONE_SIDED else float(mean > 0.5)
    return column, above
