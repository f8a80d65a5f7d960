"""Modes of a posterior: groups of draws with gaps between them."""

from __future__ import annotations

from collections.abc import Callable
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
    """Which mode each of `rows` of the posterior draws belongs to, and the m modes, heaviest first.

    `masses` (m,) are posterior masses, `errors` (m,) their standard errors, `means` (m, d) the
    posterior means of θ within each.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    masses: Array
    errors: Array
    means: Array


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
    in_spreads = _in_spreads_of(result.posterior[rows])
    distinct, where = np.unique(in_spreads(result.posterior[rows]), axis=0, return_inverse=True)
    if len(distinct) < 3:
        mean = result.posterior[rows].mean(axis=0, keepdims=True)
        return Modes(rows, np.zeros(len(rows), dtype=np.int64), np.ones(1), np.zeros(1), mean)
    groups = _linked(distinct)
    sizes = np.bincount(groups[where])
    kept = np.flatnonzero(sizes >= min(SMALLEST * len(rows), sizes.max()))
    grouped = np.isin(groups, kept)
    nearest = cKDTree(distinct[grouped])
    weights = normalized(result.draws.log_weight)
    used = np.flatnonzero(weights)
    mode_of = np.searchsorted(kept, groups[grouped])
    inside = mode_of[nearest.query(in_spreads(result.draws.theta[used]))[1]]
    masses = np.bincount(inside, weights[used], minlength=len(kept)).astype(np.float64)
    belongs = np.arange(len(kept))[:, None] == inside
    errors: Array = np.sqrt((belongs - masses[:, None]) ** 2 @ weights[used] ** 2)
    theta = result.draws.theta[used]
    shares: Array = belongs * weights[used] / masses[:, None]
    order = np.argsort(-masses, kind="stable")
    rank = np.argsort(order)
    labels = rank[mode_of[nearest.query(distinct)[1]]][where]
    return Modes(rows, labels, masses[order], errors[order], (shares @ theta)[order])


def _in_spreads_of(theta: Array) -> Callable[[Array], Array]:
    """Other points in units of the standard deviations of θ (n, d), whose squares may overflow."""
    largest = np.abs(theta).max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    spread = (theta / largest).std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return lambda points: points / largest / spread


def telling_apart(result: Result, modes: Modes) -> list[int]:
    """The columns of θ, those first whose variance is most between modes and least within them."""
    theta = result.posterior[modes.rows]
    within = np.zeros(theta.shape[1])
    for mode in range(len(modes.masses)):
        inside = theta[modes.labels == mode]
        if len(inside):
            within += ((inside - inside.mean(axis=0)) ** 2).sum(axis=0)
    whole = ((theta - theta.mean(axis=0)) ** 2).sum(axis=0)
    return np.argsort(within / np.maximum(whole, 1e-300), kind="stable").tolist()


def _linked(x: Array) -> NDArray[np.int64]:
    """The group of each of the points x (n, d): those that links connect."""
    neighbours = min(NEIGHBOURS, len(x) - 1)
    reach = GAP * cKDTree(x).query(x, k=neighbours + 1)[0][:, -1]
    linked = cdist(x, x) <= np.minimum(reach[:, None], reach[None])
    return np.asarray(connected_components(csr_array(linked), directed=False)[1], dtype=np.int64)
