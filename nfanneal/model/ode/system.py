"""An ODE system in symbols, the solver's settings, and how a trajectory can end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import sympy
from sympy.core.relational import Relational

from nfanneal.model.expressions import symbol
from nfanneal.model.ode.events import Switch, Timetable, with_switches
from nfanneal.model.ode.peaks import peak_times

LOOKS, LOOKS_FOR_JUMPS = 1000, 10_000
"""So many steps at least where a solver is to be watchful: of smooth equations, and of others."""
FINEST, SMALLEST = 1e-14, 1e-300
"""The least relative tolerance that means something, and the least absolute one."""


@dataclass(frozen=True)
class OdeSystem:
    """dx/dt = f(t, x, θ), x(start) = x₀(θ), observables h(t, x, θ).

    `parameters` are the columns of θ; `initial`, `equations` and `observables` are expressions
    of `time`, `states` and `parameters` (`initial` of parameters only). Equations and observables
    may hold symbols that are `named`: they stand for an expression each, of these symbols and of
    others named before; a state is in it, directly or through these. Nobody asks for the
    sensitivities to those that are `given`: they are zero. The `timetable` says what happens at
    certain times; equations and observables may hold the symbols that it sets.
    """

    time: sympy.Symbol
    states: tuple[sympy.Symbol, ...]
    parameters: tuple[sympy.Symbol, ...]
    initial: tuple[sympy.Expr, ...]
    equations: tuple[sympy.Expr, ...]
    observables: tuple[sympy.Expr, ...]
    given: tuple[sympy.Symbol, ...] = ()
    timetable: Timetable = field(default_factory=Timetable)
    named: tuple[tuple[sympy.Symbol, sympy.Expr], ...] = ()

    @property
    def moving(self) -> tuple[sympy.Expr, ...]:
        """The expressions that f is made of: those with a name, and the equations."""
        return (*(expression for _, expression in self.named), *self.equations)

    @property
    def written_out(self) -> OdeSystem:
        """The same without names."""
        known: dict[sympy.Basic, sympy.Basic] = {}
        for name, expression in self.named:
            known[name] = expression.xreplace(known)
        return replace(
            self,
            equations=tuple(e.xreplace(known) for e in self.equations),
            observables=tuple(e.xreplace(known) for e in self.observables),
            named=(),
        )


def with_stops(system: OdeSystem) -> OdeSystem:
    """The system with switches for conditions in its equations, and of its triggers, that turn at

    times which are known before, and for the middles of what rises and falls in time."""
    table, n = system.timetable, len(system.moving)
    names = tuple(name for name, _ in system.named)
    conditions = tuple(trigger.condition for trigger in table.triggers)
    parts = (*system.moving, *conditions)
    found, switches = with_switches(parts, system.time, (*system.states, *names), table)
    known = {switch.time for switch in (*table.switches, *switches)}
    middles = peak_times(parts, system.time, {*system.states, *names, *table.held})
    switches += tuple(
        Switch(symbol(f"_middle{i}"), time) for i, time in enumerate(middles) if time not in known
    )
    if not switches:
        return system
    triggers = zip(table.triggers, found[n:], strict=True)
    table = replace(
        table,
        switches=(*table.switches, *switches),
        triggers=tuple(replace(trigger, watched=watched) for trigger, watched in triggers),
    )
    named = tuple(zip(names, found[: len(names)], strict=True))
    return replace(system, equations=found[len(names) : n], named=named, timetable=table)


def jumps(system: OdeSystem) -> bool:
    """Whether conditions are left in it that no stop of the solver stands for."""
    stopping = with_stops(system)
    held = set(stopping.timetable.held)
    parts = (*stopping.moving, *(trigger.turns for trigger in stopping.timetable.triggers))
    conditions = {c for part in parts for c in part.atoms(Relational)}
    return any(c.free_symbols - held - set(system.parameters) for c in conditions)


@dataclass(frozen=True)
class SolverSettings:
    """Tolerances per step, the most steps of a trajectory, the time it starts at, the method.

    `atol` is one for all states, or one for each. No step is longer than `max_step`.
    `span` is the time that trajectories take, where it is known.
    `method` is `tsit5`, `stiff` (Rodas5P), or `auto`, which begins with the one and takes the other
    where it needs fewer steps.
    """

    rtol: float = 1e-6
    atol: float | tuple[float, ...] = 1e-8
    max_steps: int = 10_000
    start: float = 0.0
    method: str = "auto"
    max_step: float = math.inf
    span: float = math.inf

    def tightened(self, factor: float) -> SolverSettings:
        """Tolerances so many times smaller, and steps enough for them.

        Steps grow as the fifth root of it, or a little faster; the square root leaves room, and
        tightening twice is the same as once by the product.
        """
        atol = np.maximum(np.asarray(self.atol) / factor, SMALLEST)
        return replace(
            self,
            rtol=max(self.rtol / factor, FINEST),
            atol=tuple(atol) if atol.ndim else float(atol),
            max_steps=round(self.max_steps * math.sqrt(factor)),
        )

    def watchful(self, looks: int = LOOKS) -> SolverSettings:
        """Steps so short that few things that happen in time are stepped over."""
        if not self.span > 0.0:
            return self  # outputs at the start, or at rest
        return self.with_steps_of(min(self.max_step / 4.0, self.span / looks))

    def with_steps_of(self, most: float) -> SolverSettings:
        """No step longer than that, and steps enough for it."""
        needed = math.ceil(4.0 * self.span / most) if most < self.span < math.inf else 0
        return replace(self, max_step=most, max_steps=max(self.max_steps, needed))


class Status(IntEnum):
    """How a trajectory ended."""

    OK = 0
    TOO_MANY_STEPS = 1
    STEP_TOO_SMALL = 2
    NON_FINITE = 3
    NO_STEADY_STATE = 4
    TOO_STIFF = 5
    DOSE_INTERVAL = 6
    TOO_MANY_EVENTS = 7
    EVENT_DELAY = 8

    @property
    def advice(self) -> str:
        """What it means and what to change."""
        return _ADVICE[self]


def in_words(reason: str) -> str:
    """What the name of a status means and what to change; any other reason says it itself."""
    return Status[reason].advice if reason in Status.__members__ else reason


_ADVICE = {
    Status.OK: "the trajectory reached the last time",
    Status.TOO_MANY_STEPS: (
        "the solver ran out of steps: the solution oscillates fast or jumps there; "
        "raise model.solver.max_steps or loosen model.solver.rtol"
    ),
    Status.TOO_STIFF: (
        "the equations are stiff there and the explicit solver ran out of steps; "
        "take model.solver.method: auto"
    ),
    Status.STEP_TOO_SMALL: (
        "the step size went to zero: the solution blows up, or an equation jumps; "
        "narrow the priors or smooth the equation"
    ),
    Status.NON_FINITE: (
        "the equations gave a number that is not finite (an overflow, or log or a power of a "
        "negative number); narrow the priors or rewrite the equation"
    ),
    Status.NO_STEADY_STATE: (
        "no steady state was found, where initial: steady_state, pre_equilibration or data at time "
        "inf ask for one; narrow the priors, or begin closer to it"
    ),
    Status.DOSE_INTERVAL: (
        "the time between doses (every) was not above 0; narrow the priors of what it depends on"
    ),
    Status.TOO_MANY_EVENTS: (
        "events followed one another without end, in no time or in ever shorter times, or too many "
        "of them were delayed at once; let what an event sets lead away from its condition: with a "
        "threshold to come back, a smallest size, or a delay; where so many are meant, raise "
        "model.solver.max_steps"
    ),
    Status.EVENT_DELAY: (
        "the delay of an event was below 0 or no number; narrow the priors of what it depends on"
    ),
}
