"""Noise models: the density of one datum given the model's prediction, with its gradient.

All normalising constants are kept: the evidence needs them. Outside its domain a density is −inf
with gradient 0. Shapes: data y (c,), predictions (n, c), arguments broadcast to (n, c).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma, gammaln, xlog1py, xlogy

Array = NDArray[np.float64]
Partials = tuple[Array, ...]

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class NoiseModel:
    """A family of densities p(y | prediction, arguments).

    `log_prob(y, prediction, *arguments)` gives log p; `partials` its derivatives by prediction
    and by each argument; `domain` says where both hold; `supports` which data are possible.
    `information(prediction, *arguments)` gives the Fisher information of each of them (the
    diagonal; 0 where it has no closed form): the metric of scouting, never part of a density.
    """

    name: str
    arguments: tuple[str, ...]
    log_prob: Callable[..., Array]
    partials: Callable[..., Partials]
    domain: Callable[..., NDArray[np.bool_]]
    draw: Callable[..., Array]
    information: Callable[..., Partials]
    support: str = "any number"
    supports: Callable[[Array], NDArray[np.bool_]] = np.isfinite


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


def _student_t(y: Array, f: Array, df: Array, sigma: Array) -> Array:
    r = (y - f) / sigma
    constant = -betaln(0.5 * df, 0.5) - 0.5 * np.log(df)
    return np.asarray(constant - np.log(sigma) - 0.5 * (df + 1.0) * np.log1p(r * r / df))


def _student_t_partials(y: Array, f: Array, df: Array, sigma: Array) -> Partials:
    r = (y - f) / sigma
    pull = (df + 1.0) / (df + r * r)
    by_df = 0.5 * (
        digamma(0.5 * (df + 1.0)) - digamma(0.5 * df) - 1.0 / df
        - np.log1p(r * r / df) + pull * r * r / df
    )  # fmt: skip
    return pull * r / sigma, by_df, (pull * r * r - 1.0) / sigma


def _student_t_information(f: Array, df: Array, sigma: Array) -> Partials:
    by_f = (df + 1.0) / ((df + 3.0) * sigma**2)
    return by_f, 0.0 * df, 2.0 * df / ((df + 3.0) * sigma**2)


def _laplace(y: Array, f: Array, scale: Array) -> Array:
    return np.asarray(-np.abs(y - f) / scale - np.log(2.0 * scale))


def _laplace_partials(y: Array, f: Array, scale: Array) -> Partials:
    return np.sign(y - f) / scale, (np.abs(y - f) / scale - 1.0) / scale


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
    return np.where(phi > 1e3, large, direct)


def _negative_binomial(y: Array, f: Array, phi: Array) -> Array:
    rising = _log_rising(phi, y)
    return np.asarray(rising - gammaln(y + 1.0) + xlogy(y, f) - (phi + y) * np.log1p(f / phi))


def _negative_binomial_partials(y: Array, f: Array, phi: Array) -> Partials:
    by_f = np.where(y == 0, 0.0, y / f) - (phi + y) / (phi + f)
    by_phi = digamma(y + phi) - digamma(phi) - np.log1p(f / phi) + (f - y) / (phi + f)
    return by_f, by_phi


def _binomial(y: Array, p: Array, trials: Array) -> Array:
    choose = gammaln(trials + 1.0) - gammaln(y + 1.0) - gammaln(trials - y + 1.0)
    return np.asarray(choose + xlogy(y, p) + xlog1py(trials - y, -p))


def _binomial_partials(y: Array, p: Array, trials: Array) -> Partials:
    failures = trials - y
    by_p = np.where(y == 0, 0.0, y / p) - np.where(failures == 0, 0.0, failures / (1.0 - p))
    by_trials = digamma(trials + 1.0) - digamma(failures + 1.0) + np.log1p(-p)
    return by_p, by_trials


def _is_count(y: Array) -> NDArray[np.bool_]:
    return (y >= 0) & (y == np.floor(y)) & np.isfinite(y)


def _draw_negative_binomial(rng: np.random.Generator, f: Array, phi: Array) -> Array:
    return rng.poisson(rng.gamma(phi, f / phi)).astype(np.float64)


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
        "poisson",
        (),
        _poisson,
        _poisson_partials,
        lambda y, f: np.isfinite(f) & (f >= 0),
        lambda rng, f: rng.poisson(f).astype(np.float64),
        lambda f: (1.0 / f,),
        "a count 0, 1, 2, …",
        _is_count,
    ),
    NoiseModel(
        "negative_binomial",
        ("phi",),
        _negative_binomial,
        _negative_binomial_partials,
        lambda y, f, phi: np.isfinite(f) & (f >= 0) & (phi > 0) & np.isfinite(phi),
        _draw_negative_binomial,
        lambda f, phi: (1.0 / (f + f * f / phi), 0.0 * phi),
        "a count 0, 1, 2, …",
        _is_count,
    ),
    NoiseModel(
        "binomial",
        ("trials",),
        _binomial,
        _binomial_partials,
        lambda y, p, trials: (p >= 0) & (p <= 1) & (trials >= y) & (trials == np.floor(trials)),
        lambda rng, p, trials: rng.binomial(trials.astype(np.int64), p).astype(np.float64),
        lambda p, trials: (trials / (p * (1.0 - p)), 0.0 * trials),
        "a count 0, 1, 2, …",
        _is_count,
    ),
)

NOISE_MODELS: dict[str, NoiseModel] = {model.name: model for model in _MODELS}
"""normal{sigma}; lognormal{sigma}, whose median is the prediction; student_t{df, sigma};
laplace{scale}; poisson{}, negative_binomial{phi} with variance f + f²/φ, both with the prediction
f as mean; binomial{trials}, whose probability is the prediction."""


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
