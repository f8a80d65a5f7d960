"""What a trajectory costs: nfanneal's solver and others on the same systems, one by one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from nfanneal.arrays import Array
from nfanneal.bench.samplers.meter import quiet
from nfanneal.bench.samplers.results import Outcome
from nfanneal.bench.solvers.solvers import (
    SOLVERS,
    Batch,
    Solver,
    own_batch,
    own_gradient,
    own_values,
)
from nfanneal.bench.solvers.systems import SYSTEMS, KnownSystem
from nfanneal.bench.solvers.truth import true_sensitivities

OWN = "nfanneal"
OWN_ROWS = 4096
"""Trajectories that nfanneal solves at once."""
STIFF_ROWS = 16
"""Trajectories of a stiff system that a peer solves at once."""
REPEATS = 5
ENOUGH_SECONDS = 2.0
"""A call that takes as long is not repeated."""
MICRO = 1e6


@dataclass(frozen=True)
class Cost:
    """One solver on one system, near the mode: microseconds of CPU time per trajectory.

    `error` is the largest at the mode, in tolerances atol + rtol·max|h|; `gradient_error` that of
    ∂S/∂θ over its largest entry. nan where there is none, and `message` says why.
    """

    system: str
    solver: str
    outcome: Outcome
    message: str = ""
    value: float = math.nan
    gradient: float = math.nan
    error: float = math.nan
    gradient_error: float = math.nan


@dataclass(frozen=True)
class Throughput:
    """nfanneal's own gradients: CPU time on prior draws over that near the mode (microseconds),

    the share of prior draws that failed, and the wall time on one thread over that on all."""

    system: str
    near_mode: float
    prior: float
    failed: float
    speedup: float


def costs(only: Sequence[str], against: Sequence[str], threads: int) -> Iterator[Cost]:
    """nfanneal first, then the peers, on each system."""
    for name in only:
        task = _Task.of(name)
        yield task.cost(OWN, partial(own_batch, task.known, task.weights, threads), OWN_ROWS)
        for peer in against:
            yield _cost_of_peer(task, peer, SOLVERS[peer], threads)


def throughput(name: str, threads: int) -> Throughput:
    """Prior draws against draws near the mode, and one thread against `threads`."""
    known, rng = SYSTEMS[name], np.random.default_rng(0)
    weights = np.ones((len(known.times), len(known.system.observables)))
    one, many = (own_gradient(known, weights, count) for count in (1, threads))
    near, prior = known.near_mode(OWN_ROWS, rng), known.from_prior(OWN_ROWS, rng)
    values = own_values(known, threads)(prior)
    one(prior)  # where it meets stiffness first, another kernel is compiled
    alone, together = (_seconds(partial(solve, near), time.perf_counter) for solve in (one, many))
    return Throughput(
        name,
        near_mode=MICRO * _seconds(partial(one, near)) / len(near),
        prior=MICRO * _seconds(partial(one, prior)) / len(prior),
        failed=float(np.isnan(values).any(axis=(1, 2)).mean()),
        speedup=alone / together,
    )


@dataclass(frozen=True)
class _Task:
    """A system with the truth at its mode: observables (m, k), ∂S/∂θ (p,) for weights (m, k)."""

    name: str
    known: KnownSystem
    weights: Array
    values: Array
    gradient: Array

    @classmethod
    def of(cls, name: str) -> _Task:
        known = SYSTEMS[name]
        values, slopes = true_sensitivities(known, known.mode)
        scale = np.abs(values).max(axis=0)
        weights = np.random.default_rng(0).standard_normal(values.shape) / scale
        return cls(name, known, weights, values, np.einsum("mk,mkp->p", weights, slopes))

    def cost(self, solver: str, prepare: Callable[[], Batch], rows: int) -> Cost:
        """Compile, then solve draws near the mode again and again."""
        theta = self.known.near_mode(rows, np.random.default_rng(1))
        try:
            with quiet():
                batch = prepare()
                value, found = _timed(batch.values, theta)
                slope, slopes = (
                    _timed(batch.gradient, theta) if batch.gradient else (math.nan, None)
                )
        except Exception as error:  # whatever a peer raises is its row
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            return Cost(self.name, solver, Outcome.FAILED, told[:200])
        allowed = self.known.atol + self.known.rtol * np.abs(self.values).max(axis=0)
        off = math.nan if slopes is None else float(np.abs(slopes[0] - self.gradient).max())
        return Cost(
            self.name,
            solver,
            Outcome.DONE,
            value=MICRO * value / rows,
            gradient=MICRO * slope / rows,
            error=float((np.abs(found[0] - self.values) / allowed).max()),
            gradient_error=off / float(np.abs(self.gradient).max()),
        )


def _cost_of_peer(task: _Task, name: str, solver: Solver, threads: int) -> Cost:
    if not solver.installed:
        told = f"pip install {solver.distribution}"
        return Cost(task.name, name, Outcome.NOT_INSTALLED, told)
    if solver.explicit and task.known.stiff:
        return Cost(task.name, name, Outcome.NOT_SUITED, "its method is explicit")
    rows = min(solver.rows, STIFF_ROWS) if task.known.stiff else solver.rows
    return task.cost(name, partial(solver.prepare, task.known, task.weights, threads), rows)


def _timed(solve: Callable[[Array], Array], theta: Array) -> tuple[float, Array]:
    """CPU seconds of a call, the first left out, which may compile; and what it returned."""
    found = solve(theta)
    return _seconds(partial(solve, theta)), found


def _seconds(call: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """The median over calls; long ones are made once."""
    seen: list[float] = []
    while len(seen) < REPEATS and sum(seen) < ENOUGH_SECONDS:
        start = clock()
        call()
        seen.append(clock() - start)
    return median(seen)
