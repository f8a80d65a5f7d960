"""The kinds of figures, by name, and what they may be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from nfanneal.errors import ResultError
from nfanneal.model.executors.choice import Workers
from nfanneal.report.figures.corner import corner_figure
from nfanneal.report.figures.history import history_figure
from nfanneal.report.figures.modes import modes_figure
from nfanneal.report.figures.predictive import predictive_figure, trajectories_figure
from nfanneal.report.figures.style import styled
from nfanneal.report.figures.weights import weights_figure
from nfanneal.results.result import Result


@dataclass(frozen=True)
class Options:
    """Which columns of θ to show (None: the first few), known true values, a model's file.

    `workers` ask that model.
    """

    parameters: tuple[str, ...] | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    model_file: Path | None = None
    workers: Workers | None = None


def _corner(results: Mapping[str, Result], options: Options) -> Figure:
    return corner_figure(results, options.parameters, options.truth)


def _modes(results: Mapping[str, Result], options: Options) -> Figure:
    return modes_figure(_only(results, "modes"), options.parameters)


def _history(results: Mapping[str, Result], options: Options) -> Figure:
    return history_figure(results)


def _weights(results: Mapping[str, Result], options: Options) -> Figure:
    return weights_figure(_only(results, "weights"))


def _predictive(results: Mapping[str, Result], options: Options) -> Figure:
    return predictive_figure(results)


def _trajectories(results: Mapping[str, Result], options: Options) -> Figure:
    only = _only(results, "trajectories")
    return trajectories_figure(only, options.model_file, options.workers)


KINDS: dict[str, Callable[[Mapping[str, Result], Options], Figure]] = {
    "corner": _corner,
    "history": _history,
    "weights": _weights,
    "predictive": _predictive,
    "trajectories": _trajectories,
    "modes": _modes,
}

ONE_RESULT = frozenset({"weights", "trajectories", "modes"})
"""Kinds that show one result at a time."""


def draw(kind: str, results: Mapping[str, Result], options: Options) -> Figure:
    """The figure of this kind for results by their file's name.

    Raises:
        ResultError: the results do not have what the figure shows, or are too many.
    """
    with styled():
        return KINDS[kind](results, options)


def _only(results: Mapping[str, Result], kind: str) -> Result:
    if len(results) != 1:
        raise ResultError(f"the figure '{kind}' shows one result, not {len(results)}")
    return next(iter(results.values()))
