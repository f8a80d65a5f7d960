"""From a checked spec to what happens at certain times, and to states on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import Where, compare
from nfanneal.model.ode import Dose, InputTable, OdeSystem, Switch, Timetable, changed, tabulated
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.inputs import input_path, inputs_of, read_input
from nfanneal.spec.kinds.ode import OdeSpec


@dataclass(frozen=True)
class TimeCourse:
    """What stands for inputs and for what changes, and the timetable of their symbols.

    `differences` has the number of the inputs' table in each experiment, where they have others.
    """

    instead: dict[sympy.Symbol, sympy.Expr]
    timetable: Timetable
    differences: dict[sympy.Symbol, tuple[sympy.Expr, ...]]

    def finished(self, known: Callable[[sympy.Expr], sympy.Expr]) -> Timetable:
        """The timetable with `known` of each of its expressions."""
        table = self.timetable
        return replace(
            table,
            switches=tuple(replace(s, time=known(s.time)) for s in table.switches),
            doses=tuple(replace(d, time=known(d.time), after=known(d.after)) for d in table.doses),
            intervals=tuple(e for e in map(known, table.intervals) if not e.is_Number),
        )


def time_course(checked: CheckedSpec, model: OdeSpec) -> TimeCourse:
    """The time course of a model; expressions still hold constants and fixed parameters.

    Raises:
        DataError: the table of an input cannot be read.
    """
    timing = checked.meaning.timing
    each = _inputs(checked, model)
    several, number = list(dict.fromkeys(each)), symbol("_table")
    differs = {number: tuple(sympy.Integer(several.index(own)) for own in each)}
    differences = differs if len(several) > 1 else {}
    instead, tables = tabulated(
        [dict(own) for own in several], symbol(model.time), number if differences else sympy.S.Zero
    )
    switches: list[Switch] = []
    for name, changes in timing.changes.items():
        instead[symbol(name)], turning = changed(symbol(name), changes, name)
        switches += turning
    steady = model.initial == "steady_state" or bool(timing.before)
    states = list(model.states)
    doses = tuple(
        Dose(states.index(d.state), d.time, symbol(d.state) + d.amount, d.late)
        for d in timing.doses
    )
    table = Timetable(tuple(switches), doses, tables, steady, timing.intervals)
    for name, value in timing.before.items():
        meanwhile = compare(sympy.Gt, table.before, sympy.Rational(1, 2))
        otherwise = instead.get(symbol(name), symbol(name))
        instead[symbol(name)] = Where(meanwhile, value, otherwise)
    return TimeCourse(instead, table, differences)


def _inputs(checked: CheckedSpec, model: OdeSpec) -> list[tuple[tuple[str, InputTable], ...]]:
    """The inputs' names and tables in each experiment."""
    tables = {}
    for path, said in inputs_of(checked.spec).items():
        times, values = read_input(checked.document, checked.folder, path, said)
        tables[path] = InputTable(tuple(times), tuple(values), said.kind == "linear")
    shared = {name: tables[input_path(name)] for name in model.inputs}
    return [
        tuple((name, tables.get(input_path(name, e.name), shared[name])) for name in shared)
        for e in checked.meaning.experiments
    ]


def on_log_scale(system: OdeSystem) -> OdeSystem:
    """The same system for u = log x: du/dt = f(exp(u))/exp(u), x always positive."""
    back = {state: sympy.exp(state) for state in system.states}
    equations = tuple(
        sympy.Add(*((term / state).xreplace(back) for term in sympy.Add.make_args(equation)))
        for state, equation in zip(system.states, system.equations, strict=True)
    )
    doses = tuple(
        replace(dose, after=sympy.log(dose.after.xreplace(back))) for dose in system.timetable.doses
    )
    return replace(
        system,
        initial=tuple(sympy.log(value) for value in system.initial),
        equations=equations,
        observables=tuple(observable.xreplace(back) for observable in system.observables),
        named=tuple((name, expression.xreplace(back)) for name, expression in system.named),
        timetable=replace(system.timetable, doses=doses),
    )
