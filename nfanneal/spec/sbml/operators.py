"""Operators and functions of MathML, written with the functions of the grammar.

Each builds an expression from expressions, or from numbers alone where the grammar has no such
function. Names are libsbml's, without `AST_`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import sympy

from nfanneal.model.expressions import FUNCTIONS
from nfanneal.model.expressions.functions import Least, Magnitude, Power, Where, compare, number

Build = Callable[..., sympy.Expr]
AVOGADRO = 6.02214179e23
"""As SBML level 3 says it, whatever was measured since."""

_exp, _log, _sqrt = (FUNCTIONS[name][1] for name in ("exp", "log", "sqrt"))
_sin, _cos, _tanh = (FUNCTIONS[name][1] for name in ("sin", "cos", "tanh"))


class FormulaError(Exception):
    """A formula cannot be an expression of the grammar; whoever knows its line complains."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def inverse(x: sympy.Expr) -> sympy.Expr:
    """1/x."""
    if x == 0:
        raise FormulaError("division by zero")
    return 1 / x


def _cosh(x: sympy.Expr) -> sympy.Expr:
    return (_exp(x) + _exp(-x)) / 2


def _sinh(x: sympy.Expr) -> sympy.Expr:
    return _tanh(x) * _cosh(x)  # the difference of exponentials cancels near 0


def _arcsinh(x: sympy.Expr) -> sympy.Expr:
    size = Magnitude(x)  # log(x + …) cancels for x < 0
    positive = _log(size + _sqrt(Power(x, sympy.Integer(2)) + 1))
    return Where(compare(sympy.Ge, x, sympy.S.Zero), positive, -positive)


def _arccosh(x: sympy.Expr) -> sympy.Expr:
    return _log(x + _sqrt(Power(x, sympy.Integer(2)) - 1))


def _arctanh(x: sympy.Expr) -> sympy.Expr:
    return _log((1 + x) * inverse(1 - x)) / 2


def _root(degree: sympy.Expr, x: sympy.Expr) -> sympy.Expr:
    return _sqrt(x) if degree == 2 else Power(x, inverse(degree))


def logarithm(base: sympy.Expr, x: sympy.Expr) -> sympy.Expr:
    """The logarithm of x to a base."""
    if base == 10:
        return FUNCTIONS["log10"][1](x)
    return _log(x) * inverse(_log(base))


def _least(*xs: sympy.Expr) -> sympy.Expr:
    return functools.reduce(Least, xs)


def _greatest(*xs: sympy.Expr) -> sympy.Expr:
    return -_least(*(-x for x in xs))


def _of_numbers(name: str, compute: Callable[..., float]) -> Build:
    """A function that the grammar lacks: its value where all arguments are numbers."""

    def build(*xs: sympy.Expr) -> sympy.Expr:
        if not all(x.is_Number for x in xs):
            hint = "expressions of nfanneal have no such function; only of numbers it is computed"
            raise FormulaError(f"{name} of something that is no number", hint)
        return number(compute(*map(float, xs)))

    return build


def _factorial(x: float) -> float:
    if x < 0 or x != int(x) or x > 170:
        raise FormulaError(f"the factorial of {x:g}")
    return float(math.factorial(int(x)))


ARITHMETIC: dict[str, tuple[int, int, Build]] = {
    "DIVIDE": (2, 2, lambda x, y: x * inverse(y)),
    "POWER": (2, 2, Power),
    "FUNCTION_POWER": (2, 2, Power),
    "FUNCTION_ROOT": (2, 2, _root),
    "FUNCTION_EXP": (1, 1, _exp),
    "FUNCTION_LN": (1, 1, _log),
    "FUNCTION_LOG": (2, 2, logarithm),
    "FUNCTION_ABS": (1, 1, Magnitude),
    "FUNCTION_MIN": (1, 1000, _least),
    "FUNCTION_MAX": (1, 1000, _greatest),
    "FUNCTION_SIN": (1, 1, _sin),
    "FUNCTION_COS": (1, 1, _cos),
    "FUNCTION_TAN": (1, 1, FUNCTIONS["tan"][1]),
    "FUNCTION_SEC": (1, 1, lambda x: inverse(_cos(x))),
    "FUNCTION_CSC": (1, 1, lambda x: inverse(_sin(x))),
    "FUNCTION_COT": (1, 1, lambda x: _cos(x) * inverse(_sin(x))),
    "FUNCTION_SINH": (1, 1, _sinh),
    "FUNCTION_COSH": (1, 1, _cosh),
    "FUNCTION_TANH": (1, 1, _tanh),
    "FUNCTION_SECH": (1, 1, lambda x: inverse(_cosh(x))),
    "FUNCTION_CSCH": (1, 1, lambda x: inverse(_sinh(x))),
    "FUNCTION_COTH": (1, 1, lambda x: inverse(_tanh(x))),
    "FUNCTION_ARCSINH": (1, 1, _arcsinh),
    "FUNCTION_ARCCOSH": (1, 1, _arccosh),
    "FUNCTION_ARCTANH": (1, 1, _arctanh),
    "FUNCTION_ARCCSCH": (1, 1, lambda x: _arcsinh(inverse(x))),
    "FUNCTION_ARCSECH": (1, 1, lambda x: _arccosh(inverse(x))),
    "FUNCTION_ARCCOTH": (1, 1, lambda x: _arctanh(inverse(x))),
    "FUNCTION_ARCSIN": (1, 1, _of_numbers("arcsin", math.asin)),
    "FUNCTION_ARCCOS": (1, 1, _of_numbers("arccos", math.acos)),
    "FUNCTION_ARCTAN": (1, 1, _of_numbers("arctan", math.atan)),
    "FUNCTION_ARCCSC": (1, 1, _of_numbers("arccsc", lambda x: math.asin(1 / x))),
    "FUNCTION_ARCSEC": (1, 1, _of_numbers("arcsec", lambda x: math.acos(1 / x))),
    "FUNCTION_ARCCOT": (1, 1, _of_numbers("arccot", lambda x: math.atan(1 / x))),
    "FUNCTION_FLOOR": (1, 1, _of_numbers("floor", math.floor)),
    "FUNCTION_CEILING": (1, 1, _of_numbers("ceiling", math.ceil)),
    "FUNCTION_FACTORIAL": (1, 1, _of_numbers("factorial", _factorial)),
    "FUNCTION_QUOTIENT": (2, 2, _of_numbers("quotient", lambda x, y: math.trunc(x / y))),
    "FUNCTION_REM": (2, 2, _of_numbers("rem", math.fmod)),
}
"""libsbml's name → least and most operands, and what they make."""

RELATIONS = {
    "RELATIONAL_LT": sympy.Lt,
    "RELATIONAL_LEQ": sympy.Le,
    "RELATIONAL_GT": sympy.Gt,
    "RELATIONAL_GEQ": sympy.Ge,
}

REFUSED = {
    "FUNCTION_DELAY": ("delay(…): a delay differential equation", "only ordinary ones are solved"),
    "FUNCTION_RATE_OF": ("rateOf(…)", "write the rate out in its place"),
    "UNKNOWN": ("an operator that is not in SBML", None),
    "LAMBDA": ("a lambda that is no function definition", None),
}
"""What no expression of the grammar can be, and what to do about it."""
