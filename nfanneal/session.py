"""A run that can be stopped at any time and resumed: its claim, its checkpoints, its watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nfanneal import store
from nfanneal.anneal.events import Observer
from nfanneal.anneal.journal import Checkpoint, Journal
from nfanneal.api import run_checked
from nfanneal.atomic import remove_leftovers
from nfanneal.claim import Claim, claim
from nfanneal.errors import OutputError, ResultError
from nfanneal.keeper import Keeper
from nfanneal.problem import Problem
from nfanneal.result import Result
from nfanneal.resume import Identity, changed_settings, identity, resumed_checkpoint
from nfanneal.spec import CheckedSpec
from nfanneal.watch import Duties, Reason, Stopped, Watch

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Where a run writes, whether it goes on from a checkpoint, and for how long it may run.

    `lenient`: start afresh if no checkpoint can be read. `go_on` is the command that resumes.
    """

    output: Path
    resume: bool = False
    lenient: bool = False
    threads: int | None = None
    max_seconds: float | None = None
    command: str = ""
    go_on: str = ""


def run_kept(checked: CheckedSpec, plan: Plan, observe: Observer, say: Say) -> Result:
    """Run, write the result to the plan's output, and keep checkpoints until that is done.

    Raises:
        Stopped: by a signal or the time limit; what to go on from has been written and said.
        ResultError: another run writes there, or the checkpoint is of another problem.
        OutputError: the result cannot be written.
    """
    with _claimed(plan.output, say) as held:
        remove_leftovers(plan.output)
        remove_leftovers(store.checkpoint_path(plan.output))
        if not plan.resume:
            store.remove_checkpoints(plan.output)
        keeper = Keeper(plan.output, held)

        def journal_of(problem: Problem) -> Journal:
            about = identity(checked, problem)
            journal = Journal(_resumed(plan, about, say) if plan.resume else None)
            keeper.begin(journal, about)
            return journal

        def leave(reason: Reason) -> None:
            _part(keeper, plan, say)
            held.release()

        interval = checked.spec.output.checkpoint
        duties = Duties(
            keep=keeper.keep,
            beat=held.beat,
            say=say,
            leave=leave,
            reserve=lambda: keeper.seconds,
            interval=None if interval == "off" else interval,
            most_seconds=plan.max_seconds,
        )
        with Watch(duties) as watch:
            try:
                result = run_checked(
                    checked,
                    threads=plan.threads,
                    command=plan.command,
                    observe=watch.guarded(observe),
                    journal_of=journal_of,
                )
            except Stopped:
                _part(keeper, plan, say)
                raise
            watch.finish()
            try:
                keeper.finish(result)
            except OutputError as error:
                raise OutputError(_unwritten(error, plan)) from error
        return result


@contextmanager
def _claimed(output: Path, say: Say) -> Iterator[Claim]:
    held = claim(output, say)
    try:
        yield held
    finally:
        held.release()


def _resumed(plan: Plan, about: Identity, say: Say) -> Checkpoint | None:
    try:
        plain, complaints = store.latest_checkpoint(plan.output)
    except ResultError as error:
        if not plan.lenient:
            raise
        say(f"Warning: {error}\nstarting afresh")
        return None
    for complaint in complaints:
        say(f"Warning: {complaint}; going on from the checkpoint before it")
    checkpoint = resumed_checkpoint(plain, about)
    for change in changed_settings(plain, about):
        say(f"changed: {change}")
    say(f"going on {_place(checkpoint)}, after {checkpoint.seconds:.0f} s")
    return checkpoint


def _place(checkpoint: Checkpoint) -> str:
    state = checkpoint.snapshot.state
    return f"at level {state.level} (inverse temperature {state.beta:.3g})"


def _part(keeper: Keeper, plan: Plan, say: Say) -> None:
    """Keep what there is and say how to go on."""
    path = store.checkpoint_path(plan.output)
    try:
        checkpoint = keeper.keep()
    except OutputError as error:
        raise OutputError(_unwritten(error, plan)) from error
    if checkpoint is not None:
        say(f"checkpoint {_place(checkpoint)} written to {path}; go on with:\n  {plan.go_on}")
    elif store.is_checkpointed(plan.output):
        say(f"stopped; the checkpoint {path} is as it was; go on with:\n  {plan.go_on}")
    else:
        say("stopped before there was anything to keep; the same command starts again")


def _unwritten(error: OutputError, plan: Plan) -> str:
    """What could not be written, and what is left."""
    lines = [str(error), *getattr(error, "__notes__", ())]
    if store.is_checkpointed(plan.output):
        path = store.checkpoint_path(plan.output)
        lines.append(
            f"the last checkpoint is {path}; once that is mended, go on with:\n  {plan.go_on}"
        )
    return "\n".join(lines)
