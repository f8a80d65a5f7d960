"""What a call of the model costs, and what follows: where it is dear, few calls are made."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

from nfanneal.model.calls import Duration
from nfanneal.model.executors import Pooled
from nfanneal.model.problem import Problem
from nfanneal.results.result import Result
from nfanneal.runs.consistency import anew, probes
from nfanneal.spec.annealing import AnnealSpec
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import spec_from_text

DEAR = 2e-3
"""Seconds of a call from which on calls are spared: the usual way makes some hundred thousand of

them, and spares seconds of training. How many workers share them does not count: the same bits are
to come from any number."""
SURELY = 10.0
"""A call that seems dear, but not so many times over, is timed once more: others may be at work."""
FRUGAL, USUAL = "frugal", "usual"


@dataclass(frozen=True)
class Cost:
    """Seconds of a call for one draw where the model is: the median and the worst."""

    median: float
    worst: float

    @property
    def dear(self) -> bool:
        """Whether calls are to be spared."""
        return self.median > DEAR


def measured(problem: Problem) -> Cost:
    """What a call costs, from a few at draws of the prior; what is needed first is made before."""
    theta, again = problem.latent.from_latent(probes(problem)), anew(problem)

    def asked(again: int) -> list[float]:
        question = Duration(again=again)
        return [float(problem.ask(question, row[None]).seconds[0]) for row in theta][1:]

    seconds = asked(again)
    if DEAR < statistics.median(seconds) < SURELY * DEAR:
        seconds = [min(pair) for pair in zip(seconds, asked(again + 1), strict=True)]
    return Cost(statistics.median(seconds), max(seconds))


def cost_that_decides(checked: CheckedSpec, problem: Problem) -> Cost | None:
    """What a call costs, if that chooses the preset: not where the spec names one.

    Functions that this process calls are not timed: they are asked about many draws at once.
    """
    if checked.spec.anneal.preset is not None or not isinstance(problem.executor, Pooled):
        return None
    return measured(problem)


def by_cost(checked: CheckedSpec, cost: Cost | None, say: Callable[[str], None]) -> CheckedSpec:
    """The spec with the preset that suits what a call costs, if that decides.

    The choice becomes a part of the spec, so that a run that goes on, or is repeated, keeps to it.
    """
    if cost is None:
        return checked
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
