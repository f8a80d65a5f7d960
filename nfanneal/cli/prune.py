"""`nfanneal prune`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import click

from nfanneal.cli.files import refuse_existing
from nfanneal.errors import ExitCode
from nfanneal.report.consoles import console
from nfanneal.report.pruning import print_pruning, pruning_json
from nfanneal.results import store
from nfanneal.results.prune import METHODS, prune


@click.command("prune", epilog="Example: nfanneal prune model.h5 -o model.pruned.h5")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="New file. [RESULT.pruned.h5]"
)
@click.option(
    "--method", type=click.Choice(list(METHODS)), default="ess", show_default=True,
    help="Drop the largest weights, Pareto-smooth them, or clip them.",
)  # fmt: skip
@click.option(
    "--max-bias", type=click.FloatRange(min=0.0),
    help="Drop no more than would lower the log-evidence by this; inf: no limit. [its error]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the new file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    result: Path,
    output: Path | None,
    method: str,
    max_bias: float | None,
    force: bool,
    as_json: bool,
) -> int:
    """Take the largest importance weights of RESULT out, and say what that costs.

    `ess` drops draws in order of their weight until the effective sample size is largest, or the
    bias would exceed the error of the log-evidence (or --max-bias).
    RESULT itself is not changed; the new file holds the weights before and after. Ends with exit
    code 5 if the dropped draws look like a mode, or another diagnostic says not to trust it.
    """
    if max_bias is not None and (math.isnan(max_bias) or method != "ess"):
        odd = "not a number" if math.isnan(max_bias) else f"does not apply to --method {method}"
        raise click.UsageError(f"--max-bias: {odd}")
    output = output or result.with_suffix(".pruned.h5")
    refuse_existing(output, force, result)
    pruned = prune(store.read(result), method, max_bias=max_bias, source=str(result))
    store.write(pruned, output)
    if as_json:
        click.echo(json.dumps(pruning_json(pruned), indent=2, ensure_ascii=False))
    else:
        print_pruning(pruned, console())
        click.echo(f"written to {output}", err=True)
    return ExitCode.DONE if pruned.converged else ExitCode.NOT_TRUSTED
