"""Functions of the grammar as sympy classes, with numbers, derivatives and compiled forms.

Derivatives are finite wherever the true ones are: x**n and hill(x, k, n) at x = 0 have their own
rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from nfanneal.arrays import Array

LARGEST_INTEGER = 1_000_000
LARGEST_PLAIN_EXPONENT = 64


def symbol(name: str) -> sympy.Symbol:
    """The symbol of a name; element i of a vector parameter k is `k[i]`."""
    return sympy.Symbol(name, real=True)


def number(value: float | int) -> sympy.Expr:
    """A finite real number; whole ones up to `LARGEST_INTEGER` as integers.

    Raises:
        OverflowError: it is not finite, or not real.
    """
    if isinstance(value, complex) or not math.isfinite(value):
        raise OverflowError("not a finite real number")
    if float(value).is_integer() and abs(value) <= LARGEST_INTEGER:
        return sympy.Integer(int(value))
    return sympy.Float(float(value))


def compare(relation: type[sympy.Rel], left: sympy.Expr, right: sympy.Expr) -> Any:
    """A relation of two expressions, decided only between numbers."""
    return relation(left, right, evaluate=bool(left.is_Number and right.is_Number))


class Real(sympy.Function):
    """A function of the grammar that prints as a call; its value is known once all numbers are."""

    is_real = True

    @classmethod
    def eval(cls, *arguments: sympy.Expr) -> sympy.Expr | None:
        if not all(argument.is_Number for argument in arguments):
            return None
        try:
            return number(_OF_NUMBERS[cls.__name__](*map(float, arguments)))
        except (OverflowError, ValueError, ZeroDivisionError):
            return None


class Power(Real):
    """x**n for an exponent that is not a small integer; with one, a plain power."""

    @classmethod
    def eval(cls, x: sympy.Expr, n: sympy.Expr) -> sympy.Expr | None:
        if not (n.is_Number and float(n).is_integer() and abs(n) <= LARGEST_PLAIN_EXPONENT):
            return super().eval(x, n)
        if x.is_Number:
            return super().eval(x, n)
        factor, rest = x.as_coeff_Mul()  # the factor is raised as a float, never exactly
        return x ** sympy.Integer(int(n)) if factor == 1 else Power(factor, n) * Power(rest, n)

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        x, n = self.args
        return PowerSlope(x, n) if argindex == 1 else self * SafeLog(x)


class PowerSlope(Real):
    """n·x^(n−1), which is 0 for n = 0 even at x = 0."""

    @classmethod
    def eval(cls, x: sympy.Expr, n: sympy.Expr) -> sympy.Expr | None:
        return n * Power(x, n - 1) if n.is_Number else None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        x, n = self.args
        if argindex == 1:
            return PowerBend(x, n)
        return Power(x, n - 1) * (1 + n * SafeLog(x))


class PowerBend(Real):
    """n·(n−1)·x^(n−2), which is 0 at x = 0 where it is not finite, and for n = 0 and n = 1."""


class SafeLog(Real):
    """log x, finite at x = 0, where it only ever multiplies a zero."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return SafeInverse(self.args[0])


class SafeInverse(Real):
    """1/x, and 0 at x = 0, where it only ever multiplies a zero."""


class Least(Real):
    """min(a, b); the greatest is −min(−a, −b)."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        is_first = compare(sympy.Le, *self.args)
        return Where(is_first, *((1, 0) if argindex == 1 else (0, 1)))


class Magnitude(Real):
    """|x|."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return Where(compare(sympy.Ge, self.args[0], sympy.S.Zero), 1, -1)


class Where(Real):
    """a where a condition holds, else b. Unlike sympy's Piecewise it is never rearranged."""

    @classmethod
    def eval(cls, condition: Any, yes: sympy.Expr, no: sympy.Expr) -> sympy.Expr | None:
        if condition in (sympy.true, sympy.false):
            return yes if condition == sympy.true else no
        return yes if yes == no else None

    def _eval_derivative(self, by: sympy.Symbol) -> sympy.Expr:
        condition, yes, no = self.args
        return Where(condition, yes.diff(by), no.diff(by))


class Hill(Real):
    """x^n/(k^n + x^n), 0 for x < 0."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return HillSlope(*self.args, sympy.Integer(argindex))


class HillSlope(Real):
    """∂ hill/∂x, ∂/∂k or ∂/∂n as the last argument is 1, 2 or 3."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        if argindex == 4:
            return sympy.S.Zero
        return HillBend(*self.args, sympy.Integer(argindex))


class HillBend(Real):
    """Second derivatives of hill, by the arguments whose numbers are the last two."""


def _power(x: float, n: float) -> float:
    return x**n


def _power_slope(x: float, n: float) -> float:
    return 0.0 if n == 0.0 else n * x ** (n - 1.0)


def _power_bend(x: float, n: float) -> float:
    if n in (0.0, 1.0) or (x == 0.0 and n < 2.0):
        return 0.0
    return n * (n - 1.0) * x ** (n - 2.0)


def _safe_inverse(x: float) -> float:
    return 0.0 if x == 0.0 else 1.0 / x


def _safe_log(x: float) -> float:
    return math.log(max(x, 1e-300))


def _hill(x: float, k: float, n: float) -> float:
    if x <= 0.0:
        return 0.0
    r = (x / k) ** n if x <= k else (k / x) ** n  # cannot overflow
    return r / (1.0 + r) if x <= k else 1.0 / (1.0 + r)


def _hill_slope(x: float, k: float, n: float, by: float) -> float:
    if x < 0.0:
        return 0.0
    if x == 0.0:
        return 1.0 / k if by == 1 and n == 1.0 else 0.0
    r = x / k if x <= k else k / x
    bell = (1.0 + r**n) ** 2
    if by == 3:
        slope = r**n / bell * math.log(max(r, 1e-300))
        return slope if x <= k else -slope
    power = r ** (n - 1.0) if (by == 1) == (x <= k) else r**n
    return (n if by == 1 else -n) / max(x, k) * power / bell


def _hill_bend(x: float, k: float, n: float, i: float, j: float) -> float:
    """hill = σ(z), z = n·log(x/k): σ''·z_i·z_j + σ'·z_ij; at 0 only what is finite."""
    if x < 0.0:
        return 0.0
    if x == 0.0:
        if i == 3 or j == 3 or (i == 2 and j == 2):
            return 0.0
        both = 2.0 if n == 2.0 else -2.0 if n == 1.0 else 0.0
        return (both if i == j else -1.0 if n == 1.0 else 0.0) / (k * k)
    low, high = min(i, j), max(i, j)
    r = (x / k) ** n if x <= k else (k / x) ** n
    slope = r / (1.0 + r) ** 2
    bend = slope * (1.0 - r) / (1.0 + r) * (1.0 if x <= k else -1.0)
    log = math.log(max(x, 1e-300) / k)
    first = n / x if low == 1 else -n / k if low == 2 else log
    second = n / x if high == 1 else -n / k if high == 2 else log
    mixed = 0.0
    if low == high:
        mixed = -n / (x * x) if low == 1 else n / (k * k) if low == 2 else 0.0
    elif high == 3:
        mixed = 1.0 / x if low == 1 else -1.0 / k
    return bend * first * second + slope * mixed


SCALAR_FUNCTIONS: dict[str, Callable[..., float]] = {
    "Power": _power,
    "PowerSlope": _power_slope,
    "PowerBend": _power_bend,
    "SafeLog": _safe_log,
    "SafeInverse": _safe_inverse,
    "Hill": _hill,
    "HillSlope": _hill_slope,
    "HillBend": _hill_bend,
}
"""What printed "math" source calls by these names: plain scalar functions that numba compiles."""

_OF_NUMBERS: dict[str, Callable[..., float]] = {**SCALAR_FUNCTIONS, "Least": min, "Magnitude": abs}


def _elementwise(function: Callable[..., float]) -> Callable[..., Array]:
    """The function of arrays, one element after the other, as numpy floats: 1/0 is inf."""

    def of_arrays(*arrays: Array) -> Array:
        grids = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in arrays))
        cells = zip(*(grid.ravel() for grid in grids), strict=True)
        return np.array([function(*cell) for cell in cells]).reshape(grids[0].shape)

    return of_arrays


VECTOR_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Power": lambda x, n: np.power(np.asarray(x, dtype=np.float64), n),
    "PowerSlope": _elementwise(_power_slope),
    "PowerBend": _elementwise(_power_bend),
    "SafeInverse": _elementwise(_safe_inverse),
    "SafeLog": lambda x: np.log(np.maximum(x, 1e-300)),
    "Hill": _elementwise(_hill),
    "HillSlope": _elementwise(_hill_slope),
    "HillBend": _elementwise(_hill_bend),
}
