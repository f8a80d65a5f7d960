"""The figures of the page: which there are, what is said of each, and how they stand in it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nfanneal.errors import NfannealError
from nfanneal.report.citation import spec_of
from nfanneal.report.figures import KINDS, Options, draw
from nfanneal.report.figures.inline import inline
from nfanneal.report.figures.predicted import predictions_of
from nfanneal.report.page_parts import Picture, Pictures, Tab
from nfanneal.results.modes import find_modes
from nfanneal.results.result import Result
from nfanneal.spec.portable import without_folders

ALL_BYTES = 3_500_000
"""What all figures of a page may take, more or less: it then has some 5 MB."""
MOST_TABS = 24
"""Experiments that have tabs of their own; the data of more are in one figure."""
WIDE = 5.0
"""Inches from which on a figure has the page's whole width."""


@dataclass(frozen=True)
class Drawer:
    """Draws figures of at most `most_bytes` each for a part of the page whose ids begin alike."""

    ident: str
    most_bytes: int
    options: Options = field(default_factory=Options)

    def picture(self, kind: str, results: Mapping[str, Result], what: str = "") -> Picture:
        """The figure of this kind, of results by their labels; `what` tells it from others.

        Raises:
            NfannealError: the results do not have what it shows.
        """
        drawn = inline(draw(kind, results, self.options), self.most_bytes)
        data = base64.b64encode(drawn.content).decode()
        of_which = f", {what}" if what else ""
        return Picture(
            ident=f"figure-{self.ident}-{kind}",
            kind=kind,
            source=f"data:{drawn.media_type};base64,{data}",
            alt=f"{kind} figure of {', '.join(results)}{of_which}",
            caption=KINDS[kind].caption,
            wide=drawn.width >= WIDE,
        )


def drawn(
    kinds: Iterable[str], results: Mapping[str, Result], drawer: Drawer, what: str = ""
) -> Pictures:
    """Figures of these kinds, of results by their labels; those that cannot be drawn say why."""
    found, missing = [], []
    for kind in kinds:
        try:
            found.append(drawer.picture(kind, results, what))
        except NfannealError as error:
            missing.append(f"no {kind} figure: {without_folders(str(error))}")
    return Pictures((), tuple(found), tuple(missing))


def pictures_of(label: str, result: Result, drawer: Drawer) -> Pictures:
    """All figures of one result; those of its data in a tab for each experiment."""
    experiments, kinds = experiments_of(result), kinds_of(result)
    drawer = replace(drawer, options=_predicted(label, result, drawer.options))
    tabs: list[Tab] = []
    missing: list[str] = []
    if 1 < len(experiments) <= MOST_TABS and "predictive" in kinds:
        kinds.remove("predictive")
        for i, (name, observables) in enumerate(experiments.items()):
            own = replace(drawer, ident=f"{drawer.ident}-e{i + 1}")
            alone = {label: _of_observables(result, observables)}
            data = drawn(["predictive"], alone, own, f"experiment {name}")
            tabs.append(Tab(own.ident, name, data.rest))
            missing += data.missing
    others = drawn(kinds, {label: result}, drawer)
    return Pictures(tuple(tabs), others.rest, (*missing, *others.missing))


def _predicted(label: str, result: Result, options: Options) -> Options:
    """With predictions of the model, which is asked once, for the data of all experiments."""
    if not result.observed:
        return options
    try:
        known = predictions_of(label, result, options)
    except NfannealError:  # the figures say why
        return options
    return replace(options, predictions={label: known} if known else {})


def kinds_of(result: Result) -> list[str]:
    """The figures that a result has: trajectories only if no file of the user's need run.

    Modes only where there are several.
    """
    with_data = ["predictive", "ppc"] if result.observed else []
    checked = spec_of(result)
    if with_data and checked is not None and not checked.spec.model.runs_code:
        with_data.append("trajectories")
    modes = ["modes"] if len(find_modes(result).masses) > 1 else []
    return ["corner", *with_data, *modes, "weights", "history"]


def experiments_of(result: Result) -> dict[str, list[str]]:
    """The names of a result's data by experiment; '' where the spec has none."""
    found: dict[str, list[str]] = {}
    for name in result.observed:
        found.setdefault(name.removesuffix("]").partition("[")[2], []).append(name)
    return found


def _of_observables(result: Result, names: Iterable[str]) -> Result:
    return replace(result, observed={name: result.observed[name] for name in names})
