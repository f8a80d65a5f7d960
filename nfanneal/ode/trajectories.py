"""Batches of trajectories: rows of θ over threads, a status for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nfanneal.compiled import load_module
from nfanneal.errors import ModelError
from nfanneal.ode.kernels import kernel_source
from nfanneal.ode.system import OdeSystem, SolverSettings, Status
from nfanneal.threads import over_threads

Array = NDArray[np.float64]

ROWS = 64
"""Rows per task: small enough that a few slow trajectories do not keep a thread waiting."""


@dataclass(frozen=True)
class Trajectories:
    """Observables (n, m, k) at m times, their derivatives (n, m, k, p), status and steps (n,).

    Where the status is not OK, both are nan. Steps and status are the same with sensitivities and
    without; values agree to rounding. Where sensitivities overflow although the trajectory itself
    does not, all of that row's are 0 and it is `overflowed`: no direction is known, and the value
    stands.
    """

    observables: Array
    sensitivities: Array | None
    status: NDArray[np.int64]
    steps: NDArray[np.int64]
    overflowed: NDArray[np.bool_]


@dataclass(frozen=True)
class CompiledSystem:
    """A system and its solvers, without sensitivities and with, each compiled when first used."""

    system: OdeSystem

    @cached_property
    def _of_values(self) -> Callable[..., None]:
        return _solver(self.system, gradient=False)

    @cached_property
    def _of_slopes(self) -> Callable[..., None]:
        return _solver(self.system, gradient=True)

    def __reduce__(self) -> tuple[Callable[[OdeSystem], CompiledSystem], tuple[OdeSystem]]:
        """Machine code stays here: another process compiles, or loads, its own."""
        return compile_system, (self.system,)

    def solve(
        self,
        theta: Array,
        times: Array,
        settings: SolverSettings,
        *,
        sensitivities: bool,
        threads: int | None = None,
    ) -> Trajectories:
        """Solve one trajectory per row of θ (n, p), with outputs at increasing `times` (m,).

        Results do not depend on the number of threads.

        Raises:
            ModelError: θ or the times have the wrong shape, the times do not increase, or an
                output lies before `settings.start`.
        """
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        times = np.ascontiguousarray(times, dtype=np.float64)
        k, p = len(self.system.observables), len(self.system.parameters)
        if theta.ndim != 2 or theta.shape[1] != p:
            raise ModelError(f"theta must have shape (n, {p}), not {theta.shape}")
        _check_times(times, settings.start)
        n, m = len(theta), len(times)
        kernel = self._of_slopes if sensitivities else self._of_values
        values, slopes = np.empty((n, m, k)), np.empty((n if sensitivities else 0, m, k, p))
        status, steps = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)

        def solve_rows(first: int) -> None:
            rows = slice(first, min(first + ROWS, n))
            kernel(
                theta[rows], times, settings.start, settings.rtol, settings.atol,
                settings.max_steps, values[rows], slopes[rows], status[rows], steps[rows],
            )  # fmt: skip

        over_threads(solve_rows, range(0, n, ROWS), threads)
        failed = status != Status.OK
        values[failed] = np.nan
        overflowed = np.zeros(n, dtype=bool)
        if sensitivities:
            overflowed = ~np.isfinite(slopes).all(axis=(1, 2, 3)) & ~failed
            slopes[overflowed] = 0.0
            slopes[failed] = np.nan
        return Trajectories(values, slopes if sensitivities else None, status, steps, overflowed)


def _check_times(times: Array, start: float) -> None:
    if times.ndim != 1:
        raise ModelError(f"output times must have shape (m,), not {times.shape}")
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise ModelError("output times must be finite and increase strictly")
    if len(times) and times[0] < start:
        raise ModelError(
            f"the first output time {times[0]:g} lies before the start {start:g}; set model.start"
        )


def _solver(system: OdeSystem, gradient: bool) -> Callable[..., None]:
    module: Any = load_module(
        kernel_source(system, gradient), "the model's gradient" if gradient else "the model"
    )
    solve: Callable[..., None] = module.solve
    return solve


def compile_system(system: OdeSystem) -> CompiledSystem:
    """A system with its compiled solver, from the cache on disk where it is there."""
    compiled = CompiledSystem(system)
    compiled._of_values  # noqa: B018  (the value solver now, so that errors show early)
    return compiled
