"""Valleys between points: which optima are one mode, and which points lie in whose basin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from nfanneal.anneal.archive import WEIGHTY, Archive, squares
from nfanneal.anneal.differences import with_slope
from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array, Bools, rows_of
from nfanneal.target import Spent, Target

MOST_PARTED = 128
"""So many optima are told apart by valleys, the heaviest."""
NEAREST = 3
"""Others that each optimum is held against, the nearest in units of its own width."""
BETWEEN = (0.25, 0.5, 0.75)
"""Where the straight line to each is looked at."""
UPWARDS = (0.03, 0.1, 0.25, 0.5, 0.75)
"""Where the way from a point to an optimum is looked at: close by, since a basin may be small."""
POINTING = 0.9
"""Cosine of the angle between the slope and the way, with the optimum's curvature as the metric."""
DEEP = 3.0
"""A valley is so far below the lower end, in log posterior."""


def modes_of(target: Target, archive: Archive) -> tuple[NDArray[np.int64], Spent]:
    """Which mode each of the `MOST_PARTED` heaviest optima belongs to, (k,); what it took to know.

    Ends of searches on a ridge differ, but there is no valley between neighbours.
    """
    near = rows_of(archive.points, slice(MOST_PARTED))
    k = len(near.z)
    each = min(NEAREST, k - 1)
    if each < 1:
        return np.zeros(k, dtype=np.int64), Spent()
    nearest = np.empty((k, each), dtype=np.int64)
    for i, root in enumerate(near.roots(1.0)):
        square = squares(near.z, near.z[i], root)
        square[i] = np.inf
        nearest[i] = np.argsort(square, kind="stable")[:each]
    one, other = np.repeat(np.arange(k), each), nearest.ravel()
    lower = np.minimum(near.log_joint[one], near.log_joint[other])
    joint, spent = _along(target, near.z[one], near.z[other], BETWEEN)
    joined = joint.min(axis=0) > lower - DEEP
    linked = np.zeros((k, k), dtype=bool)
    linked[one[joined], other[joined]] = True
    return connected_components(linked, directed=False)[1].astype(np.int64), spent


def _along(
    target: Target, start: Array, end: Array, shares: tuple[float, ...]
) -> tuple[Array, Spent]:
    """log of prior·L, but for a constant, on the ways from `start` to `end` (n, d), (k, n)."""
    z = start + np.array(shares)[:, None, None] * (end - start)
    found = target.evaluate(z.reshape(-1, z.shape[2]), False)
    joint = found.log_likelihood.reshape(z.shape[:2]) - 0.5 * np.einsum("kij,kij->ki", z, z)
    return joint, Spent(evaluations=joint.size)


def uphill(
    target: Target, archive: Archive, z: Array, log_likelihood: Array
) -> tuple[NDArray[np.int64], Spent]:
    """Which optimum of the archive the way from each point z (n, d) leads straight up to, (n,).

    −1 where it does not rise all the way, so that there is something else; or where the slope
    points elsewhere: in many dimensions the way from a far point rises to every optimum. And what
    it took to know. `log_likelihood` (n,) is that of the points.
    """
    rows = np.flatnonzero(archive.matters)
    if not len(rows) or not len(z):
        return np.full(len(z), -1, dtype=np.int64), Spent()
    optimum = rows[archive.modes(z)]
    first = log_likelihood - 0.5 * np.einsum("ij,ij->i", z, z)
    between, spent = _along(target, z, archive.z[optimum], UPWARDS)
    steps = np.vstack([first, between, archive.points.log_joint[optimum]])
    with np.errstate(invalid="ignore"):
        rises = np.flatnonzero((np.diff(steps, axis=0) >= 0.0).all(axis=0))
    pointed, more = _points_there(target, z[rises], archive, optimum[rises])
    found = np.full(len(z), -1, dtype=np.int64)
    found[rises[pointed]] = optimum[rises[pointed]]
    return found, spent + more


def _points_there(
    target: Target, z: Array, archive: Archive, optimum: NDArray[np.int64]
) -> tuple[Bools, Spent]:
    """Whether the slope at points z (n, d) points to an optimum, each to its own, (n,).

    In a Gaussian basin with the precision P = −∂² log p of the optimum a the slope is P(a − z).
    """
    if not len(z):
        return np.empty(0, dtype=bool), Spent()
    found, spent = with_slope(target, z)
    assert found.gradient is not None
    way, slope = archive.z[optimum] - z, found.gradient - z
    roots = archive.points.roots(1.0)
    along = np.empty(len(z))
    for k in np.unique(optimum):
        own = optimum == k
        far = np.linalg.norm(way[own] @ roots[k], axis=1)
        steep = np.linalg.norm(np.linalg.solve(roots[k], slope[own].T), axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            along[own] = np.einsum("nd,nd->n", way[own], slope[own]) / (far * steep)
    return along >= POINTING, spent


def evaluations_uphill(target: Target) -> int:
    """Evaluations that a point takes to be held against the archive, gradients left out."""
    return len(UPWARDS) + (0 if target.differentiable else 2 * target.dimension + 1)


def rarest(archive: Archive, mode: NDArray[np.int64]) -> int:
    """How many searches ended in the mode that fewest ended in, of those that weigh something.

    `mode` (k,) are those of the heaviest optima.
    """
    share = np.bincount(mode, normalized(archive.log_masses)[: len(mode)])
    found = np.bincount(mode, archive.found[: len(mode)])
    return int(found[share >= WEIGHTY].min(initial=np.iinfo(np.int64).max))


def unseen(archive: Archive, mode: NDArray[np.int64]) -> float:
    """How likely the next search ends in a mode, of any weight, that none ended in yet.

    Source: Good (1953), The population frequencies of species and the estimation of population
    parameters, doi:10.1093/biomet/40.3-4.237: the share of modes that were found once.
    """
    found = np.bincount(mode, archive.found[: len(mode)])
    return float((found == 1).sum() / max(found.sum(), 1))
