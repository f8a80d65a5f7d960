"""Intervals of the prior and of one or several posteriors, a panel per parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import norm

from nfanneal.arrays import Array
from nfanneal.report.figures.axes import Axis, axes_of_columns
from nfanneal.report.figures.labels import (
    chosen_columns,
    column_labels,
    note_few,
    shown_name,
)
from nfanneal.report.figures.marginals import one, placed
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.style import GREY, MARKER, PAGE, WIDTH, color, tint
from nfanneal.results.result import Result

MOST_COLUMNS = 40
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MANY = 12
"""Parameters from which on they stand in several columns."""
WIDER = 12.0
"""A prior that is so many times as wide as the posteriors runs out of the axis."""


def forest_figure(results: Mapping[str, Result], options: Options) -> Figure:
    """Median, 50 % and 90 % interval of each parameter: the prior's in grey, then each result's.

    Raises:
        ResultError: a wanted column is in no result.
    """
    known = list(dict.fromkeys(n for r in results.values() for n in r.columns.names))
    wanted = known if options.parameters is None else chosen_columns(known, options.parameters)
    shown = wanted if options.parameters is not None else wanted[:MOST_COLUMNS]
    width = options.width or (WIDTH if len(shown) <= MANY else PAGE)
    columns = 1 if len(shown) <= MANY else max(int(width / WIDTH), 1)
    rows = -(-len(shown) // columns)
    each = 0.38 + 0.11 * (len(results) + 1)
    figure = Figure(figsize=(width, rows * each + 0.5))
    panels = figure.subplots(rows, columns, squeeze=False).T.flat
    for name, panel in zip(shown, panels, strict=False):
        _panel(panel, name, results)
    for panel in list(panels)[len(shown) :]:
        panel.remove()
    handles = [Line2D([], [], color=GREY, marker="|", lw=2.5, label="prior")]
    handles += [
        Line2D([], [], color=color(i), marker="o", ms=MARKER, lw=2.5, label=shown_name(s, results))
        for i, s in enumerate(results)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.0)
    others = f"{len(shown)} of {len(wanted)} parameters; others by --parameters"
    note_few(figure, results, others if len(shown) < len(wanted) else "")
    return figure


def _panel(panel: Any, name: str, results: Mapping[str, Result]) -> None:
    holders = {s: r for s, r in results.items() if name in r.columns.names}
    first = next(iter(holders.values()))
    axis = axes_of_columns(first)[name]
    posteriors = {s: _quantiles(r, name, axis) for s, r in holders.items()}
    prior = axis.place(axis.prior.from_latent(norm.ppf(np.array(LEVELS))))
    low = min(float(q[0]) for q in posteriors.values())
    high = max(float(q[-1]) for q in posteriors.values())
    wide = (high - low) or abs(high) or 1.0
    ends = max(float(prior[0]), low - WIDER * wide), min(float(prior[-1]), high + WIDER * wide)
    ends = min(ends[0], low), max(ends[1], high)
    margin = 0.04 * (ends[1] - ends[0])
    left, right = ends[0] - margin, ends[1] + margin
    panel.set_xlim(left, right)
    _add(panel, prior, 0, GREY, "|")
    for edge, shape, beyond in ((left, "<", prior[0] < left), (right, ">", prior[-1] > right)):
        if beyond:  # it goes on there
            panel.plot([edge], [0], shape, color=GREY, ms=MARKER + 1.0, clip_on=False)
    for i, source in enumerate(results):
        if source in posteriors:
            _add(panel, posteriors[source], i + 1, color(i), "o")
    panel.set_ylim(len(results) + 0.6, -0.6)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    axis.set_ticks(panel.xaxis, *panel.get_xlim(), labelled=True)
    label = axis.named(column_labels(first)[name], *panel.get_xlim())
    panel.set_ylabel(label, rotation=0, ha="right", va="center")


def _quantiles(result: Result, name: str, axis: Axis) -> Array:
    draws = one(placed(result, {name: axis}), 0)
    order = np.argsort(draws.x[:, 0])
    centres = np.cumsum(draws.weights[order]) - 0.5 * draws.weights[order]
    return np.asarray(np.interp(LEVELS, centres, draws.x[order, 0]))


def _add(panel: Any, quantiles: Sequence[float] | Array, row: int, shade: str, shape: str) -> None:
    q05, q25, median, q75, q95 = quantiles
    panel.plot([q05, q95], [row, row], color=tint(shade, 0.6), lw=1.0, solid_capstyle="butt")
    panel.plot([q25, q75], [row, row], color=shade, lw=2.5, solid_capstyle="butt")
    panel.plot([median], [row], shape, color=shade, ms=MARKER + 1.0)
