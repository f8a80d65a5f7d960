"""`nfanneal compare`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.errors import ResultError
from nfanneal.report.comparison import comparison_json, print_comparison
from nfanneal.report.consoles import console
from nfanneal.results import store
from nfanneal.results.compare import compare


@click.command("compare", epilog="Example: nfanneal compare linear.h5 quadratic.h5")
@click.argument(
    "results", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RESULT…"
)
@click.option(
    "--prior-odds", metavar="1,1,…", help="Prior odds of the models, in order. [all the same]"
)
@click.option("--any-data", is_flag=True, help="Compare even if the data differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    results: tuple[Path, ...], prior_odds: str | None, any_data: bool, as_json: bool
) -> None:
    """Compare models of the same data: Bayes factors, model probabilities, and leave-one-out.

    The model with the largest evidence comes first; Bayes factors are its own over the others.
    """
    odds = None
    if prior_odds is not None:
        try:
            odds = [float(text) for text in prior_odds.split(",")]
        except ValueError:
            raise click.UsageError(f"--prior-odds: '{prior_odds}' is not numbers a,b,…") from None
    if len(set(results)) < len(results):
        raise ResultError("the same file is given twice")
    read = {str(path): store.read(path) for path in results}
    rows = compare(read, odds, any_data=any_data)
    if as_json:
        click.echo(json.dumps(comparison_json(rows), indent=2, ensure_ascii=False))
    else:
        print_comparison(rows, console())
