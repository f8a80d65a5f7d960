"""Reactions: their rates, and what they change amounts of species by."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import sympy

from nfanneal.errors import nearest
from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import number
from nfanneal.spec.sbml.rules import Rules
from nfanneal.spec.sbml.source import Source, items, local_parameters

FAST = "a fast reaction: an equilibrium at each time, not a differential equation"


@dataclass
class Reactions:
    """Rates by the reaction's name; d(amount)/dt of species in terms of the reactions' symbols.

    `local` are local parameters (name: number, or None if the file has none) with their lines.
    """

    rates: dict[str, sympy.Expr] = field(default_factory=dict)
    changes: dict[str, sympy.Expr] = field(default_factory=dict)
    local: dict[str, float | None] = field(default_factory=dict)
    local_elements: dict[str, Any] = field(default_factory=dict)


def reactions_of(source: Source, rules: Rules) -> Reactions:
    """Read all reactions; complaints are collected."""
    found = Reactions()
    terms: dict[str, list[sympy.Expr]] = defaultdict(list)
    for reaction in items(source.model, "Reaction"):
        if reaction.isSetFast() and reaction.getFast():
            hint = "give it a rate that is large, or replace it by its equilibrium"
            message = f"'{reaction.getId()}' is {FAST}"
            source.complaints.at(reaction.getLine(), message, hint)
        changed = _changed(source, rules, reaction)
        if _add_rate(source, found, reaction, bool(changed)):
            rate = symbol(source.name(reaction.getId()))
            for name, factor in changed:
                terms[name].append(factor * rate)
    found.changes = {name: sympy.Add(*parts) for name, parts in terms.items()}
    return found


def _add_rate(source: Source, found: Reactions, reaction: Any, needed: bool) -> bool:
    """Read the rate of a reaction; false if it has none and `needed` none."""
    law, key = reaction.getKineticLaw(), reaction.getId()
    if law is None or law.getMath() is None:
        if needed:
            hint = "a reaction without a rate is no differential equation"
            source.complaints.at(reaction.getLine(), f"'{key}' has no kinetic law", hint)
        return False
    names = {}
    for parameter in local_parameters(reaction):
        name = source.naming.new(f"{key}_{parameter.getId()}")
        names[parameter.getId()] = name
        found.local[name] = parameter.getValue() if parameter.isSetValue() else None
        found.local_elements[name] = parameter
    line = law.getLine() or reaction.getLine()
    what = f"the rate of '{key}'"
    rate = source.formulas.expression(law.getMath(), line, what, names)
    found.rates[source.name(key)] = sympy.S.Zero if rate is None else rate
    return True


def _changed(source: Source, rules: Rules, reaction: Any) -> list[tuple[str, sympy.Expr]]:
    """The species that a reaction changes, each with the amount per extent of the reaction."""
    found = []
    sides = [(r, -1) for r in items(reaction, "Reactant")]
    sides += [(r, 1) for r in items(reaction, "Product")]
    for reference, sign in sides:
        key, line = reference.getSpecies(), reference.getLine()
        name = source.name(key)
        if source.kinds.get(name) != "species":
            hint = nearest(key, source.kinds)
            source.complaints.at(line, f"'{reaction.getId()}': no species '{key}'", hint)
            continue
        species = source.elements[name]
        stoichiometry = _stoichiometry(source, rules, reference)
        if species.getBoundaryCondition():
            continue
        if species.getConstant() or name in rules.assignments or name in rules.rates:
            what = "is constant" if species.getConstant() else "has a rule"
            hint = "is a boundaryCondition missing?"
            message = f"'{reaction.getId()}' changes '{key}', which {what}"
            source.complaints.at(line, message, hint)
            continue
        found.append((name, sign * stoichiometry * _conversion(source, species)))
    return found


def _stoichiometry(source: Source, rules: Rules, reference: Any) -> sympy.Expr:
    """How many of a species; an id where formulas or events can determine it."""
    line, key = reference.getLine(), reference.getSpecies()
    if reference.isSetStoichiometryMath():
        formula = reference.getStoichiometryMath().getMath()
        found = source.formulas.expression(formula, line, f"the stoichiometry of '{key}'")
        return sympy.S.One if found is None else found
    name = source.name(reference.getId())
    fixed = name not in rules.initial and reference.getConstant()
    if name in source.elements and not fixed and source.model.getLevel() > 2:
        return symbol(name)
    value = float(reference.getStoichiometry()) / (reference.getDenominator() or 1)
    if source.model.getLevel() > 2 and not reference.isSetStoichiometry():
        source.complaints.at(line, f"the stoichiometry of '{key}' is not given")
        return sympy.S.One
    try:
        return number(value)
    except OverflowError:
        source.complaints.at(line, f"the stoichiometry of '{key}' is not a finite number")
        return sympy.S.One


def _conversion(source: Source, species: Any) -> sympy.Expr:
    """What turns the extent of reactions into amounts of a species."""
    key = species.getConversionFactor() if species.isSetConversionFactor() else ""
    if not key and source.model.isSetConversionFactor():
        key = source.model.getConversionFactor()
    if not key:
        return sympy.S.One
    name = source.name(key)
    if source.kinds.get(name) != "parameter":
        source.complaints.at(species.getLine(), f"the conversion factor '{key}' is no parameter")
    return symbol(name)
