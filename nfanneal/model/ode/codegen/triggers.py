"""What the solver needs of a system's triggers: their relations, conditions, values and slopes."""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from nfanneal.model.expressions.functions import Magnitude
from nfanneal.model.ode.codegen.layout import Layout, arithmetic, function, lines_of, partials
from nfanneal.model.ode.codegen.sensitivities import Partial
from nfanneal.model.ode.triggers import (
    WAITING,
    Conditions,
    Trigger,
    as_number,
    conditions_of,
    leaves,
)

PLAIN = ("COUNT", "AT_ONCE", "LAST", "ORDER")
"""Single numbers of the memory."""


def of_triggers(layout: Layout) -> Conditions:
    """The conditions of a system's triggers, by their relations."""
    system = layout.system
    table = system.timetable
    moving = {system.time, *system.states}
    return conditions_of(table.triggers, moving)


def memory_sizes(layout: Layout, first: int) -> tuple[str, int]:
    """Where the memory of triggers, which begins at `fixed[first]`, has what; and its end.

    What comes before `KEPT_UNTIL` goes with a trajectory to the other stepper.
    """
    triggers = layout.system.timetable.triggers
    if not triggers:
        return f"TRIGGERED, MEMORY, KEPT_UNTIL = False, {first}, {first}\n", first
    conditions, events = of_triggers(layout), len(triggers)
    relations, most = len(conditions.relations), _most_values(triggers)
    delayed = any(trigger.delay is not None for trigger in triggers)
    places = events + WAITING * delayed
    entry = 4 + most + len(layout.active) * (1 + most)
    kept = {**dict.fromkeys(PLAIN, 1), "HOLDS": relations, "CROSSED_AT": relations, "TRUE": events}
    queue = {"QUEUE": places * entry}
    scratch = {
        "HOLDS_NEW": relations, "TRUE_NEW": events, "TRUE_THEN": events, "BEFORE_AT": relations,
        "NOW": 2 * relations, "TRIED_AT": 2 * relations, "POINT": len(layout.system.states),
    }  # fmt: skip
    parts = kept | queue | scratch
    starts, at = dict[str, int](), first
    for name, size in parts.items():
        starts[name], at = at, at + size
    until = starts["HOLDS_NEW"] if delayed else starts["QUEUE"]
    text = f"TRIGGERED, MEMORY, KEPT_UNTIL = True, {first}, {until}\n"
    text += f"{', '.join(starts)} = {', '.join(map(str, starts.values()))}\n"
    text += f"EVENTS, RELATIONS, MOVING = {events}, {relations}, {conditions.moving}\n"
    text += f"VALUES, PLACES, OF_PLACE = {most}, {places}, {entry}\n"
    return text, at


def trigger_functions(layout: Layout) -> list[str]:
    """The functions of the triggers; none if there are none."""
    triggers = layout.system.timetable.triggers
    if not triggers:
        return []
    conditions = of_triggers(layout)
    return [
        _tables(layout, triggers, conditions),
        _differences(layout, conditions),
        _conditions(layout, triggers, conditions),
        _first_conditions(layout, triggers),
        _relation_rate(layout, conditions),
        _assigned(layout, triggers),
        _assigned_slopes(layout, triggers),
    ]


def _most_values(triggers: Sequence[Trigger]) -> int:
    return max(len(trigger.values) for trigger in triggers)


def _tables(layout: Layout, triggers: Sequence[Trigger], conditions: Conditions) -> str:
    most = _most_values(triggers)
    targets = [[i for i, _ in t.values] + [-1] * (most - len(t.values)) for t in triggers]
    strict = [relation.strict for relation in conditions.relations]
    states = layout.system.states
    same = [[leaves(t, r, states) for r in conditions.relations] for t in triggers]
    return (
        f"SAME = np.array({same}, dtype=np.bool_)\n"
        f"TARGETS = np.array({targets}, dtype=np.int64)\n"
        f"STRICTLY = np.array({strict}, dtype=np.bool_)\n"
        f"AT_START = np.array({[t.at_start for t in triggers]}, dtype=np.bool_)\n"
        f"LATE_VALUES = np.array({[t.late_values for t in triggers]}, dtype=np.bool_)\n"
        f"GIVES_UP = np.array({[not t.persistent for t in triggers]}, dtype=np.bool_)\n"
        f"FIRST = np.array({[t.first for t in triggers]}, dtype=np.bool_)\n"
        f"PRIORITY = np.array({[float(t.priority) for t in triggers]})\n"
    )


def _differences(layout: Layout, conditions: Conditions) -> str:
    """What is above 0 where each relation holds, and how large its sides are."""
    relations = conditions.relations
    differences = [relation.difference for relation in relations]
    sizes = [Magnitude(r.left) + Magnitude(r.right) for r in relations]
    targets = [f"values[{i}]" for i in range(2 * len(relations))]
    body = _assign(layout, targets, [*differences, *sizes])
    return arithmetic("differences", "t, y, theta, fixed, values", body, "STRICT")


def _conditions(layout: Layout, triggers: Sequence[Trigger], conditions: Conditions) -> str:
    """Whether each condition holds, by its relations."""
    texts = {layout.graph.symbol(bit): f"holds[{i}]" for i, bit in enumerate(conditions.bits)}
    targets = [f"true[{e}]" for e in range(len(triggers))]
    nodes = [layout.graph.of(as_number(formula)) for formula in conditions.formulas]
    body = lines_of(layout, targets, nodes, texts)
    return arithmetic("conditions", "holds, true", body, "STRICT")


def _first_conditions(layout: Layout, triggers: Sequence[Trigger]) -> str:
    """Whether each condition holds at the start, where no switch has turned."""
    targets = [f"true[{e}]" for e in range(len(triggers))]
    body = _assign(layout, targets, [as_number(trigger.condition) for trigger in triggers])
    return arithmetic("first_conditions", "t, y, theta, fixed, true", body, "STRICT")


def _relation_rate(layout: Layout, conditions: Conditions) -> str:
    """∂c/∂y and ∂c/∂θ of the difference c of one that moves, added to zeros; returns ∂c/∂t."""
    body = list[str]()
    for r, relation in enumerate(conditions.relations[: conditions.moving]):
        by_state, drift, direct = _slopes(layout, relation.difference)
        targets = [f"by_y[{i}]" for _, i, _ in by_state]
        targets += [f"by_theta[{q}]" for _, q, _ in direct]
        nodes = [*(node for *_, node in (*by_state, *direct)), drift]
        lines = lines_of(layout, [*targets, "drift"], nodes, layout.texts)
        lines.append("return drift")
        body += [f"if which == {r}:", *(f"    {line}" for line in lines)]
    arguments = "which, t, y, theta, fixed, by_y, by_theta"
    return function("relation_rate", arguments, [*body, "return 0.0"], "STRICT")


def _assigned(layout: Layout, triggers: Sequence[Trigger]) -> str:
    """The values that an event sets; returns its delay."""
    body = list[str]()
    for event, trigger in enumerate(triggers):
        targets = [*(f"values[{v}]" for v in range(len(trigger.values))), "delay"]
        expressions = [*(value for _, value in trigger.values), _delay(trigger)]
        lines = [*_assign(layout, targets, expressions), "return delay"]
        body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    arguments = "event, t, y, theta, fixed, values"
    return function("assigned", arguments, [*body, "return 0.0"], "STRICT")


def _assigned_slopes(layout: Layout, triggers: Sequence[Trigger]) -> str:
    """d/dθ of those values, and at last of a delay, at a time that moves by `moved`.

    `total` is dy/dθ at that time. Both have rows of P numbers; `slopes` has rows of COLUMNS.
    """
    body = list[str]()
    for event, trigger in enumerate(triggers):
        lines = list[str]()
        for v, (_, value) in enumerate(trigger.values):
            lines += _slopes_of(layout, value, v)
        if trigger.delay is not None:
            lines += _slopes_of(layout, trigger.delay, "VALUES")
        body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    arguments = "event, t, y, total, moved, theta, fixed, slopes"
    return function("assigned_slopes", arguments, body, "STRICT")


def _slopes_of(layout: Layout, value: sympy.Expr, row: int | str) -> list[str]:
    by_state, by_time, direct = _slopes(layout, value)
    names = [*(f"v{i}" for _, i, _ in by_state), "drift", *(f"h{q}" for _, q, _ in direct)]
    nodes = [*(node for *_, node in by_state), by_time, *(node for *_, node in direct)]
    terms = [f"v{i} * total[{i} * P + q]" for _, i, _ in by_state] + ["drift * moved[q]"]
    return [
        *lines_of(layout, names, nodes, layout.texts),
        "for q in range(COLUMNS):",
        f"    slopes[{row} * COLUMNS + q] = {' + '.join(terms)}",
        *(f"slopes[{row} * COLUMNS + {q}] += h{q}" for _, q, _ in direct),
    ]


def _delay(trigger: Trigger) -> sympy.Expr:
    return sympy.S.Zero if trigger.delay is None else trigger.delay


def _slopes(layout: Layout, value: sympy.Expr) -> tuple[list[Partial], int, list[Partial]]:
    """The derivatives of an expression by states, by the time, and by active parameters."""
    node, system = [layout.graph.of(value)], layout.system
    by_time = partials(layout, node, [system.time])
    drift = by_time[0][2] if by_time else layout.graph.zero
    by_state, direct = (partials(layout, node, s) for s in (system.states, layout.columns_of))
    return by_state, drift, direct


def _assign(layout: Layout, targets: Sequence[str], expressions: Sequence[sympy.Expr]) -> list[str]:
    return lines_of(layout, targets, [*map(layout.graph.of, expressions)], layout.texts)
