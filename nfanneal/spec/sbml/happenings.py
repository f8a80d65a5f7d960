"""Events of a file, and what they do to concentrations in compartments that they resize."""

from __future__ import annotations

from typing import Any

import sympy

from nfanneal.errors import nearest
from nfanneal.model.expressions import symbol
from nfanneal.spec.sbml.contents import SbmlEvent
from nfanneal.spec.sbml.quantities import compartment_of
from nfanneal.spec.sbml.replacing import replaced, written_out
from nfanneal.spec.sbml.rules import Rules
from nfanneal.spec.sbml.source import Source, items


def events_of(source: Source, rules: Rules) -> list[SbmlEvent]:
    """Read all events; complaints are collected."""
    found = []
    names = {key for key in (e.getId() for e in items(source.model, "Event")) if key}
    for i, event in enumerate(items(source.model, "Event"), start=1):
        name = event.getId() or f"event{i}"
        while not event.getId() and name in names:
            name += "_"
        found.append(_event(source, rules, event, name))
    return found


def _event(source: Source, rules: Rules, event: Any, name: str) -> SbmlEvent:
    line, what, formulas = event.getLine(), f"event '{name}'", source.formulas
    trigger, condition = event.getTrigger(), None
    if trigger is None:
        source.complaints.at(line, f"{what} has no trigger")
    else:
        condition = formulas.condition(trigger.getMath(), line, f"the trigger of {what}")
    level_three = source.model.getLevel() > 2 and trigger is not None
    delay = priority = None
    if event.isSetDelay():
        delay = formulas.expression(event.getDelay().getMath(), line, f"the delay of {what}")
    if event.isSetPriority():
        formula = event.getPriority().getMath()
        priority = formulas.expression(formula, line, f"the priority of {what}")
    return SbmlEvent(
        name=name,
        trigger=sympy.false if condition is None else condition,
        delay=delay,
        priority=priority,
        assignments=_assignments(source, rules, event, what),
        persistent=bool(trigger.getPersistent()) if level_three else True,
        values_from_trigger=bool(event.getUseValuesFromTriggerTime()),
        line=line,
        initially=bool(trigger.getInitialValue()) if level_three else True,
    )


def _assignments(source: Source, rules: Rules, event: Any, what: str) -> dict[str, sympy.Expr]:
    found: dict[str, sympy.Expr] = {}
    for assignment in items(event, "EventAssignment"):
        key, line = assignment.getVariable(), assignment.getLine()
        name = source.name(key)
        wrong = _wrong_with(source, rules, name)
        if wrong is not None:
            hint = nearest(key, source.elements) if name not in source.elements else None
            source.complaints.at(line, f"{what} assigns to '{key}', which {wrong}", hint)
            continue
        value = source.formulas.expression(assignment.getMath(), line, f"{what}, '{key}'")
        if name in found:
            source.complaints.at(line, f"{what} assigns to '{key}' twice")
        found[name] = sympy.S.Zero if value is None else value
    return found | _diluted(source, rules, event, found)


def _wrong_with(source: Source, rules: Rules, name: str) -> str | None:
    if name not in source.elements:
        return "is no species, compartment or parameter"
    if name in rules.assignments:
        return "has an assignment rule"
    return "is constant" if source.elements[name].getConstant() else None


def _sizes_after(
    source: Source, rules: Rules, event: Any, assigned: dict[str, sympy.Expr]
) -> dict[str, sympy.Expr]:
    """Sizes of the compartments that an event changes, by itself or through assignment rules."""
    values = {symbol(name): value for name, value in assigned.items()}
    found = {}
    for name in source.elements:
        if source.kinds[name] != "compartment":
            continue
        if name in assigned:
            found[name] = assigned[name]
        rule = rules.assignments.get(name)
        whole = None if rule is None else written_out(rule, rules.assignments)
        if whole is None or not whole.free_symbols & values.keys():
            continue
        inside = {s.name for s in whole.free_symbols if source.kinds.get(s.name) == "species"}
        if any(compartment_of(source, source.elements[s]) in rules.assignments for s in inside):
            message = f"an event resizes '{name}' by a rule of concentrations that follow a size"
            source.complaints.at(event.getLine(), message)
        found[name] = replaced(whole, values)
    return found


def _diluted(
    source: Source, rules: Rules, event: Any, assigned: dict[str, sympy.Expr]
) -> dict[str, sympy.Expr]:
    """Concentrations in compartments that are resized: amounts stay as they are."""
    found = {}
    sizes = _sizes_after(source, rules, event, assigned)
    gone = [name for name, value in sizes.items() if value == 0]
    for name, element in source.elements.items():
        if source.kinds[name] != "species" or name in assigned or name in rules.assignments:
            continue
        by = compartment_of(source, element)
        if by in gone:
            message = f"an event makes compartment '{by}' vanish, with '{name}' in it"
            source.complaints.at(event.getLine(), message)
        elif by is not None and by in sizes:
            found[name] = symbol(name) * symbol(by) / sizes[by]
    if found and event.isSetDelay() and event.getUseValuesFromTriggerTime():
        message = "a delayed event resizes a compartment with values from before the delay"
        source.complaints.at(event.getLine(), message, 'useValuesFromTriggerTime="false" is read')
    return found
