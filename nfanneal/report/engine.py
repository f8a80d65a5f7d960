"""What the terminal and scripts are told of a bench of the trajectory engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.bench.solvers.engine import OWN, Cost, Throughput
from nfanneal.report.summary import finite

COSTS = ("value", "×", "gradient", "×", "error", "its error")
THROUGHPUT = ("near mode", "prior", "prior failed")
SPEEDUP = "speed-up"


def engine_json(
    costs: Sequence[Cost], throughput: Sequence[Throughput], threads: int
) -> dict[str, Any]:
    """Every measurement; how many times as long as nfanneal a peer took, beside it."""
    rows = [
        asdict(cost)
        | dict(zip(("times_value", "times_gradient"), _times(cost, costs), strict=True))
        for cost in costs
    ]
    found = {"threads": threads, "costs": rows, "throughput": [asdict(t) for t in throughput]}
    plain: dict[str, Any] = finite(found)
    return plain


def cost_line(cost: Cost) -> str:
    """One plain line about a solver that has ended."""
    start = f"{cost.system:<18} {cost.solver:<11}"
    if cost.message:
        return f"{start} {cost.outcome}: {cost.message}"
    gradient = "none" if math.isnan(cost.gradient) else f"{cost.gradient:.1f} µs"
    return f"{start} value {cost.value:10.1f} µs  gradient {gradient:>13}"


def print_engine(
    costs: Sequence[Cost], throughput: Sequence[Throughput], threads: int, console: Console
) -> None:
    """Print costs system by system, and nfanneal's throughput."""
    table = _table("CPU time per trajectory, in microseconds", COSTS)
    for cost in costs:
        if cost.solver == OWN:
            table.add_row(Text(cost.system, "bold"))
        table.add_row(cost.solver, *(_cells(cost, costs) if not cost.message else ["none"]))
    console.print(table)
    for told in dict.fromkeys((c.solver, str(c.outcome), c.message) for c in costs if c.message):
        console.print("{}: {}: {}".format(*told), soft_wrap=True, highlight=False)
    several = threads > 1
    title = f", and {threads} threads against one" if several else ""
    table = _table(f"nfanneal's gradients{title}", (*THROUGHPUT, *[SPEEDUP] * several))
    for found in throughput:
        cells = [f"{found.near_mode:.1f}", f"{found.prior:.1f}", f"{found.failed:.1%}"]
        table.add_row(found.system, *cells, *[f"{found.speedup:.2f}"] * several)
    console.print(table)


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _times(cost: Cost, costs: Sequence[Cost]) -> tuple[float, float]:
    """How many times as long as nfanneal it took, for a value and for a gradient."""
    own = next((c for c in costs if c.system == cost.system and c.solver == OWN), None)
    if own is None:
        return math.nan, math.nan
    return cost.value / own.value, cost.gradient / own.gradient


def _cells(cost: Cost, costs: Sequence[Cost]) -> list[str]:
    times = ["" if math.isnan(x) else f"{x:.1f}" for x in _times(cost, costs)]
    micro = ["" if math.isnan(x) else f"{x:,.1f}" for x in (cost.value, cost.gradient)]
    off = "" if math.isnan(cost.gradient_error) else f"{cost.gradient_error:.0e}"
    error = "nan" if math.isnan(cost.error) else f"{cost.error:.1f}"
    return [micro[0], times[0], micro[1], times[1], error, off]
