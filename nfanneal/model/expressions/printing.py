"""Expressions as Python source, for numba (scalars) and numpy (arrays)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from sympy.printing.numpy import NumPyPrinter
from sympy.printing.pycode import PythonCodePrinter

from nfanneal.arrays import Array
from nfanneal.model.expressions.functions import SCALAR_FUNCTIONS, VECTOR_FUNCTIONS

LARGEST_EXACT = 2**53


def differentiate(expression: sympy.Expr, by: sympy.Symbol) -> sympy.Expr:
    """∂expression/∂by, finite wherever the true derivative is."""
    return sympy.diff(expression, by)


def to_python(
    expression: sympy.Expr, rename: Mapping[sympy.Symbol, str], *, vectorized: bool = False
) -> str:
    """Python source of an expression, its symbols written as `rename` says.

    Scalar source uses `math` and `SCALAR_FUNCTIONS`; vectorised source `numpy` and
    `VECTOR_FUNCTIONS`. What has no finite real value is written as inf or nan.
    """
    module = "numpy" if vectorized else "math"
    choose = "numpy.where({}, {}, {})" if vectorized else "({1} if {0} else {2})"
    functions: dict[str, Any] = {name: name for name in SCALAR_FUNCTIONS}
    functions |= {"Least": "numpy.minimum" if vectorized else "min", "Magnitude": "abs"}
    functions["Where"] = [(lambda *_: True, choose.format)]
    base = NumPyPrinter if vectorized else PythonCodePrinter
    printer = base({"fully_qualified_modules": True, "user_functions": functions})

    def of_float(node: sympy.Number) -> str:
        value = float(node)
        return repr(value) if math.isfinite(value) else f"({value})".replace("i", f"{module}.i")

    def of_rational(node: sympy.Rational) -> str:  # compiled code has 64 bits
        if max(abs(node.p), node.q) > LARGEST_EXACT:
            return of_float(sympy.Float(node))
        return str(node.p) if node.q == 1 else f"{node.p}/{node.q}"

    def joined(node: sympy.Basic) -> str:  # sympy's and, or for numpy do not broadcast
        sign = " & " if isinstance(node, sympy.And) else " | "
        return f"({sign.join(map(printer._print, node.args))})"

    printer._print_Symbol = rename.__getitem__
    printer._print_Float = of_float
    printer._print_Integer = printer._print_Rational = of_rational
    printer._print_ComplexInfinity = printer._print_ImaginaryUnit = lambda _: f"{module}.nan"
    if vectorized:
        printer._print_And = printer._print_Or = joined
    return str(printer.doprint(expression))


def compile_numpy(
    expressions: Sequence[sympy.Expr],
    arguments: Sequence[sympy.Symbol],
    named: Sequence[tuple[sympy.Symbol, sympy.Expr]] = (),
) -> Callable[..., list[Array]]:
    """A function of arrays that broadcast: one float64 array per expression.

    Symbols that are `named` stand for expressions of the arguments and of those named before.
    Common subexpressions are computed once; branches of `where` that are not taken are silent.
    """
    shared, reduced = sympy.cse(list(expressions), symbols=sympy.numbered_symbols("_s"))
    rename = {s: f"_a{i}" for i, s in enumerate(arguments)}
    rename |= {s: f"_s{i}" for i, (s, _) in enumerate(shared)}
    rename |= {s: f"_n{i}" for i, (s, _) in enumerate(named)}
    lines = [f"def _function({', '.join(rename[s] for s in arguments)}):"]
    given = (*named, *shared)
    lines += [f"    {rename[s]} = {to_python(e, rename, vectorized=True)}" for s, e in given]
    values = ", ".join(to_python(e, rename, vectorized=True) for e in reduced)
    lines += [f"    return [{values}]"]
    namespace: dict[str, Any] = {"numpy": np, **VECTOR_FUNCTIONS}
    exec("\n".join(lines), namespace)  # the text is printed from the grammar above
    function = namespace["_function"]

    def evaluate(*values: Array) -> list[Array]:
        with np.errstate(all="ignore"):
            found = function(*(np.asarray(value, dtype=np.float64) for value in values))
            return [np.asarray(value, dtype=np.float64) for value in found]

    return evaluate
