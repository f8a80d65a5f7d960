"""An SBML file as a whole: text → libsbml → expressions, with every complaint at its line.

libsbml's own check of consistency is not asked: on a chain of a few thousand rules it takes hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sympy

from nfanneal.errors import SpecError
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.sbml.contents import SbmlModel
from nfanneal.spec.sbml.happenings import events_of
from nfanneal.spec.sbml.library import document_of, libsbml
from nfanneal.spec.sbml.order import in_order
from nfanneal.spec.sbml.quantities import starts_of
from nfanneal.spec.sbml.rates import rates_of
from nfanneal.spec.sbml.reactions import Reactions, reactions_of
from nfanneal.spec.sbml.rules import Rules, rules_of
from nfanneal.spec.sbml.safety import read_file, safe_text
from nfanneal.spec.sbml.source import Source, items, source_of
from nfanneal.spec.sbml.values import refuse_circles


def read_sbml(path: Path) -> SbmlModel:
    """The differential equations of an SBML file (level 2 or 3).

    Raises:
        SpecError: every complaint about it, each with its line; or libsbml is not installed.
    """
    return sbml_of(read_file(path), path)


def sbml_of(raw: bytes, path: Path) -> SbmlModel:
    """The same for the content of a file; `path` is for messages.

    Raises:
        SpecError: every complaint about it.
    """
    text = safe_text(raw, path)
    document = document_of(text, str(path))
    model, complaints = document.getModel(), Complaints(str(path))
    if model is None:
        raise SpecError(f"{path}: no model in the file")
    if document.getLevel() < 2:
        hint = "convert it: libsbml and COPASI write level 3"
        complaints.at(document.getLine(), "SBML of level 1 is not read", hint)
        complaints.tell()
    found = _read(model, complaints)
    complaints.tell()
    refuse_circles(found)
    return found


def _read(model: Any, complaints: Complaints) -> SbmlModel:
    source = source_of(model, complaints)
    rules = rules_of(source)
    reactions = reactions_of(source, rules)
    starts = starts_of(source, rules, reactions)
    rates = rates_of(source, rules, reactions)
    events = events_of(source, rules)
    if model.getNumConstraints():
        complaints.note("the constraints of the file are not looked at")
    for old, new in source.naming.renamed.items():
        complaints.note(f"'{old}' is called '{new}' here: expressions use '{old}' otherwise")
    return SbmlModel(
        name=model.getName() or model.getId() or "model",
        time=source.formulas.time,
        states=tuple(rates),
        rates=rates,
        initial=starts.initial,
        assignments=_assignments(source, rules, reactions),
        events=tuple(events),
        lines=source.lines,
        unset=tuple(starts.unset),
        kinds=source.kinds,
        names=_names(source, reactions),
        units=_units(source, reactions),
        renamed=source.naming.renamed,
        notes=tuple(complaints.notes),
        path=complaints.path,
    )


def _assignments(source: Source, rules: Rules, reactions: Reactions) -> dict[str, sympy.Expr]:
    """Assignment rules and rates of reactions, each after those it uses."""
    given = rules.assignments | reactions.rates
    order, circle = in_order({n: [s.name for s in e.free_symbols] for n, e in given.items()})
    if circle:
        message = f"these formulas use one another: {' → '.join(circle[:10])}"
        source.complaints.at(source.lines.get(circle[0], 1), message)
        return given
    return {name: given[name] for name in order}


def _all_elements(source: Source, reactions: Reactions) -> Iterable[tuple[str, Any]]:
    yield from source.elements.items()
    yield from reactions.local_elements.items()
    for reaction in items(source.model, "Reaction"):
        yield source.name(reaction.getId()), reaction


def _names(source: Source, reactions: Reactions) -> dict[str, str]:
    found = {}
    for name, element in _all_elements(source, reactions):
        given = " ".join(element.getName().split())[:200]
        if given and given != element.getId():
            found[name] = given
    return found


def _units(source: Source, reactions: Reactions) -> dict[str, str]:
    """Units that elements name themselves; those of species are of their amounts."""
    model, found = source.model, {}
    known = {d.getId(): d for d in items(model, "UnitDefinition")}
    for name, element in _all_elements(source, reactions):
        get = getattr(element, "getSubstanceUnits", None) or getattr(element, "getUnits", None)
        key = get() if get is not None else ""
        if key:
            found[name] = _unit(known[key]) if key in known else key
    return found


def _unit(definition: Any) -> str:
    """A unit in words: its name, or what it is composed of."""
    if definition.getName():
        return " ".join(str(definition.getName()).split())[:60]
    parts = []
    for unit in items(definition, "Unit"):
        scale = max(-300, min(300, unit.getScale()))  # of a hostile file
        factor = unit.getMultiplier() * 10.0**scale
        exponent = unit.getExponentAsDouble()
        shown = libsbml().UnitKind_toString(unit.getKind())
        shown = shown if factor == 1 else f"({factor:g} {shown})"
        parts.append(shown if exponent == 1 else f"{shown}^{exponent:g}")
    return " ".join(parts)[:60] or str(definition.getId())
