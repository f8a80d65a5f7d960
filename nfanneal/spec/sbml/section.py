"""An SBML model as the `model:` section of a spec, in plain data and text of the grammar."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sympy

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.grammar import LONGEST
from nfanneal.spec.sbml.contents import SbmlEvent, SbmlModel
from nfanneal.spec.sbml.replacing import written_out
from nfanneal.spec.sbml.text import condition_text, text_of, value_of
from nfanneal.spec.sbml.values import resolved


def to_model_section(
    model: SbmlModel,
    overrides: Mapping[str, sympy.Expr] | None = None,
    *,
    parameters: Collection[str] = (),
    observables: Mapping[str, sympy.Expr] | None = None,
) -> dict[str, Any]:
    """The section, in the order in which one reads it.

    Assignment rules and rates of reactions become `expressions`, what is a number and stays so
    becomes one of the `constants`, what only events change becomes a state that is constant between
    them. `parameters` are ids that stand in the spec's section of that name instead, with a value
    or a prior; `overrides` replace values at the start as `resolved` does.

    Raises:
        SpecError: something has no value, is too long for an expression, or an event does what
            events of a spec cannot do.
    """
    free = {name: symbol(name) for name in parameters if name in (*model.initial, *model.unset)}
    start = resolved(model, {**(overrides or {}), **free})
    writer = _Writer(model)
    states = [*model.states, *only_by_events(model)]
    for name in (*states, *_needed(model)):
        if name in model.unset and name not in start:
            hint = "give it a value in the file, or make it a parameter"
            writer.complain(name, f"'{name}' has no value", hint)
    others = [n for n in start if n not in states and n not in parameters]
    constants = {n: value_of(start[n]) for n in others if start[n].is_Number}
    fixed = {n: writer.text(n, start[n]) for n in others if n not in constants}
    rules = {n: writer.text(n, e) for n, e in model.assignments.items()}
    if not states:
        writer.complain("", "nothing changes in this model: it has no differential equation")
    found: dict[str, Any] = {
        "kind": "ode",
        "time": model.time,
        "states": {n: writer.value(n, start[n]) for n in states if n in start},
        "expressions": fixed | rules,
        "equations": {n: writer.value(n, model.rates.get(n, sympy.S.Zero)) for n in states},
        "events": [writer.event(event) for event in model.events],
        "constants": constants,
    }
    if observables is not None:
        found["observables"] = {n: writer.text(n, e) for n, e in observables.items()}
    writer.end()
    return {key: value for key, value in found.items() if value not in ({}, [])}


def event_sections(model: SbmlModel) -> list[dict[str, Any]]:
    """The model's events as a spec has them.

    Raises:
        SpecError: one does what events of a spec cannot do.
    """
    writer = _Writer(model)
    found = [writer.event(event) for event in model.events]
    writer.end()
    return found


def only_by_events(model: SbmlModel) -> list[str]:
    """Ids that events change and nothing else does, in the order of the events."""
    changed = dict.fromkeys(n for event in model.events for n in event.assignments)
    return [name for name in changed if name not in model.states]


def _needed(model: SbmlModel) -> list[str]:
    """Ids without a value that some formula uses."""
    formulas: list[Any] = [*model.rates.values(), *model.assignments.values()]
    for event in model.events:
        formulas += [event.trigger, *event.assignments.values()]
        formulas += [] if event.delay is None else [event.delay]
    used = {s.name for formula in formulas for s in formula.free_symbols}
    return [name for name in model.unset if name in used]


class _Writer:
    """Text of expressions; those that cannot be written are complained about at their line."""

    def __init__(self, model: SbmlModel) -> None:
        self._model = model
        self._complaints: dict[Complaint, None] = {}

    def complain(self, name: str, message: str, hint: str | None = None, line: int = 1) -> None:
        where = Location(self._model.path, self._model.lines.get(name, line))
        self._complaints[Complaint(message, where, hint)] = None

    def end(self) -> None:
        if self._complaints:
            raise SpecError(self._complaints)

    def text(self, name: str, expression: sympy.Expr) -> str:
        return self._bounded(name, text_of(expression))

    def value(self, name: str, expression: sympy.Expr) -> str | float:
        value = value_of(expression)
        return self._bounded(name, value) if isinstance(value, str) else value

    def _bounded(self, name: str, text: str) -> str:
        if len(text) > LONGEST:
            message = f"the formula of '{name}' has {len(text):,} characters, more than {LONGEST:,}"
            self.complain(name, message, "split it into assignment rules")
        return text

    def event(self, event: SbmlEvent) -> dict[str, Any]:
        """One of the section's `events`."""

        def whole(expression: Any) -> Any:
            """Conditions and values of events know no `expressions`."""
            found = written_out(expression, self._model.assignments)
            if found is None:
                what = f"event '{event.name}': a formula is too large with its rules written out"
                self.complain("", what, None, event.line)
            return expression if found is None else found

        found: dict[str, Any] = {
            "name": event.name,
            "when": self._bounded(event.name, condition_text(whole(event.trigger))),
            "set": {n: self.value(n, whole(e)) for n, e in event.assignments.items()},
        }
        if event.delay is not None and event.delay != 0:
            found["delay"] = self.value(event.name, whole(event.delay))
        found |= self._with_others(event, "delay" in found)
        found["at_start"] = "nothing" if event.initially else "fire"
        return found

    def _with_others(self, event: SbmlEvent, delayed: bool) -> dict[str, Any]:
        """What matters where others happen at the same time, or until a delay is over."""
        found: dict[str, Any] = {}
        others = [e for e in self._model.events if e is not event]
        varies = any(not value.is_Number for value in event.assignments.values())
        if delayed and varies and not event.values_from_trigger:
            found["values"] = "at_assignment"
        elif not delayed and varies and others and event.values_from_trigger:
            found["values"] = "at_trigger"
        if not event.persistent and (delayed or others):
            found["persistent"] = False
        if event.priority is not None and others:
            if not event.priority.is_Number:
                message = f"event '{event.name}' has a priority that is no number"
                hint = "write a number for it"
                self.complain("", message, hint, event.line)
            else:
                found["priority"] = value_of(event.priority)
        return found
