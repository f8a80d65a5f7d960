"""What differs between two results, for a terminal and as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.report.summary import finite
from nfanneal.results.difference import BEYOND, Difference


def difference_json(found: Difference) -> Any:
    """What `nfanneal diff --json` prints."""
    return finite(
        {
            "spec": dict(found.spec),
            "versions": dict(found.versions),
            "same_data": found.same_data,
            "same_problem": found.same_problem,
            "numbers": {
                pair.name: {
                    "values": list(pair.values),
                    "errors": list(pair.errors),
                    "apart": pair.apart,
                    "differs": pair.differs,
                }
                for pair in found.numbers
            },
            "only_in_first": list(found.only[0]),
            "only_in_second": list(found.only[1]),
        }
    )


def print_difference(found: Difference, sources: tuple[str, str], console: Console) -> None:
    """What differs in words, then the numbers side by side."""
    lines = [*found.spec.values(), *(f"version of {text}" for text in found.versions.values())]
    if not found.same_data:
        lines.append("the data are others")
    for source, names in zip(sources, found.only, strict=True):
        if names:
            lines.append(f"only in {source}: {', '.join(names)}")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    table = Table(title="± are standard errors, of Monte Carlo", title_justify="left")
    table.add_column("")
    for heading in (*sources, "errors apart"):
        table.add_column(heading, justify="right")
    for pair in found.numbers:
        shown = (f"{x:.6g} ± {e:.2g}" for x, e in zip(pair.values, pair.errors, strict=True))
        mark = " (!)" if pair.differs else ""
        table.add_row(pair.name, *shown, f"{pair.apart:.1f}{mark}")
    console.print(table)
    console.print(_verdict(found), soft_wrap=True)


def _verdict(found: Difference) -> Text:
    beyond = sum(pair.differs for pair in found.numbers)
    if found.at_odds:
        return Text(
            f"Numbers of the same problem are more than {BEYOND:g} errors apart: at least one of "
            "the results is wrong.",
            style="bold red",
        )
    if beyond:
        what = "number is" if beyond == 1 else "numbers are"
        return Text(f"{beyond} {what} more than {BEYOND:g} errors apart.")
    return Text("All numbers agree within their errors.", style="green")
