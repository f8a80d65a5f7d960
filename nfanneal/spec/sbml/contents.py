"""What an SBML file says, as expressions: plain data that the rest of the importers works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import sympy

Kind = Literal["species", "compartment", "parameter", "local parameter", "stoichiometry"]
"""What an id with a value is in the file."""


@dataclass(frozen=True)
class SbmlEvent:
    """Assignments that are made when a trigger turns from false to true.

    `initially` is the value that the trigger is taken to have had before the start: with a false
    one, a trigger that is true at the start fires there. All `assignments` are made at once, with
    a `delay` later. They are computed at the time of the trigger if `values_from_trigger`, and
    given up where the trigger turns false before them unless `persistent`. Of events at one time,
    those of the highest `priority` come first.
    """

    name: str
    trigger: Any
    delay: sympy.Expr | None
    priority: sympy.Expr | None
    assignments: Mapping[str, sympy.Expr]
    persistent: bool
    values_from_trigger: bool
    line: int
    initially: bool = True


@dataclass(frozen=True)
class SbmlModel:
    """The differential equations of an SBML file; all symbols are `symbol(id)`.

    Attributes:
        name: the model's name or id.
        time: the name of the time in all expressions.
        states: ids with a differential equation.
        rates: d(id)/dt of each state, in the quantity that the id means in the file's formulas:
            a concentration, or an amount for a species with hasOnlySubstanceUnits. Rates of
            reactions stand in them as the reaction's id, which is one of the `assignments`.
        initial: the value at the start of each id that no assignment rule determines: a number
            or an expression of other ids, as the file says it, nothing substituted.
        unset: those ids that `initial` lacks since the file gives them no value.
        assignments: of assignment rules and of reactions, in an order in which each uses only
            earlier ones; nothing substituted.
        events: in the order of the file.
        lines: id → line of the file, for messages.
        kinds: id → what it is, for ids of `initial`, `unset` and assignment rules.
        names: id → the name that the file gives beside the id, where it does.
        units: id → its unit, where the file gives one.
        renamed: id in the file → id here, for those that differ; local parameters of reactions
            are not among them.
        notes: what is to be told to the user.
        path: of the file.
    """

    name: str
    time: str
    states: tuple[str, ...]
    rates: Mapping[str, sympy.Expr]
    initial: Mapping[str, sympy.Expr]
    assignments: Mapping[str, sympy.Expr]
    events: tuple[SbmlEvent, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    path: str = "model.xml"

    @property
    def changed_by_events(self) -> frozenset[str]:
        """Ids that some event assigns a value to."""
        return frozenset(name for event in self.events for name in event.assignments)
