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
    """Write one HTML page about results: verdict, evidence, table, figures, diagnostics, methods.

    The page needs no network, no other file and no script. Several results stand beside each
    other; models of the same data are compared, and runs of one problem held against each other.
    """
    refuse_existing(output, force)
    set_threads(None)
    write_text(output, page({str(path): store.read(path) for path in results}))
    click.echo(f"written to {output}", err=True)
