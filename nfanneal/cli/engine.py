"""`nfanneal bench engine`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nfanneal.bench.solvers.engine import costs, throughput
from nfanneal.bench.solvers.solvers import SOLVERS
from nfanneal.bench.solvers.systems import SYSTEMS
from nfanneal.cli.files import refuse_existing, write_text
from nfanneal.cli.words import listed_words
from nfanneal.report.consoles import console
from nfanneal.report.engine import cost_line, engine_json, print_engine
from nfanneal.runtime.threads import set_threads


@click.command(
    "engine",
    epilog="Example: nfanneal bench engine --only repressilator,hires --against scipy,casadi",
)
@click.option(
    "--only", default=",".join(SYSTEMS), metavar="NAME,…",
    help=f"Systems to solve: {', '.join(SYSTEMS)}. [all]",
)  # fmt: skip
@click.option(
    "--against", default=lambda: ",".join(SOLVERS), metavar="NAME,…",
    help=f"Solvers to run beside it: {', '.join(SOLVERS)}; `none` for nfanneal alone. [all]",
)  # fmt: skip
@click.option(
    "--threads", type=click.IntRange(min=1), default=2, show_default=True,
    help="Threads for every one.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write everything as JSON.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    only: str, against: str, threads: int, output: Path | None, force: bool, as_json: bool
) -> None:
    """Time nfanneal's ODE solver and others on well-known systems, at the same tolerances.

    A value is all observables at all times of one trajectory; a gradient is that of a weighted
    sum of them by all parameters, with the value. One that fails or is not installed is a row
    that says so.

    \b
    Columns:
      value, gradient  microseconds of CPU time per trajectory, near the mode; over all threads
      ×                how many times as long as nfanneal
      error            largest at the mode, in tolerances atol + rtol·max|observable|
      its error        that of the gradient, over the largest entry
      prior            nfanneal's gradients on draws from a wide prior
      speed-up         wall time on one thread over that on all
    """
    names = listed_words(only, SYSTEMS, "--only")
    peers = listed_words(against, SOLVERS, "--against")
    if not names:
        raise click.UsageError("nothing to solve")
    if output is not None:
        refuse_existing(output, force)
    set_threads(threads)
    errors, found = console(stderr=True), []
    for cost in costs(names, peers, threads):
        errors.print(cost_line(cost), soft_wrap=True, highlight=False)
        found.append(cost)
    own = [throughput(name, threads) for name in names]
    text = json.dumps(engine_json(found, own, threads), indent=2, ensure_ascii=False)
    if output is not None:
        write_text(output, text + "\n")
        click.echo(f"written to {output}", err=True)
    if as_json:
        click.echo(text)
    else:
        print_engine(found, own, threads, console())
