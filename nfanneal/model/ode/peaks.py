"""Times about which a term rises and falls again: the solver stops there, however narrow it is.

A Gaussian in time, its like by other functions, or the distance to a time: between two looks
of any grid nothing of such a term may be left. Where its middle is, its form tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sympy

from nfanneal.model.expressions.functions import Magnitude, Where, compare

MOST = 16
"""More such times are left to the grid: there each would cost steps."""
PAIRED = (sympy.exp, sympy.tanh)
"""Functions of what is linear in time of which peaks are made: both their ends are flat."""


def peak_times(
    parts: Iterable[sympy.Basic], time: sympy.Symbol, unforeseen: set[sympy.Symbol]
) -> list[sympy.Expr]:
    """The middles of terms of `parts`, expressions of parameters, without symbols `unforeseen`.

    Those of even powers and of `PAIRED` functions of what is linear in time, and of quadratic
    polynomials. None if they are more than `MOST`.
    """
    found: dict[sympy.Expr, None] = {}
    for part in parts:
        nodes = sympy.preorder_traversal(part)
        for node in nodes:
            if time not in node.free_symbols:
                nodes.skip()
            elif not node.free_symbols & unforeseen:
                found |= dict.fromkeys(_middles(node, time))
            if len(found) > MOST:
                return []
    return list(found)


def _middles(node: sympy.Basic, time: sympy.Symbol) -> Iterator[sympy.Expr]:
    if isinstance(node, sympy.Pow) and node.exp.is_even:
        yield from _root(node.base, time, 1)
    elif isinstance(node, PAIRED):
        yield from _root(node.args[0], time, 1)
    elif isinstance(node, sympy.Add | sympy.Mul):
        yield from _root(node, time, 2)


def _root(expression: sympy.Expr, time: sympy.Symbol, degree: int) -> Iterator[sympy.Expr]:
    """Where a linear expression is zero, or a quadratic one turns."""
    if not expression.is_polynomial(time):
        return
    polynomial = sympy.Poly(expression, time)
    if polynomial.degree() != degree:
        return
    slope, rest = polynomial.all_coeffs()[:2]
    middle = sympy.simplify(-rest / (degree * slope))
    if sympy.fraction(middle)[1].free_symbols:  # where the slope is zero, there is no middle
        turns = compare(sympy.Gt, Magnitude(slope), sympy.S.Zero)
        middle = -rest / (degree * Where(turns, slope, sympy.S.One))
    yield middle
