"""Modes of a posterior: groups of draws with gaps between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array
from nfanneal.results.result import Result

MOST_DRAWS = 2000
NEIGHBOURS = 16
GAP = 1.6
"""Draws are linked if they are nearer than this times the distance to their 16th neighbours."""
SMALLEST = 0.01
"""Groups with a smaller share of the draws are strays, not modes."""


@dataclass(frozen=True)
class Modes:
    """Which mode each of `rows` of the posterior draws belongs to, and the modes' posterior masses

    with standard errors, heaviest first."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    masses: Array
    errors: Array


def find_modes(result: Result) -> Modes:
    """Group posterior draws that are linked, in units of their spread; strays join the nearest.

    Draws are near by the measure of the denser of two, so that a sparse mode is not torn apart
    and the tail of a dense one is no bridge. A valley is only seen where it is empty of draws:
    modes that touch count as one. Masses are those of the weighted draws, each of which belongs
    to the mode of the nearest grouped one.
    """
    n = len(result.posterior)
    rng = np.random.default_rng(n)
    rows = np.sort(rng.permutation(n)[:MOST_DRAWS])
    scale = result.posterior[rows].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    distinct, where = np.unique(result.posterior[rows] / scale, axis=0, return_inverse=True)
    if len(distinct) < 3:
        return Modes(rows, np.zeros(len(rows), dtype=np.int64), np.ones(1), np.zeros(1))
    groups = _linked(distinct)
    sizes = np.bincount(groups[where])
    kept = np.flatnonzero(sizes >= min(SMALLEST * len(rows), sizes.max()))
    grouped = np.isin(groups, kept)
    nearest = cKDTree(distinct[grouped])
    weights = normalized(result.draws.log_weight)
    used = np.flatnonzero(weights)
    mode_of = np.searchsorted(kept, groups[grouped])
    inside = mode_of[nearest.query(result.draws.theta[used] / scale)[1]]
    masses = np.bincount(inside, weights[used], minlength=len(kept)).astype(np.float64)
    off = np.arange(len(kept))[:, None] == inside
    errors: Array = np.sqrt((off - masses[:, None]) ** 2 @ weights[used] ** 2)
    order = np.argsort(-masses, kind="stable")
    rank = np.argsort(order)
    labels = rank[mode_of[nearest.query(distinct)[1]]][where]
    return Modes(rows, labels, masses[order], errors[order])


def _linked(x: Array) -> NDArray[np.int64]:
    """The group of each of the points x (n, d): those that links connect."""
    neighbours = min(NEIGHBOURS, len(x) - 1)
    reach = GAP * cKDTree(x).query(x, k=neighbours + 1)[0][:, -1]
    linked = cdist(x, x) <= np.minimum(reach[:, None], reach[None])
    return np.asarray(connected_components(csr_array(linked), directed=False)[1], dtype=np.int64)
