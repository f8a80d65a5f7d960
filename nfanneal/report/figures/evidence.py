"""The log-evidence against time: how the estimate came to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nfanneal.arrays import Array
from nfanneal.report.figures.history import runs_of
from nfanneal.report.figures.labels import shown_name
from nfanneal.report.figures.layout import legend_above
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.style import GREY, MARKER, WIDTH, color
from nfanneal.results.result import Result

FEWEST_ERRORS = 6.0
"""Errors of the estimate that the axis shows on both sides, at least."""


def evidence_figure(results: Mapping[str, Result], options: Options) -> Figure:
    """log Z(β) of every level above; below it the levels at β = 1, and the final estimates."""
    figure = Figure(figsize=(options.width or WIDTH, 3.8))
    top, bottom = figure.subplots(2, 1, sharex=True)
    seen: list[float] = []
    for i, result in enumerate(results.values()):
        d = result.diagnostics
        for run in _runs(result):
            top.plot(run["seconds"], run["log_evidence"], "-", lw=0.8, color=color(i))
            at_one = run["beta"] >= 1.0
            for inside, fill in ((at_one, color(i)), (~at_one, "none")):
                top.plot(run["seconds"][inside], run["log_evidence"][inside], "o", ms=MARKER,
                         color=color(i), mfc=fill, mew=0.7)  # fmt: skip
            bottom.plot(run["seconds"][at_one], run["log_evidence"][at_one], "o-", ms=MARKER,
                        lw=0.8, color=color(i))  # fmt: skip
            seen += run["log_evidence"][at_one].tolist()
        end = result.provenance.wall_time
        bottom.errorbar([end], [d.log_evidence], [d.log_evidence_error], fmt="D", ms=MARKER + 1,
                        capsize=2, lw=0, elinewidth=0.9, color=color(i))  # fmt: skip
        bottom.axhline(d.log_evidence, color=color(i), lw=0.5, ls=":")
        seen += [d.log_evidence + side * FEWEST_ERRORS * d.log_evidence_error for side in (-1, 1)]
    top.set_ylabel(r"$\log Z(\beta)$")
    bottom.set_ylabel(r"$\log Z$")
    bottom.set_xlabel("time (s)")
    finite = np.array(seen)[np.isfinite(seen)]
    if len(finite):
        margin = 0.1 * np.ptp(finite) or 0.5
        bottom.set_ylim(finite.min() - margin, finite.max() + margin)
    _legends(top, bottom, results)
    figure.align_ylabels([top, bottom])
    return figure


def _runs(result: Result) -> list[dict[str, Array]]:
    """Columns of the levels of each run."""
    history = result.history
    columns = {**history.levels, "seconds": history.seconds}
    return runs_of(columns, history.levels["level"])


def _legends(top: Any, bottom: Any, results: Mapping[str, Result]) -> None:
    shapes = [
        Line2D([], [], marker="o", ls="", ms=MARKER, mfc="none", color=GREY, label=r"$\beta<1$"),
        Line2D([], [], marker="o", ls="", ms=MARKER, color=GREY, label=r"$\beta=1$"),
        Line2D([], [], marker="D", ls="", ms=MARKER + 1, color=GREY, label="final draws"),
    ]
    legend_above(bottom, shapes[1:], columns=2)
    names = [
        Line2D([], [], color=color(i), label=shown_name(source, results))
        for i, source in enumerate(results)
    ]
    legend_above(top, shapes[:2] + (names if len(names) > 1 else []), columns=2)
