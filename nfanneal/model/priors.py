"""Priors and the exact map between a standard-normal latent coordinate and a parameter.

Every prior is a row of `PRIORS`: argument names (Stan's parametrisation), bounds on the arguments,
and the scipy.stats distribution that supplies density and quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special, stats

from nfanneal.arrays import Array

Arguments = float | Sequence[float] | Mapping[str, float]

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)

Quantile = Callable[..., Array]


@dataclass(frozen=True)
class PriorKind:
    """One family of priors: its arguments, which must be positive, which must increase.

    `tails` are its quantiles in closed form, θ from a tail's probability q ≤ ½, from below and from
    above: they take arrays of arguments, and so many parameters at once. Those of scipy.stats lose
    the ends of some tails, and take a tenth of a millisecond or more per call and parameter.
    `score` is the derivative d log p/dθ within the support, of θ and the arguments.
    """

    arguments: tuple[str, ...]
    distribution: Callable[..., Any]
    tails: tuple[Quantile, Quantile]
    score: Callable[..., Array]
    positive: tuple[str, ...] = ()
    increasing: tuple[str, str] | None = None
    may_be_infinite: tuple[str, ...] = ()


def _truncnormal(mean: float, sd: float, low: float, high: float) -> Any:
    return stats.truncnorm((low - mean) / sd, (high - mean) / sd, loc=mean, scale=sd)


def _truncnormal_below(q: Array, mean: Array, sd: Array, low: Array, high: Array) -> Array:
    """Φ(x) = (1 − q)·Φ(a) + q·Φ(b), in logarithms; from above where a lies above the mean."""
    a, b = (low - mean) / sd, (high - mean) / sd
    with np.errstate(divide="ignore"):
        rest, part = np.log1p(-q), np.log(q)
    below = np.logaddexp(rest + special.log_ndtr(a), part + special.log_ndtr(b))
    above = np.logaddexp(rest + special.log_ndtr(-a), part + special.log_ndtr(-b))
    x = np.where(a < 0, special.ndtri_exp(below), -special.ndtri_exp(above))
    return np.asarray(mean + sd * np.clip(x, a, b))


@dataclass(frozen=True)
class _OfLogarithm:
    """The distribution of a positive θ whose logarithm has `base`, as scipy.stats would have it.

    Densities and tails go through log θ, which neither over- nor underflows.
    """

    base: Any

    def logpdf(self, theta: Array) -> Array:
        """log p(θ) = log p(log θ) − log θ."""
        inside = np.asarray(theta) > 0
        x = np.log(np.where(inside, theta, 1.0))
        return np.where(inside, self.base.logpdf(x) - x, -np.inf)

    def logcdf(self, theta: Array) -> Array:
        """log P(below θ)."""
        return np.asarray(self.base.logcdf(_log_or_less(theta)))

    def logsf(self, theta: Array) -> Array:
        """log P(above θ)."""
        return np.asarray(self.base.logsf(_log_or_less(theta)))

    def support(self) -> tuple[float, float]:
        """All positive numbers."""
        return 0.0, math.inf


def _log_or_less(theta: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(theta, 0.0)))


def _normal_score(x: Array, mean: float | Array, sd: float | Array) -> Array:
    return (mean - x) / sd**2


def _laplace_score(x: Array, loc: float | Array, scale: float | Array) -> Array:
    return np.asarray(np.sign(loc - x) / scale)


SQRT_2 = 2.0**0.5

PRIORS: dict[str, PriorKind] = {
    "uniform": PriorKind(
        ("low", "high"),
        lambda a, b: stats.uniform(a, b - a),
        (
            lambda q, a, b: a + (b - a) * q,
            lambda q, a, b: b - (b - a) * q,
        ),
        lambda x, a, b: 0.0 * x,
        increasing=("low", "high"),
    ),
    "loguniform": PriorKind(
        ("low", "high"),
        stats.loguniform,
        (
            lambda q, a, b: a * np.exp(q * np.log(b / a)),
            lambda q, a, b: b * np.exp(-q * np.log(b / a)),
        ),
        lambda x, a, b: -1.0 / x,
        positive=("low",),
        increasing=("low", "high"),
    ),
    "normal": PriorKind(
        ("mean", "sd"),
        stats.norm,
        (
            lambda q, m, s: m + s * special.ndtri(q),
            lambda q, m, s: m - s * special.ndtri(q),
        ),
        _normal_score,
        positive=("sd",),
    ),
    "lognormal": PriorKind(
        ("mu", "sigma"),
        lambda m, s: stats.lognorm(s, scale=math.exp(m)),
        (
            lambda q, m, s: np.exp(m + s * special.ndtri(q)),
            lambda q, m, s: np.exp(m - s * special.ndtri(q)),
        ),
        lambda x, m, s: (_normal_score(np.log(x), m, s) - 1.0) / x,
        positive=("sigma",),
    ),
    "halfnormal": PriorKind(
        ("sd",),
        lambda s: stats.halfnorm(scale=s),
        (
            lambda q, s: s * SQRT_2 * special.erfinv(q),
            lambda q, s: s * SQRT_2 * special.erfcinv(q),
        ),
        lambda x, s: _normal_score(x, 0.0, s),
        positive=("sd",),
    ),
    "truncnormal": PriorKind(
        ("mean", "sd", "low", "high"),
        _truncnormal,
        (
            _truncnormal_below,
            lambda q, m, s, a, b: -_truncnormal_below(q, -m, s, -b, -a),
        ),
        lambda x, m, s, a, b: _normal_score(x, m, s),
        positive=("sd",),
        increasing=("low", "high"),
        may_be_infinite=("low", "high"),
    ),
    "exponential": PriorKind(
        ("rate",),
        lambda r: stats.expon(scale=1.0 / r),
        (
            lambda q, r: -np.log1p(-q) / r,
            lambda q, r: -np.log(q) / r,
        ),
        lambda x, r: 0.0 * x - r,
        positive=("rate",),
    ),
    "gamma": PriorKind(
        ("shape", "rate"),
        lambda a, r: stats.gamma(a, scale=1.0 / r),
        (
            lambda q, a, r: special.gammaincinv(a, q) / r,
            lambda q, a, r: special.gammainccinv(a, q) / r,
        ),
        lambda x, a, r: (a - 1.0) / x - r,
        positive=("shape", "rate"),
    ),
    "inversegamma": PriorKind(
        ("shape", "scale"),
        lambda a, s: stats.invgamma(a, scale=s),
        (
            lambda q, a, s: s / special.gammainccinv(a, q),
            lambda q, a, s: s / special.gammaincinv(a, q),
        ),
        lambda x, a, s: (s / x - a - 1.0) / x,
        positive=("shape", "scale"),
    ),
    "beta": PriorKind(
        ("a", "b"),
        stats.beta,
        (
            lambda q, a, b: special.betaincinv(a, b, q),
            lambda q, a, b: special.betainccinv(a, b, q),
        ),
        lambda x, a, b: (a - 1.0) / x - (b - 1.0) / (1.0 - x),
        positive=("a", "b"),
    ),
    "studentt": PriorKind(
        ("df", "loc", "scale"),
        stats.t,
        (
            lambda q, v, m, s: m + s * special.stdtrit(v, q),
            lambda q, v, m, s: m - s * special.stdtrit(v, q),
        ),
        lambda x, v, m, s: -(v + 1.0) * (x - m) / (v * s * s + (x - m) ** 2),
        positive=("df", "scale"),
    ),
    "cauchy": PriorKind(
        ("loc", "scale"),
        stats.cauchy,
        (
            lambda q, m, s: m - s / np.tan(np.pi * q),
            lambda q, m, s: m + s / np.tan(np.pi * q),
        ),
        lambda x, m, s: -2.0 * (x - m) / (s * s + (x - m) ** 2),
        positive=("scale",),
    ),
    "halfcauchy": PriorKind(
        ("scale",),
        lambda s: stats.halfcauchy(scale=s),
        (
            lambda q, s: s * np.tan(0.5 * np.pi * q),
            lambda q, s: s / np.tan(0.5 * np.pi * q),
        ),
        lambda x, s: -2.0 * x / (s * s + x * x),
        positive=("scale",),
    ),
    "laplace": PriorKind(
        ("loc", "scale"),
        stats.laplace,
        (
            lambda q, m, s: m + s * np.log(2.0 * q),
            lambda q, m, s: m - s * np.log(2.0 * q),
        ),
        _laplace_score,
        positive=("scale",),
    ),
    "loglaplace": PriorKind(
        ("mu", "scale"),
        lambda m, s: _OfLogarithm(stats.laplace(m, s)),
        (
            lambda q, m, s: np.exp(m + s * np.log(2.0 * q)),
            lambda q, m, s: np.exp(m - s * np.log(2.0 * q)),
        ),
        lambda x, m, s: (_laplace_score(np.log(x), m, s) - 1.0) / x,
        positive=("scale",),
    ),
    "rayleigh": PriorKind(
        ("scale",),
        lambda s: stats.rayleigh(scale=s),
        (
            lambda q, s: s * np.sqrt(-2.0 * np.log1p(-q)),
            lambda q, s: s * np.sqrt(-2.0 * np.log(q)),
        ),
        lambda x, s: 1.0 / x - x / (s * s),
        positive=("scale",),
    ),
    "chisquare": PriorKind(
        ("df",),
        stats.chi2,
        (
            lambda q, v: 2.0 * special.gammaincinv(0.5 * v, q),
            lambda q, v: 2.0 * special.gammainccinv(0.5 * v, q),
        ),
        lambda x, v: (0.5 * v - 1.0) / x - 0.5,
        positive=("df",),
    ),
}


@dataclass(frozen=True)
class Prior:
    """A one-dimensional prior density p(θ) and its latent map θ = F⁻¹(Φ(z))."""

    name: str
    arguments: dict[str, float]
    distribution: Any = field(repr=False, compare=False)

    @property
    def support(self) -> tuple[float, float]:
        """The least and the largest θ."""
        low, high = self.distribution.support()
        return float(low), float(high)

    @property
    def identity(self) -> tuple[object, ...]:
        """What equal priors share."""
        return (self.name, *self.arguments.values())

    def log_density(self, theta: Array) -> Array:
        """log p(θ), −inf outside the support; any shape."""
        return np.asarray(self.distribution.logpdf(theta))

    def score(self, theta: Array) -> Array:
        """d log p/dθ, nan outside the support; any shape."""
        low, high = self.support
        inside = (theta >= low) & (theta <= high)
        with np.errstate(all="ignore"):
            slope = PRIORS[self.name].score(theta, *self.arguments.values())
        return np.where(inside, slope, np.nan)

    def from_latent(self, z: Array) -> Array:
        """θ = F⁻¹(Φ(z)), by the survival function for z > 0 so that both tails are exact."""
        tail = special.ndtr(-np.abs(z))
        lower = z <= 0
        from_below, from_above = self.quantiles
        theta = np.empty_like(z)
        theta[lower] = from_below(tail[lower])
        theta[~lower] = from_above(tail[~lower])
        return theta

    @property
    def quantiles(self) -> tuple[Quantile, Quantile]:
        """θ from a tail's probability q ≤ ½, from below and from above."""
        from_below, from_above = PRIORS[self.name].tails
        values = tuple(self.arguments.values())
        return (lambda q: from_below(q, *values)), (lambda q: from_above(q, *values))

    def to_latent(self, theta: Array) -> Array:
        """z = Φ⁻¹(F(θ)), the inverse of `from_latent`."""
        lower, upper = self.distribution.logcdf(theta), self.distribution.logsf(theta)
        return np.where(lower <= upper, special.ndtri_exp(lower), -special.ndtri_exp(upper))

    def latent_slope(self, z: Array, theta: Array) -> Array:
        """dθ/dz = φ(z)/p(θ), by the implicit function theorem on F(θ) = Φ(z)."""
        return slope_of_map(z, self.log_density(theta))


def slope_of_map(z: Array, log_density: Array) -> Array:
    """dθ/dz = φ(z)/p(θ) from log p(θ) of the same shape; 0 where that is not finite."""
    log_slope = -0.5 * z * z - LOG_SQRT_2PI - log_density
    return np.exp(np.where(np.isfinite(log_slope), log_slope, -np.inf))


def make_prior(name: str, arguments: Arguments) -> Prior:
    """A prior from its name in `PRIORS` and its arguments: a number, a list or a mapping by name.

    Raises:
        ValueError: the name is unknown, or the arguments do not fit; the text says how.
    """
    if name not in PRIORS:
        raise ValueError(f"unknown prior '{name}'; known: {', '.join(sorted(PRIORS))}")
    kind = PRIORS[name]
    values = _named_arguments(name, kind, arguments)
    _check_arguments(name, kind, values)
    return Prior(name, values, kind.distribution(*values.values()))


def _named_arguments(name: str, kind: PriorKind, given: Arguments) -> dict[str, float]:
    signature = f"{name}: [{', '.join(kind.arguments)}]"
    if isinstance(given, Mapping):
        if set(given) != set(kind.arguments):
            raise ValueError(f"expected {signature}, not the names {', '.join(map(str, given))}")
        return {argument: float(given[argument]) for argument in kind.arguments}
    values = [given] if isinstance(given, int | float) else list(given)
    if len(values) != len(kind.arguments):
        raise ValueError(
            f"expected {signature}, {len(kind.arguments)} number(s), not {len(values)}"
        )
    return {argument: float(v) for argument, v in zip(kind.arguments, values, strict=True)}


def _check_arguments(name: str, kind: PriorKind, values: dict[str, float]) -> None:
    for argument, value in values.items():
        if math.isnan(value) or (math.isinf(value) and argument not in kind.may_be_infinite):
            raise ValueError(f"{name}: {argument} must be finite, not {value}")
        if argument in kind.positive and value <= 0:
            raise ValueError(f"{name}: {argument} must be positive, not {value:g}")
    if kind.increasing:
        low, high = kind.increasing
        if not values[low] < values[high]:
            raise ValueError(
                f"{name}: {low} must be below {high}, not {values[low]:g} and {values[high]:g}"
            )
        ends = values[low], values[high]
        if all(map(math.isfinite, ends)) and math.isinf(ends[1] - ends[0]):
            raise ValueError(f"{name}: {low} and {high} are too far apart: their width overflows")
