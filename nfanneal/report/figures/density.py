"""Smooth densities of weighted draws, as smooth as their effective number allows, within bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve, find_peaks
from scipy.stats import chi2, gaussian_kde, norm

from nfanneal.anneal.weights import effective_sample_size
from nfanneal.arrays import Array

GRID, CELLS = 400, 160
"""Points of a density over one coordinate, and over each of two."""
MOST_POINTS = 4000
"""More draws than these are put into as many narrow bins first."""
PAIRS, NEAREST = 8000, 0.25
"""Pairs of draws that tell how wide a peak is, and the share of the nearest that is used."""
NARROW = 1e-6
"""Of the kernel's width, or of all weight: what is less than this makes no difference."""
REACH = 4.0
"""Standard deviations of the kernel after which it is nothing."""
LOWEST_PEAK, SIGMAS = 0.05, 4.0
"""A peak stands out by this share of the highest, and by so many standard errors."""
ROUGHNESS = 0.5 / math.sqrt(math.pi)
"""∫K² of the normal kernel."""

Ends = tuple[float, float]


@dataclass(frozen=True)
class Draws:
    """Coordinates (n, d) of draws and their weights (n,), which sum to one."""

    x: Array
    weights: Array

    @property
    def kernel(self) -> Array:
        """The kernel's covariance (d, d): Scott's rule for the effective draws and local spread.

        Source: Scott (1992), Multivariate Density Estimation, with Kish's effective number.
        """
        n, d = effective_sample_size(self.weights), self.x.shape[1]
        return np.asarray(n ** (-2.0 / (d + 4)) * local_covariance(self.x, self.weights))


def local_covariance(x: Array, weights: Array) -> Array:
    """The covariance (d, d) of a Gaussian whose draws lie as near to each other as x (n, d) do.

    That of draws from a Gaussian; of several peaks far apart, more that of one of them than of the
    whole. It is found from the nearest quarter of the pairs of draws, by their distance in units
    of the whole's covariance: for a Gaussian, squares of these are χ² with d degrees of freedom.
    """
    d = x.shape[1]
    whole = np.atleast_2d(np.cov(x.T, aweights=weights, ddof=0))
    sd = np.sqrt(np.diag(whole))
    if len(x) < 2 or not (sd > 0).all():
        return np.diag(np.where(sd > 0, sd, 1.0) ** 2)
    rng = np.random.default_rng(0)
    first, second = rng.choice(len(x), (2, PAIRS), p=weights)
    apart = (x[first] - x[second])[first != second] / sd / math.sqrt(2.0)
    if len(apart) < PAIRS // 10:
        return whole
    correlation = whole / np.outer(sd, sd) + 1e-9 * np.eye(d)
    square = (apart * np.linalg.solve(correlation, apart.T).T).sum(axis=1)
    near = apart[square <= np.quantile(square, NEAREST)]
    # E[r²; r² < c]/d of χ² with d degrees of freedom, where P(r² < c) is the share of the nearest
    share = chi2.cdf(chi2.ppf(NEAREST, d), d + 2) / NEAREST
    found = near.T @ near / len(near) / share
    larger = math.sqrt(max(np.linalg.det(found) / np.linalg.det(correlation), 0.0)) > 1.0
    chosen = correlation if larger else found + 1e-9 * np.eye(d)
    return np.asarray(chosen * np.outer(sd, sd))


def density(draws: Draws, at: Array, bounds: Ends = (-np.inf, np.inf)) -> Array:
    """The density at points (m,) of draws (n, 1) that lie within bounds.

    What the kernel would put beyond a bound is reflected at it: all mass stays within, and a
    density that ends at a bound does not sink towards it. A
    peak that is narrower than the points are apart is drawn so wide that one of them meets it.
    """
    x, weights = draws.x[:, 0], draws.weights
    width = max(math.sqrt(float(draws.kernel[0, 0])), float(np.ptp(at)) / max(len(at) - 1, 1))
    x, weights, share = _binned(x, weights, float(at.min()), float(at.max()), width)
    if len(x) == 0:
        return np.zeros(len(at))
    kde = _kde(x, weights, width)
    places = [at] + [2.0 * bound - at for bound in bounds if math.isfinite(bound)]
    found = share * sum(kde(place) for place in places)
    inside = (at >= bounds[0]) & (at <= bounds[1])
    return np.where(inside, found, 0.0)


def _kde(x: Array, weights: Array, width: float) -> Callable[[Array], Array]:
    """The kernel density of points (n,), of a given width."""
    if np.ptp(x) < NARROW * width or weights.max() > 1.0 - NARROW:  # scipy's scales by their sd
        kernel = norm(float(weights @ x), width).pdf
        return lambda at: np.asarray(kernel(at))
    sd = math.sqrt(float(np.cov(x, aweights=weights)))
    return gaussian_kde(x, bw_method=width / sd, weights=weights)


def _binned(
    x: Array, weights: Array, low: float, high: float, width: float
) -> tuple[Array, Array, float]:
    """Points that count between low and high, at most `MOST_POINTS`: x, weights, and their mass."""
    near = (x >= low - REACH * width) & (x <= high + REACH * width) & (weights > 0)
    x, weights = x[near], weights[near]
    mass = float(weights.sum())
    if len(x) > MOST_POINTS:
        edges = np.linspace(x.min(), x.max(), MOST_POINTS + 1)
        sums, _ = np.histogram(x, edges, weights=weights)
        centres, _ = np.histogram(x, edges, weights=weights * x)
        x, weights = centres[sums > 0] / sums[sums > 0], sums[sums > 0]
    return x, weights / max(mass, 1e-300), mass


def peaks(draws: Draws, low: float, high: float, bounds: Ends) -> Array:
    """Where the density of draws (n, 1) has peaks between low and high that are no noise.

    Source: the variance of a kernel density is f·∫K²/(n·h), Scott (1992), section 6.2.
    """
    at = np.linspace(low, high, GRID)
    found = density(draws, at, bounds)
    n, h = effective_sample_size(draws.weights), math.sqrt(float(draws.kernel[0, 0]))
    noise = SIGMAS * np.sqrt(found * ROUGHNESS / (n * h))
    padded = np.concatenate([[0.0], found, [0.0]])  # at an end of the axis is a peak, too
    where, said = find_peaks(padded, prominence=LOWEST_PEAK * found.max())
    where = where - 1
    return np.asarray(at[where[said["prominences"] > noise[where]]])


def density_of_two(
    draws: Draws, ranges: tuple[Ends, Ends], bounds: tuple[Ends, Ends]
) -> tuple[Array, Array, Array]:
    """Coordinates (c,), (c,) and the density (c, c) there, x along rows, of draws (n, 2).

    A histogram is convolved with the kernel; what lies beyond a bound is reflected at it.
    """
    kernel = draws.kernel
    steps, edges, cuts = [], [], []
    for axis, ((low, high), (least, most)) in enumerate(zip(ranges, bounds, strict=True)):
        step = (high - low) / CELLS
        margin = min(math.ceil(REACH * math.sqrt(kernel[axis, axis]) / step), CELLS)
        lowest = low if math.isclose(low, least, abs_tol=step / 2) else low - margin * step
        highest = high if math.isclose(high, most, abs_tol=step / 2) else high + margin * step
        count = round((highest - lowest) / step)
        steps.append(step)
        edges.append(lowest + step * np.arange(count + 1))
        cuts.append((round((low - lowest) / step), margin))
    mass, _, _ = np.histogram2d(draws.x[:, 0], draws.x[:, 1], edges, weights=draws.weights)
    pads = [margin for _, margin in cuts]
    wide = np.pad(mass, [(p, p) for p in pads], mode="symmetric")
    for axis, ((start, margin), own) in enumerate(zip(cuts, mass.shape, strict=True)):
        if start:  # the lower end is no bound
            wide[(slice(None),) * axis + (slice(0, margin),)] = 0.0
        if start + CELLS < own:
            wide[(slice(None),) * axis + (slice(margin + own, None),)] = 0.0
    precise = np.linalg.inv(kernel + np.diag(np.square(steps)) / 4.0)  # some of each cell
    u, v = (step * np.arange(-p, p + 1) for step, p in zip(steps, pads, strict=True))
    form = precise[0, 0] * u[:, None] ** 2 + 2 * precise[0, 1] * np.outer(u, v)
    bell = np.exp(-0.5 * (form + precise[1, 1] * v**2))
    smooth = fftconvolve(wide, bell / bell.sum(), mode="same")
    places = [p + start for p, (start, _) in zip(pads, cuts, strict=True)]
    found = smooth[tuple(slice(p, p + CELLS) for p in places)] / (steps[0] * steps[1])
    x, y = (
        np.asarray(low + step * (np.arange(CELLS) + 0.5))
        for (low, _), step in zip(ranges, steps, strict=True)
    )
    return x, y, np.asarray(np.maximum(found, 0.0))


def levels_of(found: Array, masses: tuple[float, ...]) -> list[float]:
    """Densities above which the masses lie, increasing; of a density on a grid of equal cells."""
    ordered = np.sort(found.ravel())[::-1]
    held = np.cumsum(ordered) / ordered.sum()
    return sorted(float(ordered[np.searchsorted(held, mass)]) for mass in masses)
