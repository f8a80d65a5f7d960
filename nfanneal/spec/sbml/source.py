"""The ids of a file, what they are, and how its formulas are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nfanneal.spec.collecting import Complaints
from nfanneal.spec.sbml.contents import Kind
from nfanneal.spec.sbml.formulas import Formulas, Function
from nfanneal.spec.sbml.naming import Naming
from nfanneal.spec.sbml.order import in_order


@dataclass
class Source:
    """A libsbml model whose ids are known; names are those of expressions.

    `elements` are what has a value (compartments, species, parameters, references with an id) by
    name, `kinds` what each of them is.
    """

    model: Any
    complaints: Complaints
    naming: Naming
    formulas: Formulas
    elements: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def name(self, identifier: str) -> str:
        """The name in expressions of an id in the file."""
        return self.naming.of(identifier)


def items(of: Any, what: str) -> Iterator[Any]:
    """The elements of one of libsbml's lists: `items(model, "Species")`."""
    get = getattr(of, f"get{what}")
    yield from (get(i) for i in range(_count(of, what)))


def _count(of: Any, what: str) -> int:
    plural = what if what == "Species" else f"{what}s"
    return int(getattr(of, f"getNum{plural}")())


def source_of(model: Any, complaints: Complaints) -> Source:
    """Go through the ids and function definitions of a model; complaints are collected."""
    valued: list[tuple[Kind, Any]] = [("compartment", c) for c in items(model, "Compartment")]
    valued += [("species", s) for s in items(model, "Species")]
    valued += [("parameter", p) for p in items(model, "Parameter")]
    valued += [("stoichiometry", r) for r in _references(model)]
    reactions = list(items(model, "Reaction"))
    others = [*reactions, *items(model, "FunctionDefinition"), *items(model, "Event")]
    seen: dict[str, int] = {}
    for element in [*(e for _, e in valued), *others]:
        key = element.getId()
        if key and key in seen:
            complaints.at(element.getLine(), f"the id '{key}' is that of line {seen[key]}, too")
        seen.setdefault(key, element.getLine())
    local = [p.getId() for r in reactions for p in local_parameters(r)]
    naming = Naming([*seen, *local])
    names = {e.getId(): naming.of(e.getId()) for e in [*(e for _, e in valued), *reactions]}
    names.pop("", None)
    functions = _functions(model, complaints)
    formulas = Formulas(names, functions, naming.new("time"), complaints)
    source = Source(model, complaints, naming, formulas)
    for kind, element in valued:
        name = names.get(element.getId())
        if name is None:
            complaints.at(element.getLine(), f"a {kind} without an id")
            continue
        source.elements[name], source.kinds[name] = element, kind
        source.lines[name] = element.getLine()
    source.lines |= {names[r.getId()]: r.getLine() for r in reactions if r.getId()}
    return source


def _references(model: Any) -> Iterator[Any]:
    """References to species that have an id, by which formulas know their stoichiometry."""
    if model.getLevel() < 3:
        return
    for reaction in items(model, "Reaction"):
        for reference in [*items(reaction, "Reactant"), *items(reaction, "Product")]:
            if reference.getId():
                yield reference


def local_parameters(reaction: Any) -> list[Any]:
    """The parameters that only the reaction's own formula knows."""
    law = reaction.getKineticLaw()
    if law is None:
        return []
    level_three = [law.getLocalParameter(i) for i in range(law.getNumLocalParameters())]
    return level_three or [law.getParameter(i) for i in range(law.getNumParameters())]


def _functions(model: Any, complaints: Complaints) -> dict[str, Function]:
    """Function definitions; those that call themselves, by whatever way, are complained about."""
    found, calls = {}, {}
    for definition in items(model, "FunctionDefinition"):
        key, line = definition.getId(), definition.getLine()
        arguments = [definition.getArgument(i) for i in range(definition.getNumArguments())]
        if definition.getBody() is None or any(a is None for a in arguments):
            complaints.at(line, f"function '{key}' has no formula")
            continue
        names = tuple(a.getName() for a in arguments)
        found[key] = Function(names, definition.getBody(), line)
        calls[key] = _called(definition.getBody())
    _, circle = in_order(calls)
    if circle:
        way = " → ".join(circle[:10])
        complaints.at(found[circle[0]].line, f"function '{circle[0]}' calls itself: {way}")
    return {} if circle else found


def _called(node: Any) -> set[str]:
    """Names in a formula, those of functions among them."""
    found, rest = set(), [node]
    while rest:
        node = rest.pop()
        if node.isFunction() and node.getName():
            found.add(node.getName())
        rest += [node.getChild(i) for i in range(node.getNumChildren())]
    return found
