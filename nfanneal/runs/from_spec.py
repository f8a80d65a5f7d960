"""From a checked spec to a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nfanneal.anneal.journal import Journal
from nfanneal.anneal.progress import Observer
from nfanneal.model.executors import Pooled
from nfanneal.model.executors.choice import Workers
from nfanneal.model.problem import Problem
from nfanneal.results.result import Result
from nfanneal.runs.cost import USUAL, by_cost, cost_that_decides
from nfanneal.runs.estimate import estimate
from nfanneal.runs.extension import Earlier
from nfanneal.runs.forecast import expected, speed_of
from nfanneal.runs.settings import Settings, build_settings
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.checked import CheckedSpec

Beginning = tuple[Journal, Earlier | None]


@dataclass(frozen=True)
class Hooks:
    """What happens on the way of a run to those who keep it.

    `ready` hears of the problem before its model is asked; `begin` gives the journal that is kept,
    or gone on from, and the result that is extended, of the spec with what was chosen by the
    model's cost; `chosen` hears of that preset; `say` tells the user.
    """

    ready: Callable[[CheckedSpec, Problem], None] = lambda checked, problem: None
    begin: Callable[[CheckedSpec, Problem, Settings], Beginning] = (
        lambda checked, problem, settings: (Journal(), None)
    )
    chosen: Callable[[str], None] = lambda preset: None
    say: Callable[[str], None] = lambda text: None


def run_checked(
    checked: CheckedSpec,
    *,
    threads: int | None = None,
    memory: int | None = None,
    workers: Workers | None = None,
    command: str = "",
    observe: Observer = lambda event: None,
    hooks: Hooks = Hooks(),
) -> Result:
    """Estimate from a checked spec; `command` is only recorded, `workers` ask the model."""
    set_threads(threads)
    folder = checked.folder.absolute()
    problem = build_problem(checked, memory=memory, workers=workers)
    checked = replace(checked, folder=folder)  # a model may go to another one when it is asked
    hooks.ready(checked, problem)
    cost = cost_that_decides(checked, problem)
    checked = by_cost(checked, cost, hooks.say)
    preset = checked.spec.anneal.preset or USUAL
    hooks.chosen(preset)
    settings = build_settings(checked, problem)
    journal, earlier = hooks.begin(checked, problem, settings)
    if journal.snapshot is None and (cost is not None or not isinstance(problem.executor, Pooled)):
        observe(expected(problem, preset, speed_of(problem, cost)))
    return estimate(
        problem,
        settings,
        checked.yaml,
        command=command,
        observe=observe,
        journal=journal,
        earlier=earlier,
    )
