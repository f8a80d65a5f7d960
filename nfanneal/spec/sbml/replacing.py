"""Expressions with others in place of their symbols, rebuilt through the grammar's functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy

from nfanneal.model.expressions.functions import Where, compare, number
from nfanneal.model.expressions.grammar import is_finite

Values = Mapping[sympy.Symbol, sympy.Expr]


def replaced(expression: Any, values: Values, known: dict[Any, Any] | None = None) -> Any:
    """The expression (or condition) with values for symbols; what is of numbers alone is a number.

    Of a `where` whose condition is decided, the other branch is not looked at: it may well have no
    value. `known` is filled on the way, for expressions that share parts.

    Raises:
        OverflowError: some part has no finite real value.
    """
    known = {} if known is None else known
    if expression in values:
        return values[expression]
    if not expression.args or not expression.free_symbols & values.keys():
        return expression
    if expression not in known:
        known[expression] = _rebuilt(expression, values, known)
    return known[expression]


def _rebuilt(expression: Any, values: Values, known: dict[Any, Any]) -> Any:
    if isinstance(expression, Where):
        condition = replaced(expression.args[0], values, known)
        if condition in (sympy.true, sympy.false):
            return replaced(expression.args[1 if condition == sympy.true else 2], values, known)
    parts = [replaced(part, values, known) for part in expression.args]
    if isinstance(expression, sympy.Rel):
        return compare(expression.func, *parts)
    found = expression.func(*parts)
    if not isinstance(found, sympy.Expr):
        return found
    if not is_finite(found):
        raise OverflowError("not a finite real number")
    if found.is_Number or found.free_symbols:
        return found
    try:
        return number(float(found))  # exp(2), which only sympy knows exactly
    except TypeError:  # a complex number
        raise OverflowError("not a finite real number") from None


MOST_ROUNDS, MOST_OPERATIONS = 20, 2_000
"""Rules within rules, and operations of an expression in which they are written out."""


def written_out(expression: Any, rules: Mapping[str, sympy.Expr]) -> Any | None:
    """An expression or condition without names that rules determine; None if it is too large."""
    for _ in range(MOST_ROUNDS):
        used = {s: rules[s.name] for s in expression.free_symbols if s.name in rules}
        if not used:
            return expression
        expression = replaced(expression, used)
        if expression.count_ops() > MOST_OPERATIONS:
            return None
    return None
