"""Noise models: the density of one datum given the model's prediction, with its gradient.

All normalising constants are kept: the evidence needs them. Outside its domain a density is −inf
with gradient 0. Shapes: data y (c,), predictions (n, c), arguments broadcast to (n, c).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, digamma, gammaln, xlog1py, xlogy

from nfanneal.arrays import Array, Bools

Partials = tuple[Array, ...]

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
NOT_NEGATIVE = (0.0, math.inf)
LARGE = 1e3
"""From here on series in 1/x replace differences of log-gammas, whose digits cancel."""
MOST_COUNTS = 1e15
"""Counts with a larger mean are drawn from the normal limit: the generator has 64 bits."""


@dataclass(frozen=True)
class NoiseModel:
    """A family of densities p(y | prediction, arguments).

    `log_prob(y, prediction, *arguments)` gives log p; `partials` its derivatives by prediction
    and by each argument; `domain` says where both hold; `supports` which data are possible.
    `information(prediction, *arguments)` gives the Fisher information of each of them (the
    diagonal; 0 where it has no closed form): the metric of scouting, never part of a density.
    `edges` are the least and the largest prediction; the density at an edge is its limit there.
    """

    name: str
    arguments: tuple[str, ...]
    log_prob: Callable[..., Array]
    partials: Callable[..., Partials]
    domain: Callable[..., Bools]
    draw: Callable[..., Array]
    information: Callable[..., Partials]
    support: str = "any number"
    supports: Callable[[Array], Bools] = np.isfinite
    edges: tuple[float, float] = (-math.inf, math.inf)


def _normal(y: Array, f: Array, sigma: Array) -> Array:
    return np.asarray(-0.5 * ((y - f) / sigma) ** 2 - np.log(sigma) - HALF_LOG_2PI)


def _normal_partials(y: Array, f: Array, sigma: Array) -> Partials:
    r = (y - f) / sigma
    return r / sigma, (r * r - 1.0) / sigma


def _lognormal(y: Array, f: Array, sigma: Array) -> Array:
    return np.asarray(_normal(np.log(y), np.log(f), sigma) - np.log(y))


def _lognormal_partials(y: Array, f: Array, sigma: Array) -> Partials:
    by_log, by_sigma = _normal_partials(np.log(y), np.log(f), sigma)
    return by_log / f, by_sigma


def _log1p_less(x: Array) -> Array:
    """log(1 + x) − x/(1 + x), without cancellation for small x."""
    u = x / (1.0 + x)  # −log(1 − u) − u = u²/2 + u³/3 + …
    series = u * u * (1 / 2 + u * (1 / 3 + u * (1 / 4 + u * (1 / 5 + u * (1 / 6 + u / 7)))))
    return np.where(np.abs(x) < 1e-2, series, np.log1p(x) - u)


def _student_t_constant(df: Array) -> Array:
    """log Γ((ν+1)/2) − log Γ(ν/2) − ½ log πν; for large ν by the series in 1/ν of DLMF 5.11.8."""
    x = 1.0 / df
    series = -HALF_LOG_2PI - x / 4.0 + x**3 / 24.0 - x**5 / 20.0
    return np.where(df > LARGE, series, -betaln(0.5 * df, 0.5) - 0.5 * np.log(df))


def _student_t(y: Array, f: Array, df: Array, sigma: Array) -> Array:
    r = (y - f) / sigma
    return np.asarray(
        _student_t_constant(df) - np.log(sigma) - 0.5 * (df + 1.0) * np.log1p(r * r / df)
    )


def _student_t_partials(y: Array, f: Array, df: Array, sigma: Array) -> Partials:
    r = (y - f) / sigma
    pull = (df + 1.0) / (df + r * r)
    x = 1.0 / df
    direct = 0.5 * (digamma(0.5 * (df + 1.0)) - digamma(0.5 * df) - x)
    series = x**2 / 4.0 - x**4 / 8.0 + x**6 / 4.0
    by_df = np.where(df > LARGE, series, direct) + 0.5 * (
        x * r * r / (df + r * r) - _log1p_less(r * r / df)
    )
    return pull * r / sigma, by_df, (pull * r * r - 1.0) / sigma


def _student_t_information(f: Array, df: Array, sigma: Array) -> Partials:
    by_f = (df + 1.0) / ((df + 3.0) * sigma**2)
    return by_f, 0.0 * df, 2.0 * df / ((df + 3.0) * sigma**2)


def _laplace(y: Array, f: Array, scale: Array) -> Array:
    return np.asarray(-np.abs(y - f) / scale - np.log(2.0 * scale))


def _laplace_partials(y: Array, f: Array, scale: Array) -> Partials:
    return np.sign(y - f) / scale, (np.abs(y - f) / scale - 1.0) / scale


def _loglaplace(y: Array, f: Array, scale: Array) -> Array:
    return np.asarray(_laplace(np.log(y), np.log(f), scale) - np.log(y))


def _loglaplace_partials(y: Array, f: Array, scale: Array) -> Partials:
    by_log, by_scale = _laplace_partials(np.log(y), np.log(f), scale)
    return by_log / f, by_scale


def _poisson(y: Array, f: Array) -> Array:
    return np.asarray(xlogy(y, f) - f - gammaln(y + 1.0))


def _poisson_partials(y: Array, f: Array) -> Partials:
    return (np.where(y == 0, 0.0, y / f) - 1.0,)


def _log_rising(phi: Array, y: Array) -> Array:
    """log Γ(y+φ)/Γ(φ) − y·log φ, without cancellation for φ ≫ y.

    The large-φ form is Stirling's series of both log-gammas with log1p throughout.
    """
    x = y / phi
    large = (
        (phi + y - 0.5) * np.log1p(x) - y + (1.0 / (phi + y) - 1.0 / phi) / 12.0
        - (1.0 / (phi + y) ** 3 - 1.0 / phi**3) / 360.0
    )  # fmt: skip
    direct = gammaln(y + phi) - gammaln(phi) - y * np.log(phi)
    return np.where(phi > LARGE, large, direct)


def _negative_binomial(y: Array, f: Array, phi: Array) -> Array:
    rising = _log_rising(phi, y)
    return np.asarray(rising - gammaln(y + 1.0) + xlogy(y, f) - (phi + y) * np.log1p(f / phi))


def _negative_binomial_partials(y: Array, f: Array, phi: Array) -> Partials:
    by_f = np.where(y == 0, 0.0, y / f) - (phi + y) / (phi + f)
    direct = digamma(y + phi) - digamma(phi) - np.log1p(f / phi) + (f - y) / (phi + f)
    return by_f, np.where(phi > LARGE, _by_large_phi(y, f, phi), direct)


def _by_large_phi(y: Array, f: Array, phi: Array) -> Array:
    """The derivative by φ, of order 1/φ², as a sum of terms of that order.

    With ψ(x) = log x − 1/(2x) − 1/(12x²) + …, log((φ+y)/(φ+f)) = log(1 + v), v = (y−f)/(φ+f).
    """
    total = phi + y
    corrections = y / (2.0 * phi * total) + y * (phi + total) / (12.0 * phi**2 * total**2)
    corrections -= (total**-2 + phi**-2) * y * (phi + total) / (120.0 * phi**2 * total**2)
    v = (y - f) / (phi + f)
    return np.asarray(_log1p_less(v) - v * v / (1.0 + v) + corrections)


def _binomial(y: Array, p: Array, trials: Array) -> Array:
    choose = -np.log1p(trials) - betaln(y + 1.0, trials - y + 1.0)
    return np.asarray(choose + xlogy(y, p) + xlog1py(trials - y, -p))


def _binomial_partials(y: Array, p: Array, trials: Array) -> Partials:
    failures = trials - y
    by_p = np.where(y == 0, 0.0, y / p) - np.where(failures == 0, 0.0, failures / (1.0 - p))
    by_trials = digamma(trials + 1.0) - digamma(failures + 1.0) + np.log1p(-p)
    return by_p, by_trials


def _is_count(y: Array) -> Bools:
    return (y >= 0) & (y == np.floor(y)) & np.isfinite(y)


def _draw_counts(
    rng: np.random.Generator, draw: Callable[..., Array], mean: Array, variance: Array, most: Array
) -> Array:
    """Counts by `draw(small rows)`; from the normal limit where they would not fit in 64 bits."""
    counts = np.rint(np.maximum(rng.normal(mean, np.sqrt(variance)), 0.0))
    small = most <= MOST_COUNTS
    counts[small] = draw(small)
    return counts


def _draw_poisson(rng: np.random.Generator, f: Array) -> Array:
    def draw(small: Bools) -> Array:
        return rng.poisson(f[small]).astype(np.float64)

    return _draw_counts(rng, draw, f, f, f)


def _draw_binomial(rng: np.random.Generator, p: Array, trials: Array) -> Array:
    def draw(small: Bools) -> Array:
        return rng.binomial(trials[small].astype(np.int64), p[small]).astype(np.float64)

    return _draw_counts(rng, draw, trials * p, trials * p * (1.0 - p), trials)


_MODELS = (
    NoiseModel(
        "normal",
        ("sigma",),
        _normal,
        _normal_partials,
        lambda y, f, sigma: np.isfinite(f) & (sigma > 0),
        lambda rng, f, sigma: rng.normal(f, sigma),
        lambda f, sigma: (1.0 / sigma**2, 2.0 / sigma**2),
    ),
    NoiseModel(
        "lognormal",
        ("sigma",),
        _lognormal,
        _lognormal_partials,
        lambda y, f, sigma: np.isfinite(f) & (f > 0) & (sigma > 0),
        lambda rng, f, sigma: f * np.exp(rng.normal(0.0, sigma, f.shape)),
        lambda f, sigma: (1.0 / (f * sigma) ** 2, 2.0 / sigma**2),
        "a positive number",
        lambda y: np.isfinite(y) & (y > 0),
        NOT_NEGATIVE,
    ),
    NoiseModel(
        "student_t",
        ("df", "sigma"),
        _student_t,
        _student_t_partials,
        lambda y, f, df, sigma: np.isfinite(f) & (df > 0) & (sigma > 0),
        lambda rng, f, df, sigma: f + sigma * rng.standard_t(df, f.shape),
        _student_t_information,
    ),
    NoiseModel(
        "laplace",
        ("scale",),
        _laplace,
        _laplace_partials,
        lambda y, f, scale: np.isfinite(f) & (scale > 0),
        lambda rng, f, scale: rng.laplace(f, scale),
        lambda f, scale: (1.0 / scale**2, 1.0 / scale**2),
    ),
    NoiseModel(
        "loglaplace",
        ("scale",),
        _loglaplace,
        _loglaplace_partials,
        lambda y, f, scale: np.isfinite(f) & (f > 0) & (scale > 0),
        lambda rng, f, scale: f * np.exp(rng.laplace(0.0, scale, f.shape)),
        lambda f, scale: (1.0 / (f * scale) ** 2, 1.0 / scale**2),
        "a positive number",
        lambda y: np.isfinite(y) & (y > 0),
        NOT_NEGATIVE,
    ),
    NoiseModel(
        "poisson",
        (),
        _poisson,
        _poisson_partials,
        lambda y, f: np.isfinite(f) & (f >= 0),
        _draw_poisson,
        lambda f: (1.0 / f,),
        "a count 0, 1, 2, …",
        _is_count,
        NOT_NEGATIVE,
    ),
    NoiseModel(
        "negative_binomial",
        ("phi",),
        _negative_binomial,
        _negative_binomial_partials,
        lambda y, f, phi: np.isfinite(f) & (f >= 0) & (phi > 0) & np.isfinite(phi),
        lambda rng, f, phi: _draw_poisson(rng, rng.gamma(phi, f / phi)),
        lambda f, phi: (1.0 / (f + f * f / phi), 0.0 * phi),
        "a count 0, 1, 2, …",
        _is_count,
        NOT_NEGATIVE,
    ),
    NoiseModel(
        "binomial",
        ("trials",),
        _binomial,
        _binomial_partials,
        lambda y, p, trials: (p >= 0) & (p <= 1) & (trials >= y) & _is_count(trials),
        _draw_binomial,
        lambda p, trials: (trials / (p * (1.0 - p)), 0.0 * trials),
        "a count 0, 1, 2, …",
        _is_count,
        (0.0, 1.0),
    ),
)

NOISE_MODELS: dict[str, NoiseModel] = {model.name: model for model in _MODELS}
"""normal{sigma}; lognormal{sigma}, whose median is the prediction; student_t{df, sigma};
laplace{scale}; loglaplace{scale}, whose median is the prediction; poisson{},
negative_binomial{phi} with variance f + f²/φ, both with the prediction f as mean; binomial{trials},
whose probability is the prediction."""


def log_prob(model: NoiseModel, y: Array, prediction: Array, arguments: Sequence[Array]) -> Array:
    """log p(y | prediction, arguments), (n, c); −inf outside the model's domain."""
    with np.errstate(all="ignore"):
        inside = model.domain(y, prediction, *arguments)
        values = model.log_prob(y, prediction, *arguments)
    return np.where(inside & ~np.isnan(values), values, -np.inf)


def log_prob_and_gradient(
    model: NoiseModel, y: Array, prediction: Array, arguments: Sequence[Array]
) -> tuple[Array, Array, list[Array]]:
    """log p (n, c), its derivative by the prediction (n, c), and by each argument (n, c)."""
    values = log_prob(model, y, prediction, arguments)
    with np.errstate(all="ignore"):
        raw = model.partials(y, prediction, *arguments)
    by_prediction, *by_arguments = (
        np.where(np.isfinite(values) & np.isfinite(partial), partial, 0.0) for partial in raw
    )
    return values, by_prediction, by_arguments


def information(model: NoiseModel, prediction: Array, arguments: Sequence[Array]) -> list[Array]:
    """Fisher information of the prediction and of each argument, each (n, c); 0 where undefined."""
    with np.errstate(all="ignore"):
        raw = model.information(prediction, *arguments)
    spread = (np.broadcast_to(value, prediction.shape) for value in raw)
    return [np.where(np.isfinite(value), value, 0.0) for value in spread]


def sample(
    model: NoiseModel, rng: np.random.Generator, prediction: Array, arguments: Sequence[Array]
) -> Array:
    """One datum per prediction, (n, c); nan outside the model's domain."""
    arguments = [np.broadcast_to(a, prediction.shape) for a in arguments]
    inside = np.broadcast_to(
        model.domain(np.zeros(prediction.shape[-1]), prediction, *arguments), prediction.shape
    )
    out = np.full(prediction.shape, np.nan)
    out[inside] = model.draw(rng, prediction[inside], *(a[inside] for a in arguments))
    return out


def check_support(model: NoiseModel, y: Array) -> str | None:
    """What is wrong with the first datum of y (c,) that the model cannot produce, if any."""
    impossible = np.flatnonzero(~model.supports(y))
    if not len(impossible):
        return None
    return f"{model.name} noise needs {model.support}, but the data hold {y[impossible[0]]:g}"
