"""The annealing at a glance: β, ESS, log-evidence and loss against likelihood evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nfanneal.arrays import Array
from nfanneal.report.figures.labels import shown_name
from nfanneal.report.figures.layout import legend_above
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.style import GREY, WIDTH, color
from nfanneal.results.result import Result


def history_figure(results: Mapping[str, Result], options: Options) -> Figure:
    """Four panels, one above the other; a line per run."""
    figure = Figure(figsize=(options.width or WIDTH, 6.0))
    axes = figure.subplots(4, 1)
    for axis in axes[:2]:
        axis.sharex(axes[2])
        axis.tick_params(labelbottom=False)
    histories = [result.history for result in results.values()]
    runs = [rows for h in histories for rows in runs_of(h.levels, h.levels["level"])]
    for i, levels in enumerate(runs):
        shade = color(i)
        x = levels["n_evaluations"] / 1000.0
        _panel(axes[0], x, levels["beta"], shade)
        axes[1].plot(x, levels["truncated_ess"], "o-", ms=3, color=shade)
        axes[1].plot(x, levels["ess"], "o:", ms=2, lw=0.7, color=shade)
        axes[2].plot(x, levels["log_evidence"], "o-", ms=3, color=shade)
    losses = [
        part["loss"] for h in histories for part in runs_of({"loss": h.losses}, h.loss_levels)
    ]
    for i, loss in enumerate(losses):
        axes[3].plot(loss, lw=0.4, color=color(i))
    axes[0].set_ylabel(r"$\beta$")
    axes[1].set_ylabel("ESS (share)")
    axes[1].set_ylim(0, 1.05)
    axes[2].set_ylabel(r"$\log Z(\beta)$")
    axes[2].set_xlabel("likelihood evaluations (thousands)")
    axes[3].set_ylabel("training loss")
    axes[3].set_xlabel("training step")
    _limit_losses(axes[3], np.concatenate(losses))
    kinds = [
        Line2D([], [], marker="o", ms=3, color=GREY, label="truncated weights"),
        Line2D([], [], marker="o", ms=2, ls=":", lw=0.7, color=GREY, label="raw weights"),
    ]
    axes[1].set_yticks([0.0, 0.5, 1.0])
    legend_above(axes[1], kinds, columns=2)
    if 1 < len(results) == len(runs):
        names = [
            Line2D([], [], color=color(i), label=shown_name(source, results))
            for i, source in enumerate(results)
        ]
        legend_above(axes[2], names, columns=2)
    figure.align_ylabels(axes)
    return figure


def runs_of(columns: Mapping[str, Array], level: NDArray[Any]) -> list[dict[str, Array]]:
    """The columns of a combined result's runs apart: a run begins where the level falls."""
    begins = np.flatnonzero(np.diff(level) < 0) + 1
    parts = {name: np.split(values, begins) for name, values in columns.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(len(begins) + 1)]


def _panel(axis: Any, x: Any, beta: Any, shade: str) -> None:
    """β, logarithmic above the smallest that is not zero."""
    axis.plot(x, beta, "o-", ms=3, color=shade)
    positive = beta[beta > 0]
    axis.set_yscale("symlog", linthresh=positive.min() if len(positive) else 1.0)
    axis.set_ylim(0, 1.6)


def _limit_losses(axis: Any, losses: Any) -> None:
    """The first steps of a level can be wild: show what most steps do."""
    finite = losses[np.isfinite(losses)]
    if len(finite):
        low, high = np.quantile(finite, [0.001, 0.995])
        margin = 0.1 * (high - low) or 1.0
        axis.set_ylim(low - margin, high + margin)
