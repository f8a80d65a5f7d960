"""`nfanneal plot`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

import click
from click.shell_completion import CompletionItem

from nfanneal.cli.completion import files_or
from nfanneal.cli.files import FORMATS, refuse_existing
from nfanneal.cli.words import nearest_word
from nfanneal.cli.workers import model_option, workers_option
from nfanneal.model.executors.choice import Workers
from nfanneal.report.figures import KINDS, Options, draw
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
    help="PDF, PNG or SVG; several kinds get their names in it. [RESULT.KIND.pdf]",
)  # fmt: skip
@click.option("--parameters", metavar="a,b", help="Which parameters to show.")
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
    _refuse_unknown(truths, {name for r in results.values() for name in r.columns.names})
    wanted = None if parameters is None else tuple(p.strip() for p in parameters.split(","))
    options = Options(wanted, truths, model, workers)
    set_threads(None)
    for kind, path in paths.items():
        figure = draw(kind, results, options)
        with replaced(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:].lower(), bbox_inches="tight")
        click.echo(f"written to {path}", err=True)


def _refuse(kinds: list[str], files: list[Path]) -> None:
    listed = ", ".join(KINDS)
    if not kinds:
        odd = [str(path) for path in files if not path.suffix]
        hint = nearest_word(odd[0], KINDS) if odd else f"; there are: {listed}"
        raise click.UsageError(f"which figure?{hint}")
    if not files:
        raise click.UsageError("of which result?")
    for path in files:
        if not path.exists() and not path.suffix:
            raise click.UsageError(f"no figure '{path}'{nearest_word(str(path), KINDS)}")


def _refuse_unknown(truths: Iterable[str], known: set[str]) -> None:
    for name in truths:
        if name not in known:
            raise click.UsageError(f"--truth: no parameter '{name}'{nearest_word(name, known)}")


def _truth(given: Iterable[str]) -> dict[str, float]:
    """Numbers by name, from files and NAME=VALUE texts."""
    numbers: dict[str, float] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            numbers |= read_numbers(Path(text))
            continue
        try:
            numbers[name.strip()] = float(value)
        except ValueError:
            raise click.UsageError(f"--truth {text}: '{value}' is not a number") from None
    return numbers
