"""Panels of observables and experiments over time, and the data in them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nfanneal.report.figures.labels import drawable, mark, observable_labels, time_label
from nfanneal.report.figures.style import GREY, PAGE, WIDTH, ink, marker_size
from nfanneal.results.result import ObservedData, Result

ALIKE = 0.15
"""The largest datum of an experiment, of that of all: with less, nothing of it is seen."""
NARROWEST = 1.1
"""Inches that a panel takes, at least."""
MOST_ROWS = 5
"""Observables of one experiment that stand in one column."""
TALLEST, LOWEST, WHOLE = 1.7, 1.0, 9.0
"""Inches of a panel's height, and of all of them, as far as that can be."""


def panels(
    names: Sequence[str], results: Mapping[str, Result], width: float | None
) -> tuple[Figure, dict[str, Any]]:
    """A panel for each name: a row for each observable, a column for each experiment.

    Experiments that are too many for the width go on below; so do observables of a single one.
    """
    split = {name: name.removesuffix("]").partition("[")[::2] for name in names}
    observables = list(dict.fromkeys(observable for observable, _ in split.values()))
    experiments = list(dict.fromkeys(experiment for _, experiment in split.values()))
    if len(experiments) == 1:
        width, shape = _of_one(len(observables), width)
        places = {n: divmod(observables.index(o), shape[1]) for n, (o, _) in split.items()}
    else:
        width, shape = _of_several(len(observables), len(experiments), width)
        places = {}
        for name, (observable, experiment) in split.items():
            block, column = divmod(experiments.index(experiment), shape[1])
            places[name] = block * len(observables) + observables.index(observable), column
    height = min(max(WHOLE / shape[0], LOWEST), TALLEST)
    figure = Figure(figsize=(width, max(shape[0] * height + 0.4, 2.2)))
    found = {n: figure.add_subplot(*shape, r * shape[1] + c + 1) for n, (r, c) in places.items()}
    alike = _alike(split, results) if len(experiments) > 1 else set()
    _share(found, split, alike)
    _name(found, places, split, results, alike)
    return figure, found


def _of_one(count: int, width: float | None) -> tuple[float, tuple[int, int]]:
    """Width, and rows and columns, of so many observables of one experiment."""
    width = width or (WIDTH if count <= MOST_ROWS else PAGE)
    columns = 1 if count <= MOST_ROWS else min(max(round(width / WIDTH), 2), count)
    return width, (math.ceil(count / columns), columns)


def _of_several(
    observables: int, experiments: int, width: float | None
) -> tuple[float, tuple[int, int]]:
    """The same of several experiments, blocks of which stand below each other."""
    width = width or (WIDTH if experiments * NARROWEST <= WIDTH else PAGE)
    columns = min(max(int(width / NARROWEST), 1), experiments)
    blocks = math.ceil(experiments / columns)
    columns = math.ceil(experiments / blocks)
    return width, (blocks * observables, columns)


def _alike(split: Mapping[str, tuple[str, str]], results: Mapping[str, Result]) -> set[str]:
    """Observables whose data can be read on one axis in all experiments."""
    sizes: dict[str, list[float]] = {}
    for result in results.values():
        for name, data in result.observed.items():
            if name in split:
                sizes.setdefault(split[name][0], []).append(float(np.abs(data.values).max()))
    return {
        o for o, _ in split.values() if ALIKE * max(sizes.get(o, [0.0])) <= min(sizes.get(o, [0.0]))
    }


def _share(
    found: Mapping[str, Any], split: Mapping[str, tuple[str, str]], alike: Collection[str]
) -> None:
    """An experiment has one time axis, an observable one y axis where experiments are alike."""
    first: dict[tuple[str, str], Any] = {}
    for name, (observable, experiment) in split.items():
        axis = found[name]
        for kind, key in (("x", experiment), ("y", observable)):
            if kind == "y" and key not in alike:
                continue
            other = first.setdefault((kind, key), axis)
            if other is not axis:
                getattr(axis, f"share{kind}")(other)


def _name(
    found: Mapping[str, Any],
    places: Mapping[str, tuple[int, int]],
    split: Mapping[str, tuple[str, str]],
    results: Mapping[str, Result],
    alike: Collection[str],
) -> None:
    labels: dict[str, str] = {}
    for result in results.values():
        labels = observable_labels(result) | labels
    time = time_label(next(iter(results.values())))
    taken = set(places.values())
    several = len({experiment for _, experiment in split.values()}) > 1
    tops = {e: min(places[n][0] for n in places if split[n][1] == e) for _, e in split.values()}
    lows = {e: max(places[n][0] for n in places if split[n][1] == e) for _, e in split.values()}
    for name, (row, column) in places.items():
        axis, (observable, experiment) = found[name], split[name]
        lowest = row == lows[experiment] if several else (row + 1, column) not in taken
        axis.tick_params(labelbottom=lowest)
        if lowest:
            axis.set_xlabel(time)
        if column == 0 or not several or (row, column - 1) not in taken:
            axis.set_ylabel(labels.get(observable, drawable(observable)))
        elif observable in alike:
            axis.tick_params(labelleft=False)
        if several and row == tops[experiment]:
            axis.set_title(drawable(experiment))


def add_data(axis: Any, data: ObservedData) -> None:
    """Markers, smaller where there are many; the axis says how many have no place on it."""
    finite = np.isfinite(data.times)
    count = int(finite.sum())
    axis.plot(
        data.times[finite], data.values[finite], "o", ms=marker_size(count), mew=0,
        color=ink(), zorder=3 if count < 200 else 1.5, alpha=1.0 if count < 200 else 0.6,
    )  # fmt: skip
    if count < len(finite):
        text = f"{len(finite) - count} at time ∞: not shown"
        where = {"xycoords": "axes fraction", "ha": "right", "va": "bottom", "fontsize": "small"}
        mark(axis.annotate(text, (1.0, 1.0), color=GREY, **where))
