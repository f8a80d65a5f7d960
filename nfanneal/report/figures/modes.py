"""The posterior's modes: groups of draws with gaps between them, and their masses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nfanneal.report.figures.axes import axes_of_columns
from nfanneal.report.figures.style import COLORS, WIDTH, chosen_columns, column_labels
from nfanneal.results.modes import Modes, find_modes, telling_apart
from nfanneal.results.result import Result

SHOWN_MODES = 20


def modes_figure(result: Result, wanted: Sequence[str] | None) -> Figure:
    """Posterior draws over the two columns that tell the modes apart best, and the masses."""
    modes = find_modes(result)
    i, j = _columns(result, modes, wanted)
    labels = column_labels(result)
    names = result.columns.names
    figure = Figure(figsize=(WIDTH, 5.0))
    left, right = figure.subplots(2, 1, height_ratios=[2.0, 1.0])
    theta = result.posterior[modes.rows]
    y = theta[:, j] if j is not None else np.random.default_rng(0).random(len(theta))
    for mode in range(len(modes.masses)):
        inside = modes.labels == mode
        left.plot(theta[inside, i], y[inside], ".", ms=2, color=COLORS[mode % len(COLORS)])
    axes = axes_of_columns(result)
    if axes[names[i]].logarithmic:
        left.set_xscale("log")
    if j is not None and axes[names[j]].logarithmic:
        left.set_yscale("log")
    left.set_xlabel(labels[names[i]])
    left.set_ylabel("" if j is None else labels[names[j]])
    count = len(modes.masses)
    left.set_title(f"{count} mode{'s' if count != 1 else ''}", loc="left")
    shown = min(count, SHOWN_MODES)
    right.bar(
        range(1, shown + 1),
        modes.masses[:shown],
        yerr=modes.errors[:shown],
        color=[COLORS[m % len(COLORS)] for m in range(shown)],
        error_kw={"lw": 0.8},
    )
    right.set_xlim(0.3, shown + 0.7)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel("mode" if shown == count else f"mode (the {shown} largest)")
    right.set_ylabel("posterior mass")
    return figure


def _columns(result: Result, modes: Modes, wanted: Sequence[str] | None) -> tuple[int, int | None]:
    """The columns to show: the wanted ones, or those whose variance is most between modes."""
    names = result.columns.names
    if wanted is not None:
        first, *rest = (names.index(name) for name in chosen_columns(names, wanted))
        return first, rest[0] if rest else None
    first, *rest = telling_apart(result, modes)
    return first, rest[0] if rest else None
