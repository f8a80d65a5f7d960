"""`nfanneal run`."""

from __future__ import annotations

import logging
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from nfanneal.anneal.progress import Event, GoingOn
from nfanneal.cli.completion import files_or
from nfanneal.cli.files import refuse_existing
from nfanneal.cli.words import Duration, Size
from nfanneal.cli.workers import workers_option
from nfanneal.errors import ExitCode, ResultError
from nfanneal.model.executors.choice import Workers
from nfanneal.report.consoles import console
from nfanneal.report.log import in_turn, logged
from nfanneal.report.progress import LiveProgress, PlainProgress
from nfanneal.report.summary import print_profile, print_summary
from nfanneal.results import store
from nfanneal.results.identity import FINISHED, differences, result_identity, spec_identity
from nfanneal.results.result import Result
from nfanneal.runs.checkpoint_file import checkpoint_path, is_checkpointed
from nfanneal.runs.cost import preset_of, with_preset
from nfanneal.runs.output_lock import refuse_claimed
from nfanneal.runs.resumable import Plan, run_kept
from nfanneal.runs.signals import Stopped
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import read_spec


class _WithOptionalValue(click.Command):
    """`--resume` alone must not take the word after it for its value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Make `--resume` `--resume=must` unless the word after it is `auto`."""
        given = [
            "--resume=must" if arg == "--resume" and following != "auto" else arg
            for arg, following in pairwise([*args, ""])
        ]
        return super().parse_args(ctx, given)


def _after_resume(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`auto`, or CONFIG: `must` is never typed."""
    if ctx.params.get("config") is None:
        return files_or(["auto"], incomplete)
    return [CompletionItem("auto")] if "auto".startswith(incomplete) else []


@click.command(
    "run",
    cls=_WithOptionalValue,
    epilog="Example: nfanneal run model.yaml -o model.h5 --set anneal.draws=4096 --seed 2",
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Result file. [CONFIG.h5]")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec; repeatable."
)
@click.option("--seed", type=click.IntRange(min=0), help="The same as --set seed=N.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use. [all cores]")
@workers_option
@click.option(
    "--resume", type=click.Choice(["must", "auto"]), metavar="[auto]",
    shell_complete=_after_resume,
    help="Go on from the checkpoint of a run that was stopped; auto: start if there is none.",
)  # fmt: skip
@click.option(
    "--model-changed", is_flag=True,
    help="With --resume: go on though the model's code is not what it was; it must say the same "
    "of a few points.",
)  # fmt: skip
@click.option(
    "--more-rounds", type=click.IntRange(min=1), metavar="N",
    help="With --resume, and a finished result: N more rounds of training, then fresh draws.",
)  # fmt: skip
@click.option(
    "--target-ess", type=click.FloatRange(min=1), metavar="N",
    help="With --resume, and a finished result: draw until N draws are effective.",
)  # fmt: skip
@click.option(
    "--max-time", type=Duration(), metavar="TIME",
    help="Stop with a checkpoint (exit code 77) after so long, such as 30m.",
)  # fmt: skip
@click.option(
    "--max-memory", type=Size(), metavar="SIZE",
    help="Call the model with fewer draws at once to stay below, such as 8G. "
    "[80 % of the machine's or the cgroup's]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the result file, and forget a checkpoint.")
@click.option("--profile", is_flag=True, help="Say at the end where the seconds went.")
@click.option(
    "--log", type=click.Path(path_type=Path),
    help="Add progress, notes and the table to this file, too.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="Show neither progress nor the table.")
def command(
    config: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    threads: int | None,
    workers: Workers | None,
    resume: str | None,
    model_changed: bool,
    more_rounds: int | None,
    target_ess: float | None,
    max_time: float | None,
    max_memory: int | None,
    force: bool,
    profile: bool,
    log: Path | None,
    quiet: bool,
) -> int:
    """Estimate the posterior and the evidence of the problem in CONFIG.

    Trains the flow, draws afresh from it, and writes weighted draws, posterior draws, the
    log-evidence and every diagnostic to one HDF5 file. Ends with exit code 5 if a diagnostic says
    not to trust the result; the file is written all the same.

    A checkpoint is written every minute (output.checkpoint), and when the run is stopped by
    --max-time, SIGTERM, SIGUSR1 or SIGUSR2 (exit code 77) or Ctrl-C (130); --resume goes on.
    """
    output = output or _beside(config)
    kept = output.absolute()  # a model may change the working directory
    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    checkpointed = is_checkpointed(output)
    extends = more_rounds is not None or target_ess is not None
    if (extends or model_changed) and not resume:
        raise click.UsageError("--more-rounds, --target-ess and --model-changed need --resume")
    if not (resume and (checkpointed or (extends and output.is_file()))):
        if resume == "must":
            raise ResultError(_nothing_to_resume(output))
        if resume == "auto" and output.is_file() and not force:
            return _finished_already(output, read_spec(config, overrides))
        refuse_existing(output, force)
    if checkpointed and not (resume or force):
        refuse_claimed(output)
        raise ResultError(
            f"{checkpoint_path(output)}: a run was stopped here; go on with --resume, or "
            "start afresh with --force"
        )
    checked = read_spec(config, overrides)
    if quiet:
        logging.getLogger("nfanneal").setLevel(logging.WARNING)
    plan = Plan(
        output=kept,
        resume=bool(resume) and checkpointed,
        lenient=resume == "auto",
        any_code=model_changed,
        rounds=more_rounds or 0,
        target_ess=target_ess,
        threads=threads,
        workers=workers,
        memory=max_memory,
        max_seconds=max_time,
        command=shlex.join(["nfanneal", *sys.argv[1:]]),
        go_on=_go_on(sys.argv[1:]),
    )
    errors, out, unmet = console(stderr=True), console(), list[str]()
    live = LiveProgress(errors, checked.spec.name) if errors.is_terminal else PlainProgress(errors)
    with logged(log, plan.command) as book:

        def say(text: str) -> None:  # by way of rich: it knows where a live display stands
            for each in (errors, *book):
                each.print(text, highlight=False, soft_wrap=True)

        try:
            shown: list[LiveProgress | PlainProgress] = [] if quiet else [live]
            shown += [PlainProgress(each) for each in book]
            with in_turn(shown) as observe:

                def heard(event: Event) -> None:
                    if isinstance(event, GoingOn):
                        unmet[:] = [] if event.effort else [event.why]
                    observe(event)

                result = run_kept(checked, plan, heard, say)
        except Stopped as stopped:
            return stopped.reason.code
        for each, told in ((out, errors), *((page, page) for page in book)):
            if not (quiet and each is out):
                print_summary(result, each)
                told.print(f"written to {output}", highlight=False)
        for line in _short_of(result, [] if quiet else unmet, target_ess):
            say(line)
    if profile:
        print_profile(result, errors)
    return ExitCode.DONE if result.converged else ExitCode.NOT_TRUSTED


def _short_of(result: Result, unmet: list[str], target_ess: float | None) -> list[str]:
    """What was wanted of a result, and it is not, though nothing may speak against it."""
    lines = [f"Not reached: {why}. Raise anneal.draws" for why in unmet if result.converged]
    if target_ess is not None and result.diagnostics.ess < target_ess:
        n = len(result.draws.log_weight)
        lines.append(f"Warning: {n:,} draws are not worth {target_ess:,.0f}")
    return lines


def _beside(config: Path) -> Path:
    """What a result is called by itself.

    Raises:
        SpecError: CONFIG is a result.
    """
    output = Path(f"{config.stem}.h5")
    if output.exists() and config.exists() and output.samefile(config):
        read_spec(config)  # which says so
    return output


def _go_on(arguments: list[str]) -> str:
    """The command that resumes."""
    kept = [a for a in arguments if a != "--force"]
    resumes = any(a == "--resume" or a.startswith("--resume=") for a in kept)
    return shlex.join(["nfanneal", *kept, *([] if resumes else ["--resume"])])


def _nothing_to_resume(output: Path) -> str:
    path = checkpoint_path(output)
    if output.is_file():
        return f"{output}: is finished, and there is no checkpoint ({path}): nothing to resume"
    return f"{path}: no such file: there is nothing to resume; leave --resume out to start"


def _finished_already(output: Path, checked: CheckedSpec) -> int:
    """The exit code of a result that is there, if it is one of the same spec."""
    result = store.read(output)
    checked = with_preset(checked, preset_of(result))
    changes = differences(result_identity(result), spec_identity(checked), FINISHED)
    if changes:
        listed = "\n".join(changes)
        raise ResultError(
            f"{output}: is finished, and of another spec:\n{listed}\nundo the change, name "
            "another --output, or start afresh with --force; for more draws or rounds see "
            "--target-ess and --more-rounds"
        )
    click.echo(f"{output} is finished: nothing is left to do", err=True)
    return ExitCode.DONE if result.converged else ExitCode.NOT_TRUSTED
