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


@dataclass(frozen=True)
class Kind:
    """A kind of figure: who draws it, and what is said of it.

    `words` are its line in the help, `caption` stands below it on a page; `one_result`: it shows
    one result at a time.
    """

    draw: Callable[[Mapping[str, Result], Options], Figure]
    words: str
    caption: str
    one_result: bool = False


KINDS: dict[str, Kind] = {
    "corner": Kind(
        _corner,
        "marginals with their priors, and pairs (several results overlaid); contours hold 39 % and "
        "86 % of the mass, 1 and 2 sd of a Gaussian in two dimensions",
        "Posterior marginals with their priors (dashed), and pairs: regions that hold 39 % "
        "and 86 % of the posterior.",
    ),
    "history": Kind(
        _history,
        "the annealing: beta, ESS, log-evidence, loss",
        "The annealing: each point is a level.",
    ),
    "weights": Kind(
        _weights,
        "the importance weights, their tail, and what pruning would cut",
        "Importance weights: their histogram and tail. The vertical line is where pruning "
        "would cut.",
        one_result=True,
    ),
    "predictive": Kind(
        _predictive,
        "data with posterior predictive bands",
        "Data, and the 50 % and 90 % bands of replicated data at their times.",
    ),
    "trajectories": Kind(
        _trajectories,
        "noise-free trajectories of posterior draws",
        "Noise-free trajectories of posterior draws.",
        one_result=True,
    ),
    "modes": Kind(
        _modes,
        "groups of draws with gaps between them, and their masses",
        "Groups of posterior draws with gaps between them, and their masses.",
        one_result=True,
    ),
}
"""A new kind is a module that draws it, and an entry here."""


def draw(kind: str, results: Mapping[str, Result], options: Options) -> Figure:
    """The figure of this kind for results by their file's name.

    Raises:
        ResultError: the results do not have what the figure shows, or are too many.
    """
    with styled():
        return KINDS[kind].draw(results, options)


def _only(results: Mapping[str, Result], kind: str) -> Result:
    if len(results) != 1:
        raise ResultError(f"the figure '{kind}' shows one result, not {len(results)}")
    return next(iter(results.values()))
