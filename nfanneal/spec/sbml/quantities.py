"""What ids have for a value at the start, and in which quantity species are counted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import sympy

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import number
from nfanneal.spec.sbml.reactions import Reactions
from nfanneal.spec.sbml.rules import Rules
from nfanneal.spec.sbml.source import Source


@dataclass
class Starts:
    """Values at the start by name, and the names of those that have none."""

    initial: dict[str, sympy.Expr] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)


def compartment_of(source: Source, species: Any) -> str | None:
    """The compartment by which a species' amount is divided; None where the id is the amount."""
    name = source.name(species.getCompartment())
    if source.kinds.get(name) != "compartment":
        message = f"'{species.getId()}' is in '{species.getCompartment()}', which is no compartment"
        source.complaints.at(species.getLine(), message)
        return None
    if species.getHasOnlySubstanceUnits() or _is_point(source.elements[name]):
        return None
    return name


def _is_point(compartment: Any) -> bool:
    return bool(
        compartment.isSetSpatialDimensions() and compartment.getSpatialDimensionsAsDouble() == 0
    )


def starts_of(source: Source, rules: Rules, reactions: Reactions) -> Starts:
    """The values at the start of all ids that no assignment rule determines."""
    found = Starts()
    for name, element in source.elements.items():
        if name in rules.assignments:
            continue
        if name in rules.initial:
            found.initial[name] = rules.initial[name]
            continue
        value = _GIVEN[source.kinds[name]](source, element)
        if value is None:
            found.unset.append(name)
        else:
            found.initial[name] = value
    for name, local in reactions.local.items():
        element = reactions.local_elements[name]
        source.kinds[name] = "local parameter"
        source.lines[name] = element.getLine()
        if local is None:
            found.unset.append(name)
        else:
            found.initial[name] = _number(source, element, local)
    return found


def _number(source: Source, element: Any, value: float) -> sympy.Expr:
    try:
        return number(value)
    except OverflowError:
        message = f"'{element.getId()}' has the value {value}, not a finite number"
        source.complaints.at(element.getLine(), message)
        return sympy.S.Zero


def _of_compartment(source: Source, compartment: Any) -> sympy.Expr | None:
    if _is_point(compartment):
        return sympy.S.One
    if not compartment.isSetSize() or math.isnan(compartment.getSize()):
        source.complaints.note(f"compartment '{compartment.getId()}' has no size: 1 is taken")
        return sympy.S.One
    return _number(source, compartment, compartment.getSize())


def _of_species(source: Source, species: Any) -> sympy.Expr | None:
    """An amount or a concentration, turned into what the id means."""
    by = compartment_of(source, species)
    compartment = symbol(source.name(species.getCompartment()))
    if species.isSetInitialAmount() and not math.isnan(species.getInitialAmount()):
        amount = _number(source, species, species.getInitialAmount())
        return amount if by is None else amount / compartment
    if species.isSetInitialConcentration() and not math.isnan(species.getInitialConcentration()):
        concentration = _number(source, species, species.getInitialConcentration())
        return concentration * compartment if by is None else concentration
    return None


def _of_parameter(source: Source, parameter: Any) -> sympy.Expr | None:
    if not parameter.isSetValue() or math.isnan(parameter.getValue()):
        return None
    return _number(source, parameter, parameter.getValue())


def _of_reference(source: Source, reference: Any) -> sympy.Expr | None:
    if not reference.isSetStoichiometry() or math.isnan(reference.getStoichiometry()):
        return None
    return _number(source, reference, reference.getStoichiometry())


_GIVEN = {
    "compartment": _of_compartment,
    "species": _of_species,
    "parameter": _of_parameter,
    "stoichiometry": _of_reference,
}
