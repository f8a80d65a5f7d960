"""Posterior predictive checks: are the data such as the model makes?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nfanneal.errors import ResultError
from nfanneal.report.figures.labels import drawable, mark, observable_labels
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.style import MARKER, PAGE, WIDTH, color, ink, tint
from nfanneal.results.predictive_checks import STATISTICS, Check, predictive_checks
from nfanneal.results.result import Result

MOST_SERIES = 12
"""Below each other."""
WIDEST = 5.0
"""Standard deviations of the replicates within which the axis ends."""
EXTREME = 0.025
"""Share of replicates beyond which a p-value is coloured."""
WORDS = {"lag-1": "lag-1", "chi2": r"$\chi^2$"}
ROW = 0.15
"""Inches of a statistic's height."""


def ppc_figure(result: Result, options: Options) -> Figure:
    """A panel per observable and experiment: each statistic of the data among the replicates'.

    Statistics are drawn from the median of the replicates', in units of their spread: half of the
    width of the interval that holds 68 % of them.

    Raises:
        ResultError: the result holds no data.
    """
    if not result.observed:
        raise ResultError("the result holds no data to be checked")
    width = options.width or (WIDTH if len(result.observed) <= MOST_SERIES // 3 else PAGE)
    most = MOST_SERIES * max(int(width / WIDTH), 1)
    shown = list(result.observed.items())[:most]
    columns = 1 if len(shown) == 1 else max(int(width / WIDTH), 1)
    rows = math.ceil(len(shown) / columns)
    height = rows * (ROW * len(STATISTICS) + 0.3) + 0.65
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    labels = observable_labels(result)
    for panel, (name, data) in zip(axes.flat, shown, strict=False):
        base, bracket, rest = name.partition("[")
        label = labels.get(base, base) + bracket + rest
        _add(panel, predictive_checks(data))
        panel.set_title(drawable(label), loc="left")
        panel.set_xlim(-WIDEST, WIDEST)
    for panel in axes.flat[len(shown) :]:
        panel.remove()
    for panel in axes.flat[max(len(shown) - columns, 0) : len(shown)]:
        panel.tick_params(labelbottom=True)
        panel.set_xlabel("statistic − median of replicates (sd)")
    _legend(figure)
    if len(shown) < len(result.observed):
        note = f"{len(shown)} of {len(result.observed)} observables; more with a larger --width"
        mark(figure.suptitle(note, fontsize="small"))
    return figure


def _add(panel: Any, checks: Mapping[str, Check]) -> None:
    """A row per statistic, the first at the top."""
    for row, check in enumerate(checks.values()):
        if not len(check.simulated):
            continue
        middle, low, high = np.quantile(check.simulated, [0.5, 0.16, 0.84])
        unit = 0.5 * (high - low) or float(check.simulated.std()) or 1.0
        for quantiles, size, share in (((0.05, 0.95), 3.0, 0.4), ((0.25, 0.75), 5.0, 0.8)):
            ends = (np.quantile(check.simulated, quantiles) - middle) / unit
            panel.plot(
                ends, [row, row], lw=size, color=tint(color(0), share), solid_capstyle="butt"
            )
        place = (check.observed - middle) / unit
        inside = np.clip(place, -0.97 * WIDEST, 0.97 * WIDEST)
        shape = "o" if inside == place else (">" if place > 0 else "<")
        panel.plot([inside], [row], shape, ms=MARKER, color=ink(), zorder=3)
        extreme = not EXTREME <= check.p_value <= 1.0 - EXTREME
        panel.annotate(
            f"{check.p_value:.3f}", (1.02, row), xycoords=("axes fraction", "data"), va="center",
            color=color(1) if extreme else ink(), fontsize="small",
            fontweight="bold" if extreme else "normal",
        )  # fmt: skip
    panel.annotate("$p$", (1.02, 1.02), xycoords="axes fraction", va="bottom", fontsize="small")
    panel.set_yticks(range(len(checks)), [WORDS.get(name, name) for name in checks])
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(len(checks) - 0.4, -0.6)
    panel.axvline(0.0, color=tint(ink(), 0.3), lw=0.5, zorder=0)


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], marker="o", ls="", ms=MARKER, color=ink(), label="data"),
        Line2D([], [], lw=3.0, color=tint(color(0), 0.4), label="90 %"),
        Line2D([], [], lw=5.0, color=tint(color(0), 0.8), label="50 % of replicates"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=1.2,
                  columnspacing=1.0)  # fmt: skip
