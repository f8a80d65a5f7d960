"""The importance weights: their histogram, their tail, and what pruning would cut."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nfanneal.anneal.weights import evidence, pareto_k, pareto_smoothed
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.style import GREY, WIDTH, color
from nfanneal.results.prune import drop_by_ess
from nfanneal.results.result import Result

LEAST = -15.0
"""The histogram begins there: what lies below is counted in words."""


def weights_figure(result: Result, options: Options) -> Figure:
    """Histogram of log(weight/mean), and the share of draws above each weight."""
    pruning = result.pruning
    log_weight = result.draws.log_weight if pruning is None else pruning.original_log_weight
    relative = log_weight - evidence(log_weight).log_evidence
    positive = relative[np.isfinite(relative)]
    zero = 1.0 - len(positive) / len(relative)
    dropped = drop_by_ess(log_weight).changed if pruning is None else pruning.changed
    figure = Figure(figsize=(options.width or WIDTH, 4.4))
    top, bottom = figure.subplots(2, 1)
    low = max(positive.min(), LEAST)
    below = int((positive < low).sum())
    top.hist(positive[positive >= low], bins=80, color=color(0), alpha=0.8)
    top.set_yscale("log")
    top.set_xlabel("log (weight / mean weight)")
    top.set_ylabel("draws")
    top.axvline(0.0, color=GREY, lw=0.7, ls="--")
    _tail(bottom, relative, log_weight)
    for axis, log_axis in ((top, True), (bottom, False)):
        if len(dropped):
            cut = relative[dropped].min()
            axis.axvline(cut if log_axis else np.exp(cut), color=color(1), lw=0.9)
    verb = "would drop" if pruning is None else "changed"
    told = [(zero, f"{zero:.1%} have no weight"), (below, f"{below} lie below {LEAST:g}")]
    light = ", ".join(text for there, text in told if there)
    note = f"pruning {verb} {len(dropped)} of {len(relative)} draws"
    top.set_title(f"{note}\n{light}" if light else note, loc="left")
    return figure


def _tail(axis: Axes, relative: np.ndarray, log_weight: np.ndarray) -> None:
    """Share of draws above each weight, with the fitted Pareto tail."""
    n = len(relative)
    ranked = np.sort(relative[np.isfinite(relative)])[::-1]
    share = np.arange(1, len(ranked) + 1) / n
    axis.loglog(np.exp(ranked), share, color=color(0), label="weights")
    k = pareto_k(log_weight)
    smoothed = pareto_smoothed(log_weight) - evidence(log_weight).log_evidence
    changed = smoothed != relative
    if changed.any():
        tail = np.sort(smoothed[changed])[::-1]
        label = f"Pareto tail, k = {k:.2f}"
        axis.loglog(np.exp(tail), share[: len(tail)], color=color(4), ls="--", label=label)
    axis.set_xlim(1e-2, 3.0 * float(np.exp(ranked[0])))
    axis.set_xlabel("weight / mean weight")
    axis.set_ylabel("share of draws above")
    axis.legend(loc="lower left")
