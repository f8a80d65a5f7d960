"""Expressions back to text of the grammar: what `parse` reads as the same numbers."""

from __future__ import annotations

from typing import Any

import sympy

from nfanneal.model.expressions.functions import Hill, Least, Magnitude, Power, Where

_SUM, _PRODUCT, _POWER, _ATOM = range(4)
"""How tightly the outermost operator of a text binds."""
LARGEST_EXACT = 2**53
_RELATIONS = {
    sympy.StrictLessThan: "<",
    sympy.LessThan: "<=",
    sympy.StrictGreaterThan: ">",
    sympy.GreaterThan: ">=",
}
_FUNCTIONS: dict[Any, str] = {
    Hill: "hill",
    Least: "min",
    Magnitude: "abs",
    sympy.Abs: "abs",
    **{getattr(sympy, name): name for name in ("exp", "log", "sin", "cos", "tan", "tanh")},
}


def text_of(expression: sympy.Expr) -> str:
    """The text of an expression.

    Raises:
        TypeError: it has parts that the grammar has not.
    """
    return _written(expression)[0]


def value_of(expression: sympy.Expr) -> str | float:
    """A number as a number, anything else as its text: as YAML wants it."""
    if expression.is_Integer and abs(expression) < LARGEST_EXACT:
        return int(expression)
    return float(expression) if expression.is_Number else text_of(expression)


def condition_text(condition: Any) -> str:
    """The text of a condition, as it stands in `where(condition, a, b)`.

    Raises:
        TypeError: it has parts that the grammar has not.
    """
    if condition in (sympy.true, sympy.false):
        return "0 < 1" if condition == sympy.true else "1 < 0"
    if type(condition) in _RELATIONS:
        left, right = map(text_of, condition.args)
        return f"{left} {_RELATIONS[type(condition)]} {right}"
    if isinstance(condition, sympy.Not):
        return f"not ({condition_text(condition.args[0])})"
    if isinstance(condition, sympy.And | sympy.Or):
        joint = " and " if isinstance(condition, sympy.And) else " or "
        parts = sorted(condition.args, key=sympy.default_sort_key)
        return joint.join(_joined(part) for part in parts)
    raise TypeError(f"no condition of the grammar: {condition}")


def _joined(part: Any) -> str:
    text = condition_text(part)
    return f"({text})" if isinstance(part, sympy.And | sympy.Or) else text


def _written(e: sympy.Expr) -> tuple[str, int]:
    """The text, and how tightly its outermost operator binds."""
    if e.is_Symbol:
        return e.name, _ATOM
    if e.is_Number:
        return _number(e)
    if e.is_Add:
        return _sum(e), _SUM
    if e.is_Mul:
        return _product(e)
    if isinstance(e, Power):
        return f"{_at_least(e.args[0], _ATOM)}**{_at_least(e.args[1], _ATOM)}", _POWER
    if isinstance(e, Where):
        condition, yes, no = e.args
        return f"where({condition_text(condition)}, {text_of(yes)}, {text_of(no)})", _ATOM
    if type(e) in _FUNCTIONS:
        return f"{_FUNCTIONS[type(e)]}({', '.join(map(text_of, e.args))})", _ATOM
    if e.is_Pow:
        return _power(*e.args)
    raise TypeError(f"no function of the grammar: {e}")


def _at_least(e: sympy.Expr, level: int) -> str:
    text, binds = _written(e)
    return text if binds >= level else f"({text})"


def _number(e: sympy.Number) -> tuple[str, int]:
    if e.is_Rational and max(abs(e.p), e.q) < LARGEST_EXACT:
        text = str(e.p) if e.q == 1 else f"{e.p}/{e.q}"
        return text, _SUM if e.p < 0 else _ATOM if e.q == 1 else _PRODUCT
    value = float(e)
    return repr(value), _SUM if value < 0 else _ATOM


def _sum(e: sympy.Expr) -> str:
    pieces: list[str] = []
    terms = e.as_ordered_terms()
    terms.sort(key=_is_negative)  # a - b rather than -b + a
    for term in terms:
        if pieces and _is_negative(term):
            pieces.append(f" - {_at_least(-term, _PRODUCT)}")
        else:
            text = _written(term)[0]
            pieces.append(f" + {text}" if pieces else text)
    return "".join(pieces)


def _is_negative(term: sympy.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _product(e: sympy.Expr) -> tuple[str, int]:
    """Factors above and below one line; a negative one is a sum of one term."""
    factor, rest = e.as_coeff_Mul()
    if factor < 0:
        return f"-{_at_least(-e, _PRODUCT)}", _SUM
    above: list[str] = []
    below: list[str] = []
    if factor.is_Rational and max(factor.p, factor.q) < LARGEST_EXACT:
        above += [str(factor.p)] if factor.p != 1 else []
        below += [str(factor.q)] if factor.q != 1 else []
    elif factor != 1:
        above.append(_at_least(factor, _POWER))
    for part in sympy.Mul.make_args(rest):
        base, exponent = part.as_base_exp() if part.is_Pow else (part, sympy.S.One)
        if part.is_Pow and exponent.is_Number and exponent < 0:
            below.append(_at_least(sympy.Pow(base, -exponent, evaluate=False), _POWER))
        else:
            above.append(_at_least(part, _POWER))
    text = "*".join(above) or "1"
    if below:
        text += f"/{below[0]}" if len(below) == 1 else f"/({'*'.join(below)})"
    return text, _PRODUCT


def _power(base: sympy.Expr, exponent: sympy.Expr) -> tuple[str, int]:
    """Powers of sympy's own: whole ones, roots, and what roots multiply to."""
    if exponent.is_Number and exponent < 0:
        positive, _ = _power(base, -exponent) if exponent != -1 else _written(base)
        simple = exponent != -1 or _written(base)[1] >= _POWER
        return (f"1/{positive}" if simple else f"1/({positive})"), _PRODUCT
    if exponent == sympy.S.Half:
        return f"sqrt({text_of(base)})", _ATOM
    if exponent == 1:
        return _written(base)
    if exponent.is_Rational and exponent.q == 2:
        return f"sqrt({text_of(base)})**{exponent.p}", _POWER
    return f"{_at_least(base, _ATOM)}**{_at_least(exponent, _ATOM)}", _POWER
