"""A whitelist grammar of model expressions: text → sympy → Python source for numpy or numba.

Nothing outside the grammar is ever evaluated. Derivatives are finite wherever the true ones are:
x**n and hill(x, k, n) at x = 0 have their own rules.
"""

from __future__ import annotations

import ast
import difflib
import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy.printing.numpy import NumPyPrinter
from sympy.printing.pycode import PythonCodePrinter

from nfanneal.errors import ExitCode, NfannealError

Array = NDArray[np.float64]
Names = Mapping[str, int | None]

LONGEST = 10_000
LARGEST_INTEGER = 1_000_000
LARGEST_PLAIN_EXPONENT = 64


class ExpressionError(NfannealError):
    """An expression is not in the grammar; `column` counts from 1 in its text."""

    exit_code = ExitCode.INVALID

    def __init__(self, message: str, column: int, text: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.column, self.text, self.hint = message, column, text, hint


class Power(sympy.Function):
    """x**n for an exponent that is not a small integer; with one, a plain power."""

    nargs = 2
    is_real = True

    @classmethod
    def eval(cls, x: sympy.Expr, n: sympy.Expr) -> sympy.Expr | None:
        """Simplify once numbers are known."""
        if x.is_Number and n.is_Number:
            return _number(float(x) ** float(n))
        if n.is_Number and float(n).is_integer() and abs(float(n)) <= LARGEST_PLAIN_EXPONENT:
            return x ** sympy.Integer(int(n))
        return None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """n·x^(n−1) and x^n·log x, without 0/0 or 0·∞ at x = 0."""
        x, n = self.args
        if argindex == 1:
            return n * Power(x, n - 1)
        return Power(x, n) * SafeLog(x)


class SafeLog(sympy.Function):
    """log x, finite at x = 0, where it only ever multiplies a zero."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """1/x."""
        return 1 / self.args[0]


class Least(sympy.Function):
    """min(a, b)."""

    nargs = 2
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """1 for the smaller argument, 0 for the other."""
        first, second = self.args
        return _where(first <= second, *((1, 0) if argindex == 1 else (0, 1)))


class Greatest(sympy.Function):
    """max(a, b)."""

    nargs = 2
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """1 for the larger argument, 0 for the other."""
        first, second = self.args
        return _where(first >= second, *((1, 0) if argindex == 1 else (0, 1)))


class Magnitude(sympy.Function):
    """|x|."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """The sign of x."""
        return _where(self.args[0] >= 0, 1, -1)


class Hill(sympy.Function):
    """x^n/(k^n + x^n), 0 for x ≤ 0."""

    nargs = 3
    is_real = True

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """∂/∂x, ∂/∂k or ∂/∂n, each a function of its own."""
        return (HillX, HillK, HillN)[argindex - 1](*self.args)


class HillX(sympy.Function):
    """∂ hill/∂x."""

    nargs = 3
    is_real = True


class HillK(sympy.Function):
    """∂ hill/∂k."""

    nargs = 3
    is_real = True


class HillN(sympy.Function):
    """∂ hill/∂n."""

    nargs = 3
    is_real = True


def _numba_power(x: float, n: float) -> float:
    return x**n


def _numba_safe_log(x: float) -> float:
    return math.log(max(x, 1e-300))


def _numba_least(a: float, b: float) -> float:
    return min(a, b)


def _numba_greatest(a: float, b: float) -> float:
    return max(a, b)


def _numba_magnitude(x: float) -> float:
    return abs(x)


def _numba_hill(x: float, k: float, n: float) -> float:
    return 0.0 if x <= 0.0 else 1.0 / (1.0 + (k / x) ** n)


def _numba_hill_x(x: float, k: float, n: float) -> float:
    if x <= 0.0:
        return 1.0 / k if n == 1.0 else 0.0
    h = 1.0 / (1.0 + (k / x) ** n)
    return n / x * h * (1.0 - h)


def _numba_hill_k(x: float, k: float, n: float) -> float:
    if x <= 0.0:
        return 0.0
    h = 1.0 / (1.0 + (k / x) ** n)
    return -n / k * h * (1.0 - h)


def _numba_hill_n(x: float, k: float, n: float) -> float:
    if x <= 0.0:
        return 0.0
    h = 1.0 / (1.0 + (k / x) ** n)
    return h * (1.0 - h) * math.log(x / k)


def _vector_power(x: Array, n: Array) -> Array:
    return np.power(np.asarray(x, dtype=float), n)


def _vector_safe_log(x: Array) -> Array:
    return np.log(np.maximum(x, 1e-300))


SCALAR_FUNCTIONS: dict[str, Callable[..., float]] = {
    "Power": _numba_power,
    "SafeLog": _numba_safe_log,
    "Least": _numba_least,
    "Greatest": _numba_greatest,
    "Magnitude": _numba_magnitude,
    "Hill": _numba_hill,
    "HillX": _numba_hill_x,
    "HillK": _numba_hill_k,
    "HillN": _numba_hill_n,
}
"""What printed "math" source calls by these names: plain scalar functions that numba compiles."""

VECTOR_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Power": _vector_power,
    "SafeLog": _vector_safe_log,
    "Least": np.minimum,
    "Greatest": np.maximum,
    "Magnitude": np.abs,
    "Hill": np.vectorize(_numba_hill, otypes=[float]),
    "HillX": np.vectorize(_numba_hill_x, otypes=[float]),
    "HillK": np.vectorize(_numba_hill_k, otypes=[float]),
    "HillN": np.vectorize(_numba_hill_n, otypes=[float]),
}


def symbol(name: str) -> sympy.Symbol:
    """The symbol of a name; element i of a vector parameter k is `k[i]`."""
    return sympy.Symbol(name, real=True)


def _number(value: float | int) -> sympy.Expr:
    if isinstance(value, complex) or not math.isfinite(value):
        raise OverflowError("not a finite real number")
    if float(value).is_integer() and abs(value) <= LARGEST_INTEGER:
        return sympy.Integer(int(value))
    return sympy.Float(float(value))


def _where(condition: Any, yes: sympy.Expr, no: sympy.Expr) -> sympy.Expr:
    if condition in (sympy.true, sympy.false):
        return sympy.sympify(yes if condition == sympy.true else no)
    return sympy.Piecewise((yes, condition), (no, True), evaluate=False)


FUNCTIONS: dict[str, tuple[tuple[int, int], Callable[..., sympy.Expr]]] = {
    "exp": ((1, 1), sympy.exp),
    "log": ((1, 1), sympy.log),
    "log10": ((1, 1), lambda x: sympy.log(x) / sympy.Float(math.log(10.0))),
    "sqrt": ((1, 1), sympy.sqrt),
    "sin": ((1, 1), sympy.sin),
    "cos": ((1, 1), sympy.cos),
    "tan": ((1, 1), sympy.tan),
    "tanh": ((1, 1), sympy.tanh),
    "abs": ((1, 1), Magnitude),
    "min": ((2, 100), lambda *xs: functools.reduce(Least, xs)),
    "max": ((2, 100), lambda *xs: functools.reduce(Greatest, xs)),
    "hill": ((3, 3), Hill),
    "where": ((3, 3), _where),
}
"""Functions of the grammar: least and most arguments, and what they build."""

CONSTANTS = {"pi": sympy.Float(math.pi), "e": sympy.Float(math.e)}

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: Power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def parse(text: str | float | int, names: Names) -> sympy.Expr:
    """Parse an expression over `names` (name → None for a scalar, k for a vector of length k).

    Raises:
        ExpressionError: the text is not in the grammar, or uses an unknown name.
    """
    if isinstance(text, int | float):
        text = repr(float(text))
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters", 1, text[:20])
    source, columns = _with_double_stars(text)
    tree = _python_tree(source, columns, text)
    parser = _Parser(text, source, columns, names)
    try:
        found = parser.expression(tree)
    except RecursionError:
        raise ExpressionError("nested too deeply", 1, text[:40]) from None
    if found.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I):
        raise ExpressionError("not a finite real number (division by zero?)", 1, text)
    return found


def _with_double_stars(text: str) -> tuple[str, list[int]]:
    """Write ^ as **, on one line, with the original 1-based column of each character."""
    pieces: list[str] = []
    columns: list[int] = []
    for column, character in enumerate(text, start=1):
        written = {"^": "**", "\n": " ", "\t": " ", "\r": " "}.get(character, character)
        pieces.append(written)
        columns += [column] * len(written)
    return "".join(pieces), [*columns, len(text) + 1]


def _python_tree(source: str, columns: list[int], text: str) -> ast.expr:
    stripped = len(source) - len(source.lstrip())
    try:
        return ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        offset = min(max((error.offset or 1) - 1, 0) + stripped, len(columns) - 1)
        shown = text.strip() or "(empty)"
        message = f"not an expression: {error.msg}"
        raise ExpressionError(message, columns[offset], shown) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("not an expression", 1, text[:40]) from None


class _Parser:
    """Walks a Python syntax tree, building sympy only from what the grammar allows."""

    def __init__(self, text: str, source: str, columns: list[int], names: Names) -> None:
        self._text = text
        self._source = source.strip()
        self._shift = len(source) - len(source.lstrip())
        self._bytes = self._source.encode()
        self._columns = columns
        self._names = names

    def _fail(self, node: ast.AST, message: str, hint: str | None = None) -> ExpressionError:
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
        characters = len(self._bytes[:start].decode(errors="ignore"))
        column = self._columns[min(characters + self._shift, len(self._columns) - 1)]
        length = len(self._bytes[start:end].decode(errors="ignore"))
        stop = self._columns[min(characters + self._shift + length, len(self._columns) - 1)]
        return ExpressionError(message, column, self._text[column - 1 : stop - 1], hint)

    def expression(self, node: ast.expr) -> sympy.Expr:
        """A number-valued expression."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node)
            case ast.UnaryOp(op=ast.USub()):
                return -self.expression(node.operand)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.expression(node.operand)
            case ast.BinOp():
                return self._binary(node)
            case ast.Call():
                return self._call(node)
            case ast.Subscript():
                return self._element(node)
            case ast.Compare() | ast.BoolOp():
                raise self._fail(node, "comparisons are allowed only as where(condition, a, b)")
        raise self._fail(node, f"not allowed in an expression: {_kind(node)}")

    def _constant(self, node: ast.Constant) -> sympy.Expr:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._fail(node, f"not a number: {node.value!r}"[:80])
        try:
            return _number(node.value)
        except OverflowError:
            raise self._fail(node, "the number is too large") from None

    def _name(self, node: ast.Name) -> sympy.Expr:
        name = node.id
        if name not in self._names:
            if name in CONSTANTS:
                return CONSTANTS[name]
            known = [*self._names, *CONSTANTS, *FUNCTIONS]
            raise self._fail(node, f"unknown name '{name}'", nearest(name, known))
        size = self._names[name]
        if size is not None:
            raise self._fail(
                node, f"'{name}' is a vector of {size}: write {name}[0] … {name}[{size - 1}]"
            )
        return symbol(name)

    def _binary(self, node: ast.BinOp) -> sympy.Expr:
        if type(node.op) not in _BINARY:
            raise self._fail(node, f"operator not allowed: {_kind(node.op)}")
        left, right = self.expression(node.left), self.expression(node.right)
        if isinstance(node.op, ast.Div) and right == 0:
            raise self._fail(node, "division by zero")
        try:
            return _BINARY[type(node.op)](left, right)
        except (OverflowError, ZeroDivisionError):
            raise self._fail(node, "not a finite real number") from None

    def _call(self, node: ast.Call) -> sympy.Expr:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None or name not in FUNCTIONS:
            shown = name or ast.unparse(node.func)[:40]
            raise self._fail(node, f"unknown function '{shown}'", nearest(shown, FUNCTIONS))
        if node.keywords:
            raise self._fail(node, f"{name} takes no named arguments")
        (least, most), build = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            wanted = str(least) if least == most else f"at least {least}"
            raise self._fail(node, f"{name} takes {wanted} argument(s), not {len(node.args)}")
        arguments: list[Any] = [
            self._condition(a) if name == "where" and i == 0 else self.expression(a)
            for i, a in enumerate(node.args)
        ]
        return build(*arguments)

    def _condition(self, node: ast.expr) -> Any:
        match node:
            case ast.Compare():
                return self._comparison(node)
            case ast.BoolOp():
                parts = [self._condition(value) for value in node.values]
                return (sympy.And if isinstance(node.op, ast.And) else sympy.Or)(*parts)
            case ast.UnaryOp(op=ast.Not()):
                return sympy.Not(self._condition(node.operand))
        raise self._fail(node, "where needs a comparison such as t > 5 as its first argument")

    def _comparison(self, node: ast.Compare) -> Any:
        values = [self.expression(value) for value in (node.left, *node.comparators)]
        parts = []
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in _COMPARISONS:
                raise self._fail(node, "only < <= > >= can be compared with")
            parts.append(_COMPARISONS[type(op)](left, right))
        return sympy.And(*parts) if len(parts) > 1 else parts[0]

    def _element(self, node: ast.Subscript) -> sympy.Expr:
        name = node.value.id if isinstance(node.value, ast.Name) else None
        size = self._names.get(name) if name is not None else None
        if name is None or size is None:
            raise self._fail(node, "only vector parameters can be indexed")
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if type(index) is not int or not 0 <= index < size:
            raise self._fail(node, f"the index of '{name}' must be one of 0 … {size - 1}")
        return symbol(f"{name}[{index}]")


def _kind(node: ast.AST) -> str:
    return type(node).__name__.lower()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the known name closest to `name`, if any is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else None


def differentiate(expression: sympy.Expr, by: sympy.Symbol) -> sympy.Expr:
    """∂expression/∂by, finite wherever the true derivative is."""
    return sympy.diff(expression, by)


_SETTINGS: dict[str, Any] = {
    "fully_qualified_modules": True,
    "user_functions": {name: name for name in SCALAR_FUNCTIONS},
}


def to_python(
    expression: sympy.Expr, rename: Mapping[sympy.Symbol, str], *, vectorized: bool = False
) -> str:
    """Python source of an expression, its symbols written as `rename` says.

    Scalar source uses `math` and `SCALAR_FUNCTIONS`; vectorised source `numpy` and
    `VECTOR_FUNCTIONS`.
    """
    base = NumPyPrinter if vectorized else PythonCodePrinter
    printer = base(_SETTINGS)
    printer._print_Symbol = lambda node: rename[node]
    printer._print_Float = lambda node: repr(float(node))
    return str(printer.doprint(expression))


def compile_numpy(
    expressions: Sequence[sympy.Expr], arguments: Sequence[sympy.Symbol]
) -> Callable[..., list[Array]]:
    """A function of arrays that broadcast: one float64 array per expression.

    Common subexpressions are computed once; branches of `where` that are not taken are silent.
    """
    shared, reduced = sympy.cse(list(expressions), symbols=sympy.numbered_symbols("_s"))
    rename = {s: f"_a{i}" for i, s in enumerate(arguments)}
    rename |= {s: f"_s{i}" for i, (s, _) in enumerate(shared)}
    lines = [f"def _function({', '.join(rename[s] for s in arguments)}):"]
    lines += [f"    {rename[s]} = {to_python(e, rename, vectorized=True)}" for s, e in shared]
    values = ", ".join(to_python(e, rename, vectorized=True) for e in reduced)
    lines += [f"    return [{values}]"]
    namespace: dict[str, Any] = {"numpy": np, **VECTOR_FUNCTIONS}
    exec("\n".join(lines), namespace)  # printed from the grammar above, nothing else
    function = namespace["_function"]

    def evaluate(*values: Array) -> list[Array]:
        with np.errstate(all="ignore"):
            return [np.asarray(v, dtype=np.float64) for v in function(*values)]

    return evaluate
