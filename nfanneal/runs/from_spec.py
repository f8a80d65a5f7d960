"""From a checked spec to a result."""

from __future__ import annotations

from collections.abc import Callable

from nfanneal.anneal.journal import Journal
from nfanneal.anneal.progress import Observer
from nfanneal.model.executors.choice import Workers
from nfanneal.model.problem import Problem
from nfanneal.results.result import Result
from nfanneal.runs.estimate import estimate
from nfanneal.runs.extension import Earlier
from nfanneal.runs.settings import Settings, build_settings
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.checked import CheckedSpec

Beginning = tuple[Journal, Earlier | None]


def run_checked(
    checked: CheckedSpec,
    *,
    threads: int | None = None,
    memory: int | None = None,
    workers: Workers | None = None,
    command: str = "",
    observe: Observer = lambda event: None,
    begin: Callable[[Problem, Settings], Beginning] = lambda problem, settings: (Journal(), None),
) -> Result:
    """Estimate from a checked spec; `command` is only recorded, `workers` ask the model.

    `begin` gives the journal that is kept, or gone on from, and the result that is extended.
    """
    set_threads(threads)
    problem = build_problem(checked, memory=memory, workers=workers)
    settings = build_settings(checked, problem)
    journal, earlier = begin(problem, settings)
    return estimate(
        problem,
        settings,
        checked.yaml,
        command=command,
        observe=observe,
        journal=journal,
        earlier=earlier,
    )
