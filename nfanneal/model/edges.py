"""Predictions at the edge of what their noise allows: rounding is no failure, the rest is told.

A mean that decays to zero is computed as a little more or less than that. Within what the solver
resolves it is at the edge, where the density has its limit; beyond, the model has failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nfanneal.arrays import Array, Bools
from nfanneal.model.series import ObservedSeries
from nfanneal.model.simulator import Predictions, Simulator


def within_edges(
    theta: Array,
    predictions: Predictions,
    series: Sequence[ObservedSeries],
    times: Sequence[Array],
    simulator: Simulator,
) -> Predictions:
    """Predictions moved to the edges of their noise where they miss these by rounding.

    Draws θ (n, p) with others fail, and so do those with an observable or an argument of its noise
    that is no number, or a negative argument; `reasons` says of which observable, on which side,
    and at which time the first of such predictions is. Values of draws that failed are 1.
    """
    failed = predictions.failed
    values = np.where(failed[:, None, None], 1.0, predictions.values)
    reasons, ends = Counter(predictions.reasons), np.cumsum([0, *map(len, times)])
    all_times = np.concatenate(list(times))
    for each in series:
        for nowhere, what in _without_density(each, theta, values):
            wrong = nowhere.any(axis=1) & ~failed
            if wrong.any():
                reasons.update(_no_number(each, nowhere[wrong], all_times, what))
                failed = failed | wrong
                values[failed] = 1.0
        low, high = each.noise.edges
        if not len(each.time_index) or (low == -np.inf and high == np.inf):
            continue
        experiment = int(np.searchsorted(ends, each.time_index[0], side="right")) - 1
        own = values[:, ends[experiment] : ends[experiment + 1], each.observable]
        size = np.maximum(np.abs(own).max(axis=1), simulator.size(experiment, each.observable))
        slack = simulator.resolution * size[:, None]
        cells = values[:, each.time_index, each.observable]
        for beyond, side, edge in (
            (cells < low - slack, "below", low),
            (cells > high + slack, "above", high),
        ):
            wrong = beyond.any(axis=1) & ~failed
            if wrong.any():
                reasons.update(_told(each, beyond[wrong], all_times, side, edge))
                failed = failed | wrong
        values[:, each.time_index, each.observable] = np.clip(cells, low, high)
    if failed is not predictions.failed:
        values[failed] = 1.0
    return replace(predictions, values=values, failed=failed, reasons=dict(reasons))


def _without_density(
    series: ObservedSeries, theta: Array, values: Array
) -> Iterator[tuple[Bools, str]]:
    """Cells (n, c) whose observable or noise is no number, or whose noise is negative, and what."""
    at_cells = values[:, series.time_index]
    shape = at_cells.shape[:2]
    if not shape[1]:
        return
    yield np.isnan(at_cells[:, :, series.observable]), f"'{series.name}' is not a number"
    with np.errstate(all="ignore"):
        arguments = series.arguments.values(theta, at_cells)
    for name, argument in zip(series.noise.arguments, arguments, strict=True):
        what = f"'{name}' of the noise of '{series.name}' is"
        spread = np.broadcast_to(argument, shape)
        yield np.isnan(spread), f"{what} not a number"
        yield spread < 0.0, f"{what} negative"


def _no_number(series: ObservedSeries, cells: Bools, times: Array, what: str) -> Counter[str]:
    """Why draws fail with such cells (n, c), and how many."""
    first = times[series.time_index[cells.argmax(axis=1)]]
    return Counter(f"{what} at the time {time:g}" for time in first)


def _told(
    series: ObservedSeries, beyond: Bools, times: Array, side: str, edge: float
) -> Counter[str]:
    """Why draws fail whose cells (n, c) are beyond an edge, and how many."""
    first = times[series.time_index[beyond.argmax(axis=1)]]
    told = (
        f"'{series.name}' is {side} {edge:g} at the time {time:g}, where {series.noise.name} noise "
        "has no density: a weakness of the equations or of the solver"
        for time in first
    )
    return Counter(told)
