"""One parameter at a time: its draws, where they are drawn, its smooth density, its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array
from nfanneal.report.figures.axes import Axis
from nfanneal.report.figures.density import GRID, Draws, density
from nfanneal.results.result import Result
from nfanneal.results.summaries import ParameterSummary, summarize

TAIL = 0.002
"""Share of the posterior beyond each end of an axis."""
PLAIN = (1e-3, 1e5)
"""Sizes between which numbers are written out."""


def placed(result: Result, axes: dict[str, Axis]) -> Draws:
    """The weighted draws of columns on their axes; those without weight or place are left out."""
    weights = normalized(result.draws.log_weight)
    names = result.columns.names
    x = np.column_stack(
        [axis.place(result.draws.theta[:, names.index(name)]) for name, axis in axes.items()]
    )
    used = (weights > 0) & np.isfinite(x).all(axis=1)
    return Draws(x[used], weights[used] / weights[used].sum())


def one(draws: Draws, column: int) -> Draws:
    """A column alone."""
    return Draws(draws.x[:, [column]], draws.weights)


def span(columns: Sequence[Draws], axis: Axis) -> tuple[float, float]:
    """From the lowest to the highest place that carry weight, within the prior's support."""
    lows, highs = [], []
    for draws in columns:
        values = draws.x[:, 0]
        order = np.argsort(values)
        mass = np.cumsum(draws.weights[order])
        lows.append(values[order][np.searchsorted(mass, TAIL)])
        highs.append(values[order][min(int(np.searchsorted(mass, 1.0 - TAIL)), len(order) - 1)])
    low, high = min(lows), max(highs)
    margin = 0.05 * (high - low) or 0.05 * abs(low) or 0.5
    least, most = axis.support
    return float(max(low - margin, least)), float(min(high + margin, most))


def curve(draws: Draws, axis: Axis, ends: tuple[float, float]) -> tuple[Array, Array]:
    """Places (m,) and the posterior's density there, of draws (n, 1)."""
    at = np.linspace(*ends, GRID)
    return at, density(draws, at, axis.support)


def prior_curve(axis: Axis, ends: tuple[float, float]) -> tuple[Array, Array]:
    """Places (m,) and the prior's density there."""
    at = np.linspace(*ends, GRID)
    with np.errstate(all="ignore"):
        return at, axis.prior_density(at)


def summary_of(result: Result, name: str) -> ParameterSummary:
    """Of the weighted draws of a column of θ."""
    index = result.columns.names.index(name)
    return summarize(result.draws.theta[:, index], normalized(result.draws.log_weight))


def interval(summary: ParameterSummary) -> str:
    """The median and the way to the ends of the 90 % interval, to two digits of the shorter."""
    up, down = summary.q95 - summary.median, summary.median - summary.q05
    size = max(abs(summary.median), up, down)
    if not math.isfinite(size):
        return ""
    power = 0 if size == 0 or PLAIN[0] <= size < PLAIN[1] else math.floor(math.log10(size))
    up, down, middle = (x / 10.0**power for x in (up, down, summary.median))
    shorter = min((x for x in (up, down) if x > 0), default=1.0)
    digits = min(max(1 - math.floor(math.log10(shorter)), 0), 6)
    factor = f"\\times10^{{{power}}}" if power else ""
    return f"${middle:.{digits}f}_{{-{down:.{digits}f}}}^{{+{up:.{digits}f}}}{factor}$"
