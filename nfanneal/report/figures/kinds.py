"""The kinds of figures, by name, and what they may be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from nfanneal.errors import ResultError
from nfanneal.report.figures.corner import corner_figure
from nfanneal.report.figures.evidence import evidence_figure
from nfanneal.report.figures.forest import forest_figure
from nfanneal.report.figures.history import history_figure
from nfanneal.report.figures.layout import uncrowd
from nfanneal.report.figures.modes import modes_figure
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.ppc import ppc_figure
from nfanneal.report.figures.predictive import predictive_figure, trajectories_figure
from nfanneal.report.figures.style import styled
from nfanneal.report.figures.weights import weights_figure
from nfanneal.results.result import Result


def _corner(results: Mapping[str, Result], options: Options) -> Figure:
    return corner_figure(results, options.parameters, options.truth, options.width)


def _modes(results: Mapping[str, Result], options: Options) -> Figure:
    return modes_figure(_first(results), options)


def _weights(results: Mapping[str, Result], options: Options) -> Figure:
    return weights_figure(_first(results), options)


def _ppc(results: Mapping[str, Result], options: Options) -> Figure:
    return ppc_figure(_first(results), options)


def _first(results: Mapping[str, Result]) -> Result:
    return next(iter(results.values()))


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
    "forest": Kind(
        forest_figure,
        "intervals of each parameter, the prior's beside those of one or several results",
        "Median, 50 % and 90 % interval of each parameter: of the prior, and of the posterior.",
    ),
    "predictive": Kind(
        predictive_figure,
        "data with posterior predictive bands",
        "Data, and the 50 % and 90 % bands of what would be measured.",
    ),
    "trajectories": Kind(
        trajectories_figure,
        "noise-free trajectories of posterior draws",
        "Noise-free trajectories of posterior draws.",
        one_result=True,
    ),
    "ppc": Kind(
        _ppc,
        "posterior predictive checks: statistics of the data among those of replicates",
        "Posterior predictive checks: statistics of the data among those of replicated data; p is "
        "the share of replicates that exceed the data, and suspicious near 0 or 1.",
        one_result=True,
    ),
    "modes": Kind(
        _modes,
        "groups of draws with gaps between them, and their masses",
        "Groups of posterior draws with gaps between them, and their masses.",
        one_result=True,
    ),
    "evidence": Kind(
        evidence_figure,
        "the log-evidence against seconds",
        "The log-evidence against the time that it took: of each level, and of the final draws.",
    ),
    "history": Kind(
        history_figure,
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
}
"""A new kind is a module that draws it, and an entry here."""


def draw(kind: str, results: Mapping[str, Result], options: Options) -> Figure:
    """The figure of this kind for results by their file's name.

    Raises:
        ResultError: the results do not have what the figure shows, or are too many.
        InputError: there is no such style sheet.
    """
    if KINDS[kind].one_result and len(results) != 1:
        raise ResultError(f"the figure '{kind}' shows one result, not {len(results)}")
    with styled(options.style):
        figure = KINDS[kind].draw(results, options)
        uncrowd(figure)
    return figure
