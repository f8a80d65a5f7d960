"""Values at the start: with some of them replaced, as expressions of constants or as numbers."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.model.expressions import cost_of, symbol
from nfanneal.spec.sbml.contents import SbmlModel
from nfanneal.spec.sbml.order import in_order
from nfanneal.spec.sbml.replacing import Values, replaced

MOST_OPERATIONS, DEEPEST = 20_000, 150
"""Of one initial value with all that it depends on written out: as of a whole spec."""


def resolved(
    model: SbmlModel, overrides: Mapping[str, sympy.Expr] | None = None
) -> dict[str, sympy.Expr]:
    """Values at the start of all ids that no assignment rule determines.

    Each is an expression of ids that are numbers and stay so (parameters, compartments, constant
    species) and of symbols that `overrides` bring in and the model does not know. An id that an
    override determines has that value everywhere, also where another initial value depends on it;
    one that stands for itself, `{"k": symbol("k")}`, stays a symbol.

    Raises:
        SpecError: values determine one another in a circle, an override is for an id that the
            model does not have or a rule determines, or what has no value is needed.
    """
    overrides = overrides or {}
    free = [name for name, value in overrides.items() if value == symbol(name)]
    given = _definitions(model, overrides)
    order = _order(model, {name: e for name, e in given.items() if name not in free})
    varying = {*model.states, *model.changed_by_events}
    start = {symbol(model.time): sympy.S.Zero}
    whole: dict[sympy.Symbol, sympy.Expr] = {}
    sizes: dict[str, tuple[int, int]] = {}
    complaints = []
    for name in order:
        expression = given[name]
        missing = sorted(s.name for s in expression.free_symbols if s.name in model.unset
                         and s.name not in overrides)  # fmt: skip
        if missing and name not in model.assignments:
            message = f"'{name}' starts from '{missing[0]}', which has no value"
            complaints.append(_at(model, name, message))
        if not _affordable(expression, name, sizes):
            message = f"the initial value of '{name}' is too long, written out"
            complaints.append(_at(model, name, message))
            break
        found = _replaced(expression, whole | start)
        if found is None:
            complaints.append(
                _at(model, name, f"the initial value of '{name}' is no finite number")
            )
            found = sympy.S.Zero
        if not (found.is_Number and name not in varying):
            whole[symbol(name)] = found
        given[name] = found
    if complaints:
        raise SpecError(complaints)
    return {name: given[name] for name in [*model.initial, *model.unset] if name in given}


def refuse_circles(model: SbmlModel) -> None:
    """Values at the start must not determine one another.

    Raises:
        SpecError: they do, as the file has them.
    """
    _order(model, _definitions(model, {}))


def _replaced(expression: sympy.Expr, values: Values) -> sympy.Expr | None:
    try:
        return replaced(expression, values)
    except (OverflowError, ValueError, ZeroDivisionError):
        return None


def _definitions(model: SbmlModel, overrides: Mapping[str, sympy.Expr]) -> dict[str, sympy.Expr]:
    wrong = [name for name in overrides if name not in model.initial and name not in model.unset]
    if wrong:
        what = "an assignment rule determines it" if wrong[0] in model.assignments else "no such id"
        raise SpecError(f"{model.path}: no initial value can be given to '{wrong[0]}': {what}")
    return {**model.initial, **model.assignments, **overrides}


def _order(model: SbmlModel, given: Mapping[str, sympy.Expr]) -> list[str]:
    order, circle = in_order({n: [s.name for s in e.free_symbols] for n, e in given.items()})
    if circle:
        way = " → ".join(circle[:10])
        raise SpecError([_at(model, circle[0], f"these values determine one another: {way}")])
    return order


def _at(model: SbmlModel, name: str, message: str) -> Complaint:
    return Complaint(message, Location(model.path, model.lines.get(name, 1)))


def _affordable(expression: sympy.Expr, name: str, sizes: dict[str, tuple[int, int]]) -> bool:
    """Whether the expression stays small when all that it depends on is written out."""
    cost = cost_of(expression)
    used = [n.name for n in sympy.preorder_traversal(expression) if n.is_Symbol]
    inner = [sizes[n] for n in used if n in sizes]
    size = cost.operations + sum(size for size, _ in inner)
    depth = cost.depth + max((depth for _, depth in inner), default=0)
    sizes[name] = (1, 1) if expression.is_Number else (size, depth)
    return size <= MOST_OPERATIONS and depth <= DEEPEST
