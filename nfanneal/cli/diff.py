"""`nfanneal diff`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.errors import ExitCode
from nfanneal.report.consoles import console
from nfanneal.report.difference import difference_json, print_difference
from nfanneal.results import store
from nfanneal.results.difference import difference


@click.command("diff", epilog="Example: nfanneal diff seed1.h5 seed2.h5")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(first: Path, second: Path, as_json: bool) -> int:
    """Say what differs between FIRST and SECOND: spec, data, numbers beyond their errors.

    Ends with exit code 5 if they are of the same problem and disagree.
    """
    found = difference(store.read(first), store.read(second))
    if as_json:
        click.echo(json.dumps(difference_json(found), indent=2, ensure_ascii=False))
    else:
        print_difference(found, (str(first), str(second)), console())
    return ExitCode.NOT_TRUSTED if found.at_odds else ExitCode.DONE
