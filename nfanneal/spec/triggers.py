"""What a spec says of events: conditions, what they set, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy

from nfanneal.errors import nearest
from nfanneal.model.expressions import Names, symbol
from nfanneal.spec.document import KeyPath
from nfanneal.spec.kinds.ode import EventSpec, OdeSpec
from nfanneal.spec.reader import Reader


@dataclass(frozen=True)
class EventMeaning:
    """Where `condition` turns true, states, constants and parameters take other `values`.

    In one experiment alone, if it is named; a `delay` later; at the start, too, if `at_start`.
    The rest is as in `nfanneal.model.ode.Trigger`.
    """

    condition: Any
    values: Mapping[str, sympy.Expr]
    delay: sympy.Expr | None = None
    at_start: bool = False
    experiment: str = ""
    late_values: bool = True
    persistent: bool = True
    priority: float = 0.0
    first: bool = False

    @property
    def expressions(self) -> tuple[Any, ...]:
        """The condition and all expressions."""
        delay = () if self.delay is None else (self.delay,)
        return (self.condition, *self.values.values(), *delay)


class TriggersReader(Reader):
    """Reads the events of an ODE model and of its experiments."""

    def _events(self, model: OdeSpec) -> tuple[EventMeaning, ...]:
        names: dict[str, int | None] = self._parameters | self._constants
        names |= dict.fromkeys((*model.states, *model.inputs, model.time))
        given = [*self._given(model)]
        everywhere = {name for _, _, event in given for name in event.set}
        found = [
            self._event(model, experiment, path, event, names) for experiment, path, event in given
        ]
        moving = {model.time, *model.states, *model.inputs, *model.changes, *everywhere}
        for (_, path, event), meaning in zip(given, found, strict=True):
            if (
                meaning is not None
                and not {str(s) for s in meaning.condition.free_symbols} & moving
            ):
                message = f"{_called(event)}: nothing in this condition ever changes"
                self.complain((*path, "when"), message)
        return tuple(meaning for meaning in found if meaning is not None)

    def _given(self, model: OdeSpec) -> Iterator[tuple[str, KeyPath, EventSpec]]:
        """The experiment, the place and the event, of the model's first."""
        lists: list[tuple[str, KeyPath, Iterable[EventSpec]]] = [("", ("model",), model.events)]
        for name, said in self._spec.experiments.items():
            lists.append((name, ("experiments", name), said.events))
        for experiment, path, events in lists:
            for i, event in enumerate(events):
                place: KeyPath = (*path, "events", i)
                is_item = place in self._document.places
                yield experiment, place if is_item else place[:-1], event

    def _event(
        self, model: OdeSpec, experiment: str, path: KeyPath, event: EventSpec, names: Names
    ) -> EventMeaning | None:
        condition = self._condition(event.when, (*path, "when"), names)
        for name in event.set:
            self._check_target(model, (*path, "set", name), name, event)
        values = self._expressions(event.set, (*path, "set"), names)
        for name, value in values.items():
            if model.positive and name in model.states and value.is_Number and not value > 0:
                message = f"'{name}' must be set to what is above 0 with positive: true"
                self.complain((*path, "set", name), message, "leave out positive")
        delay = None
        if event.delay is not None:
            delay = self._expression(event.delay, (*path, "delay"), names)
            if delay is not None and delay.is_Number and delay < 0:
                self.complain((*path, "delay"), f"{_called(event)}: a delay of {delay}, below 0")
        if condition is None or len(values) < len(event.set):
            return None
        late = event.delay is None if event.values is None else event.values == "at_assignment"
        first = event.priority == "first"
        if first and delay is not None:
            self.complain((*path, "priority"), "an event that comes first has no delay")
        return EventMeaning(
            condition, values, delay, event.at_start == "fire", experiment, late,
            event.persistent, 0.0 if event.priority == "first" else event.priority, first,
        )  # fmt: skip

    def _check_target(self, model: OdeSpec, path: KeyPath, name: str, event: EventSpec) -> None:
        known = {**dict.fromkeys(model.states), **self._parameters, **self._constants}
        if name in model.changes:
            message = f"{_called(event)} sets '{name}', which has changes: both would set it"
            self.complain_key(path, message, "write the changes as events, when: t >= …")
        elif name not in known:
            message = f"{_called(event)} sets '{name}': no state, constant or parameter"
            self.complain_key(path, message, nearest(name, known))
        elif known[name] is not None:
            self.complain_key(path, f"'{name}' is a vector: only scalars can be set")

    def _check_used_before(
        self, events: Iterable[EventMeaning], used: Mapping[str, Iterable[sympy.Expr]]
    ) -> None:
        """Doses and changes know parameters as they are at the start."""
        for section, expressions in used.items():
            symbols = {s for e in expressions for s in e.free_symbols}
            names = {name for event in events for name in event.values}
            for name in sorted(names - set(self._spec.model.names_of("states"))):
                if symbol(name) in symbols:
                    message = f"model.{section} need '{name}' beforehand, but an event sets it"
                    self.complain_key(("model", section), message, "write them as events, too")


def _called(event: EventSpec) -> str:
    return f"the event '{event.name}'" if event.name else "this event"
