"""The log-evidences that are known exactly: `python tests/accuracy/exact.py > .../exact.json`.

Each is found in two ways, and the script fails where these differ by more than 0.001: a closed form
beside a quadrature or a plain Monte Carlo mean (then within four of its errors), or a quadrature
beside another one in other coordinates.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, stats
from scipy.special import logsumexp, ndtr

sys.path.insert(0, str(Path(__file__).parent / "problems"))
import targets

Array = NDArray[np.float64]


def grid_sum(log_f: Array, *axes: Array) -> float:
    """log ∫ exp(log_f) by the trapezoidal rule; the integrand must vanish at the grid's ends."""
    return float(logsumexp(log_f) + sum(math.log(axis[1] - axis[0]) for axis in axes))


def monte_carlo(draw: Callable[[np.random.Generator, int], Array], inside: float) -> float:
    """log of the mass within ±`inside` of draws (n, d) of a density; errors are about 1e-3."""
    x = draw(np.random.default_rng(1), 300_000)
    return math.log(np.mean(np.all(np.abs(x) < inside, axis=1)))


def five_gaussians() -> tuple[float, float]:
    """A normalised density in a box; draws of it lie inside."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        k = rng.choice(5, n, p=targets.FIVE_MASSES)
        roots = np.linalg.inv(targets.FIVE_FACTORS)
        noise = np.einsum("nij,nj->ni", roots[k], rng.standard_normal((n, 4)))
        return np.asarray(targets.FIVE_CENTRES[k] + noise)

    return -4.0 * math.log(20.0), monte_carlo(draw, 10.0) - 4.0 * math.log(20.0)


def gmm40_50() -> tuple[float, float]:
    """A normalised density in a box: 10/1.313 standard deviations to its walls."""
    nearest = (50.0 - np.abs(targets.FORTY_CENTRES)) / 1.313
    return -50.0 * math.log(100.0), float(
        np.log(np.prod(ndtr(nearest), axis=1).mean()) - 50.0 * math.log(100.0)
    )


def free_funnel() -> tuple[float, float]:
    """A normalised density over all space; each x has the mass 1 whatever v is."""
    masses = [
        integrate.quad(lambda x, s=s: math.exp(targets.log_normal(x, 0.0, s)), -12 * s, 12 * s)[0]
        for s in np.exp([-6.0, -1.0, 3.0])
    ]
    return 0.0, float(9.0 * np.log(masses).mean())


def ten_students() -> tuple[float, float]:
    """Per mode a product over the axes of masses inside the box, by Student's t's own CDF."""
    volume = 5.0 * math.log(60.0)
    t = stats.t(targets.TEN_DF)
    ends = [(side - targets.TEN_CENTRES) / targets.TEN_SCALES for side in (-30.0, 30.0)]
    inside = np.prod(t.cdf(ends[1]) - t.cdf(ends[0]), axis=1) @ targets.TEN_MASSES

    def draw(rng: np.random.Generator, n: int) -> Array:
        k = rng.choice(10, n, p=targets.TEN_MASSES)
        noise = rng.standard_t(targets.TEN_DF, (n, 5))
        return np.asarray(targets.TEN_CENTRES[k] + targets.TEN_SCALES[k] * noise)

    return math.log(inside) - volume, monte_carlo(draw, 30.0) - volume


def schools() -> tuple[float, float]:
    """Given tau, the effects and mu are Gaussian: a quadrature over tau; then over mu and tau."""
    y, sd = targets.SCHOOLS_Y, targets.SCHOOLS_SD

    def given_tau(tau: float) -> float:
        covariance = np.diag(sd**2 + tau**2) + 25.0
        return float(stats.multivariate_normal(np.zeros(8), covariance).logpdf(y))

    def integrand(tau: float) -> float:
        return math.exp(given_tau(tau)) * float(stats.halfcauchy(scale=5).pdf(tau))

    one = sum(
        integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-10)[0]
        for a, b in ((0.0, 5.0), (5.0, 50.0), (50.0, math.inf))
    )
    mu, log_tau = np.linspace(-40.0, 40.0, 1601), np.linspace(-15.0, 8.0, 2301)
    spread = np.sqrt(sd**2 + np.exp(2.0 * log_tau)[:, None])
    joint = stats.norm.logpdf(mu, 0, 5) + sum(
        stats.norm.logpdf(y[j], mu, spread[:, j : j + 1]) for j in range(8)
    )
    joint += (stats.halfcauchy(scale=5).logpdf(np.exp(log_tau)) + log_tau)[:, None]
    return math.log(one), grid_sum(joint, mu, log_tau)


def schools_centred() -> tuple[float, float]:
    """The effects have a box of 400 each besides: that of the schools less 8·log 400."""
    first, second = schools()
    return first - 8.0 * math.log(400.0), second - 8.0 * math.log(400.0)


def ring() -> tuple[float, float]:
    """2π·∫ r·N(r; 5, 0.1) dr = 2π·5; then by a grid on the plane of the ring."""
    x = np.linspace(-6.0, 6.0, 1201)
    radius = np.hypot(x, x[:, None])
    plane = grid_sum(targets.log_normal(radius, targets.RING_RADIUS, targets.RING_WIDTH), x, x)
    volume = 10.0 * math.log(20.0)
    return math.log(2.0 * math.pi * targets.RING_RADIUS) - volume, plane - volume


def grid() -> tuple[float, float]:
    """A normalised density in a box: 8 standard deviations to its walls."""
    inside = np.prod(ndtr((10.0 - np.abs(targets.GRID)) / 0.25), axis=1).mean()
    return -3.0 * math.log(20.0), math.log(inside) - 3.0 * math.log(20.0)


def spike() -> tuple[float, float]:
    """Masses inside the box by the normal CDF; then by quadrature along the axes."""
    centres, sds = (targets.SPIKE_AT, targets.HILL_AT), (targets.SPIKE_SD, targets.HILL_SD)
    both = [ndtr((5 - c) / s) - ndtr((-5 - c) / s) for c, s in zip(centres, sds, strict=True)]
    axis = np.linspace(-5.0, 5.0, 20_001)
    other = [
        integrate.simpson(np.exp(targets.log_normal(axis, c, s)), axis)
        for c, s in zip(centres, sds, strict=True)
    ]
    values = [math.log(0.5 * sum(m**3 for m in masses)) for masses in (both, other)]
    return values[0] - 3.0 * math.log(10.0), values[1] - 3.0 * math.log(10.0)


def flip_flop() -> tuple[float, float]:
    """A grid over the logarithms of the rates and of the volume; then over mean and ratio."""
    t, y = np.loadtxt(targets.HERE / "flip_flop.csv", delimiter=",", skiprows=1).T
    sigma, width = 0.2, math.log(1000.0)
    log_volume = np.linspace(math.log(0.1), math.log(1000.0), 801)
    volume = math.log(width) * 2.0 + math.log(math.log(1e4))
    constant = -t.size * math.log(sigma * math.sqrt(2.0 * math.pi)) - 0.5 * y @ y / sigma**2

    def over_volume(log_ka: Array, log_ke: Array) -> Array:
        """log ∫ L d log V at pairs of rates, (n,)."""
        p = {"ka": np.exp(log_ka), "ke": np.exp(log_ke), "volume": np.ones_like(log_ka)}
        g = targets.flip_flop(p, t)["c"]
        scale = np.exp(-log_volume)
        both = (g @ y)[:, None] * scale - 0.5 * (g**2).sum(axis=1)[:, None] * scale**2
        step = math.log(log_volume[1] - log_volume[0])
        return np.asarray(constant + logsumexp(both / sigma**2, axis=1) + step)

    low, high = math.log(0.01), math.log(10.0)
    rates = np.linspace(low, high, 401)
    first = np.array([over_volume(np.full(401, a), rates) for a in rates])
    mean, half = np.linspace(low, high, 401), np.linspace(low - high, high - low, 802) / 2
    a, b = mean[:, None] + half, mean[:, None] - half
    inside = (a > low) & (a < high) & (b > low) & (b < high)
    second = np.array([over_volume(i, j) for i, j in zip(a, b, strict=True)])
    second = np.where(inside, second, -np.inf) + math.log(2.0)
    return grid_sum(first, rates, rates) - volume, grid_sum(second, mean, half) - volume


def brownian() -> tuple[float, float]:
    """Given both scales y is Gaussian: grids over their logarithms, then by a filter."""
    at, y = targets.BROWNIAN.T
    values, vectors = np.linalg.eigh(np.minimum.outer(at, at))
    turned = (vectors.T @ y) ** 2
    step, noise = np.linspace(-9.0, 7.0, 401), np.linspace(-14.0, 7.0, 401)
    variance = np.exp(2 * step)[:, None, None] * values + np.exp(2 * noise)[:, None]
    joint = -0.5 * (np.log(variance) + turned / variance + targets.LOG_2PI).sum(axis=2)
    joint += stats.norm.logpdf(step, 0, 2)[:, None] + stats.norm.logpdf(noise, 0, 2)

    def kalman(log_step: float, log_noise: float) -> float:
        """The log-density of y, one datum after the other."""
        total, mean, spread, before = 0.0, 0.0, 0.0, 0.0
        for when, datum in zip(at, y, strict=True):
            spread += (when - before) * math.exp(2 * log_step)
            whole = spread + math.exp(2 * log_noise)
            total -= 0.5 * (math.log(2 * math.pi * whole) + (datum - mean) ** 2 / whole)
            gain = spread / whole
            mean, spread, before = mean + gain * (datum - mean), (1 - gain) * spread, when
        return total

    coarse = np.linspace(-9.0, 7.0, 161), np.linspace(-14.0, 7.0, 211)
    other = np.array([[kalman(a, b) for b in coarse[1]] for a in coarse[0]])
    other += stats.norm.logpdf(coarse[0], 0, 2)[:, None] + stats.norm.logpdf(coarse[1], 0, 2)
    return grid_sum(joint, step, noise), grid_sum(other, *coarse)


def lines() -> tuple[float, float]:
    """Given the three scales all is linear: a grid over their logarithms.

    Given scales, each line's least-squares estimate is N(mean, V) with V = D + σ²·G⁻¹, and the
    residuals are independent of it; the means are Gaussian too. The second way takes the density
    of all 120 data at once on a coarser grid.
    """
    t, y = targets.LINES_T, targets.LINES_Y
    design = np.column_stack([np.ones_like(t), t])
    inner = np.linalg.inv(design.T @ design)
    estimates = y @ design @ inner
    rest = float(((y - estimates @ design.T) ** 2).sum())
    centre = estimates.mean(axis=0)
    scatter = (estimates - centre).T @ (estimates - centre)
    free = 20 * (len(t) - 2)

    def given(sd_a: Array, sd_b: Array, noise: Array) -> Array:
        spread = np.zeros((*np.broadcast(sd_a, sd_b, noise).shape, 2, 2))
        spread[..., 0, 0], spread[..., 1, 1] = sd_a**2, sd_b**2
        spread = spread + noise[..., None, None] ** 2 * inner
        whole = spread / 20.0 + np.diag([25.0, 4.0])
        log_2pi = targets.LOG_2PI
        value = -0.5 * rest / noise**2 - 0.5 * free * (log_2pi + 2.0 * np.log(noise))
        value = value - 10.0 * np.linalg.slogdet(design.T @ design)[1]
        between = np.linalg.solve(spread, np.broadcast_to(scatter, spread.shape))
        value = value - 0.5 * np.trace(between, axis1=-2, axis2=-1)
        value = value - 9.5 * np.linalg.slogdet(spread)[1] - 19.0 * log_2pi - math.log(20.0)
        solved = np.linalg.solve(whole, np.broadcast_to(centre[:, None], (*whole.shape[:-2], 2, 1)))
        square = (solved[..., 0] * centre).sum(axis=-1)
        return np.asarray(value - 0.5 * (np.linalg.slogdet(whole)[1] + square) - log_2pi)

    def dense(sd_a: float, sd_b: float, noise: float) -> float:
        own = design @ np.diag([sd_a**2, sd_b**2]) @ design.T + noise**2 * np.eye(len(t))
        shared = design @ np.diag([25.0, 4.0]) @ design.T
        covariance = np.kron(np.eye(20), own) + np.kron(np.ones((20, 20)), shared)
        return float(stats.multivariate_normal(np.zeros(y.size), covariance).logpdf(y.ravel()))

    def priors(logs: tuple[Array, Array, Array]) -> Array:
        parts = [
            stats.halfnorm(scale=s).logpdf(np.exp(x)) + x
            for s, x in zip((2, 1, 1), logs, strict=True)
        ]
        return np.asarray(parts[0][:, None, None] + parts[1][:, None] + parts[2])

    def axes(n: int) -> tuple[Array, Array, Array]:
        return np.linspace(-1.6, 1.6, n), np.linspace(-2.6, 0.8, n), np.linspace(-1.3, -0.1, n)

    fine, coarse = axes(81), axes(15)
    first = given(*np.meshgrid(*map(np.exp, fine), indexing="ij")) + priors(fine)
    mesh = np.stack(np.meshgrid(*map(np.exp, coarse), indexing="ij"), axis=-1).reshape(-1, 3)
    second = np.array([dense(*row) for row in mesh]).reshape(15, 15, 15) + priors(coarse)
    return grid_sum(first, *fine), grid_sum(second, *coarse)


def many_well(d: int) -> tuple[float, float]:
    """Pairs are independent: a quadrature over x; y has √(2π), and both axes the prior 1/10."""

    def one(x: Array) -> Array:
        return -(x**4) + 6.0 * x**2 + 0.5 * x

    area = integrate.quad(lambda x: math.exp(one(x)), -5, 5, epsabs=0, limit=200)[0]
    axis = np.linspace(-5.0, 5.0, 2001)
    beside = math.log(math.sqrt(2 * math.pi) * (2 * ndtr(5.0) - 1.0)) - 2.0 * math.log(10.0)
    return d / 2 * (math.log(area) + beside), d / 2 * (grid_sum(one(axis), axis) + beside)


def straight_line() -> tuple[float, float]:
    """The density of the data under N(0, 0.25·I + 4·11ᵀ + ttᵀ); then a grid over both."""
    t, y = np.loadtxt(
        Path(__file__).parents[2] / "data" / "linear.csv", delimiter=",", skiprows=1
    ).T
    covariance = 0.25 * np.eye(t.size) + 4.0 + np.outer(t, t)
    first = float(stats.multivariate_normal(np.zeros(t.size), covariance).logpdf(y))
    a, b = np.linspace(-2.0, 5.0, 701), np.linspace(0.2, 1.4, 701)
    joint = stats.norm.logpdf(a, 0, 2)[:, None] + stats.norm.logpdf(b)
    for when, datum in zip(t, y, strict=True):
        joint += stats.norm.logpdf(datum, a[:, None] + b * when, 0.5)
    return first, grid_sum(joint, a, b)


FOUND: dict[str, Callable[[], tuple[float, float]]] = {
    f.__name__: f
    for f in (
        five_gaussians, gmm40_50, free_funnel, ten_students, schools, schools_centred,
        ring, grid, spike, flip_flop, brownian, lines, straight_line,
    )
} | {f"many_well_{d}": lambda d=d: many_well(d) for d in (64, 128)}  # fmt: skip

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(FOUND)
    pairs = {name: FOUND[name]() for name in wanted}
    for name, (first, second) in pairs.items():
        if abs(first - second) > 1e-3:
            raise SystemExit(f"{name}: {first} is not {second}")
    table = {
        name: {
            "log_evidence": round(first, 6),
            "another_way": round(second, 6),
            "how": " ".join((FOUND[name].__doc__ or many_well.__doc__ or "").split()),
        }
        for name, (first, second) in pairs.items()
    }
    sys.stdout.write(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
