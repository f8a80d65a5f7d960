"""An ODE system in symbols, the solver's settings, and how a trajectory can end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import sympy


@dataclass(frozen=True)
class OdeSystem:
    """dx/dt = f(t, x, θ), x(start) = x₀(θ), observables h(t, x, θ).

    `parameters` are the columns of θ; `initial`, `equations` and `observables` are expressions
    of `time`, `states` and `parameters` (`initial` of parameters only).
    """

    time: sympy.Symbol
    states: tuple[sympy.Symbol, ...]
    parameters: tuple[sympy.Symbol, ...]
    initial: tuple[sympy.Expr, ...]
    equations: tuple[sympy.Expr, ...]
    observables: tuple[sympy.Expr, ...]


@dataclass(frozen=True)
class SolverSettings:
    """Tolerances per step, the most steps of a trajectory, and the time it starts at."""

    rtol: float = 1e-6
    atol: float = 1e-8
    max_steps: int = 10_000
    start: float = 0.0


class Status(IntEnum):
    """How a trajectory ended."""

    OK = 0
    TOO_MANY_STEPS = 1
    STEP_TOO_SMALL = 2
    NON_FINITE = 3

    @property
    def advice(self) -> str:
        """What it means and what to change."""
        return _ADVICE[self]


_ADVICE = {
    Status.OK: "the trajectory reached the last time",
    Status.TOO_MANY_STEPS: (
        "the solver ran out of steps: the equations are stiff or oscillate fast there; "
        "raise model.solver.max_steps or loosen model.solver.rtol"
    ),
    Status.STEP_TOO_SMALL: (
        "the step size went to zero: the solution blows up, or an equation jumps; "
        "narrow the priors or smooth the equation"
    ),
    Status.NON_FINITE: (
        "the equations gave a number that is not finite (an overflow, or log or a power of a "
        "negative number); narrow the priors or rewrite the equation"
    ),
}
