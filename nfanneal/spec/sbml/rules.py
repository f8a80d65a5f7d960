"""Rules and initial assignments: what determines an id from formulas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sympy

from nfanneal.errors import nearest
from nfanneal.spec.sbml.source import Source, items

ALGEBRAIC = "an algebraic rule: a differential-algebraic equation"


@dataclass
class Rules:
    """Expressions by name."""

    assignments: dict[str, sympy.Expr] = field(default_factory=dict)
    rates: dict[str, sympy.Expr] = field(default_factory=dict)
    initial: dict[str, sympy.Expr] = field(default_factory=dict)


def rules_of(source: Source) -> Rules:
    """Read all rules and initial assignments; complaints are collected."""
    found = Rules()
    for rule in items(source.model, "Rule"):
        if rule.isAlgebraic():
            hint = "solve it for one of its ids, and make it an assignment rule"
            source.complaints.at(rule.getLine(), ALGEBRAIC, hint)
            continue
        name = _target(source, rule.getVariable(), rule, "a rule")
        if name is None:
            continue
        if name in found.assignments or name in found.rates:
            source.complaints.at(rule.getLine(), f"'{rule.getVariable()}' has two rules")
        into = found.assignments if rule.isAssignment() else found.rates
        what = f"the rule of '{rule.getVariable()}'"
        _put(source, into, name, rule, what)
        if source.elements[name].getConstant():
            message = f"'{rule.getVariable()}' is constant, but has a rule"
            source.complaints.at(rule.getLine(), message)
    for assignment in items(source.model, "InitialAssignment"):
        name = _target(source, assignment.getSymbol(), assignment, "an initial assignment")
        if name is None:
            continue
        if name in found.initial or name in found.assignments:
            message = f"'{assignment.getSymbol()}' is determined twice"
            source.complaints.at(assignment.getLine(), message)
        what = f"the initial assignment of '{assignment.getSymbol()}'"
        _put(source, found.initial, name, assignment, what)
    return found


def _put(source: Source, into: dict[str, sympy.Expr], name: str, element: Any, what: str) -> None:
    expression = source.formulas.expression(element.getMath(), element.getLine(), what)
    into[name] = sympy.S.Zero if expression is None else expression  # complained about


def _target(source: Source, identifier: str, element: Any, what: str) -> str | None:
    """The name of what is determined."""
    name = source.name(identifier)
    if name in source.elements:
        return name
    message = f"{what} for '{identifier}', which is no species, compartment or parameter"
    source.complaints.at(element.getLine(), message, nearest(identifier, source.elements))
    return None
