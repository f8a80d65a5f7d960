"""`nfanneal evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from nfanneal.cli.completion import files_or
from nfanneal.cli.workers import workers_option
from nfanneal.errors import ExitCode
from nfanneal.model.executors.choice import Workers
from nfanneal.report.consoles import console
from nfanneal.report.evaluate import evaluation_json, print_evaluation
from nfanneal.runs.evaluate import evaluate_at
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import read_spec
from nfanneal.spec.point import point_of, read_point


def _files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return files_or([], incomplete)


@click.command(
    "evaluate", epilog="Example: nfanneal evaluate model.yaml --at k=0.3,n0=1 --gradient --json"
)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--at", "given", multiple=True, metavar="NAME=VALUE,…|FILE", shell_complete=_files,
    help="The point: k=0.3, x[0]=1 of a vector, k[control]=2 of an experiment, or a YAML or JSON "
    "file; repeatable, later ones win. [medians of the priors; nominal values of a PEtab problem]",
)  # fmt: skip
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec; repeatable."
)
@click.option("--gradient", is_flag=True, help="Derivatives by each parameter, too.")
@click.option("--pointwise", is_flag=True, help="The part of every datum, too.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use. [all cores]")
@workers_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    spec: Path,
    given: tuple[str, ...],
    overrides: tuple[str, ...],
    gradient: bool,
    pointwise: bool,
    threads: int | None,
    workers: Workers | None,
    as_json: bool,
) -> int:
    """Evaluate the posterior of SPEC at one point of its parameters.

    Prints the log-likelihood, the log density of the prior and their sum, of parameters on their
    natural scale; exit code 4 if the model fails there.
    """
    said = _said(given)
    checked = read_spec(spec, overrides)
    theta = point_of(checked, said, checked.nominal)
    if pointwise and checked.spec.model.likelihood_key is not None:
        raise click.UsageError("--pointwise: the model gives its log-likelihood itself: no data")
    set_threads(threads)
    problem = build_problem(checked, workers=workers)
    found = evaluate_at(problem, theta, gradient=gradient, pointwise=pointwise)
    if as_json:
        click.echo(json.dumps(evaluation_json(found), indent=2, ensure_ascii=False))
    else:
        print_evaluation(found, console())
    return ExitCode.DONE if found.failed is None else ExitCode.MODEL_FAILED


def _said(given: Iterable[str]) -> dict[str, Any]:
    """Values by name, from files and from NAME=VALUE texts.

    Raises:
        click.UsageError: a text is neither.
    """
    said: dict[str, Any] = {}
    for text in given:
        if Path(text).is_file():
            said |= read_point(Path(text))
            continue
        if "=" not in text:
            raise click.UsageError(f"--at {text}: neither NAME=VALUE nor a file")
        for part in filter(None, map(str.strip, text.split(","))):
            name, equals, value = part.partition("=")
            if not equals:
                raise click.UsageError(f"--at {text}: '{part}' is not of the form NAME=VALUE")
            try:
                said[name.strip()] = float(value)
            except ValueError:
                raise click.UsageError(f"--at {text}: '{value}' is not a number") from None
    return said
