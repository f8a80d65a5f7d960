"""`nfanneal report`."""

from __future__ import annotations

from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing, write_text
from nfanneal.report.page import page
from nfanneal.results import store
from nfanneal.runtime.threads import set_threads


@click.command("report", epilog="Example: nfanneal report model.h5 -o report.html")
@click.argument(
    "results", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RESULT…"
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"),
    show_default=True,
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the page.")
def command(results: tuple[Path, ...], output: Path, force: bool) -> None:
    """Write one HTML page about results: verdict, evidence, table, figures, diagnostics, spec.

    The page needs no network and no other file. Several results of the same data are compared.
    """
    refuse_existing(output, force)
    set_threads(None)
    write_text(output, page({str(path): store.read(path) for path in results}))
    click.echo(f"written to {output}", err=True)
