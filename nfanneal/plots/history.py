"""The annealing at a glance: β, ESS, log-evidence and loss against likelihood evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nfanneal.plots.style import COLORS, GREY, WIDTH
from nfanneal.result import Result


def history_figure(results: Mapping[str, Result]) -> Figure:
    """Four panels, one above the other; a line per run."""
    figure = Figure(figsize=(WIDTH, 6.0))
    axes = figure.subplots(4, 1)
    lines = [(name, part) for name, r in results.items() for part in _runs(r)]
    for i, (_, (levels, losses)) in enumerate(lines):
        color = COLORS[i % len(COLORS)]
        x = levels["n_evaluations"] / 1000.0
        _panel(axes[0], x, levels["beta"], color)
        axes[1].plot(x, levels["truncated_ess"], "o-", ms=3, color=color)
        axes[1].plot(x, levels["ess"], "o:", ms=2, lw=0.7, color=color)
        axes[2].plot(x, levels["log_evidence"], "o-", ms=3, color=color)
        axes[3].plot(losses, lw=0.4, color=color)
    axes[0].set_ylabel(r"inverse temperature $\beta$")
    axes[1].set_ylabel("ESS (share)")
    axes[1].set_ylim(0, 1.05)
    axes[1].plot([], [], "o-", ms=3, color=GREY, label="truncated weights")
    axes[1].plot([], [], "o:", ms=2, lw=0.7, color=GREY, label="raw weights")
    axes[1].legend(loc="best")
    axes[2].set_ylabel(r"$\log Z(\beta)$ of the pool")
    axes[2].set_xlabel("likelihood evaluations (thousands)")
    axes[3].set_ylabel("training loss")
    axes[3].set_xlabel("training step")
    _limit_losses(axes[3], np.concatenate([losses for _, (_, losses) in lines]))
    figure.align_ylabels(axes)
    return figure


def _runs(result: Result) -> list[tuple[dict[str, Any], Any]]:
    """A combined result's runs apart: their levels and losses."""
    levels = result.history.levels
    if "run" not in levels:
        return [(dict(levels), result.history.losses)]
    ends = np.flatnonzero(np.diff(result.history.loss_levels) < 0) + 1
    losses = np.split(result.history.losses, ends)
    return [
        ({k: v[levels["run"] == run] for k, v in levels.items()}, losses[run])
        for run in range(len(losses))
    ]


def _panel(axis: Any, x: Any, beta: Any, color: str) -> None:
    """β, logarithmic above the smallest that is not zero."""
    axis.plot(x, beta, "o-", ms=3, color=color)
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
