"""Modes of a posterior: groups of draws with gaps between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree

from nfanneal.result import Result

Array = NDArray[np.float64]

MOST_DRAWS = 2000
GAP = 2.5
"""Draws belong together if they are nearer than this times what neighbours usually are."""
SMALLEST = 0.01
"""Groups with a smaller share of the draws are strays, not modes."""


@dataclass(frozen=True)
class Modes:
    """Which mode each of `rows` of the posterior draws belongs to (−1: none), heaviest first."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    masses: Array
    errors: Array


def find_modes(result: Result) -> Modes:
    """Group equal-weight posterior draws by single linkage, in units of their spread.

    A valley is only seen where it is empty of draws: modes that touch count as one.
    """
    n = len(result.posterior)
    rng = np.random.default_rng(n)
    rows = np.sort(rng.permutation(n)[:MOST_DRAWS])
    theta = result.posterior[rows]
    scale = theta.std(axis=0)
    x = theta / np.where(scale > 0, scale, 1.0)
    distinct, where = np.unique(x, axis=0, return_inverse=True)
    if len(distinct) < 3:
        return Modes(rows, np.zeros(len(rows), dtype=np.int64), np.ones(1), np.zeros(1))
    nearest = cKDTree(distinct).query(distinct, k=2)[0][:, 1]
    reach = GAP * float(np.quantile(nearest, 0.95))
    groups = fcluster(linkage(distinct, "single"), reach, "distance")[where]
    sizes = np.bincount(groups)
    kept = [g for g in np.argsort(-sizes, kind="stable") if sizes[g] >= SMALLEST * len(rows)]
    labels = np.full(len(rows), -1, dtype=np.int64)
    for mode, group in enumerate(kept):
        labels[groups == group] = mode
    masses = sizes[kept] / len(rows)
    return Modes(rows, labels, masses, np.sqrt(masses * (1.0 - masses) / len(rows)))
