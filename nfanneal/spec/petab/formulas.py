"""Formulas of PEtab tables → expressions of our grammar; PEtab's own parser reads them."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import sympy

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import Least, Magnitude, Power, Where, compare, number


class FormulaError(ValueError):
    """A formula is none, or has something in it that the engine lacks; the text says what."""


def formula(text: str | float | sympy.Basic) -> sympy.Expr:
    """The expression of a formula.

    Raises:
        FormulaError: it cannot be read, or it has a function that the grammar does not have.
    """
    from petab.v1.math import sympify_petab  # noqa: PLC0415  (it takes a second)

    if isinstance(text, int | float):
        return _number(float(text))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = text if isinstance(text, sympy.Basic) else sympify_petab(text, evaluate=False)
    except RecursionError:
        raise FormulaError("nested too deeply") from None
    except Exception as error:  # of its parser: many kinds
        first = str(error).splitlines()[0] if str(error) else "not a formula"
        raise FormulaError(first) from None
    try:
        return _ours(found)
    except RecursionError:
        raise FormulaError("nested too deeply") from None
    except OverflowError:
        raise FormulaError("a number in it overflows") from None


def _number(value: float) -> sympy.Expr:
    try:
        return number(value)
    except OverflowError:
        raise FormulaError(f"{value} is not a finite number") from None


def _condition(node: Any) -> Any:
    if isinstance(node, sympy.Rel):
        if isinstance(node, sympy.Eq | sympy.Ne):
            raise FormulaError("== and != turn at no time: write < or >")
        return compare(type(node), *map(_ours, node.args))
    if isinstance(node, sympy.And | sympy.Or | sympy.Not):
        return node.func(*map(_condition, node.args))
    if isinstance(node, sympy.ITE):
        which, yes, no = map(_condition, node.args)
        return sympy.Or(sympy.And(which, yes), sympy.And(sympy.Not(which), no))
    if node in (sympy.true, sympy.false):
        return node
    raise FormulaError(f"'{node}' is no condition")


def _cases(node: sympy.Piecewise) -> sympy.Expr:
    *first, last = node.args
    if last[1] != sympy.true:
        raise FormulaError("piecewise needs a value for all other cases")
    otherwise = _ours(last[0])
    for value, condition in reversed(first):
        otherwise = Where(_condition(condition), _ours(value), otherwise)
    return otherwise


def _power(node: sympy.Expr) -> sympy.Expr:
    base, exponent = map(_ours, node.args)
    if base == sympy.E or isinstance(node.args[0], sympy.core.numbers.Exp1):
        return sympy.exp(exponent)
    if exponent == sympy.Rational(1, 2) or (exponent.is_Float and float(exponent) == 0.5):
        return sympy.sqrt(base)
    return Power(base, exponent)


def _log(node: sympy.Expr) -> sympy.Expr:
    arguments = [_ours(part) for part in node.args]
    logs = [_number(math.log(float(x))) if x.is_positive and x.is_number else sympy.log(x)
            for x in arguments]  # fmt: skip
    return logs[0] if len(logs) == 1 else logs[0] / logs[1]


def _of_exp(both: Callable[[sympy.Expr, sympy.Expr], sympy.Expr]) -> Callable[[Any], sympy.Expr]:
    """A hyperbolic function, of exp(x) and exp(−x)."""

    def of(node: Any) -> sympy.Expr:
        x = _ours(node.args[0])
        return both(sympy.exp(x), sympy.exp(-x))

    return of


def _sign(node: Any) -> sympy.Expr:
    x, zero = _ours(node.args[0]), sympy.S.Zero
    below = Where(compare(sympy.Lt, x, zero), sympy.S.NegativeOne, zero)
    return Where(compare(sympy.Gt, x, zero), sympy.S.One, below)


_BUILT: dict[Any, Callable[[Any], sympy.Expr]] = {
    sympy.Piecewise: _cases,
    sympy.Pow: _power,
    sympy.log: _log,
    sympy.Abs: lambda node: Magnitude(_ours(node.args[0])),
    sympy.Min: lambda node: functools.reduce(Least, map(_ours, node.args)),
    sympy.Max: lambda node: -functools.reduce(Least, [-_ours(x) for x in node.args]),
    sympy.sign: _sign,
    sympy.sec: lambda node: 1 / sympy.cos(_ours(node.args[0])),
    sympy.csc: lambda node: 1 / sympy.sin(_ours(node.args[0])),
    sympy.cot: lambda node: 1 / sympy.tan(_ours(node.args[0])),
    sympy.sinh: _of_exp(lambda up, down: (up - down) / 2),
    sympy.cosh: _of_exp(lambda up, down: (up + down) / 2),
    sympy.sech: _of_exp(lambda up, down: 2 / (up + down)),
    sympy.csch: _of_exp(lambda up, down: 2 / (up - down)),
    sympy.coth: _of_exp(lambda up, down: (up + down) / (up - down)),
}
_KEPT = (sympy.Add, sympy.Mul)
_ELEMENTARY = (sympy.exp, sympy.sin, sympy.cos, sympy.tan, sympy.tanh)


def _ours(node: Any) -> sympy.Expr:
    if isinstance(node, sympy.Symbol):
        return symbol(node.name)
    if isinstance(node, sympy.core.numbers.Exp1):
        return _number(math.e)
    if node.is_Number or isinstance(node, sympy.NumberSymbol):
        return _number(float(node))
    for kind, build in _BUILT.items():
        if isinstance(node, kind):
            return build(node)
    if isinstance(node, _KEPT):
        return node.func(*map(_ours, node.args))
    if isinstance(node, _ELEMENTARY):
        x = _ours(node.args[0])
        name = type(node).__name__
        return _number(getattr(math, name)(float(x))) if x.is_number else node.func(x)
    name = getattr(node.func, "__name__", str(node.func)).lower()
    raise FormulaError(f"there is no function '{name}' in expressions")
