"""`nfanneal export`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing, write_text
from nfanneal.errors import ResultError
from nfanneal.report.summary import summary_json
from nfanneal.results import store
from nfanneal.results.export import as_csv, as_getdist, as_json, write_parquet
from nfanneal.results.petab_tables import as_petab
from nfanneal.results.result import Result
from nfanneal.runtime.files import replaced

ENDINGS = {"netcdf": ".nc", "csv": ".csv", "parquet": ".parquet", "getdist": "", "json": ".json",
           "petab": ""}  # fmt: skip
SEVERAL = {"getdist": as_getdist, "petab": as_petab}
"""Those of several files, which begin alike."""


@click.command("export", epilog="Example: nfanneal export model.h5 -o draws.csv")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--to", "kind", type=click.Choice(list(ENDINGS)),
    help="The format; without it, that of the ending of -o.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="New file; the root of GetDist's or PEtab's files; - for stdout. [RESULT.ending]",
)  # fmt: skip
@click.option("--header", is_flag=True, help="csv: lines with # before it, on what weights are.")
@click.option("--force", is_flag=True, help="Overwrite files.")
def command(result: Path, kind: str | None, output: Path | None, header: bool, force: bool) -> None:
    """Write the draws of RESULT for other programs.

    netcdf: the groups that ArviZ knows. csv, parquet, json: every draw with its weight and its
    densities. getdist: a chain, .txt, .paramnames and .ranges. petab: .parameters.tsv with the
    best draw as nominal values, and .samples.tsv with draws of equal weight.
    """
    kind = kind or _kind_of(output)
    if header and kind != "csv":
        raise click.UsageError(f"--header is for --to csv, not for {kind}")
    found = store.read(result)
    output = output or result.with_suffix(ENDINGS[kind])
    if str(output) == "-":
        _to_stdout(found, kind, header)
    elif kind in SEVERAL:
        texts = SEVERAL[kind](found)
        paths = {output.with_name(output.name + ending): text for ending, text in texts.items()}
        for path in paths:
            refuse_existing(path, force)
        for path, text in paths.items():
            write_text(path, text)
            click.echo(f"written to {path}", err=True)
    else:
        refuse_existing(output, force)
        _to_file(found, kind, output, header)
        click.echo(f"written to {output}", err=True)


def _kind_of(output: Path | None) -> str:
    """The format that a file's ending names.

    Raises:
        click.UsageError: it names none.
    """
    kinds = {ending: kind for kind, ending in ENDINGS.items() if ending}
    ending = "" if output is None else output.suffix
    if ending not in kinds:
        known = ", ".join(f"{ending} ({kind})" for ending, kind in kinds.items())
        raise click.UsageError(f"which format? --to {'|'.join(ENDINGS)}, or -o FILE with {known}")
    return kinds[ending]


def _to_stdout(found: Result, kind: str, header: bool) -> None:
    if kind in SEVERAL:
        raise ResultError(f"{kind} takes several files: give their root with -o")
    if kind in ("csv", "json"):
        sys.stdout.write(_text(found, kind, header))
        return
    buffer = io.BytesIO()
    if kind == "parquet":
        write_parquet(found, buffer)
    else:
        store.write_netcdf(found, buffer)
    sys.stdout.buffer.write(buffer.getvalue())


def _text(found: Result, kind: str, header: bool) -> str:
    return as_csv(found, header=header) if kind == "csv" else as_json(found, summary_json(found))


def _to_file(found: Result, kind: str, output: Path, header: bool) -> None:
    if kind in ("csv", "json"):
        write_text(output, _text(found, kind, header))
        return
    write = write_parquet if kind == "parquet" else store.write_netcdf
    with replaced(output) as temporary:
        write(found, temporary)
