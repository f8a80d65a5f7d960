"""`nfanneal summary`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.errors import ExitCode
from nfanneal.report.consoles import console
from nfanneal.report.side_by_side import WRITERS, print_side_by_side
from nfanneal.report.summary import print_summary, summary_json
from nfanneal.results import store


@click.command("summary", epilog="Example: nfanneal summary model.h5 --json | jq .log_evidence")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "form", flag_value="json", help="Print JSON; a list for several results.")
@click.option("--latex", "form", flag_value="latex", help="Print a table for LaTeX (booktabs).")
@click.option("--markdown", "form", flag_value="markdown", help="Print a table in Markdown.")
@click.option("--csv", "form", flag_value="csv", help="Print numbers of full precision as CSV.")
def command(results: tuple[Path, ...], form: str | None) -> int:
    """Show the evidence, the diagnostics and the parameters of RESULTS, side by side if several.

    Ends with exit code 5 if a diagnostic says not to trust one of them.
    """
    found = {str(path): store.read(path) for path in results}
    if form == "json":
        said = [summary_json(result) for result in found.values()]
        click.echo(json.dumps(said if len(said) > 1 else said[0], indent=2, ensure_ascii=False))
    elif form is not None:
        click.echo(WRITERS[form](found), nl=False)
    elif len(found) == 1:
        print_summary(next(iter(found.values())), console())
    else:
        print_side_by_side(found, console())
    trusted = all(result.converged for result in found.values())
    return ExitCode.DONE if trusted else ExitCode.NOT_TRUSTED
