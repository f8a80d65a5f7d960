"""`nfanneal check`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.cli.workers import workers_option
from nfanneal.errors import ExitCode
from nfanneal.model.executors.choice import Workers
from nfanneal.report.check import print_check
from nfanneal.report.consoles import console
from nfanneal.runs.check import try_likelihood
from nfanneal.runs.settings import build_settings
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import read_spec


@click.command("check", epilog="Example: nfanneal check model.yaml --json")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec; repeatable."
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use. [all cores]")
@workers_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    config: Path,
    overrides: tuple[str, ...],
    threads: int | None,
    workers: Workers | None,
    as_json: bool,
) -> int:
    """Validate CONFIG and try its likelihood on draws from the prior.

    Prints how fast the likelihood and its gradient are and how often the model fails; exit code 4
    if it fails, or has a likelihood of zero, at every draw.
    """
    checked = read_spec(config, overrides)
    set_threads(threads)
    problem = build_problem(checked, workers=workers)
    build_settings(checked, problem)
    report = try_likelihood(problem, checked.spec.seed)
    report["warnings"] = [*checked.warnings, *report["warnings"]]
    if as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print_check(report, console())
    nowhere = report["failed_fraction"] + report["zero_fraction"] >= 1.0
    return ExitCode.MODEL_FAILED if nowhere else ExitCode.DONE
