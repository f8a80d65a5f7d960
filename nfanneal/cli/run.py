"""`nfanneal run`."""

from __future__ import annotations

import logging
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

import click
from rich.console import Console

from nfanneal import store
from nfanneal.api import read_spec, run_checked
from nfanneal.cli.files import refuse_existing
from nfanneal.errors import ExitCode
from nfanneal.report import LiveProgress, PlainProgress, print_summary


@click.command(
    "run",
    epilog="Example: nfanneal run model.yaml -o model.h5 --set anneal.draws=4096 --seed 2",
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Result file. [CONFIG.h5]")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec; repeatable."
)
@click.option("--seed", type=click.IntRange(min=0), help="The same as --set seed=N.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use. [all cores]")
@click.option("--force", is_flag=True, help="Overwrite the result file.")
@click.option("--quiet", is_flag=True, help="Show neither progress nor the table.")
def command(
    config: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> int:
    """Estimate the posterior and the evidence of the problem in CONFIG.

    Trains the flow, draws afresh from it, and writes weighted draws, posterior draws, the
    log-evidence and every diagnostic to one HDF5 file. Ends with exit code 5 if a diagnostic says
    not to trust the result; the file is written all the same.
    """
    output = output or Path(f"{config.stem}.h5")
    refuse_existing(output, force)
    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    checked = read_spec(config, overrides)
    if quiet:
        logging.getLogger("nfanneal").setLevel(logging.WARNING)
    errors, out = (
        Console(stderr=True, markup=False, emoji=False),
        Console(markup=False, emoji=False),
    )
    live = LiveProgress(errors, checked.spec.name) if errors.is_terminal else PlainProgress(errors)
    with nullcontext(lambda event: None) if quiet else live as observe:
        words = shlex.join(["nfanneal", *sys.argv[1:]])
        result = run_checked(checked, threads=threads, command=words, observe=observe)
    store.write(result, output)
    if not quiet:
        print_summary(result, out)
        errors.print(f"written to {output}", highlight=False)
    return ExitCode.DONE if result.converged else ExitCode.NOT_TRUSTED
