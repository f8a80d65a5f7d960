"""Corner figures: marginals and pairs of weighted draws, of one or several results."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import corner
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array
from nfanneal.errors import ResultError
from nfanneal.report.figures.axes import Axis, axes_of_columns
from nfanneal.report.figures.style import (
    COLORS,
    GREY,
    TRUTH,
    chosen_columns,
    column_labels,
    drawable,
)
from nfanneal.results.result import Result

MOST_COLUMNS = 8
"""Columns shown unless they are named: more cannot be read in print."""
BINS = 30
TAIL = 0.002
"""Share of the posterior beyond each end of an axis."""
LEVELS = (0.393, 0.865)
"""Masses within one and two standard deviations of a Gaussian in two dimensions."""


def corner_figure(
    results: Mapping[str, Result], wanted: Sequence[str] | None, truth: Mapping[str, float]
) -> Figure:
    """Marginals with their priors on the diagonal, pairs below.

    Raises:
        ResultError: a wanted column is not in every result, or none is shared.
    """
    columns = _columns(results, wanted)
    first = next(iter(results.values()))
    labels = column_labels(first)
    known = axes_of_columns(first)
    drawn = {name: known[name] for name in columns}
    ranges = [
        _range([_column(r, name, axis) for r in results.values()], axis.support)
        for name, axis in drawn.items()
    ]
    size = max(1.05 * len(columns) + 0.6, 3.0)
    figure = Figure(figsize=(size, size))
    figure.set_layout_engine("none")  # corner places its axes itself
    for color, result in zip(_colors(len(results)), results.values(), strict=True):
        shown = [labels[c] for c in columns]
        _add(figure, result, drawn, ranges, color, shown, filled=len(results) == 1)
    axes = np.array(figure.axes).reshape(len(columns), len(columns))
    _add_priors(axes, drawn, ranges)
    _add_truth(axes, drawn, truth)
    _add_ticks(axes, drawn, ranges)
    _legend(figure, results, truth)
    return figure


def _colors(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]


def _columns(results: Mapping[str, Result], wanted: Sequence[str] | None) -> list[str]:
    shared = [
        name
        for name in next(iter(results.values())).columns.names
        if all(name in r.columns.names for r in results.values())
    ]
    if not shared:
        raise ResultError("the results share no parameter")
    if wanted is None:
        return shared[:MOST_COLUMNS]
    return chosen_columns(shared, wanted)


def _column(result: Result, name: str, axis: Axis) -> tuple[Array, Array]:
    """Where a column's draws (n,) are on its axis, and weights (n,); those of none left out."""
    weights = normalized(result.draws.log_weight)
    used = weights > 0
    index = result.columns.names.index(name)
    return axis.place(result.draws.theta[used, index]), weights[used]


def _range(
    columns: Sequence[tuple[Array, Array]], support: tuple[float, float]
) -> tuple[float, float]:
    """From the lowest to the highest place that carry weight, within the prior's support."""
    lows, highs = [], []
    for values, weights in columns:
        order = np.argsort(values)
        mass = np.cumsum(weights[order])
        lows.append(values[order][np.searchsorted(mass, TAIL)])
        highs.append(values[order][min(int(np.searchsorted(mass, 1.0 - TAIL)), len(order) - 1)])
    low, high = min(lows), max(highs)
    margin = 0.05 * (high - low) or 0.5
    return float(max(low - margin, support[0])), float(min(high + margin, support[1]))


def _add(
    figure: Figure,
    result: Result,
    drawn: Mapping[str, Axis],
    ranges: Sequence[tuple[float, float]],
    color: str,
    labels: Sequence[str],
    *,
    filled: bool,
) -> None:
    columns = [_column(result, name, axis) for name, axis in drawn.items()]
    values, weights = np.column_stack([places for places, _ in columns]), columns[0][1]
    style: dict[str, Any] = {
        "color": color,
        "bins": BINS,
        "smooth": 1.0,
        "levels": LEVELS,
        "plot_datapoints": False,
        "plot_density": False,
        "fill_contours": filled,
        "hist_kwargs": {"lw": 1.2},
        "contour_kwargs": {"linewidths": 0.8},
        "label_kwargs": {"fontsize": 8},
        "labelpad": 0.12,
        "max_n_ticks": 3,
        "use_math_text": True,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # corner warns of contours of a flat histogram
        corner.corner(values, weights=weights, range=ranges, labels=labels, fig=figure, **style)


def _add_priors(
    axes: Any, drawn: Mapping[str, Axis], ranges: Sequence[tuple[float, float]]
) -> None:
    """The prior's mass per bin on the diagonal, dashed."""
    for i, (axis, (low, high)) in enumerate(zip(drawn.values(), ranges, strict=True)):
        x = np.linspace(low, high, 200)
        mass = axis.prior_density(x) * (high - low) / BINS
        top = max(float(p.get_path().vertices[:, 1].max()) for p in axes[i, i].patches)
        axes[i, i].plot(x, mass, color=GREY, lw=0.8, ls="--", zorder=0)
        axes[i, i].set_ylim(0.0, 1.15 * top)
        axes[i, i].set_xlim(low, high)


def _add_truth(axes: Any, drawn: Mapping[str, Axis], truth: Mapping[str, float]) -> None:
    known = [
        float(axis.place(np.array(truth[name]))) if name in truth else np.nan
        for name, axis in drawn.items()
    ]
    for i, place in enumerate(known):
        if not np.isfinite(place):
            continue
        for j in range(i, len(known)):
            axes[j, i].axvline(place, color=TRUTH, lw=0.7, ls=":")
        for j in range(i):
            axes[i, j].axhline(place, color=TRUTH, lw=0.7, ls=":")


def _add_ticks(axes: Any, drawn: Mapping[str, Axis], ranges: Sequence[tuple[float, float]]) -> None:
    """Those of logarithmic axes; labels at the bottom and on the left."""
    last = len(drawn) - 1
    for i, (axis, (low, high)) in enumerate(zip(drawn.values(), ranges, strict=True)):
        for j in range(i, last + 1):
            axis.set_ticks(axes[j, i].xaxis, low, high, labelled=j == last)
        for j in range(i):
            axis.set_ticks(axes[i, j].yaxis, low, high, labelled=j == 0)


def _legend(figure: Figure, results: Mapping[str, Result], truth: Mapping[str, float]) -> None:
    handles = [
        Line2D([], [], color=color, label=drawable(_name(source, result, results)))
        for color, (source, result) in zip(_colors(len(results)), results.items(), strict=True)
    ]
    handles.append(Line2D([], [], color=GREY, ls="--", lw=0.8, label="prior"))
    if truth:
        handles.append(Line2D([], [], color=TRUTH, ls=":", lw=0.8, label="truth"))
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.98, 0.98))


def _name(source: str, result: Result, results: Mapping[str, Result]) -> str:
    """The result's name, or its file's where names repeat."""
    names = [r.name for r in results.values()]
    return result.name if names.count(result.name) == 1 else Path(source).stem
