"""The posterior's modes: groups of draws with gaps between them, and their masses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nfanneal.arrays import Array
from nfanneal.report.figures.axes import Axis, axes_of_columns
from nfanneal.report.figures.density import peaks
from nfanneal.report.figures.labels import (
    chosen_columns,
    column_labels,
    drawable,
    mark,
    note_few,
)
from nfanneal.report.figures.marginals import curve, one, placed, prior_curve, span
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.style import GREY, WIDTH, color, marker_size, tint
from nfanneal.results.modes import Modes, find_modes, telling_apart
from nfanneal.results.result import Result

SHOWN_MODES = 20
NAMED = 3
"""Parameters whose peaks are told of, at most."""


def modes_figure(result: Result, options: Options) -> Figure:
    """Posterior draws over the two columns that tell the modes apart best, and the masses.

    Of a single group of draws, whose gaps are bridged by some or which has none, the marginal of a
    column is drawn instead of its mass, which is one.
    """
    modes = find_modes(result)
    several = peaks_of(result)
    i, j = _columns(result, modes, several, options.parameters)
    figure = Figure(figsize=(options.width or WIDTH, 4.6))
    top, bottom = figure.subplots(2, 1, height_ratios=[2.0, 1.0])
    _scatter(top, result, modes, i, j)
    title = top.set_title(_title(modes, several), loc="left")
    if several:
        mark(title)
    note_few(figure, {"": result})
    if len(modes.masses) > 1:
        _masses(bottom, modes)
    else:
        _marginal(bottom, result, i)
    return figure


def peaks_of(result: Result) -> dict[str, Array]:
    """Where the marginals have their peaks, of the columns that have more than one."""
    axes = axes_of_columns(result)
    found = {}
    for name, axis in axes.items():
        draws = one(placed(result, {name: axis}), 0)
        places = peaks(draws, *span([draws], axis), axis.support)
        if len(places) > 1:
            found[name] = places
    return found


def _title(modes: Modes, several: Mapping[str, Array]) -> str:
    """How many groups there are; and where marginals have more peaks than these, how many."""
    count = len(modes.masses)
    more = {name: len(places) for name, places in several.items() if len(places) > count}
    if not more:
        return f"{count} mode{'s' if count != 1 else ''}"
    groups = "one group of draws" if count == 1 else f"{count} groups of draws"
    told = [f"{name} has {n} peaks" for name, n in list(more.items())[:NAMED]]
    rest = [f"{len(more) - NAMED} others have several"] if len(more) > NAMED else []
    return drawable("; ".join([groups, ", ".join([*told, *rest])]))


def _columns(
    result: Result, modes: Modes, several: Mapping[str, Array], wanted: Sequence[str] | None
) -> tuple[int, int | None]:
    """The columns to show: the wanted ones, or those that tell modes apart, or have most peaks."""
    names = result.columns.names
    if wanted is not None:
        first, *rest = (names.index(name) for name in chosen_columns(names, wanted))
        return first, rest[0] if rest else None
    order = telling_apart(result, modes)
    if len(modes.masses) == 1:
        order = sorted(range(len(names)), key=lambda i: -len(several.get(names[i], ())))
    first, *rest = order
    return first, rest[0] if rest else None


def _scatter(panel: Any, result: Result, modes: Modes, i: int, j: int | None) -> None:
    names, labels, axes = result.columns.names, column_labels(result), axes_of_columns(result)
    theta = result.posterior[modes.rows]
    y = theta[:, j] if j is not None else np.random.default_rng(0).random(len(theta))
    size = marker_size(len(theta) // 10)
    for mode in range(len(modes.masses)):
        inside = modes.labels == mode
        panel.plot(theta[inside, i], y[inside], "o", ms=size, mew=0, color=color(mode))
    if axes[names[i]].logarithmic:
        panel.set_xscale("log")
        axes[names[i]].set_ticks_of_log(panel.xaxis)
    if j is not None and axes[names[j]].logarithmic:
        panel.set_yscale("log")
        axes[names[j]].set_ticks_of_log(panel.yaxis)
    panel.set_xlabel(labels[names[i]])
    panel.set_ylabel("" if j is None else labels[names[j]])
    if j is None:
        panel.set_yticks([])


def _masses(panel: Any, modes: Modes) -> None:
    count = len(modes.masses)
    shown = min(count, SHOWN_MODES)
    panel.bar(
        range(1, shown + 1),
        modes.masses[:shown],
        yerr=modes.errors[:shown],
        color=[color(m) for m in range(shown)],
        error_kw={"lw": 0.8},
    )
    panel.set_xlim(0.3, shown + 0.7)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("mode" if shown == count else f"mode (the {shown} largest)")
    panel.set_ylabel("posterior mass")


def _marginal(panel: Any, result: Result, i: int) -> None:
    """The smooth density of a column, and the prior's."""
    name = result.columns.names[i]
    axis: Axis = axes_of_columns(result)[name]
    draws = one(placed(result, {name: axis}), 0)
    ends = span([draws], axis)
    x, y = curve(draws, axis, ends)
    panel.fill_between(x, y, color=tint(color(0), 0.3), lw=0)
    panel.plot(x, y, color=color(0))
    panel.plot(*prior_curve(axis, ends), color=GREY, lw=0.8, ls="--", zorder=0)
    panel.set_ylim(0.0, 1.1 * float(y.max()))
    panel.set_xlim(*ends)
    axis.set_ticks(panel.xaxis, *ends, labelled=True)
    panel.set_xlabel(axis.named(column_labels(result)[name], *ends))
    panel.set_ylabel("density")
    panel.set_yticks([])
