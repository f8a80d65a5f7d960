"""An ODE model in one experiment or several: trajectories of one compiled system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy
from numpy.typing import NDArray

from nfanneal.arrays import Array
from nfanneal.model.expressions import compile_numpy, differentiate
from nfanneal.model.ode import CompiledSystem, SolverSettings, Status
from nfanneal.model.simulator import Outcomes, Predictions

MORE_STEPS = 10
"""So many times as many steps are allowed where tolerances are tighter, for comparison."""


@dataclass(frozen=True)
class SystemParameters:
    """A system's parameters φ (n, q): some columns of θ (n, p), then expressions of θ.

    `symbols` gives the column of θ of each symbol in the expressions.
    """

    columns: tuple[int, ...]
    expressions: tuple[sympy.Expr, ...]
    symbols: Mapping[sympy.Symbol, int]

    @cached_property
    def _used(self) -> tuple[sympy.Symbol, ...]:
        used = set[sympy.Symbol]().union(*(e.free_symbols for e in self.expressions))
        return tuple(s for s in self.symbols if s in used)

    @cached_property
    def _values(self) -> Callable[..., list[Array]]:
        return compile_numpy(self.expressions, self._used)

    @cached_property
    def _partials(self) -> Callable[..., list[Array]]:
        partials = [differentiate(e, s) for e in self.expressions for s in self._used]
        return compile_numpy(partials, self._used)

    def of(self, theta: Array) -> Array:
        """φ (n, q) of θ (n, p)."""
        shared = len(self.columns)
        phi = np.empty((len(theta), shared + len(self.expressions)))
        phi[:, :shared] = theta[:, list(self.columns)]
        for j, values in enumerate(self._values(*self._inputs(theta)), start=shared):
            phi[:, j] = values
        return phi

    def are_all(self, p: int) -> bool:
        """Whether they are the p columns of θ themselves."""
        return self.columns == tuple(range(p)) and not self.expressions

    def write_slopes(self, theta: Array, slopes: Array, out: Array) -> None:
        """Write ∂/∂θ (n, m, k, p) to `out`, which is zero, from θ (n, p) and ∂/∂φ (n, m, k, q)."""
        shared = len(self.columns)
        out[..., list(self.columns)] = slopes[..., :shared]
        partials = iter(self._partials(*self._inputs(theta)))
        for j, expression in enumerate(self.expressions, start=shared):
            for symbol in self._used:
                partial = next(partials)
                if symbol in expression.free_symbols:
                    each = np.broadcast_to(partial, len(theta))[:, None, None]
                    out[..., self.symbols[symbol]] += slopes[..., j] * each

    def _inputs(self, theta: Array) -> list[Array]:
        return [theta[:, self.symbols[s]] for s in self._used]


@dataclass(frozen=True)
class OdeExperiment:
    """A compiled system, when and how it is solved, and its parameters."""

    system: CompiledSystem
    settings: SolverSettings
    parameters: SystemParameters


@dataclass(frozen=True)
class OdeSimulator:
    """Trajectories of an ODE model in each of its experiments."""

    experiments: tuple[OdeExperiment, ...]
    observables: tuple[str, ...]
    differentiable: bool = True
    has_jacobian: bool = True
    by_parts: bool = True
    by_steps: bool = True
    gradient_causes: str = "sqrt or abs at 0, or tighten model.solver.rtol and atol"

    @property
    def starts(self) -> tuple[float, ...]:
        """The time of each experiment's initial values."""
        return tuple(e.settings.start for e in self.experiments)

    def predict(self, theta: Array, times: Sequence[Array], gradient: bool) -> Predictions:
        """Solve one trajectory per row of θ (n, p) and experiment, on the thread that asks.

        A draw fails if one of its trajectories does; the first to fail gives the reason.
        """
        n, ends = len(theta), np.cumsum([0, *(len(t) for t in times)])
        values = np.empty((n, int(ends[-1]), len(self.observables)))
        jacobian = np.zeros((*values.shape, theta.shape[1] if gradient else 0))
        status = np.empty((n, len(self.experiments)), dtype=np.int64)
        overflowed = np.zeros(n, dtype=bool)
        for e, experiment in enumerate(self.experiments):
            at, parameters = slice(ends[e], ends[e + 1]), experiment.parameters
            solved = experiment.system.solve(
                parameters.of(theta),
                times[e],
                experiment.settings,
                sensitivities=gradient,
                threads=1,
            )
            values[:, at], status[:, e] = solved.observables, solved.status
            overflowed |= solved.overflowed
            if solved.sensitivities is None:
                continue
            if len(self.experiments) == 1 and parameters.are_all(theta.shape[1]):
                jacobian = solved.sensitivities  # not a copy: it is most of what is in memory
            else:
                parameters.write_slopes(theta, solved.sensitivities, jacobian[:, at])
        failing = status != Status.OK
        failed, first = failing.any(axis=1), failing.argmax(axis=1)
        reasons = _counted(status[failed, first[failed]])
        if not gradient:
            return Predictions(values, failed, reasons)
        jacobian[failed] = 0.0

        def pullback(slope: Array) -> Array:
            return weighted_sums(slope, jacobian)

        return Predictions(values, failed, reasons, pullback, jacobian, overflowed)

    def outcomes(self, theta: Array, times: Sequence[Array]) -> Outcomes:
        """How the trajectories of θ (n, p) go, without their values, on the thread that asks."""
        solved = [
            e.system.solve(e.parameters.of(theta), at, e.settings, sensitivities=False, threads=1)
            for e, at in zip(self.experiments, times, strict=True)
        ]
        reached = np.full(len(theta), np.nan)
        for each in reversed(solved):
            reached = np.where(each.status == Status.OK, reached, each.reached)
        return Outcomes(np.stack([each.stiff for each in solved], axis=1), reached)

    def precise(self, factor: float) -> OdeSimulator:
        """The same with tolerances so many times smaller, and steps enough for them."""
        return replace(self, experiments=tuple(_precise(e, factor) for e in self.experiments))

    def compile_all(self) -> None:
        """Compile the stiff solvers, whether draws have needed them so far or not."""
        for experiment in self.experiments:
            settings, parameters = experiment.settings, experiment.system.system.parameters
            theta, times = np.ones((1, len(parameters))), np.array([settings.start])
            for sensitivities in (False, True) if settings.method == "auto" else ():
                stiff = replace(settings, method="stiff")
                experiment.system.solve(theta, times, stiff, sensitivities=sensitivities)


def _precise(experiment: OdeExperiment, factor: float) -> OdeExperiment:
    settings = experiment.settings
    tighter = replace(
        settings,
        rtol=settings.rtol / factor,
        atol=settings.atol / factor,
        max_steps=MORE_STEPS * settings.max_steps,
    )
    return replace(experiment, settings=tighter)


def weighted_sums(weights: Array, slopes: Array) -> Array:
    """Σ w·∂h/∂θ (n, p) over all times and observables, from w (n, m, k) and (n, m, k, p).

    It may overflow.
    """
    (n, m, k, p) = slopes.shape
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((weights.reshape(n, 1, m * k) @ slopes.reshape(n, m * k, p))[:, 0])


def _counted(codes: NDArray[np.int64]) -> dict[str, int]:
    """How often each status occurs, by its name."""
    found, counts = np.unique(codes, return_counts=True)
    return {Status(int(c)).name: int(k) for c, k in zip(found, counts, strict=True)}
