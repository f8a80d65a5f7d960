"""Priors of PEtab's parameter tables as those of specs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

LN10 = math.log(10.0)
SCALES = {"lin": "linear", "log": "log", "log10": "log10"}
TYPES = ("parameterScaleUniform", "parameterScaleNormal", "parameterScaleLaplace", "uniform",
         "normal", "laplace", "logNormal", "logLaplace")  # fmt: skip
PriorParts = tuple[dict[str, Any], tuple[float, float] | None]
"""The prior, and the bounds that it is cut to."""


def scaled_prior(
    kind: str, numbers: Sequence[float] | None, scale: str, bounds: tuple[float, float]
) -> PriorParts:
    """The prior of version 1: by its type, on the scale of the parameter or on its own.

    `bounds` are on the natural scale, and cut the prior. Without numbers it is uniform between
    them on the parameter's `scale`, which is another density than uniform on the natural scale.

    Raises:
        ValueError: there is no such prior, or it cannot be normalised; the text says why.
    """
    on_scale = kind.startswith("parameterScale")
    family = (kind.removeprefix("parameterScale") or "Uniform").lower()
    in_logs = (scale if on_scale else "lin") if not family.startswith("log") else "log"
    family, unit = family.removeprefix("log"), LN10 if in_logs == "log10" else 1.0
    if kind not in TYPES:
        raise ValueError(f"unknown prior '{kind}': there are {', '.join(TYPES)}")
    if family == "uniform":
        return _uniform(numbers, in_logs, unit, bounds), None
    if numbers is None:
        raise ValueError(f"the prior '{kind}' needs two numbers")
    first, second = numbers[0] * unit, numbers[1] * unit
    if family == "normal":
        return {"lognormal" if in_logs != "lin" else "normal": [first, second]}, bounds
    return {"loglaplace" if in_logs != "lin" else "laplace": [first, second]}, bounds


def _uniform(
    numbers: Sequence[float] | None, in_logs: str, unit: float, bounds: tuple[float, float]
) -> dict[str, Any]:
    low, high = bounds
    if numbers is not None:
        ends = [math.exp(unit * x) if in_logs != "lin" else x for x in numbers]
        low, high = max(low, ends[0]), min(high, ends[1])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("without finite bounds, a uniform prior cannot be normalised")
    if not low < high:
        raise ValueError(f"nothing lies between {low:g} and {high:g}")
    if in_logs == "lin":
        return {"uniform": [low, high]}
    if not low > 0:
        raise ValueError(f"a prior that is uniform in logarithms needs bounds above 0, not {low:g}")
    return {"loguniform": [low, high]}


def named_prior(kind: str, numbers: Sequence[float], bounds: tuple[float, float]) -> PriorParts:
    """The prior of version 2, by its name; without one it is uniform between the bounds.

    Raises:
        ValueError: there is no such prior, or it cannot be normalised.
    """
    if kind in ("", "uniform", "log-uniform") and numbers:
        _check_count(kind or "uniform", numbers, 2)
    if not kind or kind == "uniform":
        return _uniform(numbers or None, "lin", 1.0, bounds), None
    if kind == "log-uniform":
        low, high = numbers or bounds
        cut = max(low, bounds[0]), min(high, bounds[1])
        return _uniform(None, "log", 1.0, cut), None
    if kind not in _NAMED:
        raise ValueError(f"the prior '{kind}' is not among {', '.join(_NAMED)}")
    family, count, of = _NAMED[kind]
    _check_count(kind, numbers, count)
    try:
        return {family: of(*numbers)}, bounds
    except ZeroDivisionError:
        raise ValueError(f"the prior '{kind}' needs numbers above 0") from None


def _check_count(kind: str, numbers: Sequence[float], count: int) -> None:
    if len(numbers) != count:
        raise ValueError(f"the prior '{kind}' takes {count} number(s), not {len(numbers)}")


_NAMED: Mapping[str, tuple[str, int, Any]] = {
    "normal": ("normal", 2, lambda mean, sd: [mean, sd]),
    "log-normal": ("lognormal", 2, lambda mu, sigma: [mu, sigma]),
    "laplace": ("laplace", 2, lambda loc, scale: [loc, scale]),
    "log-laplace": ("loglaplace", 2, lambda mu, scale: [mu, scale]),
    "cauchy": ("cauchy", 2, lambda loc, scale: [loc, scale]),
    "chisquare": ("chisquare", 1, lambda df: [df]),
    "exponential": ("exponential", 1, lambda scale: [1.0 / scale]),
    "gamma": ("gamma", 2, lambda shape, scale: [shape, 1.0 / scale]),
    "rayleigh": ("rayleigh", 1, lambda scale: [scale]),
}
