"""What a call of the model costs, and what follows: where it is dear, few calls are made."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors import Pooled
from nfanneal.model.problem import Problem
from nfanneal.results.result import Result
from nfanneal.runs.consistency import probes
from nfanneal.spec.annealing import AnnealSpec
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import spec_from_text

DEAR = 2e-3
"""Seconds of a draw, with all workers at work, from which on calls are spared: the usual way makes

some hundred thousand of them, and spares seconds of training."""
FRUGAL, USUAL = "frugal", "usual"
TOGETHER = 64
"""So many draws at once tell what one of them costs a function of arrays."""


@dataclass(frozen=True)
class Cost:
    """Seconds of a call for one draw, the median and the worst, and of a draw with all workers."""

    median: float
    worst: float
    draw: float

    @property
    def dear(self) -> bool:
        """Whether calls are to be spared."""
        return self.draw > DEAR


def measured(problem: Problem) -> Cost:
    """What a call costs, from a few at draws of the prior; what is needed first is made before."""
    theta = problem.latent.from_latent(probes(problem))
    _seconds(problem, theta[:1])
    alone = [_seconds(problem, row[None]) for row in theta[1:]]
    median, worst = statistics.median(alone), max(alone)
    executor = problem.executor
    if isinstance(executor, Pooled):
        return Cost(median, worst, median / executor.pool.count)
    draw = _seconds(problem, theta) / len(theta)
    if draw > DEAR:
        many = np.repeat(theta, -(-TOGETHER // len(theta)), axis=0)[: min(TOGETHER, problem.chunk)]
        draw = min(draw, _seconds(problem, many) / len(many))
    return Cost(median, worst, draw)


def _seconds(problem: Problem, theta: Array) -> float:
    start = time.perf_counter()
    problem.ask(LogLikelihood(), theta)
    return time.perf_counter() - start


def by_cost(checked: CheckedSpec, problem: Problem, say: Callable[[str], None]) -> CheckedSpec:
    """The spec with the preset that suits what a call costs; as it is if it names one.

    The choice becomes a part of the spec, so that a run that goes on, or is repeated, keeps to it.
    """
    dear = isinstance(problem.executor, Pooled)  # others are not asked one by one
    if checked.spec.anneal.preset is not None or not dear:
        return checked
    cost = measured(problem)
    if not cost.dear:
        return with_preset(checked, USUAL)
    say(
        f"Note: a call of the model takes {cost.median:.2g} s: anneal.preset: {FRUGAL} is taken, "
        "which makes few of them (anneal.preset: usual would not)"
    )
    return with_preset(checked, FRUGAL)


def preset_of(result: Result) -> str | None:
    """The preset that a result was made with, which its spec says."""
    return spec_from_text(result.spec_yaml).spec.anneal.preset


def with_preset(checked: CheckedSpec, preset: str | None) -> CheckedSpec:
    """The spec with a preset, under what it says itself."""
    if preset is None or checked.spec.anneal.preset is not None:
        return checked
    said = checked.spec.anneal.model_dump(exclude_unset=True, exclude_none=True)
    annealing = AnnealSpec.model_validate({**said, "preset": preset})
    return replace(checked, spec=checked.spec.model_copy(update={"anneal": annealing}))
