"""`nfanneal combine`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing
from nfanneal.cli.workers import model_option, workers_option
from nfanneal.errors import ExitCode
from nfanneal.model.executors.choice import Workers
from nfanneal.report.combination import combination_json, print_combination
from nfanneal.report.consoles import console
from nfanneal.results import store
from nfanneal.results.combine import combine
from nfanneal.runtime.threads import set_threads


@click.command("combine", epilog="Example: nfanneal combine seed1.h5 seed2.h5 seed3.h5 -o all.h5")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN…")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="New result file."
)
@model_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use. [all cores]")
@workers_option
@click.option("--force", is_flag=True, help="Overwrite the new file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    runs: tuple[Path, ...],
    output: Path,
    model: Path | None,
    threads: int | None,
    workers: Workers | None,
    force: bool,
    as_json: bool,
) -> int:
    """Pool several runs of one problem (other seeds) into one result.

    Every draw is weighted by the mixture of all runs' proposals. The spread of the runs'
    log-evidences is held against their errors: if they disagree, some run missed something, and
    the exit code is 5.
    """
    refuse_existing(output, force, *runs)
    set_threads(threads)
    results = [store.read(run) for run in runs]
    pooled = combine(results, [str(run) for run in runs], model, workers)
    store.write(pooled, output)
    if as_json:
        click.echo(json.dumps(combination_json(pooled), indent=2, ensure_ascii=False))
    else:
        print_combination(pooled, console())
        click.echo(f"written to {output}", err=True)
    return ExitCode.DONE if pooled.converged else ExitCode.NOT_TRUSTED
