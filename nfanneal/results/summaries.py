"""Summaries of draws: moments and quantiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array


@dataclass(frozen=True)
class ParameterSummary:
    """Weighted posterior moments and quantiles of one scalar."""

    mean: float
    sd: float
    median: float
    q05: float
    q95: float


def summarize(values: Array, weights: Array) -> ParameterSummary:
    """Mean, sd, median and 5 %/95 % quantiles of values (n,) under weights (n,) that sum to 1."""
    used = weights > 0
    values, weights = values[used], weights[used]
    if not len(values):
        return ParameterSummary(*[math.nan] * 5)
    mean = float(weights @ values)
    sd = math.sqrt(max(float(weights @ (values - mean) ** 2), 0.0))
    order = np.argsort(values)
    centres = np.cumsum(weights[order]) - 0.5 * weights[order]
    q05, median, q95 = np.interp((0.05, 0.5, 0.95), centres, values[order])
    return ParameterSummary(mean, sd, float(median), float(q05), float(q95))


def band(values: Array) -> dict[str, Array]:
    """Mean, sd and quantiles over draws of `values` (n, m), each (m,); nan draws are left out."""
    good = values[np.isfinite(values).all(axis=1)]
    if not len(good):
        good = np.full((1, values.shape[1]), np.nan)
    levels = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
    quantiles = np.quantile(good, list(levels.values()), axis=0)
    moments = {"mean": good.mean(axis=0), "sd": good.std(axis=0)}
    return moments | dict(zip(levels, quantiles, strict=True))
