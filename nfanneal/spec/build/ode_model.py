"""From a checked spec to an ODE system that is compiled once for all of its experiments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy

from nfanneal.errors import Complaint, SpecError
from nfanneal.model.counting import Counted
from nfanneal.model.expressions import symbol
from nfanneal.model.latent import LatentMap
from nfanneal.model.observations import Observations
from nfanneal.model.ode import OdeSystem, SolverSettings, Timetable, compile_system
from nfanneal.model.ode_model import UNSCALED, OdeExperiment, OdeSimulator, SystemParameters
from nfanneal.spec.build.endless import refuse_restless
from nfanneal.spec.build.events import on_log_scale, time_course
from nfanneal.spec.build.numbers import Differences, known_numbers, substituted
from nfanneal.spec.build.starts import with_starts
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.events import start_of
from nfanneal.spec.kinds.ode import OdeSpec


def ode_simulator(
    checked: CheckedSpec, model: OdeSpec, latent: LatentMap, data: Sequence[Observations]
) -> OdeSimulator:
    """The system, compiled; what differs between experiments is a parameter of it.

    Raises:
        SpecError: with its constants, an expression is not a finite real number; or there are data
            at time infinity, and no steady state that they could be of.
    """
    mechanism = _mechanism(checked, model)
    columns = {symbol(name): i for i, name in enumerate(latent.column_names)}
    used = mechanism.used
    shared = tuple(s for s in columns if s in used and s not in mechanism.differences)
    differing = tuple(s for s in mechanism.differences if s in used)
    numbers = [s for s in differing if not any(e.free_symbols for e in mechanism.differences[s])]
    system = OdeSystem(
        time=symbol(model.time),
        states=mechanism.states,
        parameters=(*shared, *differing),
        initial=mechanism.initial,
        equations=mechanism.equations,
        observables=mechanism.observables,
        given=tuple(numbers),
        timetable=mechanism.timetable,
        named=tuple((symbol(name), e) for name, e in mechanism.named.items()),
    )
    endless = [bool(own.times[-1] == math.inf) for own in data]
    if any(endless):
        _refuse_counts(checked, model)
        system = replace(system, timetable=replace(system.timetable, endless=True))
        refuse_restless(checked, system, endless)
    if model.positive:
        _check_positive(checked, model, mechanism)
        system = on_log_scale(system, len(model.states))
    compiled = compile_system(system, model.solver.method)
    experiments = tuple(
        OdeExperiment(
            compiled,
            _settings(checked, model, experiment.name),
            SystemParameters(
                tuple(columns[s] for s in shared),
                tuple(mechanism.differences[s][e] for s in differing),
                columns,
            ),
            counted=_counted(checked, model, experiment.name, data[e]),
        )
        for e, experiment in enumerate(checked.meaning.experiments)
    )
    scales = not model.positive and model.solver.atol is None
    observables = tuple(checked.meaning.observables)
    return OdeSimulator(experiments, observables, scales=scales, has_sizes=not model.positive)


def _counted(
    checked: CheckedSpec, model: OdeSpec, experiment: str, data: Observations
) -> tuple[Counted, ...]:
    """The observables that are counted, with the times of their own data in an experiment."""
    own = {n: data.times[np.unique(i)] for n, i in zip(data.names, data.time_index, strict=True)}
    names, start = list(checked.meaning.observables), start_of(checked.spec, experiment)[0]
    for name in model.rates:
        if len(own.get(name, ())) and own[name][0] == start:
            message = f"the first datum of '{name}' ({checked.data_place(experiment)}) is at the "
            message += f"model's start, {start:g}, where nothing has been counted"
            place = checked.place("model", "observables", name)
            raise SpecError([Complaint(message, place, "leave its cell empty, or start before")])
    return tuple(Counted(names.index(n), own.get(n, np.empty(0))) for n in model.rates)


def _refuse_counts(checked: CheckedSpec, model: OdeSpec) -> None:
    for name in model.rates:
        message = f"'{name}' counts since the last datum: with data at time inf it has no end"
        place = checked.place("model", "observables", name)
        raise SpecError([Complaint(message, place, "leave out the one or the other")])


def _settings(checked: CheckedSpec, model: OdeSpec, experiment: str) -> SolverSettings:
    solver, (start, _) = model.solver, start_of(checked.spec, experiment)
    atol = solver.rtol if model.positive else solver.atol  # of logarithms: both are relative
    return SolverSettings(
        rtol=solver.rtol,
        atol=UNSCALED if atol is None else atol,
        max_steps=solver.max_steps,
        start=start,
        method=solver.method,
        max_step=math.inf if solver.max_step is None else solver.max_step,
    )


def _check_positive(checked: CheckedSpec, model: OdeSpec, mechanism: _Mechanism) -> None:
    if mechanism.timetable.steady:
        message = "positive: true cannot start from a steady state: in logarithms, what the "
        message += "equations conserve would be lost on the way to it"
        place = checked.place("model", "positive")
        raise SpecError([Complaint(message, place, "leave out positive")])
    states = list(model.states)
    begins = [("states", s, v) for s, v in zip(states, mechanism.initial, strict=False)]
    begins += [("reset", states[i], value) for i, value in mechanism.timetable.resets]
    for section, state, value in begins:
        values = mechanism.differences.get(value, ()) if value.is_Symbol else (value,)
        if any(v.is_Number and not v > 0 for v in values):
            message = f"the initial value of '{state}' must be above 0 with positive: true"
            place = checked.place("model", section, state)
            raise SpecError([Complaint(message, place, "leave out positive")])


@dataclass(frozen=True)
class _Mechanism:
    """A model's expressions, in which symbols stand for what differs between experiments."""

    states: tuple[sympy.Symbol, ...]
    initial: tuple[sympy.Expr, ...]
    equations: tuple[sympy.Expr, ...]
    observables: tuple[sympy.Expr, ...]
    named: dict[str, sympy.Expr]
    differences: Differences
    timetable: Timetable

    @property
    def used(self) -> set[sympy.Symbol]:
        """The symbols of all expressions."""
        everything = (*self.initial, *self.equations, *self.observables, *self.named.values())
        everything += self.timetable.expressions
        return set[sympy.Symbol]().union(*(e.free_symbols for e in everything))


def _mechanism(checked: CheckedSpec, model: OdeSpec) -> _Mechanism:
    meaning, numbers = checked.meaning, known_numbers(checked)
    names = dict.fromkeys(s for e in meaning.experiments for s in e.instead)
    everywhere = {
        s: tuple(substituted(e.instead.get(s, s), numbers) for e in meaning.experiments)
        for s in names
    }
    differences: Differences = {s: e for s, e in everywhere.items() if len(set(e)) > 1}
    same = {s: e[0] for s, e in everywhere.items() if s not in differences}
    known = {name: v for name, v in numbers.items() if symbol(name) not in differences}

    course = with_starts(checked, time_course(checked, model))

    def at_times(expression: sympy.Expr) -> sympy.Expr:
        return substituted(expression.xreplace(same), known, checked.place("model"))

    def shown(section: str, expressions: Mapping[str, sympy.Expr]) -> tuple[sympy.Expr, ...]:
        return tuple(
            substituted(
                e.xreplace(course.instead).xreplace(same),
                known,
                checked.place("model", section, name),
            )
            for name, e in expressions.items()
        )

    starts = {symbol(f"{s}(start)"): found for s, found in _initial(checked, model).items()}
    initial = {
        s: symbol(f"{s}(start)") if symbol(f"{s}(start)") in starts else meaning.initial[s]
        for s in model.states
    }
    at_start = (
        substituted(e.xreplace(same), known, checked.place("model", "states", s))
        for s, e in initial.items()
    )
    variables, rates = course.variables, {n: meaning.observables[n] for n in model.rates}
    sums = {name: symbol(f"{name}(since the start)") for name in rates}
    return _Mechanism(
        (*map(symbol, model.states), *variables.values(), *sums.values()),
        (*at_start, *map(at_times, variables), *(sympy.S.Zero for _ in sums)),
        (
            *shown("equations", {s: meaning.equations[s] for s in model.states}),
            *(sympy.S.Zero for _ in variables),
            *shown("observables", rates),
        ),
        shown("observables", {**meaning.observables, **sums}),
        dict(zip(meaning.named, shown("expressions", meaning.named), strict=True)),
        differences | starts | course.differences,
        course.finished(at_times),
    )


def _initial(checked: CheckedSpec, model: OdeSpec) -> dict[str, tuple[sympy.Expr, ...]]:
    """The initial values in each experiment, of states for which an experiment has its own."""
    meaning, numbers = checked.meaning, known_numbers(checked)
    return {
        state: tuple(
            substituted(
                e.initial.get(state, meaning.initial[state]).xreplace(dict(e.instead)),
                numbers,
                checked.place("experiments", e.name, "states", state),
            )
            for e in meaning.experiments
        )
        for state in model.states
        if any(state in e.initial for e in meaning.experiments)
    }
