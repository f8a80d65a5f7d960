"""Data under their posterior predictive bands, and single trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nfanneal.errors import ResultError
from nfanneal.model.executors.choice import Workers
from nfanneal.report.figures.style import COLORS, GREY, WIDTH, drawable
from nfanneal.results.predict import predict, spans_of, thinned_posterior
from nfanneal.results.rebuild import revived_problem
from nfanneal.results.result import ObservedData, Result
from nfanneal.results.summaries import band

SHOWN_TRAJECTORIES = 60
POINTS = 300
MOST_COLUMNS = 3
"""Experiments that share the usual width of a figure."""


def _panels(names: Sequence[str]) -> tuple[Figure, dict[str, Any]]:
    """A panel for each name: a row for each observable, a column for each experiment."""
    placed = {name: name.removesuffix("]").partition("[")[::2] for name in names}
    rows = list(dict.fromkeys(observable for observable, _ in placed.values()))
    columns = list(dict.fromkeys(experiment for _, experiment in placed.values()))
    height = max(1.7 * len(rows) + 0.3, 2.2)
    width = WIDTH * max(1.0, len(columns) / MOST_COLUMNS)
    figure = Figure(figsize=(width, height))
    shape = (len(rows), len(columns))
    axes = figure.subplots(*shape, sharex="col", sharey="row", squeeze=False)
    panels = {n: axes[rows.index(o), columns.index(e)] for n, (o, e) in placed.items()}
    for axis in set(axes.flat) - set(panels.values()):
        axis.set_axis_off()
    for row, observable in zip(axes, rows, strict=True):
        row[0].set_ylabel(drawable(observable))
    for axis, experiment in zip(axes[0], columns, strict=True):
        axis.set_title(drawable(experiment))
        lowest = max(rows.index(o) for o, own in placed.values() if own == experiment)
        axes[lowest, columns.index(experiment)].set_xlabel("time")
        axes[lowest, columns.index(experiment)].tick_params(labelbottom=True)
    return figure, panels


def predictive_figure(results: Mapping[str, Result]) -> Figure:
    """A panel per observable: data, and the 50 % and 90 % bands of replicates at their times.

    Raises:
        ResultError: a result holds no data.
    """
    for source, result in results.items():
        if not result.observed:
            raise ResultError(f"{source}: the result holds no data to show predictions beside")
    names = list(dict.fromkeys(n for r in results.values() for n in r.observed))
    figure, axes = _panels(names)
    for i, result in enumerate(results.values()):
        for name, data in result.observed.items():
            label = drawable(result.name) if len(results) > 1 else ""
            _bands(axes[name], data, COLORS[i % len(COLORS)], label)
    for result in results.values():
        for name, observed in result.observed.items():
            data = _at_finite_times(axes[name], observed)
            axes[name].plot(data.times, data.values, "o", ms=3, color="black", zorder=3)
    axis = axes[names[0]]
    axis.plot([], [], "o", ms=3, color="black", label="data")
    axis.fill_between([], [], [], color=COLORS[0], alpha=0.25, label="90 %")
    axis.fill_between([], [], [], color=COLORS[0], alpha=0.5, label="50 %")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _at_finite_times(axis: Any, data: ObservedData) -> ObservedData:
    """The data that have a place on an axis of time; the axis says how many have none."""
    finite = np.isfinite(data.times)
    if finite.all():
        return data
    where = {"xycoords": "axes fraction", "ha": "right", "va": "bottom", "fontsize": "small"}
    axis.annotate(f"{(~finite).sum()} at time ∞: not shown", (1.0, 1.0), color=GREY, **where)
    return ObservedData(
        data.times[finite],
        data.values[finite],
        data.pointwise[:, finite],
        data.replicates[:, finite],
    )


def _bands(axis: Any, data: ObservedData, color: str, label: str) -> None:
    data = _at_finite_times(axis, data)
    if not len(data.times):
        return
    numbers = band(data.replicates)
    order = np.argsort(data.times, kind="stable")
    x = data.times[order]
    for low, high, alpha in (("q05", "q95", 0.2), ("q25", "q75", 0.35)):
        axis.fill_between(
            x, numbers[low][order], numbers[high][order], color=color, alpha=alpha, lw=0
        )
    axis.plot(x, numbers["median"][order], color=color, label=label or None)


def trajectories_figure(
    result: Result, model_file: Path | None, workers: Workers | None = None
) -> Figure:
    """A panel per observable: noise-free trajectories of posterior draws, and the data.

    Raises:
        ResultError: the model does not predict, or is a Python file that was not given.
    """
    problem = revived_problem(result, model_file, workers)
    times = {
        name: np.linspace(data.min(), data.max(), POINTS if len(data) > 1 else 1)
        for name, data in spans_of(result, problem).items()
    }
    rng = np.random.default_rng(result.provenance.seed)
    theta = thinned_posterior(result, SHOWN_TRAJECTORIES, rng)
    found = predict(problem, theta, times, rng)
    figure, axes = _panels(list(found))
    for name, prediction in found.items():
        axes[name].plot(prediction.times, prediction.clean.T, color=COLORS[0], lw=0.4, alpha=0.4)
        if name in result.observed:
            seen = _at_finite_times(axes[name], result.observed[name])
            axes[name].plot(seen.times, seen.values, "o", ms=3, color="black", zorder=3)
        else:
            where = {"xycoords": "axes fraction", "ha": "right", "va": "top"}
            axes[name].annotate("not observed", (1.0, 1.0), color=GREY, **where)
    return figure
