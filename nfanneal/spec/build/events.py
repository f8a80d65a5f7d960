"""From a checked spec to what happens at certain times, and to states on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import compare
from nfanneal.model.ode import (
    Dose,
    InputTable,
    OdeSystem,
    Switch,
    Timetable,
    Trigger,
    changed,
    tabulated,
)
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.inputs import input_path, inputs_of, read_input
from nfanneal.spec.kinds.ode import OdeSpec


@dataclass(frozen=True)
class TimeCourse:
    """What stands for inputs and for what changes, and the timetable of their symbols.

    `differences` has the number of the inputs' table in each experiment, where they have others,
    and 1 for the experiments that events are of. `variables` are states that stand for what events
    set, by its symbol.
    """

    instead: dict[sympy.Symbol, sympy.Expr]
    timetable: Timetable
    differences: dict[sympy.Symbol, tuple[sympy.Expr, ...]]
    variables: dict[sympy.Symbol, sympy.Symbol]

    def finished(self, known: Callable[[sympy.Expr], sympy.Expr]) -> Timetable:
        """The timetable with `known` of each of its expressions."""
        table = self.timetable

        def inside(expression: sympy.Expr) -> sympy.Expr:
            return known(expression.xreplace(self.instead))

        triggers = (
            replace(
                trigger,
                condition=inside(trigger.condition),
                values=tuple((state, inside(value)) for state, value in trigger.values),
                delay=None if trigger.delay is None else inside(trigger.delay),
            )
            for trigger in table.triggers
        )
        return replace(
            table,
            switches=tuple(replace(s, time=known(s.time)) for s in table.switches),
            doses=tuple(replace(d, time=known(d.time), after=known(d.after)) for d in table.doses),
            resets=tuple((state, known(value)) for state, value in table.resets),
            intervals=tuple(e for e in map(known, table.intervals) if not e.is_Number),
            triggers=tuple(trigger for trigger in triggers if trigger.condition != sympy.false),
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
    states = list(model.states)
    names = dict.fromkeys(name for event in timing.events for name in event.values)
    variables = {symbol(name): symbol(f"{name}(now)") for name in names if name not in states}
    instead |= variables
    triggers, of_experiments = _triggers(checked, [*states, *map(str, variables)])
    doses = tuple(
        Dose(states.index(d.state), d.time, symbol(d.state) + d.amount, d.late)
        for d in timing.doses
    )
    table = Timetable(tuple(switches), doses, tables, intervals=timing.intervals, triggers=triggers)
    return TimeCourse(instead, table, differences | of_experiments, variables)


def _triggers(
    checked: CheckedSpec, states: list[str]
) -> tuple[tuple[Trigger, ...], dict[sympy.Symbol, tuple[sympy.Expr, ...]]]:
    """The events, and symbols that are 1 in the experiments that some of them are of alone."""
    names = [experiment.name for experiment in checked.meaning.experiments]
    triggers, own = list[Trigger](), dict[sympy.Symbol, tuple[sympy.Expr, ...]]()
    for event in checked.meaning.timing.events:
        condition = event.condition
        if event.experiment and len(names) > 1:
            here = symbol(f"_in[{event.experiment}]")
            own[here] = tuple(sympy.Integer(name == event.experiment) for name in names)
            condition = sympy.And(compare(sympy.Gt, here, sympy.Rational(1, 2)), condition)
        values = tuple((states.index(name), value) for name, value in event.values.items())
        triggers.append(
            Trigger(
                condition, values, event.delay, event.at_start, late_values=event.late_values,
                persistent=event.persistent, priority=event.priority, first=event.first,
            )
        )  # fmt: skip
    return tuple(triggers), own


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


def on_log_scale(system: OdeSystem, count: int) -> OdeSystem:
    """The same system for u = log x, du/dt = f(exp(u))/exp(u), of the first so many states x.

    These are always positive.
    """
    logged = system.states[:count]
    back = {state: sympy.exp(state) for state in logged}

    def rate(state: sympy.Symbol, equation: sympy.Expr) -> sympy.Expr:
        if state not in back:
            return equation.xreplace(back)
        return sympy.Add(*((term / state).xreplace(back) for term in sympy.Add.make_args(equation)))

    def value(state: int, expression: sympy.Expr) -> sympy.Expr:
        return sympy.log(expression) if state < count else expression

    table = system.timetable
    doses = (replace(d, after=value(d.state, d.after.xreplace(back))) for d in table.doses)
    triggers = (
        replace(
            trigger,
            condition=trigger.condition.xreplace(back),
            values=tuple((i, value(i, e.xreplace(back))) for i, e in trigger.values),
            delay=None if trigger.delay is None else trigger.delay.xreplace(back),
        )
        for trigger in table.triggers
    )
    resets = tuple((state, value(state, e.xreplace(back))) for state, e in table.resets)
    return replace(
        system,
        initial=tuple(value(i, e) for i, e in enumerate(system.initial)),
        equations=tuple(map(rate, system.states, system.equations)),
        observables=tuple(observable.xreplace(back) for observable in system.observables),
        named=tuple((name, expression.xreplace(back)) for name, expression in system.named),
        timetable=replace(table, doses=tuple(doses), resets=resets, triggers=tuple(triggers)),
    )
