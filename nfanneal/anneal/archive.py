"""The archive of modes: optima of the posterior that searches ended in, and how often."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.local import DF, LocalPoints
from nfanneal.anneal.proposals.flow import whitening
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.weights import effective_sample_size, normalized, systematic_resample
from nfanneal.arrays import Array, Bools, concatenated, rows_of
from nfanneal.runtime.threads import over_threads

SAME = 1.0
"""Two ends nearer than so many standard deviations of the better one are the same optimum."""
AS_GOOD = 2.0
"""… and count as found there if their log posterior is not lower by more than this."""
MOST = 512
"""Optima that are kept at most, those of the largest Laplace mass."""
MATTERS = 1e-3
"""An optimum matters if its Laplace mass is at least such a share of all."""
MOST_THAT_MATTER = 128
"""… and among so many heaviest."""
WEIGHTY = 1e-2
"""… and a step of β waits for its points if it is such a share."""
EVEN_SHARE = 0.3
"""Share of the draws that all plausible optima get alike, so that none starves."""
PLAUSIBLE = 20.0
"""… if their log mass is at most so far below the largest."""
FEW_DRAWN = 5.0
"""Effective draws around an optimum that say what mass it has, not only that it has no more."""
SOUND = 1.5
"""An optimum is a mode if its Laplace mass is so near, in logarithms, to what draws around show."""
ENOUGH_SHAPED = 10
"""Effective points per dimension that shape a component around an optimum."""
WIDER = 1.1
"""… whose scale matrix is so many times their covariance."""
LEAST_TRAINED = 0.3
"""Share of a training that all modes have alike at least."""
ENOUGH_TRAINED = 200
"""… if so many effective points stand for each."""
AT_ONCE = 2**16
"""Numbers of a part of the points, for all optima side by side: they fit a processor's cache."""
EXPLAINED = 3.0
"""A point so many standard deviations further out than usual still belongs to an optimum."""


@dataclass(frozen=True)
class Archive:
    """Distinct optima, k of them.

    Arguments:
        z, log_likelihood, information: as of `LocalPoints`.
        found: how many searches ended in each, (k,).
        drawn: log of the mass that draws around each found there at β = 1, (k,); nan before.
        effective: how many of these were effective, (k,).
    """

    z: Array
    log_likelihood: Array
    information: Array
    found: NDArray[np.int64]
    drawn: Array
    effective: Array

    def __len__(self) -> int:
        return len(self.found)

    @property
    def points(self) -> LocalPoints:
        """The optima without what was found there."""
        return LocalPoints(self.z, self.log_likelihood, self.information)

    @property
    def log_masses(self) -> Array:
        """Log masses at β = 1, (k,): Laplace's before draws say better.

        Where the density has no bound, on ridges and at edges Laplace's is too large: an optimum
        has no more than what draws show.
        """
        laplace = self.points.log_masses(1.0)
        shown = np.where(self.effective >= FEW_DRAWN, self.drawn, np.minimum(self.drawn, laplace))
        return np.where(np.isnan(self.drawn), laplace, shown)

    @property
    def matters(self) -> Bools:
        """Which optima have a share of the masses worth the name, (k,): not too many of them."""
        log_masses = self.log_masses
        heaviest = np.sort(log_masses)[-MOST_THAT_MATTER:]
        least = heaviest[0] if len(heaviest) else -np.inf
        return (normalized(log_masses) >= MATTERS) & (log_masses >= least)

    @property
    def sound(self) -> Bools:
        """Which optima are as heavy as their curvature says, (k,): modes, not ridges or edges."""
        close = np.abs(self.drawn - self.points.log_masses(1.0)) < SOUND
        return close & (self.effective >= FEW_DRAWN)

    def merged(self, ends: Archive) -> tuple[Archive, bool]:
        """This archive with other ends, and whether one that matters is new."""
        together = distinct(concatenated([self, ends]))
        new = together.z[together.matters]
        return together, not _within(self.points, new, SAME**2).all()

    def chosen(self, beta: float, size: int, rng: np.random.Generator) -> LocalPoints:
        """`size` of the optima, mostly by their Laplace mass under prior·L^β.

        Those that draws showed to be lighter at β = 1 than their curvature says get less.
        """
        lighter = np.minimum(self.log_masses - self.points.log_masses(1.0), 0.0)
        log_masses = self.points.log_masses(beta) + lighter
        plausible = log_masses >= log_masses.max() - PLAUSIBLE
        weights = (1.0 - EVEN_SHARE) * normalized(log_masses)
        weights += EVEN_SHARE * plausible / plausible.sum()
        return rows_of(self.points, systematic_resample(weights, size, rng))

    def modes(self, z: Array, beta: float = 1.0) -> NDArray[np.int64]:
        """Which optimum that matters is nearest to each z (n, d) under prior·L^β, from 0 on."""
        near = rows_of(self.points, self.matters)
        if not len(near.z):
            return np.zeros(len(z), dtype=np.int64)
        roots = near.roots(beta)
        heights = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)

        def densest(square: Array) -> NDArray[np.int64]:
            density = heights - 0.5 * (DF + z.shape[1]) * np.log1p(square / DF)
            return np.where(np.isnan(density), -np.inf, density).argmax(axis=1)

        return _of_squares(densest, z, near.z, roots)

    def weighty(self, z: Array, beta: float) -> NDArray[np.int64]:
        """As `modes`, but −1 where the optimum is light or none: no step waits for such."""
        counts = (normalized(self.log_masses) >= WEIGHTY) & self.sound
        mode = self.modes(z, beta)
        return np.where(counts[self.matters][mode], mode, -1)

    def balanced(self, weights: Array, z: Array, beta: float) -> Array:
        """Weights (n,) of points z (n, d), those of rare modes raised so that none starves.

        A mode that few effective points stand for is raised by less: a flow would learn these by
        heart. What is raised for a training is put back by the weights of the flow's draws.
        """
        mode, modes = self.modes(z, beta), self.sound[self.matters]
        mass = np.bincount(mode, weights, minlength=len(modes))
        square = np.bincount(mode, weights**2, minlength=len(modes))
        effective = mass**2 / np.maximum(square, 1e-300)
        least = modes * LEAST_TRAINED / max(int(modes.sum()), 1)
        least = least * np.minimum(effective / ENOUGH_TRAINED, 1.0)
        raised = weights * (np.maximum(mass, least) / np.maximum(mass, 1e-300))[mode]
        return np.asarray(raised / raised.sum())

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
        factors = near.factors(1.0)
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


def as_found(points: LocalPoints, found: NDArray[np.int64]) -> Archive:
    """Ends that were found so often (k,), not distinct yet."""
    k = len(found)
    return Archive(**vars(points), found=found, drawn=np.full(k, np.nan), effective=np.zeros(k))


def distinct(ends: Archive) -> Archive:
    """The best of every group of ends that are the same optimum, the heaviest first."""
    ends = rows_of(ends, np.argsort(-ends.points.log_joint, kind="stable"))
    log_joint, roots = ends.points.log_joint, ends.points.roots(1.0)
    left, best, counts = np.arange(len(ends)), [], []
    while len(left):
        same = squares(ends.z[left], ends.z[left[0]], roots[left[0]]) < SAME**2
        same[0] = True
        as_good = log_joint[left] > log_joint[left[0]] - AS_GOOD
        best.append(left[0])
        counts.append(ends.found[left[same & as_good]].sum())
        left = left[~same]
    optima = rows_of(ends, np.array(best, dtype=np.int64))
    optima = replace(optima, found=np.array(counts, dtype=np.int64))
    return rows_of(optima, np.argsort(-optima.log_masses, kind="stable")[:MOST])


def _within(points: LocalPoints, z: Array, square: float) -> Bools:
    """Which z (n, d) are nearer to a point than √`square` of its standard deviations."""
    if not len(points.z):
        return np.zeros(len(z), dtype=bool)

    def is_near(squares: Array) -> Bools:
        return np.asarray((squares < square).any(axis=1))

    return _of_squares(is_near, z, points.z, points.roots(1.0))


def _of_squares(
    function: Callable[[Array], NDArray[Any]], z: Array, centres: Array, roots: Array
) -> NDArray[Any]:
    """`function` of the `squares` (m, k) of some z (n, d) at a time to all centres (k, d), (n,).

    The parts, and so the result, are the same for any number of threads.
    """
    k, d = centres.shape
    beside = np.ascontiguousarray(np.swapaxes(roots, 0, 1).reshape(d, k * d))
    shifts = np.einsum("ki,kij->kj", centres, roots).reshape(k * d)
    size = max(AT_ONCE // (k * d), 1)

    def of_part(first: int) -> NDArray[Any]:
        white = (z[first : first + size] @ beside - shifts).reshape(-1, k, d)
        return function(np.einsum("nki,nki->nk", white, white))

    parts = over_threads(of_part, range(0, max(len(z), 1), size))
    return np.concatenate(parts)


def squares(z: Array, centre: Array, root: Array) -> Array:
    """Squared distances (n,) of z (n, d) in units of the precision R·Rᵀ of a root R (d, d)."""
    white = (z - centre) @ root
    return np.asarray(np.einsum("ij,ij->i", white, white))
