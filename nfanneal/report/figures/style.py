"""How figures look: colours for the colour-blind, sizes for a printed column, axis labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.mathtext import MathTextParser

from nfanneal.errors import ResultError
from nfanneal.model.latent import element_names
from nfanneal.results.result import Result

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which the colour-blind can tell apart."""
GREY = "#666666"
TRUTH = "#000000"
WIDTH = 3.4
"""Inches: a column of a printed page."""
LONGEST_TEXT = 100

RULES: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "nfanneal",
    "pdf.fonttype": 42,
    "axes.prop_cycle": cycler(color=list(COLORS)),
}


@contextmanager
def styled() -> Iterator[None]:
    """Our look, without a display, for as long as a figure is drawn."""
    with mpl.rc_context({**RULES, "backend": "agg"}):
        yield


def drawable(text: str) -> str:
    """The text as matplotlib can draw it: what is no valid mathematics keeps its dollar signs."""
    text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    try:
        MathTextParser("path").parse(text)
    except (ValueError, RecursionError):
        return text.replace("$", r"\$")
    return text


def column_labels(result: Result) -> dict[str, str]:
    """Axis label of each column of θ: its label, and its unit if it has one."""
    parameters = result.columns.parameters
    labels = [label for p in parameters for label in element_names(p.label, p.size)]
    return {
        name: drawable(f"{label} ({unit})" if unit else label)
        for label, (name, unit) in zip(labels, result.columns.units.items(), strict=True)
    }


def chosen_columns(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The wanted columns of θ; a vector's name stands for all of its elements.

    Raises:
        ResultError: there is no such column.
    """
    chosen: list[str] = []
    for name in wanted:
        found = [column for column in known if column == name or column.startswith(f"{name}[")]
        if not found:
            raise ResultError(f"no parameter '{name}'; there are: {', '.join(known)}")
        chosen += found
    return chosen
