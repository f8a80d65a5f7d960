"""What the terminal is told of a bench of calls."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from nfanneal.bench.calls import CallCost


def print_calls(costs: Sequence[CallCost], console: Console) -> None:
    """Print a line for each way to call a program."""
    table = Table(title="calls of a program", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("protocol")
    for heading in ("workers", "it takes", "calls", "own ms", "ms apart", "efficiency"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cost in costs:
        table.add_row(
            cost.protocol,
            str(cost.workers),
            f"{cost.wait:g} s" if cost.wait else "nothing",
            f"{cost.calls:,}",
            f"{cost.own:.2f}",
            f"{cost.wall:.2f}",
            f"{cost.efficiency:.0%}" if cost.wait else "",
        )
    console.print(table)
