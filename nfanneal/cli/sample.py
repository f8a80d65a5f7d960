"""`nfanneal sample`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing
from nfanneal.cli.workers import model_option, workers_option
from nfanneal.errors import ExitCode
from nfanneal.model.executors.choice import Workers
from nfanneal.report.consoles import console
from nfanneal.report.summary import print_summary, summary_json
from nfanneal.results import store
from nfanneal.results.sample import sample
from nfanneal.runtime.threads import set_threads


@click.command("sample", epilog="Example: nfanneal sample model.h5 -n 100000 -o more.h5")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("-n", "count", type=click.IntRange(min=1), required=True, help="How many draws.")
@click.option(
    "--weighted/--resampled", default=True,
    help="N weighted draws, or as many as N equal-weight posterior draws take. [weighted]",
)  # fmt: skip
@click.option("--append", is_flag=True, help="Keep the draws of RESULT too.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="New file. [RESULT.sample.h5]"
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@model_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use. [all cores]")
@workers_option
@click.option("--force", is_flag=True, help="Overwrite the new file.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    result: Path,
    count: int,
    weighted: bool,
    append: bool,
    output: Path | None,
    seed: int,
    model: Path | None,
    threads: int | None,
    workers: Workers | None,
    force: bool,
    as_json: bool,
) -> int:
    """Draw N fresh, independent draws from the flow that RESULT holds, with their weights.

    The likelihood is rebuilt from RESULT; the new file is a result like any other. Nothing is
    trained: the flow stays as it is.
    """
    output = output or result.with_suffix(".sample.h5")
    refuse_existing(output, force, result)
    set_threads(threads)
    drawn = sample(
        store.read(result),
        count,
        seed=seed,
        resampled=not weighted,
        append=append,
        model_file=model,
        workers=workers,
    )
    store.write(drawn, output)
    if as_json:
        click.echo(json.dumps(summary_json(drawn), indent=2, ensure_ascii=False))
    else:
        print_summary(drawn, console())
        click.echo(f"written to {output}", err=True)
    return ExitCode.DONE if drawn.converged else ExitCode.NOT_TRUSTED
