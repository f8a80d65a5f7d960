"""A trial of a problem's likelihood on draws from the prior: speed, failures, gradients."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.arrays import Array, Bools
from nfanneal.model.executors import Pooled
from nfanneal.model.problem import Problem
from nfanneal.model.program.processes import running_still
from nfanneal.model.simulator import Outcomes
from nfanneal.runs.consistency import ASKED, whim, whim_of
from nfanneal.runs.cost import Cost, measured
from nfanneal.runs.failures import outcomes_at, reasons_in_words
from nfanneal.runs.forecast import PRESETS, expected, speed_of
from nfanneal.runs.precision import FINER
from nfanneal.runs.remarks import remarks

DRAWS = 2048
PROBE = ASKED
STEP = 1e-4
ROUGH, MANYFOLD = 0.05, 100.0
COARSE, COARSE_SHARE = 0.1, 1e-3
"""What change of log L by a finer solver is too large, beside a share of it: far from the data it
is huge."""
SLOW_SECONDS = 5.0
PARTS = 4


def try_likelihood(problem: Problem, seed: int) -> dict[str, Any]:
    """What `nfanneal check --json` prints; numbers per second are of the whole batch."""
    generator = torch.Generator().manual_seed(seed)
    z = PriorProposal(problem.latent.dimension).draw(2 * DRAWS, generator)
    outcomes_at(problem, z[:PROBE])  # what is compiled when first needed is compiled now
    calls = _calls_of(problem)
    if calls.cost is None:
        problem.evaluate(z[:PROBE], False)
    warm = max(PROBE, min(calls.count, DRAWS))  # all workers have begun then
    _, first = _timed(problem, z[:warm], False)
    n = DRAWS if first * DRAWS / warm < SLOW_SECONDS else max(16 * PROBE, calls.enough)
    z = z[warm : warm + n]  # what has been asked is known
    evaluation, seconds = _timed(problem, z, False)
    rate = n / seconds if calls.cost else max(n / seconds, *_rates(problem, z, False))
    values = evaluation.log_likelihood
    finite = np.isfinite(values)
    slopes: _Slopes | None = None
    gradients, dropped = None, np.zeros(n, dtype=bool)
    told = whim(problem, z[:PROBE])
    if not told and not problem.goes_by_steps:
        told = whim_of(problem, z[:ASKED], values[:ASKED], n)
    warnings = [told] if told else []
    if problem.likelihood.differentiable:
        _timed(problem, z[:PROBE], True)
        sloped, seconds_sloped = _timed(problem, z, True)
        gradients = max(n / seconds_sloped, *_rates(problem, z, True))
        dropped = dropped if sloped.dropped is None else sloped.dropped
        warnings += _dropped_warnings(problem, z, dropped)
        slopes = _slopes(problem, z[finite], values[finite])
        warnings += slopes.warnings if slopes else []
    warnings += _coarseness(problem, z[finite], values[finite])
    if left := running_still():
        warnings.append(
            f"{left} processes of the program run on after it has answered, in groups of their "
            "own: they are not ended"
        )
    outcomes, reasons = outcomes_at(problem, z), dict(evaluation.reasons)
    failing = _failure_warnings(problem, z, evaluation.failed, reasons, outcomes)
    warnings = failing + _zero_warnings(problem, ~finite & ~evaluation.failed) + warnings
    series = problem.data.series if problem.data else ()
    return {
        "parameters": list(problem.latent.column_names),
        "n_data": sum(len(s.values) for s in series),
        "n_draws": n,
        **calls.told(n, seconds),
        "evaluations_per_second": rate,
        "gradients_per_second": gradients,
        "forecast": _forecast(problem, calls, rate),
        "failed_fraction": float(evaluation.failed.mean()),
        "failures": reasons,
        "stiff_fraction": None if outcomes is None else float((outcomes.stiff > 0).mean()),
        "zero_fraction": float((~finite & ~evaluation.failed).mean()),
        "dropped_gradient_fraction": float(dropped.mean()),
        "gradient_difference": slopes.apart if slopes else None,
        "gradient_difference_error": slopes.uncertain if slopes else None,
        "best_log_likelihood": float(values[finite].max()) if finite.any() else None,
        "median_log_likelihood": float(np.median(values[finite])) if finite.any() else None,
        "notes": remarks(problem),
        "warnings": warnings,
    }


@dataclass(frozen=True)
class _Calls:
    """What calls of a model cost that is asked by workers; None for another one."""

    cost: Cost | None = None
    count: int = 1
    workers: str = ""

    @property
    def enough(self) -> int:
        """Draws that keep all workers busy for a while."""
        return min(4 * self.count, DRAWS)

    def told(self, n: int, seconds: float) -> dict[str, Any]:
        """What it is in a report, where n draws took so long."""
        if self.cost is None:
            return {"seconds_per_call": None, "slowest_call": None, "workers": None,
                    "parallel_efficiency": None}  # fmt: skip
        share = n * self.cost.median / (min(self.count, n) * seconds)
        return {
            "seconds_per_call": self.cost.median,
            "slowest_call": self.cost.worst,
            "workers": self.workers,
            "parallel_efficiency": min(share, 1.0),
        }


def _calls_of(problem: Problem) -> _Calls:
    executor = problem.executor
    if not isinstance(executor, Pooled):
        return _Calls()
    pool = executor.pool
    return _Calls(measured(problem), pool.count, pool.in_words)


def _timed(problem: Problem, z: Array, gradient: bool) -> tuple[Any, float]:
    start = time.perf_counter()
    evaluation = problem.evaluate(z, gradient)
    return evaluation, max(time.perf_counter() - start, 1e-9)


def _rates(problem: Problem, z: Array, gradient: bool) -> list[float]:
    """Draws a second of equal parts of z: what else the machine does slows some of them down."""
    parts = np.array_split(z, PARTS)
    return [len(part) / _timed(problem, part, gradient)[1] for part in parts]


def _forecast(problem: Problem, calls: _Calls, rate: float) -> dict[str, dict[str, float]]:
    """About what a run takes, by preset."""
    speed = replace(speed_of(problem, calls.cost), evaluations=rate)
    found = {preset: expected(problem, preset, speed) for preset in PRESETS}
    return {preset: asdict(each) for preset, each in found.items()}


def _failure_warnings(
    problem: Problem,
    z: Array,
    failed: Bools,
    reasons: Mapping[str, int],
    outcomes: Outcomes | None,
) -> list[str]:
    if not failed.any():
        return []
    why = reasons_in_words(reasons)
    first = f"the first failure is at {problem.latent.in_words(z[failed][0])}"
    reached = np.nan if outcomes is None else outcomes.reached[failed][0]
    got = "" if np.isnan(reached) else f"; its trajectory got to the time {reached:g}"
    share = f"the model fails at {failed.mean():.1%} of the prior. {why}".strip()
    return [share, f"{first}{got}"]


def _zero_warnings(problem: Problem, zero: Bools) -> list[str]:
    warnings = []
    if zero.mean() > 0.5:
        warnings.append(
            f"the likelihood is zero at {zero.mean():.1%} of the prior: "
            "check the priors, the noise model and the units of the data"
        )
    if data := problem.data:
        for start, times in zip(data.simulator.starts, data.times, strict=True):
            if math.isinf(start):
                continue
            if len(times) > 1 and times[0] - start > 2.0 * (times[-1] - times[0]):
                warnings.append(
                    f"the data begin at {times[0]:g}, long after model.start = {start:g}; "
                    "is model.start the time of the initial values?"
                )
    return warnings


def _dropped_warnings(problem: Problem, z: Array, dropped: Bools) -> list[str]:
    if not dropped.any():
        return []
    return [
        f"the gradient is not finite at {dropped.mean():.1%} of the prior although the likelihood "
        f"is, first at {problem.latent.in_words(z[dropped][0])}: such gradients are dropped. Look "
        f"for {problem.likelihood.gradient_causes}"
    ]


@dataclass(frozen=True)
class _Slopes:
    """How far a gradient and differences are apart, as a share of it: the worst of good draws.

    And how far differences of two steps are, which is about how good they are themselves.
    """

    apart: float
    uncertain: float

    @property
    def warnings(self) -> list[str]:
        if self.apart < ROUGH:
            return []
        much = f"by {self.apart:.0%}" if self.apart < MANYFOLD else "manifold"
        return [
            f"the gradient differs from finite differences {much} at good draws: an ODE is "
            "solved too roughly there (tighten model.solver.rtol and atol), or jumps under a "
            "condition on a state or an input, or one that turns at no time that can be told "
            "before (where), which no gradient knows; or a torch model leaves autograd (detach, "
            "no_grad, rounding): set model.array: numpy"
        ]


def _slopes(problem: Problem, z: Array, values: Array) -> _Slopes | None:
    """Compare the gradient with central differences at the best draws."""
    best = z[np.argsort(values)[-PROBE:]]
    if not len(best):
        return None
    gradient = problem.evaluate(best, True).gradient
    if gradient is None:
        return None
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(best.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)

    def numeric(step: float) -> Array:
        up = problem.evaluate(best + step * direction, False).log_likelihood
        down = problem.evaluate(best - step * direction, False).log_likelihood
        return (up - down) / (2.0 * step)

    exact = np.einsum("ij,ij->i", gradient, direction)
    scale = np.linalg.norm(gradient, axis=1) + 1.0
    fine, coarse = numeric(STEP), numeric(2.0 * STEP)
    with np.errstate(invalid="ignore"):
        apart, uncertain = np.abs(fine - exact) / scale, np.abs(fine - coarse) / scale
    if not np.isfinite(apart).any():
        return None
    worst = int(np.nanargmax(apart))
    return _Slopes(float(apart[worst]), float(np.nan_to_num(uncertain[worst], nan=math.inf)))


def _coarseness(problem: Problem, z: Array, values: Array) -> list[str]:
    """Compare the best draws of a model that goes by steps with those of far smaller tolerances."""
    data, best = problem.data, np.argsort(values)[-PROBE:]
    if data is None or not data.simulator.by_steps or not len(best):
        return []
    other = problem.precise(FINER).evaluate(z[best], False).log_likelihood
    found = np.isfinite(other)
    change = np.abs(other - values[best])[found]
    if not len(change) or np.median(change - COARSE_SHARE * np.abs(other[found])) < COARSE:
        return []
    return [
        f"the log-likelihood of good draws changes by {np.median(change):.2g} where the solver is "
        f"{FINER:g} times as precise: tighten model.solver.rtol and atol"
    ]
