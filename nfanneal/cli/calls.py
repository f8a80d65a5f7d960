"""`nfanneal bench calls`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from nfanneal.bench.calls import call_costs
from nfanneal.report.calls import print_calls
from nfanneal.report.consoles import console
from nfanneal.runtime.threads import set_threads


@click.command("calls", epilog="Example: nfanneal bench calls")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Measure what a call of a program costs beside the program itself.

    Programs that answer at once, kept (lines) or started for each draw (call), tell what a call
    takes of this process's time; programs that sleep tell how well 16 and 64 workers are used.

    \b
    Columns:
      own ms      processor time of nfanneal a call
      ms apart    time from one answer to the next
      efficiency  share of the workers' time in which their programs sleep
    """
    set_threads(1)
    costs = list(call_costs())
    if as_json:
        click.echo(json.dumps([asdict(cost) for cost in costs], indent=2))
    else:
        print_calls(costs, console())
