"""`nfanneal import`."""

from __future__ import annotations

from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing, write_text
from nfanneal.spec.importers import imported


@click.command("import", epilog="Example: nfanneal import model.xml -o model.yaml")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="The spec; without it, to stdout."
)
@click.option("--force", is_flag=True, help="Overwrite the output.")
def command(file: Path, output: Path | None, force: bool) -> None:
    """Make a spec of FILE: a model in SBML, or a PEtab problem.

    What a model does not say is marked TODO in the spec: priors, data and likelihood. A problem
    becomes a spec that runs, with comments where its numbers came from; `run`, `check` and
    `evaluate` take the problem itself, too.
    """
    if output is not None:
        refuse_existing(output, force, file)
    found = imported(file)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if output is None:
        click.echo(found.text, nl=False)
        return
    write_text(output, found.text)
    todo = "" if found.whole else "fill in what is marked TODO, then: "
    click.echo(f"wrote {output}; {todo}nfanneal check {output}")
