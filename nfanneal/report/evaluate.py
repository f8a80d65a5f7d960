"""What evaluate found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.report.summary import finite
from nfanneal.runs.evaluate import Datum, PointEvaluation

DIGITS = "{:.10g}"
SLOPES_BY = {
    "model": "slopes are the model's own",
    "differences": "slopes are differences: the model gives none",
}


def evaluation_json(found: PointEvaluation) -> dict[str, Any]:
    """The contract of `nfanneal evaluate --json`; numbers that are not finite become None."""
    return dict(
        finite(
            {
                "parameters": dict(found.parameters),
                "log_likelihood": found.log_likelihood,
                "log_prior": found.log_prior,
                "log_posterior": found.log_posterior,
                "gradient": None if found.gradient is None else asdict(found.gradient),
                "pointwise": None
                if found.pointwise is None
                else list(map(asdict, found.pointwise)),
                "failed": found.failed,
                "warnings": list(found.warnings),
            }
        )
    )


def print_evaluation(found: PointEvaluation, console: Console) -> None:
    """Print the densities at a point, its parameters, and the part of every datum."""
    table = Table(show_header=False, box=None)
    if found.failed is None:
        table.add_row("log-likelihood", DIGITS.format(found.log_likelihood))
    table.add_row("log-prior", DIGITS.format(found.log_prior))
    if found.failed is None:
        table.add_row("log-posterior", f"{DIGITS.format(found.log_posterior)} (not normalised)")
    console.print(table)
    console.print(_parameters(found))
    if found.pointwise is not None:
        console.print(_data(found.pointwise))
    for text in found.warnings:
        console.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)
    if found.failed is not None:
        console.print(Text.assemble(("The model failed here: ", "bold red"), found.failed),
                      soft_wrap=True)  # fmt: skip


def _parameters(found: PointEvaluation) -> Table:
    table = Table("parameter")
    columns: dict[str, Mapping[str, float]] = {"value": found.parameters}
    if found.gradient is not None:
        columns["slope of log-likelihood"] = found.gradient.log_likelihood
        columns["slope of log-posterior"] = found.gradient.log_posterior
        table.caption, table.caption_justify = SLOPES_BY[found.gradient.by], "left"
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for name in found.parameters:
        table.add_row(name, *(DIGITS.format(numbers[name]) for numbers in columns.values()))
    return table


def _data(data: tuple[Datum, ...]) -> Table:
    several = any(datum.experiment for datum in data)
    table = Table(*(["experiment"] if several else []), "observable")
    for title in ("time", "value", "prediction", "log density"):
        table.add_column(title, justify="right", no_wrap=True)
    for datum in data:
        numbers = (datum.time, datum.value, datum.prediction, datum.log_density)
        names = [datum.experiment, datum.observable] if several else [datum.observable]
        table.add_row(*names, *map(DIGITS.format, numbers))
    return table
