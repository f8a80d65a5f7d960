"""From a checked spec to a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nfanneal.anneal.journal import Journal
from nfanneal.anneal.progress import Observer
from nfanneal.model.executors.choice import Workers
from nfanneal.model.problem import Problem
from nfanneal.results.result import Result
from nfanneal.runs.cost import by_cost
from nfanneal.runs.estimate import estimate
from nfanneal.runs.extension import Earlier
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
    checked = by_cost(checked, problem, hooks.say)
    hooks.chosen(checked.spec.anneal.preset or "usual")
    settings = build_settings(checked, problem)
    journal, earlier = hooks.begin(checked, problem, settings)
    return estimate(
        problem,
        settings,
        checked.yaml,
        command=command,
        observe=observe,
        journal=journal,
        earlier=earlier,
    )
