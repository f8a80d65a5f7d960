"""How figures look: colours for the colour-blind, sizes for a printed column, axis labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler

from nfanneal.result import Result

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which the colour-blind can tell apart."""
GREY = "#666666"
TRUTH = "#000000"
WIDTH = 3.4
"""Inches: a column of a printed page."""

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


def column_labels(result: Result) -> dict[str, str]:
    """Axis label of each column of θ: its label, and its unit if it has one."""
    labels: dict[str, str] = {}
    for name, size, label, unit in zip(
        result.parameters, result.sizes, result.labels, result.units, strict=True
    ):
        after = f" ({unit})" if unit else ""
        if size is None:
            labels[name] = f"{label}{after}"
        else:
            labels |= {f"{name}[{i}]": f"{label}[{i}]{after}" for i in range(size)}
    return labels
