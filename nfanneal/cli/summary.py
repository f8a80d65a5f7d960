"""`nfanneal summary`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.errors import ExitCode
from nfanneal.report.consoles import console
from nfanneal.report.summary import print_summary, summary_json
from nfanneal.results import store


@click.command("summary", epilog="Example: nfanneal summary model.h5 --json | jq .log_evidence")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(result: Path, as_json: bool) -> int:
    """Show the evidence, the diagnostics and the parameters of RESULT.

    Ends with exit code 5 if a diagnostic says not to trust the result.
    """
    found = store.read(result)
    if as_json:
        click.echo(json.dumps(summary_json(found), indent=2, ensure_ascii=False))
    else:
        print_summary(found, console())
    return ExitCode.DONE if found.converged else ExitCode.NOT_TRUSTED
