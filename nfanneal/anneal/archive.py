"""The archive of modes: optima of the posterior that searches ended in, and how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.local import DF, LocalPoints
from nfanneal.anneal.proposals.flow import whitening
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.weights import effective_sample_size, normalized, systematic_resample
from nfanneal.arrays import Array, Bools, concatenated, rows_of

SAME = 1.0
"""Two ends nearer than so many standard deviations of the better one are the same optimum."""
AS_GOOD = 2.0
"""… and count as found there if their log posterior is not lower by more than this."""
MOST = 512
"""Optima that are kept at most, those of the largest Laplace mass."""
MATTERS = 1e-3
"""An optimum matters if its Laplace mass is at least such a share of all."""
EVEN_SHARE = 0.3
"""Share of the draws that all plausible optima get alike, so that none starves."""
PLAUSIBLE = 20.0
"""… if their log mass is at most so far below the largest."""
ENOUGH_SHAPED = 10
"""Effective points per dimension that shape a component around an optimum."""
WIDER = 1.1
"""… whose scale matrix is so many times their covariance."""
LEAST_TRAINED = 0.3
"""Share of a training that all modes have alike at least."""
ENOUGH_TRAINED = 200
"""… if so many effective points stand for each."""
EXPLAINED = 3.0
"""A point so many standard deviations further out than usual still belongs to an optimum."""


@dataclass(frozen=True)
class Archive:
    """Distinct optima (k of them), and how many searches ended in each, (k,)."""

    points: LocalPoints
    found: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.found)

    @property
    def log_masses(self) -> Array:
        """Log Laplace masses at β = 1, (k,), but for a constant."""
        return self.points.log_masses(1.0)

    @property
    def matters(self) -> Bools:
        """Which optima have a share of the Laplace masses worth the name, (k,)."""
        return normalized(self.log_masses) >= MATTERS

    def merged(self, ends: Archive) -> tuple[Archive, bool]:
        """This archive with other ends, and whether one that matters is new."""
        points = concatenated([self.points, ends.points])
        together = distinct(points, np.concatenate([self.found, ends.found]))
        new = together.points.z[together.matters]
        return together, not _within(self.points, new, SAME**2).all()

    def chosen(self, beta: float, size: int, rng: np.random.Generator) -> LocalPoints:
        """`size` of the optima, mostly by their Laplace mass under prior·L^β."""
        log_masses = self.points.log_masses(beta)
        plausible = log_masses >= log_masses.max() - PLAUSIBLE
        weights = (1.0 - EVEN_SHARE) * normalized(log_masses)
        weights += EVEN_SHARE * plausible / plausible.sum()
        return rows_of(self.points, systematic_resample(weights, size, rng))

    def modes(self, z: Array, beta: float = 1.0) -> NDArray[np.int64]:
        """Which optimum that matters is nearest to each z (n, d) under prior·L^β, from 0 on."""
        near = rows_of(self.points, self.matters)
        best, mode = np.full(len(z), -np.inf), np.zeros(len(z), dtype=np.int64)
        for k, (centre, precision) in enumerate(zip(near.z, near.precisions(beta), strict=True)):
            away = z - centre
            square = np.einsum("ni,ij,nj->n", away, precision, away)
            height = 0.5 * np.linalg.slogdet(precision)[1]
            density = height - 0.5 * (DF + z.shape[1]) * np.log1p(square / DF)
            closer = density > best
            best[closer], mode[closer] = density[closer], k
        return mode

    def components(self, z: Array, weights: Array) -> StudentMixture:
        """A component for each optimum that matters, all alike, as points z (n, d) around it lie.

        Their weights (n,) are those of the posterior. Where few are effective, the curvature at the
        optimum gives the shape.

        Source: Cappé et al. (2008), Adaptive importance sampling in general mixture classes,
        arXiv:0710.4242, for components from weighted moments.
        """
        near = rows_of(self.points, self.matters)
        d, mode = z.shape[1], self.modes(z)
        locations = near.z.copy()
        factors = np.linalg.cholesky(np.linalg.inv(near.precisions(1.0)))
        for k in range(len(locations)):
            own = weights * (mode == k)
            if effective_sample_size(own) > ENOUGH_SHAPED * d:
                locations[k], factor = whitening(z, own / own.sum())
                factors[k] = math.sqrt(WIDER) * factor
        even = np.full(len(locations), -math.log(len(locations)))
        return StudentMixture(locations, factors, even, DF)

    def explains(self, z: Array) -> Bools:
        """Which points z (n, d) lie as near to an optimum as draws of its Gaussian do."""
        d = z.shape[1]
        return _within(self.points, z, d + EXPLAINED * np.sqrt(2.0 * d))


def balanced(weights: Array, mode: NDArray[np.int64]) -> Array:
    """Weights (n,) that sum to one, those of rare modes (n,) raised so that none starves.

    A mode that few effective points stand for is raised by less: a flow would learn these by heart.
    What is raised for a training is put back by the weights of the flow's draws.
    """
    count = int(mode.max(initial=0)) + 1
    mass = np.bincount(mode, weights, minlength=count)
    square = np.bincount(mode, weights**2, minlength=count)
    effective = mass**2 / np.maximum(square, 1e-300)
    least = LEAST_TRAINED / count * np.minimum(effective / ENOUGH_TRAINED, 1.0)
    raised = weights * (np.maximum(mass, least) / np.maximum(mass, 1e-300))[mode]
    return np.asarray(raised / raised.sum())


def distinct(points: LocalPoints, found: NDArray[np.int64]) -> Archive:
    """The best of every group of ends that are the same optimum, the heaviest first."""
    order = np.argsort(-points.log_joint, kind="stable")
    points, found = rows_of(points, order), found[order]
    precisions = points.precisions(1.0)
    left, best, counts = np.arange(len(found)), [], []
    while len(left):
        away = points.z[left] - points.z[left[0]]
        same = np.einsum("ni,ij,nj->n", away, precisions[left[0]], away) < SAME**2
        same[0] = True
        as_good = points.log_joint[left] > points.log_joint[left[0]] - AS_GOOD
        best.append(left[0])
        counts.append(found[left[same & as_good]].sum())
        left = left[~same]
    optima = rows_of(points, np.array(best, dtype=np.int64))
    heaviest = np.argsort(-optima.log_masses(1.0), kind="stable")[:MOST]
    return Archive(rows_of(optima, heaviest), np.array(counts, dtype=np.int64)[heaviest])


def _within(points: LocalPoints, z: Array, square: float) -> Bools:
    """Which z (n, d) are nearer to a point than √`square` of its standard deviations."""
    near = np.zeros(len(z), dtype=bool)
    for centre, precision in zip(points.z, points.precisions(1.0), strict=True):
        away = z - centre
        near |= np.einsum("ni,ij,nj->n", away, precision, away) < square
    return near
