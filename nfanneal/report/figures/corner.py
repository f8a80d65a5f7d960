"""Corner figures: marginals and pairs of weighted draws, of one or several results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nfanneal.errors import ResultError
from nfanneal.report.figures.axes import Axis, axes_of_columns
from nfanneal.report.figures.density import Draws, density_of_two, levels_of
from nfanneal.report.figures.labels import (
    chosen_columns,
    column_labels,
    few_draws,
    mark,
    shown_name,
)
from nfanneal.report.figures.layout import legend_above
from nfanneal.report.figures.marginals import (
    curve,
    interval,
    one,
    placed,
    prior_curve,
    span,
    summary_of,
)
from nfanneal.report.figures.style import GREY, MARKER, WIDTH, color, ink, tint
from nfanneal.results.result import Result

MOST_COLUMNS = 12
"""Columns shown unless they are named: more cannot be read."""
PANEL, NARROWEST = 0.95, 0.42
"""Inches that a column takes, and the least that it takes where the width is given."""
MARGIN = 0.6
"""Inches of labels beside the panels."""
SMALLEST_FONT = 5.0
LEVELS = (0.393, 0.865)
"""Masses within one and two standard deviations of a Gaussian in two dimensions."""
NOTE_LETTERS = 30

Ends = tuple[float, float]


def corner_figure(
    results: Mapping[str, Result],
    wanted: Sequence[str] | None,
    truth: Mapping[str, float],
    width: float | None = None,
) -> Figure:
    """Marginals with their priors on the diagonal, pairs below.

    Arguments:
        width: of the figure, in inches; None: as wide as its panels take.

    Raises:
        ResultError: a wanted column is not in every result, or none is shared.
    """
    shared = _shared(results)
    most = MOST_COLUMNS if width is None else min(MOST_COLUMNS, _fitting(width))
    columns = shared[:most] if wanted is None else chosen_columns(shared, wanted)
    first = next(iter(results.values()))
    known = axes_of_columns(first)
    axes = {name: known[name] for name in columns}
    draws = [placed(result, axes) for result in results.values()]
    ranges = [span([one(each, i) for each in draws], axis) for i, axis in enumerate(axes.values())]
    figure, panels = _panels(len(columns), width)
    for i, each in enumerate(draws):
        _add(panels, each, axes, ranges, color(i), filled=len(results) == 1)
    _add_priors(panels, axes, ranges, [axes_of_columns(result) for result in results.values()])
    _add_truth(panels, axes, truth)
    labels = column_labels(first)
    _add_ticks(panels, axes, ranges, [labels[name] for name in columns])
    if len(columns) > 1:
        _fit_labels(panels)
    said = few_draws(results)
    if len(columns) < len(shared) and wanted is None:
        said.append(f"{len(columns)} of {len(shared)} parameters; others by --parameters")
    if len(results) == 1:
        _add_intervals(panels, [interval(summary_of(first, name)) for name in columns])
    _legend(figure, panels, results, truth, said)
    return figure


def _shared(results: Mapping[str, Result]) -> list[str]:
    shared = [
        name
        for name in next(iter(results.values())).columns.names
        if all(name in r.columns.names for r in results.values())
    ]
    if not shared:
        raise ResultError("the results share no parameter")
    return shared


def _fitting(width: float) -> int:
    return max(int((width - MARGIN) / NARROWEST), 1)


def _panels(count: int, width: float | None) -> tuple[Figure, dict[tuple[int, int], Any]]:
    """Axes by row and column, without those above the diagonal; fonts that suit their size."""
    size = max(PANEL * count + MARGIN, WIDTH) if width is None else width
    figure = Figure(figsize=(size, size if count > 1 else 0.75 * size))
    pads = {"w_pad": 0.015, "h_pad": 0.015, "wspace": 0.02, "hspace": 0.02}
    figure.set_layout_engine("constrained", **pads)
    grid = figure.add_gridspec(count, count)
    panels: dict[tuple[int, int], Any] = {}
    for i in range(count):
        for j in range(i + 1):
            beside = panels.get((i, 0)) if 0 < j < i else None
            panels[i, j] = figure.add_subplot(
                grid[i, j], sharex=panels.get((j, j)), sharey=beside if i != j else None
            )
    scale = min(1.0, (size - MARGIN) / count / 0.75)
    for axis in panels.values():
        axis.spines[["top", "right"]].set_visible(True)
        for one_axis in (axis.xaxis, axis.yaxis):
            one_axis.set_tick_params(length=2, labelsize=_smaller(axis, "xtick", scale))
            one_axis.label.set_fontsize(max(one_axis.label.get_fontsize() * scale, SMALLEST_FONT))
    return figure, panels


def _smaller(axis: Any, which: str, scale: float) -> float:
    label = axis.xaxis.get_major_ticks()[0].label1 if which == "xtick" else axis.title
    return float(max(label.get_fontsize() * scale, SMALLEST_FONT))


def _add(
    panels: Mapping[tuple[int, int], Any],
    draws: Draws,
    axes: Mapping[str, Axis],
    ranges: Sequence[Ends],
    shade: str,
    *,
    filled: bool,
) -> None:
    known = list(axes.values())
    for (i, j), panel in panels.items():
        if i == j:
            x, y = curve(one(draws, i), known[i], ranges[i])
            panel.plot(x, y, color=shade)
            if filled:
                panel.fill_between(x, y, color=tint(shade, 0.3), lw=0)
            continue
        both = Draws(draws.x[:, [j, i]], draws.weights)
        x, y, found = density_of_two(
            both, (ranges[j], ranges[i]), (known[j].support, known[i].support)
        )
        levels = levels_of(found, LEVELS)
        if not all(a < b for a, b in pairwise([0.0, *levels, float(found.max())])):
            panel.plot(*(draws.weights @ both.x)[:, None], ".", ms=MARKER, color=shade)
            continue  # all within a cell
        if filled:
            colors = [tint(shade, 0.3), tint(shade, 0.6)]
            panel.contourf(x, y, found.T, [*levels, np.inf], colors=colors)
        panel.contour(x, y, found.T, levels, colors=[shade], linewidths=0.8)


def _add_priors(
    panels: Mapping[tuple[int, int], Any],
    axes: Mapping[str, Axis],
    ranges: Sequence[Ends],
    of_results: Sequence[Mapping[str, Axis]],
) -> None:
    """The prior's density on the diagonal, dashed; the posterior's highest is in full.

    One for each result where they are not the same.
    """
    for i, ((name, axis), ends) in enumerate(zip(axes.items(), ranges, strict=True)):
        top = max(float(line.get_ydata().max()) for line in panels[i, i].lines)
        priors = [replace(axis, prior=each[name].prior) for each in of_results]
        same = all(each == priors[0] for each in priors)
        for j, each in enumerate(priors[:1] if same else priors):
            shade = GREY if same else color(j)
            panels[i, i].plot(*prior_curve(each, ends), color=shade, lw=0.8, ls="--", zorder=1.5)
        panels[i, i].set_ylim(0.0, 1.1 * top)


def _add_truth(
    panels: Mapping[tuple[int, int], Any], axes: Mapping[str, Axis], truth: Mapping[str, float]
) -> None:
    known = [
        float(axis.place(np.array(truth[name]))) if name in truth else np.nan
        for name, axis in axes.items()
    ]
    for (i, j), panel in panels.items():
        if np.isfinite(known[j]):
            panel.axvline(known[j], color=ink(), lw=0.7, ls=":")
        if i != j and np.isfinite(known[i]):
            panel.axhline(known[i], color=ink(), lw=0.7, ls=":")


def _add_ticks(
    panels: Mapping[tuple[int, int], Any],
    axes: Mapping[str, Axis],
    ranges: Sequence[Ends],
    labels: Sequence[str],
) -> None:
    """Few ticks; labels at the bottom and on the left."""
    last, known = len(axes) - 1, list(axes.values())
    for (i, j), panel in panels.items():
        panel.set_xlim(*ranges[j])
        known[j].set_ticks(panel.xaxis, *ranges[j], labelled=True)
        panel.tick_params(labelbottom=i == last)
        if i == last:
            panel.set_xlabel(known[j].named(labels[j], *ranges[j]))
        if i == j:
            panel.set_yticks([])
            continue
        panel.set_ylim(*ranges[i])
        known[i].set_ticks(panel.yaxis, *ranges[i], labelled=True)
        panel.tick_params(labelleft=j == 0)
        if j == 0:
            panel.set_ylabel(known[i].named(labels[i], *ranges[i]))


def _fit_labels(panels: Mapping[tuple[int, int], Any]) -> None:
    """No label is longer than its panel: units go below names, then letters are smaller."""
    last = max(i for i, _ in panels)
    figure = panels[0, 0].get_figure()
    across = [panels[last, j].xaxis.label for j in range(last + 1)]
    along = [panels[i, 0].yaxis.label for i in range(1, last + 1)]
    for step in ("break", "shrink"):
        figure.draw_without_rendering()
        room = panels[0, 0].get_window_extent()
        for labels, side, most in ((across, "width", room.width), (along, "height", room.height)):
            for label in labels:
                long = float(getattr(label.get_window_extent(), side)) / most
                if long > 1.0 and step == "break":
                    label.set_text(re.sub(r" (?=\()|(?=\[)", "\n", label.get_text()))
                elif long > 1.0:
                    label.set_fontsize(max(label.get_fontsize() / long, SMALLEST_FONT))


def _add_intervals(panels: Mapping[tuple[int, int], Any], texts: Sequence[str]) -> None:
    """The median and the 90 % interval above each marginal, in the free half of the figure."""
    figure = panels[0, 0].get_figure()
    size = panels[0, 0].xaxis.label.get_fontsize()
    titles = [
        panels[i, i].set_title(text, loc="left", fontsize=size, pad=4)
        for i, text in enumerate(texts)
    ]
    for title in titles[1:]:
        title.set_in_layout(False)
    figure.draw_without_rendering()
    room = panels[0, 0].get_window_extent().width
    for title in titles:
        wide = title.get_window_extent().width
        if wide > room and len(titles) > 1:
            title.set_fontsize(max(size * room / wide, SMALLEST_FONT))


def _legend(
    figure: Figure,
    panels: Mapping[tuple[int, int], Any],
    results: Mapping[str, Result],
    truth: Mapping[str, float],
    said: Sequence[str],
) -> None:
    """In the free corner, with what is to be said of the figure."""
    handles = [Line2D([], [], color=color(i), label=shown_name(source, results))
               for i, source in enumerate(results)]  # fmt: skip
    handles.append(Line2D([], [], color=GREY, ls="--", lw=0.8, label="prior"))
    if truth:
        handles.append(Line2D([], [], color=ink(), ls=":", lw=0.8, label="truth"))
    if len(results) == 1:
        handles.append(Line2D([], [], ls="", label="median, 90 % interval"))
    words = len(handles)
    handles += [Line2D([], [], ls="", label=fill(text, NOTE_LETTERS)) for text in said]
    if len(panels) == 1:
        legend_above(panels[0, 0], handles)
        legend = panels[0, 0].get_legend()
    else:
        legend = figure.legend(handles=handles, loc="upper right", handlelength=1.6)
    for text in legend.get_texts()[words:]:
        mark(text)
