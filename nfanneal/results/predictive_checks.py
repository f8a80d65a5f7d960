"""Posterior predictive checks: statistics of the data among those of replicated data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array
from nfanneal.results.result import ObservedData


@dataclass(frozen=True)
class Check:
    """A statistic of the data and of n replicates (n,).

    `p_value` is the share of replicates whose statistic is larger, equal ones counted half: near 0
    or 1, the model does not make such data. nan where the data have no such statistic.
    """

    observed: float
    simulated: Array
    p_value: float


@dataclass(frozen=True)
class _Expected:
    """Mean and standard deviation of the replicates at each datum, (c,)."""

    mean: Array
    sd: Array


def _lag_1(values: Array, expected: _Expected) -> Array:
    """The correlation of neighbours in time, of what exceeds the expectation."""
    rest = (values - expected.mean) / expected.sd
    rest = rest - rest.mean(axis=1, keepdims=True)
    square = (rest**2).sum(axis=1)
    return np.asarray((rest[:, 1:] * rest[:, :-1]).sum(axis=1) / np.where(square > 0, square, 1.0))


STATISTICS: dict[str, Callable[[Array, _Expected], Array]] = {
    "mean": lambda values, _: values.mean(axis=1),
    "sd": lambda values, _: values.std(axis=1),
    "min": lambda values, _: values.min(axis=1),
    "max": lambda values, _: values.max(axis=1),
    "lag-1": _lag_1,
    "chi2": lambda values, expected: (((values - expected.mean) / expected.sd) ** 2).sum(axis=1),
}
"""Statistics (n,) of values (n, c) in the order of their times.

`lag-1` is the autocorrelation of what exceeds the replicates' mean; `chi2` is Σ (y − mean)²/sd²
with the mean and sd of the replicates.
"""


def predictive_checks(data: ObservedData) -> Mapping[str, Check]:
    """Every statistic of an observable's data beside those of its replicates.

    Replicates that are not finite are left out; without any, all is nan.

    Source: Gelman, Meng & Stern (1996), Posterior predictive assessment of model fitness.
    """
    order = np.argsort(data.times, kind="stable")
    replicates = data.replicates[:, order]
    replicates = replicates[np.isfinite(replicates).all(axis=1)]
    if not len(replicates):
        nothing = Check(np.nan, np.empty(0), np.nan)
        return dict.fromkeys(STATISTICS, nothing)
    sd = replicates.std(axis=0)
    expected = _Expected(replicates.mean(axis=0), np.where(sd > 0, sd, 1.0))
    found = {}
    for name, statistic in STATISTICS.items():
        observed = float(statistic(data.values[order][None], expected)[0])
        simulated = statistic(replicates, expected)
        tail = (simulated > observed).mean() + 0.5 * (simulated == observed).mean()
        found[name] = Check(observed, simulated, float(tail))
    return found
