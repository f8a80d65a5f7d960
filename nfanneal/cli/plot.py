"""`nfanneal plot`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

import click
from click.shell_completion import CompletionItem

from nfanneal.cli.completion import files_or
from nfanneal.cli.files import FORMATS, refuse_existing
from nfanneal.cli.words import nearest_word
from nfanneal.cli.workers import model_option, workers_option
from nfanneal.model.executors.choice import Workers
from nfanneal.report.figures import KINDS, PAGE, WIDTH, Options, draw, notes, save
from nfanneal.results import store
from nfanneal.runtime.files import replaced
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.document import read_numbers


def _files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return files_or([], incomplete)


def _result_or_kind(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """A result first; after it another one, or a kind that is not there yet."""
    given = ctx.params.get("words") or ()
    return files_or([kind for kind in KINDS if given and kind not in given], incomplete)


INCHES = {"in": 1.0, "cm": 1.0 / 2.54, "mm": 1.0 / 25.4, "pt": 1.0 / 72.0}
WIDTHS = {"column": WIDTH, "page": PAGE}
NARROWEST, WIDEST = 1.5, 50.0
"""Inches."""


class WidthType(click.ParamType):
    """A width of a figure, in inches."""

    name = "width"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text: a word, or a number with its unit."""
        if value in WIDTHS:
            return WIDTHS[value]
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]+)", str(value).strip())
        if found is None or found[2] not in INCHES:
            units = ", ".join(f"8.5{unit}" for unit in INCHES)
            self.fail(f"'{value}' is no width such as {units}, column or page", param, ctx)
        inches = float(found[1]) * INCHES[found[2]]
        if not NARROWEST <= inches <= WIDEST:
            limits = f"{NARROWEST:g}in to {WIDEST:g}in"
            self.fail(f"'{value}': figures are {limits} wide", param, ctx)
        return inches


def _help() -> str:
    """What the command does, and every kind of figure."""
    return "Draw figures of one or several results.\n\n\b\nKinds:\n" + "\n".join(
        fill(kind.words, 98, initial_indent=f"  {name:14}", subsequent_indent=" " * 16)
        for name, kind in KINDS.items()
    )


@click.command(
    "plot", help=_help(), epilog="Example: nfanneal plot model.h5 corner predictive -o figure.png"
)
@click.argument(
    "words", nargs=-1, required=True, metavar="RESULT… KIND…", shell_complete=_result_or_kind
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="PDF, EPS, SVG or PNG; several kinds get their names in it. [RESULT.KIND.pdf]",
)  # fmt: skip
@click.option("--parameters", metavar="a,b", help="Which parameters to show.")
@click.option(
    "--width", type=WidthType(), metavar="8.5cm|3.4in|column|page",
    help=f"Width of the figure; a column is {WIDTH:g} in, a page {PAGE:g} in. [as its kind needs]",
)  # fmt: skip
@click.option(
    "--dpi", type=click.IntRange(30, 2400), help="Points per inch of a PNG. [200]",
)  # fmt: skip
@click.option(
    "--style", metavar="NAME|FILE", shell_complete=_files,
    help="A style sheet of matplotlib, on top of ours.",
)  # fmt: skip
@click.option(
    "--truth", multiple=True, metavar="FILE|NAME=VALUE", shell_complete=_files,
    help="True values to mark: a YAML or JSON file, or one value; repeatable.",
)  # fmt: skip
@model_option
@workers_option
@click.option("--force", is_flag=True, help="Overwrite figures.")
def command(
    words: tuple[str, ...],
    output: Path | None,
    parameters: str | None,
    width: float | None,
    dpi: int | None,
    style: str | None,
    truth: tuple[str, ...],
    model: Path | None,
    workers: Workers | None,
    force: bool,
) -> None:
    kinds = [word for word in words if word in KINDS]
    files = [Path(word) for word in words if word not in KINDS]
    _refuse(kinds, files)
    output = output or files[0].with_suffix(".pdf")
    if output.suffix.lower() not in FORMATS:
        raise click.UsageError(f"{output}: figures are {', '.join(FORMATS)} files")
    exact = len(kinds) == 1 and output != files[0].with_suffix(".pdf")
    paths = {
        kind: output if exact else output.with_suffix(f".{kind}{output.suffix}") for kind in kinds
    }
    for path in paths.values():
        refuse_existing(path, force)
    results = {str(path): store.read(path) for path in files}
    alone = [kind for kind in kinds if KINDS[kind].one_result]
    if alone and len(files) > 1:
        raise click.UsageError(f"the figure '{alone[0]}' shows one result, not {len(files)}")
    truths = _truth(truth)
    _refuse_unknown(truths, [name for r in results.values() for name in r.columns.names])
    wanted = None if parameters is None else tuple(p.strip() for p in parameters.split(","))
    held = {source: store.read_predictions(Path(source)) for source in results}
    predictions = {source: each for source, each in held.items() if each}
    options = Options(wanted, truths, model, workers, predictions, width, style)
    set_threads(None)
    for kind, path in paths.items():
        figure = draw(kind, results, options)
        with replaced(path) as temporary:
            save(figure, temporary, path.suffix, dpi=dpi, style=style)
        for note in notes(figure):
            click.echo(f"{kind}: {note}", err=True)
        click.echo(f"written to {path}", err=True)


def _refuse(kinds: list[str], files: list[Path]) -> None:
    listed = ", ".join(KINDS)
    if not kinds:
        odd = [str(path) for path in files if not path.suffix]
        if odd and not files[-1].exists():
            raise click.UsageError(f"no figure '{odd[-1]}'{nearest_word(odd[-1], KINDS)}")
        raise click.UsageError(f"which figure? There are: {listed}")
    if not files:
        raise click.UsageError("of which result?")
    for path in files:
        if not path.exists() and not path.suffix:
            raise click.UsageError(f"no figure '{path}'{nearest_word(str(path), KINDS)}")


def _refuse_unknown(truths: Iterable[str], known: Iterable[str]) -> None:
    known = list(dict.fromkeys(known))
    for name in truths:
        if name not in known:
            raise click.UsageError(f"--truth: no parameter '{name}'{nearest_word(name, known)}")


def _pairs(given: Iterable[str]) -> Iterator[str]:
    """Files, and each of the values in `a=1,b=2`."""
    for text in given:
        parts = text.split(",")
        yield from parts if all("=" in part for part in parts) else [text]


def _truth(given: Iterable[str]) -> dict[str, float]:
    """Numbers by name, from files and NAME=VALUE texts."""
    numbers: dict[str, float] = {}
    for text in _pairs(given):
        name, equals, value = text.partition("=")
        if not equals:
            numbers |= read_numbers(Path(text))
            continue
        try:
            numbers[name.strip()] = float(value)
        except ValueError:
            raise click.UsageError(f"--truth {text}: '{value}' is not a number") from None
    return numbers
