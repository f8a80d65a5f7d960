"""`nfanneal cite`."""

from __future__ import annotations

from pathlib import Path

import click

from nfanneal.report.citation import bibtex, methods_paragraph, references
from nfanneal.results import store


@click.command("cite", epilog="Example: nfanneal cite model.h5 --bibtex >> paper.bib")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--text", "only", flag_value="text", help="Only the paragraph and its references.")
@click.option("--bibtex", "only", flag_value="bibtex", help="Only the references, as BibTeX.")
def command(result: Path, only: str | None) -> None:
    """Print what to write of RESULT in a paper: a paragraph on methods, references, and BibTeX.

    The references are the paper of the method, nfanneal, and what this result was made with.
    """
    found = store.read(result)
    if only != "bibtex":
        click.echo(methods_paragraph(found) + "\n")
        for reference in references(found):
            click.echo(reference.plain)
    if only is None:
        click.echo()
    if only != "text":
        click.echo(bibtex(found), nl=False)
