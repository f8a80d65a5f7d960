"""Priors that are cut to an interval and normalised anew, with their exact latent map.

Within [a, b] the distribution function is (F(θ) − F(a))/(F(b) − F(a)). It is never made of numbers
near 1: a probability is taken from the end, below or above, from which it is at most ½.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from itertools import pairwise

import numpy as np
from scipy import special

from nfanneal.arrays import Array, Bools
from nfanneal.model.priors import Prior, slope_of_map

LEAST_MASS = 1e-200
"""A share of the prior below this cannot be told from none: its quantiles would underflow."""
NARROW = 1e-3
"""Differences of F that are such a share of F lose three digits: the density is integrated."""
NODES, MORE_NODES, SAME = 20, 40, 1e-12
"""Numbers of quadrature nodes, and how closely they must agree, relative to the integral."""
LOG_HALF = math.log(0.5)


@dataclass(frozen=True)
class Ends:
    """Where priors are cut: numbers, or arrays of one for each of several columns (k,).

    F and 1 − F at both ends come with them, each to its own relative precision.
    """

    low: float | Array
    high: float | Array
    below_low: float | Array
    below_high: float | Array
    above_low: float | Array
    above_high: float | Array

    def probabilities(self, tail: Array, lower: Bools) -> tuple[Array, Array]:
        """F(θ) and 1 − F(θ) of the uncut prior, where the cut one has a tail's probability.

        That is taken from below where `lower`. Shapes (n, k) or that of `tail`.
        """
        u, rest = np.where(lower, tail, 1.0 - tail), np.where(lower, 1.0 - tail, tail)
        below = rest * self.below_low + u * self.below_high
        above = rest * self.above_low + u * self.above_high
        return below, above


def stacked(ends: Sequence[Ends]) -> Ends:
    """Those of several columns as arrays."""
    return Ends(*np.array([astuple(each) for each in ends]).T.copy())


@dataclass(frozen=True)
class BoundedPrior:
    """A prior within [low, high]: p(θ)/(F(high) − F(low)) there, 0 elsewhere."""

    whole: Prior
    ends: Ends
    log_mass: float = field(compare=False)

    @property
    def name(self) -> str:
        """The name of the family in `PRIORS`."""
        return self.whole.name

    @property
    def arguments(self) -> dict[str, float]:
        """The family's arguments."""
        return self.whole.arguments

    @property
    def support(self) -> tuple[float, float]:
        """The least and the largest θ."""
        return float(self.ends.low), float(self.ends.high)

    @property
    def identity(self) -> tuple[object, ...]:
        """What equal priors share."""
        return (*self.whole.identity, *self.support)

    def log_density(self, theta: Array) -> Array:
        """log p(θ), −inf outside the bounds; any shape."""
        inside = (theta >= self.ends.low) & (theta <= self.ends.high)
        return np.where(inside, self.whole.log_density(theta) - self.log_mass, -np.inf)

    def score(self, theta: Array) -> Array:
        """d log p/dθ, nan outside the bounds; any shape."""
        inside = (theta >= self.ends.low) & (theta <= self.ends.high)
        return np.where(inside, self.whole.score(theta), np.nan)

    def from_latent(self, z: Array) -> Array:
        """θ = F⁻¹(F(a) + Φ(z)·(F(b) − F(a))), from the side where that is at most ½."""
        below, above = self.ends.probabilities(special.ndtr(-np.abs(z)), z <= 0)
        lower = below <= above
        from_below, from_above = self.whole.quantiles
        theta = np.empty_like(z)
        theta[lower] = from_below(below[lower])
        theta[~lower] = from_above(above[~lower])
        return np.clip(theta, self.ends.low, self.ends.high)

    def to_latent(self, theta: Array) -> Array:
        """The inverse of `from_latent`; bounds, and what is beyond, have infinite z."""
        low, high = (np.asarray(end) for end in self.support)
        inside = np.clip(theta, low, high)
        lower = np.minimum(_log_between(self.whole, low, inside) - self.log_mass, 0.0)
        upper = np.minimum(_log_between(self.whole, inside, high) - self.log_mass, 0.0)
        return np.where(lower <= upper, special.ndtri_exp(lower), -special.ndtri_exp(upper))

    def latent_slope(self, z: Array, theta: Array) -> Array:
        """dθ/dz = φ(z)/p(θ)."""
        return slope_of_map(z, self.log_density(theta))


AnyPrior = Prior | BoundedPrior


def bounded(prior: Prior, low: float, high: float) -> AnyPrior:
    """The prior cut to [low, high]; itself where that cuts nothing off.

    Raises:
        ValueError: the bounds are no interval, or hold nothing of the prior; the text says which.
    """
    shown = f"[{low:g}, {high:g}]"
    if not low < high:
        raise ValueError(f"bounds: the first must be below the second, not {shown}")
    least, largest = prior.support
    a, b = max(low, least), min(high, largest)
    if (a, b) == (least, largest):
        return prior
    log_mass = _log_mass(prior, a, b) if a < b else -math.inf
    if not log_mass > math.log(LEAST_MASS):
        told = f"bounds: {prior.name} has nothing within {shown}"
        if a < b:
            raise ValueError(f"{told}: less than {LEAST_MASS:g} of it")
        raise ValueError(f"{told}, its support is [{least:g}, {largest:g}]")
    at = np.array([a, b])
    of = prior.distribution
    below, above = np.exp(of.logcdf(at)), np.exp(of.logsf(at))
    return BoundedPrior(prior, Ends(a, b, *map(float, (*below, *above))), log_mass)


def _log_mass(prior: Prior, low: float, high: float) -> float:
    """log(F(high) − F(low)), by quadrature where the difference would lose its digits."""
    at = np.array([low, high])
    from_below, from_above = prior.distribution.logcdf(at), prior.distribution.logsf(at)
    difference = float(_log_between(prior, at[:1], at[1:])[0])
    if difference - min(from_below[1], from_above[0], 0.0) > math.log(NARROW):
        return difference
    middle = float(prior.quantiles[0](np.array([0.5]))[0])
    parts = [low, middle, high] if low < middle < high else [low, high]  # Laplace's has a kink
    rough, fine = (_log_integral(prior, parts, n) for n in (NODES, MORE_NODES))
    return fine if abs(fine - rough) < SAME else difference


def _log_integral(prior: Prior, parts: Sequence[float], n: int) -> float:
    """log ∫ p dθ by Gauss and Legendre's rule on each part."""
    x, weights = np.polynomial.legendre.leggauss(n)
    total = -math.inf
    for a, b in pairwise(parts):
        half = 0.5 * (b - a)
        with np.errstate(all="ignore"):
            values = prior.log_density(a + half * (1.0 + x)) + np.log(half * weights)
        total = float(np.logaddexp(total, special.logsumexp(values)))
    return total


def _log_between(prior: Prior, low: Array, high: Array) -> Array:
    """log P(low < θ < high), elementwise, from the side that keeps the digits."""
    below, above = prior.distribution.logcdf, prior.distribution.logsf
    below_low, below_high = below(low), below(high)
    above_low, above_high = above(low), above(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_below = below_high + np.log(-np.expm1(below_low - below_high))
        from_above = above_low + np.log(-np.expm1(above_high - above_low))
        around = np.log1p(-np.minimum(np.exp(below_low) + np.exp(above_high), 1.0))
    side = np.where(above_low <= LOG_HALF, from_above, around)
    found = np.where(below_high <= LOG_HALF, from_below, side)
    return np.where(np.isnan(found), -np.inf, found)
