"""Batches of trajectories: rows of θ over threads, a status for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nfanneal.arrays import Array, Bools
from nfanneal.errors import ModelError
from nfanneal.model.ode.codegen.explicit import explicit_source
from nfanneal.model.ode.codegen.stiff import stiff_source
from nfanneal.model.ode.solver.constants import (
    FOR_EXPLICIT,
    FOR_STIFF,
    PROGRESS,
    RUN,
    STIFF_TRIED,
    TIME,
    TRIED,
)
from nfanneal.model.ode.system import OdeSystem, SolverSettings, Status, with_stops
from nfanneal.runtime.kernel_cache import load_module
from nfanneal.runtime.threads import over_rows

LINE = 8
"""Numbers in a line of the processor's cache."""
_COMPILING = RLock()
"""One thread compiles; others that need the same solver meanwhile wait for it."""


@dataclass(frozen=True)
class Trajectories:
    """Observables (n, m, k) at m times, their derivatives (n, m, k, p), status and steps (n,).

    Where the status is not OK, both are nan. Steps and status are the same with sensitivities and
    without; values agree to rounding. Where sensitivities overflow although the trajectory itself
    does not, all of that row's are 0 and it is `overflowed`: no direction is known, and the value
    stands. `reached` (n,) is the time at which a trajectory ended, `stiff` (n,) the share of its
    steps that the stiff solver took.
    """

    observables: Array
    sensitivities: Array | None
    status: NDArray[np.int64]
    steps: NDArray[np.int64]
    overflowed: Bools
    reached: Array
    stiff: Array


@dataclass(frozen=True)
class _Kernel:
    """A compiled solver, how many numbers it keeps of a trajectory for the other one, and how many

    it works with; trajectories abreast."""

    solve: Callable[..., None]
    held: int
    size: int
    lanes: int


@dataclass(frozen=True)
class CompiledSystem:
    """A system and its solvers; where no trajectory is stiff, that for these is never compiled."""

    system: OdeSystem

    @cached_property
    def _stopping(self) -> OdeSystem:
        return with_stops(self.system)

    @cached_property
    def _explicit(self) -> _Kernel:
        return _load(explicit_source(self._stopping), "the model")

    @cached_property
    def _stiff(self) -> _Kernel:
        return _load(stiff_source(self._stopping), "the model's stiff solver")

    def _kernel(self, code: int) -> _Kernel:
        """The solver for trajectories that wait for it with this code."""
        with _COMPILING:
            return self._stiff if code == FOR_STIFF else self._explicit

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

        The last may be infinite in an endless system: that of the steady state that the trajectory
        leads to. Results do not depend on the number of threads.

        Raises:
            ModelError: θ or the times have the wrong shape, the times do not increase, or an
                output lies before `settings.start`, or at infinity in a system that ends.
        """
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        times = np.ascontiguousarray(times, dtype=np.float64)
        k, p = len(self.system.observables), len(self.system.parameters)
        if theta.ndim != 2 or theta.shape[1] != p:
            raise ModelError(f"theta must have shape (n, {p}), not {theta.shape}")
        _check_times(times, settings.start, self.system.timetable.endless)
        n, m = len(theta), len(times)
        values, slopes = np.empty((n, m, k)), np.empty((n if sensitivities else 0, m, k, p))
        status = np.full(n, FOR_STIFF if settings.method == "stiff" else FOR_EXPLICIT)
        progress = np.full((n, PROGRESS), -1.0)
        overflowed = np.zeros(n, dtype=bool)

        def solve_rows(rows: slice) -> None:
            self._solve_rows(
                theta[rows], times, settings, values[rows], slopes[rows], status[rows],
                progress[rows],
            )  # fmt: skip
            failed = status[rows] != Status.OK
            values[rows][failed] = np.nan
            if sensitivities:
                overflowed[rows] = _without_overflow(slopes[rows], failed)

        over_rows(solve_rows, n, m * k * (p if sensitivities else 1), threads)
        steps = progress[:, TRIED].astype(np.int64)
        return Trajectories(
            values, slopes if sensitivities else None, status, steps, overflowed,
            progress[:, TIME].copy(), progress[:, STIFF_TRIED] / np.maximum(steps, 1),
        )  # fmt: skip

    def states_at(self, theta: Array, time: float, settings: SolverSettings) -> Array:
        """The states (n, N) of θ (n, p) at a time after the start; nan where a trajectory fails.

        What happens at that time itself has not happened yet.
        """
        n, k = len(theta), len(self.system.observables)
        theta, times = np.ascontiguousarray(theta, dtype=np.float64), np.array([time])
        values, slopes = np.empty((n, 1, k)), np.empty((0, 1, k, theta.shape[1]))
        status = np.full(n, FOR_STIFF if settings.method == "stiff" else FOR_EXPLICIT)
        progress = np.full((n, PROGRESS), -1.0)
        held = self._solve_rows(theta, times, settings, values, slopes, status, progress)
        states = held[:, : len(self.system.states)]
        return np.where((status == Status.OK)[:, None], states, np.nan)

    def _solve_rows(
        self,
        theta: Array,
        times: Array,
        settings: SolverSettings,
        values: Array,
        slopes: Array,
        status: NDArray[np.int64],
        progress: Array,
    ) -> Array:
        """Solve rows until none waits for either solver; they hand over from one to the other.

        Returns what the solvers held of each row: its first N numbers are the states at the end.
        """
        may_switch = settings.method == "auto"
        atol = np.array(np.broadcast_to(settings.atol, len(self.system.states)), dtype=np.float64)
        held: Array | None = None
        while (status < 0).any():
            kernel = self._kernel(int(status.max(where=status < 0, initial=FOR_STIFF)))
            if held is None:
                held = np.empty((len(theta), kernel.held))
            kernel.solve(
                theta, times, settings.start, settings.rtol, atol, settings.max_step,
                settings.max_steps, may_switch, len(slopes) > 0, values, slopes, status, progress,
                held, _aligned(kernel.size), np.zeros((RUN, kernel.lanes)),
                np.zeros(kernel.lanes, dtype=np.int64),
            )  # fmt: skip
        return np.empty((0, 0)) if held is None else held


def _check_times(times: Array, start: float, endless: bool) -> None:
    if times.ndim != 1:
        raise ModelError(f"output times must have shape (m,), not {times.shape}")
    finite = times[:-1] if endless and len(times) and times[-1] == np.inf else times
    if not (np.isfinite(finite).all() and (np.diff(times) > 0).all()):
        raise ModelError("output times must be finite and increase strictly")
    if len(times) and times[0] < start:
        raise ModelError(
            f"the first output time {times[0]:g} lies before the start {start:g}; set model.start"
        )


def _without_overflow(slopes: Array, failed: Bools) -> Bools:
    """Set slopes (n, m, k, p) of rows that failed to nan, and those that are not finite to 0.

    Returns which are not finite, but for those that failed.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # a sum tells of nearly all that they are finite, in one pass
        suspects = np.flatnonzero(~np.isfinite(slopes.sum(axis=(1, 2, 3))) & ~failed)
    overflowed = np.zeros(len(slopes), dtype=bool)
    overflowed[suspects] = ~np.isfinite(slopes[suspects]).all(axis=(1, 2, 3))
    slopes[overflowed] = 0.0
    slopes[failed] = np.nan
    return overflowed


def _aligned(size: int) -> Array:
    """Zeros (size,) that begin where a line of the processor's cache does."""
    zeros = np.zeros(size + LINE)
    first = -(zeros.ctypes.data // zeros.itemsize) % LINE
    return zeros[first : first + size]


def _load(source: str, what: str) -> _Kernel:
    module: Any = load_module(source, what)
    held = module.N * (1 + module.COLUMNS) + module.KEPT_UNTIL - module.MEMORY
    return _Kernel(module.solve, held, module.SIZE, module.LANES)


def compile_system(system: OdeSystem, method: str = "auto") -> CompiledSystem:
    """A system with the solver that begins, compiled, or from the cache on disk if it is there."""
    compiled = CompiledSystem(system)
    compiled._kernel(FOR_STIFF if method == "stiff" else FOR_EXPLICIT)  # errors show early
    return compiled
