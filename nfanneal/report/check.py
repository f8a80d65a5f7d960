"""What check found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.report.quantities import lasting
from nfanneal.runs.check import ROUGH


def _best_and_median(report: Mapping[str, Any]) -> str:
    best, median = report["best_log_likelihood"], report["median_log_likelihood"]
    return "finite nowhere" if best is None else f"{best:.4g} / {median:.4g}"


def _apart(report: Mapping[str, Any]) -> str:
    apart, error = report["gradient_difference"], report["gradient_difference_error"]
    if apart is None:
        return ""
    agree = "agrees" if apart < ROUGH else "DISAGREES"
    return f"{agree}: {apart:.1g} of it apart, differences good to {error:.1g}"


def _call(report: Mapping[str, Any]) -> str:
    median, worst = report["seconds_per_call"], report["slowest_call"]
    return "" if median is None else f"{median:.2g} s, the slowest {worst:.2g} s"


def _workers(report: Mapping[str, Any]) -> str:
    workers, share = report["workers"], report["parallel_efficiency"]
    return "" if workers is None else f"{workers}, {share:.0%} of which is made use of"


def _print_forecast(forecast: Mapping[str, Mapping[str, float]], console: Console) -> None:
    """About what a run takes with each preset."""
    table = Table(title="a run takes about", title_justify="left", box=None)
    table.add_column("anneal.preset")
    for heading in ("evaluations", "time"):
        table.add_column(heading, justify="right")
    for preset, each in forecast.items():
        evaluations = float(f"{each['evaluations']:.1g}")
        table.add_row(preset, f"{evaluations:,.0f}", lasting(each["seconds"]))
    console.print(table)


def print_check(report: Mapping[str, Any], console: Console) -> None:
    """Print what `nfanneal check` found."""
    table = Table(show_header=False, box=None)
    gradients, stiff = report["gradients_per_second"], report["stiff_fraction"]
    rows = {
        "parameters": ", ".join(report["parameters"]),
        "data": f"{report['n_data']} cells" if report["n_data"] else "none (the model's own)",
        "evaluations per second": f"{report['evaluations_per_second']:,.0f}",
        "gradients per second": f"{gradients:,.0f}" if gradients else "no gradient",
        "gradient against differences": _apart(report),
        "a call takes": _call(report),
        "asked by": _workers(report),
        "failed": f"{report['failed_fraction']:.1%} of {report['n_draws']} prior draws",
        "stiff": "" if stiff is None else f"{stiff:.1%} of the trajectories",
        "zero likelihood": f"{report['zero_fraction']:.1%}",
        "log-likelihood, best / median": _best_and_median(report),
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, text)
    console.print(table)
    _print_forecast(report["forecast"], console)
    for text in report["notes"]:
        console.print(Text.assemble(("Note: ", "bold"), text), soft_wrap=True)
    for text in report["warnings"]:
        console.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)
