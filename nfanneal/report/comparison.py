"""Models of the same data, beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.report.summary import finite
from nfanneal.results.compare import Comparison

SMALLEST = 0.001
"""Smaller probabilities are not told apart."""


def comparison_json(rows: Sequence[Comparison]) -> dict[str, Any]:
    """What `nfanneal compare --json` prints."""
    models = [{**vars(r), "loo": None if r.loo is None else vars(r.loo)} for r in rows]
    return {"models": [finite(model) for model in models]}


def print_comparison(rows: Sequence[Comparison], console: Console) -> None:
    """Print the models, that of the largest evidence first."""
    table = Table(title="models of the same data, the largest evidence first", title_justify="left")
    table.add_column("result", overflow="fold")
    for heading in ("log-evidence", "log Bayes f.", "probability", "LOO elpd"):
        table.add_column(heading, justify="right", no_wrap=True)
    best, *others = rows
    for r in rows:
        table.add_row(
            r.source if r.trusted else f"{r.source} (!)",
            f"{r.log_evidence:.3f} ± {r.error:.3f}",
            "" if r is best else f"{r.log_bayes_factor:.3f} ± {r.log_bayes_factor_error:.3f}",
            probability_in_words(r),
            "" if r.loo is None else f"{r.loo.elpd:.1f} ± {r.loo.error:.1f}",
        )
    console.print(table)
    for r in others:
        console.print(
            f"{best.source} over {r.source}: {r.kass_raftery} (Kass & Raftery), "
            f"{r.jeffreys} (Jeffreys)",
            soft_wrap=True,
        )
    if len({r.prior_probability for r in rows}) > 1:
        shown = ", ".join(f"{r.source} {r.prior_probability:.3g}" for r in rows)
        console.print(f"prior probabilities: {shown}", soft_wrap=True)
    for text in comparison_warnings(rows):
        console.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)


def probability_in_words(row: Comparison) -> str:
    """A model's probability with its error; below a thousandth only that."""
    if row.probability < SMALLEST and row.probability_error < SMALLEST:
        return f"< {SMALLEST:g}"
    return f"{row.probability:.3f} ± {row.probability_error:.3f}"


def comparison_warnings(rows: Sequence[Comparison]) -> list[str]:
    """What speaks against a comparison."""
    found = [
        f"{r.source} is not to be trusted: see `nfanneal summary {r.source}`"
        for r in rows
        if not r.trusted
    ]
    found += [
        f"{r.source}: leave-one-out is unsure at {r.loo.n_bad} data (Pareto k)"
        for r in rows
        if r.loo is not None and r.loo.n_bad
    ]
    if not all(r.has_data for r in rows):
        found.append(
            "not all of the results hold data (a Python log_likelihood has its own): see to it "
            "yourself that they are the same"
        )
    elif all(r.loo is None for r in rows):
        found.append("no leave-one-out without ArviZ: pip install 'nfanneal[arviz]'")
    return found
