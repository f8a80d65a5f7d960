"""Batches of trajectories: rows of θ over threads, a status for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nfanneal.errors import ModelError
from nfanneal.ode.cache import load_module
from nfanneal.ode.kernels import kernel_source
from nfanneal.ode.system import OdeSystem, SolverSettings

Array = NDArray[np.float64]

ROWS = 64
"""Rows per task: small enough that a few slow trajectories do not keep a thread waiting."""


@dataclass(frozen=True)
class Trajectories:
    """Observables (n, m, k) at m times, their derivatives (n, m, k, p), status and steps (n,).

    Where the status is not OK, observables are nan.
    """

    observables: Array
    sensitivities: Array | None
    status: NDArray[np.int64]
    steps: NDArray[np.int64]


@dataclass(frozen=True)
class CompiledSystem:
    """A system and its compiled solver; rebuilt from the system when it is unpickled."""

    system: OdeSystem
    kernel: Callable[..., None]

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
            ModelError: an output lies before `settings.start`.
        """
        n, m = len(theta), len(times)
        if m and times[0] < settings.start:
            raise ModelError(
                f"the first output time {times[0]:g} lies before the start {settings.start:g}; "
                "set model.start"
            )
        k, p = len(self.system.observables), len(self.system.parameters)
        values = np.empty((n, m, k))
        slopes = np.empty((n if sensitivities else 0, m, k, p))
        status, steps = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        times = np.ascontiguousarray(times, dtype=np.float64)

        def solve_rows(first: int) -> None:
            rows = slice(first, min(first + ROWS, n))
            own = slopes[rows] if sensitivities else np.empty((0, m, k, p))
            self.kernel(
                theta[rows], times, settings.start, settings.rtol, settings.atol,
                settings.max_steps, sensitivities, values[rows], own, status[rows], steps[rows],
            )  # fmt: skip

        _over_threads(solve_rows, range(0, n, ROWS), threads or default_threads())
        failed = status != 0
        values[failed] = np.nan
        if sensitivities:
            slopes[failed] = np.nan
        return Trajectories(values, slopes if sensitivities else None, status, steps)


def _over_threads(work: Callable[[int], None], tasks: range, threads: int) -> None:
    """The kernel releases the interpreter lock, so plain threads run it in parallel."""
    if threads == 1 or len(tasks) == 1:
        for task in tasks:
            work(task)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, tasks):
            pass


def set_default_threads(threads: int) -> None:
    """Threads of solves that do not say how many."""
    os.environ["NFANNEAL_THREADS"] = str(threads)


def default_threads() -> int:
    """$NFANNEAL_THREADS, else the cores that this process may run on."""
    given = os.environ.get("NFANNEAL_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def compile_system(system: OdeSystem) -> CompiledSystem:
    """Compile a system's solver, or load it from the cache on disk."""
    module: Any = load_module(kernel_source(system))
    return CompiledSystem(system, module.solve)
