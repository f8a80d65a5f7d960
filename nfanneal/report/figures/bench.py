"""A bench at a glance: log-evidence against wall time, a colour and a marker per sampler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nfanneal.bench.samplers.results import Bench, Run
from nfanneal.report.figures.style import WIDTH, color, styled

MARKERS = "osD^vP*X"


def bench_figure(bench: Bench) -> Figure:
    """A point with its reported error per run; of nfanneal also the rounds that led there."""
    with styled():
        figure = Figure(figsize=(WIDTH, 2.8))
        axis = figure.subplots()
        names = [score.sampler for score in bench.scores]
        for i, name in enumerate(names):
            runs = [r for r in bench.runs if r.sampler == name and math.isfinite(r.log_evidence)]
            _series(axis, name, runs, i)
        axis.set_xscale("log")
        axis.set_xlabel("wall time (s)")
        axis.set_ylabel(r"$\log Z$")
        axis.set_title(bench.name, loc="left")
        _limits(axis, bench)
        if axis.get_legend_handles_labels()[0]:
            figure.legend(loc="outside lower center", ncols=3, columnspacing=1.0, handletextpad=0.3)
    return figure


def _series(axis: Any, name: str, runs: list[Run], index: int) -> None:
    shade, marker = color(index), MARKERS[index % len(MARKERS)]
    if not runs:
        return
    for run in runs:
        rounds = [(s, log_z) for s, beta, log_z in run.path if beta == 1.0]  # before: of log Z(β)
        if rounds:
            seconds, log_evidence = zip(*rounds, (run.seconds, run.log_evidence), strict=True)
            axis.plot(seconds, log_evidence, lw=0.6, alpha=0.6, color=shade, zorder=1)
    errors = [run.error if math.isfinite(run.error) else 0.0 for run in runs]
    axis.errorbar(
        [run.seconds for run in runs],
        [run.log_evidence for run in runs],
        yerr=errors,
        fmt=marker,
        ms=4,
        lw=0,
        elinewidth=0.8,
        capsize=2,
        color=shade,
        label=name,
        zorder=2,
    )


def _limits(axis: Any, bench: Bench) -> None:
    """The runs' results and their errors, and times that can be read off."""
    runs = [run for run in bench.runs if math.isfinite(run.log_evidence)]
    if not runs:
        axis.text(0.5, 0.5, "no run ended well", transform=axis.transAxes, ha="center")
        return
    values = np.array([run.log_evidence for run in runs])
    errors = np.array([run.error if math.isfinite(run.error) else 0.0 for run in runs])
    low, high = float((values - errors).min()), float((values + errors).max())
    margin = 0.15 * (high - low) or 0.1
    axis.set_ylim(low - margin, high + margin)
    seconds = np.array([run.seconds for run in runs])
    low, high = seconds.min() / 2.0, seconds.max() * 1.6
    axis.set_xlim(low, high)
    decades = math.log10(high / low)
    axis.xaxis.set_major_locator(LogLocator(subs=_ticks(decades), numticks=20))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _ticks(decades: float) -> tuple[float, ...]:
    """Which multiples of powers of ten are marked: few enough for a column's width."""
    if decades < 1.0:
        return (1.0, 2.0, 3.0, 5.0)
    return (1.0, 2.0, 5.0) if decades < 2.0 else (1.0, 3.0) if decades < 3.5 else (1.0,)
