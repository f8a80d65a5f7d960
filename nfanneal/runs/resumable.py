"""A run that can be stopped at any time and resumed: its claim, its checkpoints, its watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nfanneal.anneal.journal import Checkpoint, Journal
from nfanneal.anneal.progress import Observer
from nfanneal.errors import OutputError, ResultError
from nfanneal.model.executors import Pooled
from nfanneal.model.executors.choice import Workers
from nfanneal.model.problem import Problem
from nfanneal.model.program.processes import put_all_away
from nfanneal.results import store
from nfanneal.results.identity import EXTENDING, Identity, result_identity, run_identity
from nfanneal.results.result import Result
from nfanneal.runs.answer_log import AnswerLog, chosen_before
from nfanneal.runs.checkpoint_file import (
    answers_path,
    checkpoint_path,
    has_checkpoint,
    is_checkpointed,
    latest_checkpoint,
    remove_checkpoints,
    remove_halves,
)
from nfanneal.runs.checkpointing import (
    Extension,
    Keeper,
    changed_settings,
    refuse_other,
    resumed_checkpoint,
)
from nfanneal.runs.consistency import (
    ASKED,
    probes,
    refuse_another_model,
    refuse_other_answers,
    whim,
)
from nfanneal.runs.cost import preset_of, with_preset
from nfanneal.runs.extension import Earlier, extended_checkpoint
from nfanneal.runs.from_spec import Beginning, Hooks, run_checked
from nfanneal.runs.output_lock import Claim, claim
from nfanneal.runs.remarks import remarks
from nfanneal.runs.settings import Settings
from nfanneal.runs.signals import Duties, Reason, Stopped, Watch
from nfanneal.runtime.leaving import leave as leave_workers
from nfanneal.spec.checked import CheckedSpec

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Where a run writes, whether it goes on from a checkpoint, and for how long it may run.

    `rounds` and `target_ess` extend the result that is there.
    `lenient`: start afresh if no checkpoint can be read. `any_code`: go on though the model's code
    is not what it was, if it says the same. `go_on` is the command that resumes.
    """

    output: Path
    resume: bool = False
    rounds: int = 0
    target_ess: float | None = None
    lenient: bool = False
    any_code: bool = False
    threads: int | None = None
    workers: Workers | None = None
    memory: int | None = None
    max_seconds: float | None = None
    command: str = ""
    go_on: str = ""

    @property
    def extends(self) -> bool:
        """Whether more is asked for than a run."""
        return bool(self.rounds or self.target_ess)


def run_kept(checked: CheckedSpec, plan: Plan, observe: Observer, say: Say) -> Result:
    """Run, write the result to the plan's output, and keep checkpoints until that is done.

    Raises:
        Stopped: by a signal or the time limit; what to go on from has been written and said.
        ResultError: another run writes there, or the checkpoint is of another problem.
        OutputError: the result cannot be written.
    """
    with _claimed(plan.output, say) as held, ExitStack() as kept:
        if plan.resume:
            remove_halves(plan.output)
        else:
            remove_checkpoints(plan.output)
        keeper, answers = Keeper(plan.output, held), kept.enter_context(AnswerLog(plan.output))

        def ready(checked: CheckedSpec, problem: Problem) -> None:
            if not isinstance(problem.executor, Pooled):
                return
            about = run_identity(checked, problem)
            known = answers.begin(problem.executor.memory, about, plan.any_code)
            if known:
                say(f"going on with {known:,} answers of the model")
                refuse_another_model(problem)

        def begin(checked: CheckedSpec, problem: Problem, settings: Settings) -> Beginning:
            about = run_identity(checked, problem)  # first: a model may change the folder
            if plan.resume and has_checkpoint(plan.output):
                checkpoint, earlier = _resumed(plan, about, problem, say)
            elif plan.extends:
                checkpoint, earlier = _extension(plan, about, problem, settings, say)
            else:
                checkpoint, earlier = None, None
            journal = Journal(checkpoint)
            keeper.begin(journal, about, _said(earlier))
            for remark in remarks(problem):
                say(f"Note: {remark}")
            if isinstance(problem.executor, Pooled) and (odd := whim(problem, probes(problem))):
                say(f"Warning: {odd}")
            return journal, earlier

        def leave(reason: Reason) -> None:
            _part(keeper, plan, say)
            put_all_away()
            leave_workers()
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
                    with_preset(checked, _preset_before(plan)),
                    threads=plan.threads,
                    workers=plan.workers or _workers_before(plan),
                    memory=plan.memory,
                    command=plan.command,
                    observe=watch.guarded(observe),
                    hooks=Hooks(ready, begin, answers.choose, say),
                )
            except Stopped:
                _part(keeper, plan, say)
                raise
            watch.finish()
            answers.close()
            try:
                keeper.finish(result)
            except OutputError as error:
                raise OutputError(_unwritten(error, plan)) from error
        return result


def _workers_before(plan: Plan) -> Workers | None:
    """Workers, if a run is gone on with that had some: its answers tell of them."""
    return Workers() if plan.resume and answers_path(plan.output).exists() else None


def _preset_before(plan: Plan) -> str | None:
    """The preset of what is gone on from, which may have been chosen by what a call took then."""
    if plan.resume and has_checkpoint(plan.output):
        try:
            found = latest_checkpoint(plan.output)[0].layout["spec"].get("anneal.preset")
        except ResultError:  # it is told of later
            return None
        return str(found) if found else None
    if plan.resume:
        return chosen_before(plan.output)
    if plan.extends:
        return preset_of(store.read(plan.output))
    return None


@contextmanager
def _claimed(output: Path, say: Say) -> Iterator[Claim]:
    held = claim(output, say)
    try:
        yield held
    finally:
        held.release()


def _resumed(
    plan: Plan, about: Identity, problem: Problem, say: Say
) -> tuple[Checkpoint | None, Earlier | None]:
    """The newest checkpoint, and the result that it goes on from, if it does."""
    try:
        plain, complaints = latest_checkpoint(plan.output)
    except ResultError as error:
        if not plan.lenient:
            raise ResultError(f"{error}\nstart afresh with --force") from error
        say(f"Warning: {error}\nstarting afresh")
        return None, None
    for complaint in complaints:
        say(f"Warning: {complaint}; going on from the checkpoint before it")
    checkpoint = resumed_checkpoint(plain, about, plan.any_code)
    if plan.any_code:
        checkpoint = _of_any_code(checkpoint, problem, say)
    earlier = _earlier(plan, plain.layout["extension"])
    for change in changed_settings(plain, about):
        say(f"changed: {change}")
    say(f"going on {_place(checkpoint)}, after {checkpoint.seconds:.0f} s")
    return checkpoint, earlier


def _of_any_code(checkpoint: Checkpoint, problem: Problem, say: Say) -> Checkpoint:
    """The checkpoint, if the model says now at its heaviest points what it said before.

    Before the first level has ended there are none: all is asked again.
    """
    if not checkpoint.snapshot.state.pool.generations:
        return replace(checkpoint, answers=())
    last = checkpoint.snapshot.state.pool.generations[-1]
    heaviest = np.argsort(-last.log_likelihood, kind="stable")[:ASKED]
    refuse_other_answers(problem, last.z[heaviest], last.log_likelihood[heaviest])
    say(
        f"the model's code may have changed: it says the same of {len(heaviest)} points as before; "
        "everything that it said of others before is taken for right"
    )
    return checkpoint


def _earlier(plan: Plan, extension: Extension | None) -> Earlier | None:
    """The result that the checkpoint of an extension started from.

    Raises:
        ResultError: it is another one now, or something else was asked for.
    """
    asked = (plan.rounds, plan.target_ess)
    if extension is None:
        if plan.extends:
            raise ResultError(
                f"{checkpoint_path(plan.output)}: this run has not finished: --resume it "
                "first, without --more-rounds and --target-ess"
            )
        return None
    earlier = Earlier(store.read(plan.output), extension["rounds"], extension["target_ess"])
    if plan.extends and asked != (earlier.rounds, earlier.target_ess):
        raise ResultError(
            f"{checkpoint_path(plan.output)}: was stopped with --more-rounds "
            f"{earlier.rounds} and --target-ess {earlier.target_ess or 0:g}: --resume that first"
        )
    if _said(earlier) != extension:
        raise ResultError(f"{plan.output}: is not the result that the checkpoint goes on from")
    return earlier


def _said(earlier: Earlier | None) -> Extension | None:
    """An extension as plain data, with what tells one result from another."""
    if earlier is None:
        return None
    d = earlier.result.diagnostics
    return {"rounds": earlier.rounds, "target_ess": earlier.target_ess,
            "of": [d.log_evidence, d.ess, d.n_samples]}  # fmt: skip


def _extension(
    plan: Plan, about: Identity, problem: Problem, settings: Settings, say: Say
) -> tuple[Checkpoint, Earlier]:
    """Go on from the result that is there."""
    result = store.read(plan.output)
    refuse_other("the result", result_identity(result), about, EXTENDING)
    checkpoint = extended_checkpoint(result, problem, settings)
    d = result.diagnostics
    say(f"going on from {plan.output}: {d.ess:.0f} of {d.n_samples} draws are effective")
    return checkpoint, Earlier(result, plan.rounds, plan.target_ess)


def _place(checkpoint: Checkpoint) -> str:
    state = checkpoint.snapshot.state
    return f"at level {state.level} (inverse temperature {state.beta:.3g})"


def _part(keeper: Keeper, plan: Plan, say: Say) -> None:
    """Keep what there is and say how to go on."""
    path = checkpoint_path(plan.output)
    try:
        checkpoint = keeper.keep()
    except OutputError as error:
        raise OutputError(_unwritten(error, plan)) from error
    if checkpoint is not None:
        say(f"checkpoint {_place(checkpoint)} written to {path}; go on with:\n  {plan.go_on}")
    elif is_checkpointed(plan.output):
        say(f"stopped; the checkpoint {path} is as it was; go on with:\n  {plan.go_on}")
    else:
        more = "" if plan.max_seconds is None else "; it needs more than this --max-time to get on"
        say(f"stopped before there was anything to keep; the same command starts again{more}")


def _unwritten(error: OutputError, plan: Plan) -> str:
    """What could not be written, and what is left."""
    lines = [str(error), *getattr(error, "__notes__", ())]
    if is_checkpointed(plan.output):
        path = checkpoint_path(plan.output)
        lines.append(
            f"the last checkpoint is {path}; once that is mended, go on with:\n  {plan.go_on}"
        )
    else:
        lines.append("no checkpoint is there: the run has to be started again")
    return "\n".join(lines)
