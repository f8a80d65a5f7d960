"""About how many evaluations and seconds a run takes, before it begins.

Nobody can know how hard a posterior is: what is told is the middle of what runs of the kind took,
which spread by a factor of three either way and more where modes have to be found. The numbers are
of the problems in the guide's tables, of ODEs and of Python models.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from nfanneal.anneal.contest import untrained
from nfanneal.anneal.progress import Expected
from nfanneal.anneal.settings import default_flow_settings
from nfanneal.arrays import Array
from nfanneal.model.executors import Pooled
from nfanneal.model.problem import Problem
from nfanneal.runs.cost import Cost

TIMED = 512
"""Draws of the prior that are timed."""
FEWEST_AGAIN = 16
"""So many of them at least once more: the first time some solver may have been compiled for them,

or a model may have set itself up."""
OF_ALL = 16_000.0
POWER = 1.2
"""Evaluations of a usual run where fits lead searches: OF_ALL·d^POWER of d dimensions."""
WITHOUT_FITS = 40_000.0
"""So many more where there are none: more of the prior is looked at."""
QUICK, FRUGAL, THOROUGH = 40_000.0, 3_000.0, 6.0
"""Evaluations of a quick run; of a frugal one, times d; of a thorough one, times the usual."""
STEP = 5e-3
"""Seconds that a pass over a flow takes where what follows was measured."""
OWN, OF_A_DIMENSION, GROWTH = 5.0, 1.2, 0.8
"""Seconds of a quick run beside its evaluations; they grow more slowly than these."""
PRESETS = ("quick", "usual", "thorough", "frugal")


@dataclass(frozen=True)
class Speed:
    """Evaluations a second, by all workers together, and seconds of a pass over a flow."""

    evaluations: float
    step: float


def speed_of(problem: Problem, cost: Cost | None = None) -> Speed:
    """How fast a model answers, and how fast flows are here; `cost` is a call's, if it is known."""
    return Speed(_rate(problem, cost), _step(problem.latent.dimension))


def expected(problem: Problem, preset: str, speed: Speed) -> Expected:
    """What a run of a preset takes, by the dimension and by how fast its model is."""
    d = problem.latent.dimension
    usual = OF_ALL * d**POWER + (0.0 if problem.likelihood.has_information else WITHOUT_FITS)
    evaluations = {
        "quick": min(QUICK, usual),
        "frugal": FRUGAL * d,
        "thorough": THOROUGH * usual,
    }.get(preset, usual)
    beside = (OWN + OF_A_DIMENSION * d) * max(evaluations / QUICK, 1.0) ** GROWTH
    seconds = evaluations / speed.evaluations + beside * speed.step / STEP
    return Expected(round(evaluations), seconds)


def _rate(problem: Problem, cost: Cost | None) -> float:
    if cost is not None and isinstance(problem.executor, Pooled):
        return problem.executor.pool.count / max(cost.median, 1e-9)
    n = min(TIMED, problem.chunk)
    z = np.random.default_rng(1).standard_normal((n, problem.latent.dimension))
    first = _seconds_of(problem, z)
    again = z[: min(max(int(n / max(first, 1e-9)), FEWEST_AGAIN), n)]  # a second's, by the first
    second = _seconds_of(problem, again)
    return max(n / first, len(again) / second)


def _seconds_of(problem: Problem, z: Array) -> float:
    start = time.perf_counter()
    problem.evaluate(z, False)
    return max(time.perf_counter() - start, 1e-9)


def _step(dimension: int) -> float:
    """Seconds of a flow's density at a batch of points, the best of three."""
    proposal = untrained(dimension, default_flow_settings(dimension), seed=0).newest[0]
    z = np.random.default_rng(2).standard_normal((TIMED, dimension))
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        with torch.no_grad():
            proposal.log_density(z)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
