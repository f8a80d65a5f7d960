"""A whitelist grammar of model expressions: text → sympy → Python source for numpy or numba.

Nothing outside the grammar is ever evaluated. Derivatives are finite wherever the true ones are:
x**n and hill(x, k, n) at x = 0 have their own rules.
"""

from __future__ import annotations

import ast
import difflib
import functools
import math
import unicodedata
import warnings
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
LARGEST_EXACT = 2**53
LARGEST_PLAIN_EXPONENT = 64
DEEPEST = 80
RELATIONS = {ast.Lt: sympy.Lt, ast.LtE: sympy.Le, ast.Gt: sympy.Gt, ast.GtE: sympy.Ge}


class ExpressionError(NfannealError):
    """An expression is not in the grammar; `column` counts from 1 in its text."""

    exit_code = ExitCode.INVALID

    def __init__(self, message: str, column: int, text: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.column, self.text, self.hint = message, column, text, hint


class _Real(sympy.Function):
    """A function of the grammar that prints as a call; its value is known once all numbers are."""

    is_real = True

    @classmethod
    def eval(cls, *arguments: sympy.Expr) -> sympy.Expr | None:
        if not all(argument.is_Number for argument in arguments):
            return None
        try:
            return _number(_OF_NUMBERS[cls.__name__](*map(float, arguments)))
        except (OverflowError, ValueError, ZeroDivisionError):
            return None


class Power(_Real):
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


class PowerSlope(_Real):
    """n·x^(n−1), which is 0 for n = 0 even at x = 0."""

    @classmethod
    def eval(cls, x: sympy.Expr, n: sympy.Expr) -> sympy.Expr | None:
        return n * Power(x, n - 1) if n.is_Number else None


class SafeLog(_Real):
    """log x, finite at x = 0, where it only ever multiplies a zero."""


class Least(_Real):
    """min(a, b); the greatest is −min(−a, −b)."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        is_first = _compare(sympy.Le, *self.args)
        return Where(is_first, *((1, 0) if argindex == 1 else (0, 1)))


class Magnitude(_Real):
    """|x|."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return Where(_compare(sympy.Ge, self.args[0], sympy.S.Zero), 1, -1)


class Where(_Real):
    """a where a condition holds, else b. Unlike sympy's Piecewise it is never rearranged."""

    @classmethod
    def eval(cls, condition: Any, yes: sympy.Expr, no: sympy.Expr) -> sympy.Expr | None:
        if condition in (sympy.true, sympy.false):
            return yes if condition == sympy.true else no
        return yes if yes == no else None

    def _eval_derivative(self, by: sympy.Symbol) -> sympy.Expr:
        condition, yes, no = self.args
        return Where(condition, yes.diff(by), no.diff(by))


class Hill(_Real):
    """x^n/(k^n + x^n), 0 for x < 0."""

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return HillSlope(*self.args, sympy.Integer(argindex))


class HillSlope(_Real):
    """∂ hill/∂x, ∂/∂k or ∂/∂n as the last argument is 1, 2 or 3."""


def _power(x: float, n: float) -> float:
    return x**n


def _power_slope(x: float, n: float) -> float:
    return 0.0 if n == 0.0 else n * x ** (n - 1.0)


def _safe_log(x: float) -> float:
    return math.log(max(x, 1e-300))


def _hill(x: float, k: float, n: float) -> float:
    if x <= 0.0:
        return 0.0
    r = (x / k) ** n if x <= k else (k / x) ** n  # cannot overflow
    return r / (1.0 + r) if x <= k else 1.0 / (1.0 + r)


def _hill_slope(x: float, k: float, n: float, by: float) -> float:
    if x <= 0.0:
        return 1.0 / k if by == 1 and n == 1.0 else 0.0
    r = x / k if x <= k else k / x
    bell = (1.0 + r**n) ** 2
    if by == 3:
        slope = r**n / bell * math.log(max(r, 1e-300))
        return slope if x <= k else -slope
    power = r ** (n - 1.0) if (by == 1) == (x <= k) else r**n
    return (n if by == 1 else -n) / max(x, k) * power / bell


SCALAR_FUNCTIONS: dict[str, Callable[..., float]] = {
    "Power": _power,
    "PowerSlope": _power_slope,
    "SafeLog": _safe_log,
    "Hill": _hill,
    "HillSlope": _hill_slope,
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
    "SafeLog": lambda x: np.log(np.maximum(x, 1e-300)),
    "Hill": _elementwise(_hill),
    "HillSlope": _elementwise(_hill_slope),
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


def _elementary(name: str) -> Callable[[sympy.Expr], sympy.Expr]:
    """Numbers in floating point: sympy would compute a tower of exponentials exactly."""
    symbolic, numeric = getattr(sympy, name), getattr(math, name)
    return lambda x: _number(numeric(float(x))) if x.is_Number else symbolic(x)


def _compare(relation: type[sympy.Rel], left: sympy.Expr, right: sympy.Expr) -> Any:
    return relation(left, right, evaluate=bool(left.is_Number and right.is_Number))


FUNCTIONS: dict[str, tuple[tuple[int, int], Callable[..., sympy.Expr]]] = {
    **{f: ((1, 1), _elementary(f)) for f in ("exp", "log", "sqrt", "sin", "cos", "tan", "tanh")},
    "log10": ((1, 1), lambda x: _elementary("log")(x) / sympy.Float(math.log(10.0))),
    "abs": ((1, 1), Magnitude),
    "min": ((2, 100), lambda *xs: functools.reduce(Least, xs)),
    "max": ((2, 100), lambda *xs: -functools.reduce(Least, [-x for x in xs])),
    "hill": ((3, 3), Hill),
    "where": ((3, 3), Where),
}
"""Functions of the grammar: least and most arguments, and what they build."""

CONSTANTS = {"pi": sympy.Float(math.pi), "e": sympy.Float(math.e)}


def parse(text: str | float | int, names: Names) -> sympy.Expr:
    """Parse an expression over `names` (name → None for a scalar, k for a vector of length k).

    Raises:
        ExpressionError: the text is not in the grammar, or uses an unknown name.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ExpressionError("not a number or an expression", 1, f"{text!r:.40}")
    if isinstance(text, int | float):
        try:
            return _number(text)
        except OverflowError:
            raise ExpressionError("not a finite number", 1, f"{text!r:.40}") from None
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters", 1, text[:20])
    if "#" in text:
        column = text.index("#") + 1
        raise ExpressionError("no comments in an expression", column, text[column - 1 :][:40])
    source, columns = _with_double_stars(text)
    try:
        return _Parser(text, source, columns, names).expression(_python_tree(source, columns, text))
    except RecursionError:
        raise ExpressionError("nested too deeply", 1, text[:40]) from None


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=SyntaxWarning)
            warnings.simplefilter("ignore", category=DeprecationWarning)
            return ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        inside = 0 < (error.offset or 0) <= len(source.strip())
        offset = stripped + (error.offset or 1) - 1 if inside else len(source.rstrip())
        column = columns[offset]
        shown = text[column - 1 :].strip()[:40] or text.strip() or "(empty)"
        message = f"not an expression: {(error.msg or '').split('. ')[0].split(';')[0]}"
        raise ExpressionError(message[:120], column, shown) from None
    except (ValueError, MemoryError):
        raise ExpressionError("too long, or nested too deeply", 1, text[:40]) from None


class _Parser:
    """Walks a Python syntax tree, building sympy only from what the grammar allows."""

    def __init__(self, text: str, source: str, columns: list[int], names: Names) -> None:
        self._text = text
        self._bytes = source.strip().encode(errors="replace")
        self._columns = columns[len(source) - len(source.lstrip()) :]
        self._depth = 0
        # Python reads identifiers in this form, in which µ (micro) is μ (mu)
        self._names = {unicodedata.normalize("NFKC", name): name for name in names}
        self._sizes = names

    def _fail(self, node: ast.AST, message: str, hint: str | None = None) -> ExpressionError:
        start, stop = (
            self._columns[len(self._bytes[: getattr(node, end, 0)].decode(errors="ignore"))]
            for end in ("col_offset", "end_col_offset")
        )
        return ExpressionError(message, start, self._text[start - 1 : stop - 1], hint)

    def expression(self, node: ast.expr) -> sympy.Expr:
        """A number-valued expression."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._fail(node, f"nested more than {DEEPEST} levels deep")
        try:
            found = self._build(node)
            finite = _is_finite(found)
        except (OverflowError, ValueError, ZeroDivisionError):
            finite = False
        if not finite:
            raise self._fail(node, "not a finite real number")
        self._depth -= 1
        return found

    def _build(self, node: ast.expr) -> sympy.Expr:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return _number(value)
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
            case ast.Compare() | ast.BoolOp() | ast.IfExp() | ast.UnaryOp(op=ast.Not()):
                raise self._fail(node, "conditions are allowed only as where(condition, a, b)")
        raise self._fail(node, "not allowed in an expression")

    def _name(self, node: ast.Name) -> sympy.Expr:
        if node.id not in self._names:
            if node.id in CONSTANTS:
                return CONSTANTS[node.id]
            hint = nearest(node.id, [*self._sizes, *CONSTANTS, *FUNCTIONS])
            raise self._fail(node, f"unknown name '{node.id}'", hint)
        name = self._names[node.id]
        size = self._sizes[name]
        if size is not None:
            elements = f"{name}[0]" if size == 1 else f"{name}[0] … {name}[{size - 1}]"
            raise self._fail(node, f"'{name}' is a vector of {size}: write {elements}")
        return symbol(name)

    def _binary(self, node: ast.BinOp) -> sympy.Expr:
        match node.op:
            case ast.Add() | ast.Sub():
                return sympy.Add(*self._chain(node, (ast.Add, ast.Sub)))
            case ast.Mult() | ast.Div():
                return sympy.Mul(*self._chain(node, (ast.Mult, ast.Div)))
            case ast.Pow():
                return Power(self.expression(node.left), self.expression(node.right))
        raise self._fail(node, "operator not allowed; there are + - * / and **")

    def _chain(self, node: ast.expr, operators: tuple[type[ast.operator], ...]) -> list[sympy.Expr]:
        """The parts of a + b − c + … or a·b/c·…: a long sum is not a deep one."""
        tail: list[tuple[ast.BinOp, ast.expr]] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, operators):
            tail.append((node, node.right))
            node = node.left
        parts = [self.expression(node)]
        for whole, right in reversed(tail):
            part = self.expression(right)
            if isinstance(whole.op, ast.Div):
                if part == 0:
                    raise self._fail(whole, "division by zero")
                part = 1 / part
            parts.append(-part if isinstance(whole.op, ast.Sub) else part)
        return parts

    def _call(self, node: ast.Call) -> sympy.Expr:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None or name not in FUNCTIONS:
            shown = name or self._fail(node.func, "").text[:40]
            is_value = name is None or name in self._names
            hint = "write * to multiply" if is_value else nearest(shown, FUNCTIONS)
            raise self._fail(node, f"unknown function '{shown}'", hint)
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
            case ast.BoolOp(op=ast.And()):
                return sympy.And(*map(self._condition, node.values))
            case ast.BoolOp(op=ast.Or()):
                return sympy.Or(*map(self._condition, node.values))
            case ast.UnaryOp(op=ast.Not()):
                return sympy.Not(self._condition(node.operand))
        raise self._fail(node, "where needs a comparison such as t > 5 as its first argument")

    def _comparison(self, node: ast.Compare) -> Any:
        values = [self.expression(value) for value in (node.left, *node.comparators)]
        parts = []
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in RELATIONS:
                raise self._fail(node, "only < <= > >= can be compared with")
            parts.append(_compare(RELATIONS[type(op)], left, right))
        return sympy.And(*parts) if len(parts) > 1 else parts[0]

    def _element(self, node: ast.Subscript) -> sympy.Expr:
        written = node.value.id if isinstance(node.value, ast.Name) else ""
        name = self._names.get(written, "")
        size = self._sizes.get(name)
        if size is None:
            raise self._fail(node, "only vector parameters can be indexed")
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if type(index) is not int or not 0 <= index < size:
            allowed = "0" if size == 1 else f"one of 0 … {size - 1}"
            raise self._fail(node, f"the index of '{name}' must be {allowed}")
        return symbol(f"{name}[{index}]")


def _is_finite(expression: sympy.Expr) -> bool:
    """Whether the numbers that the last operation can have changed are finite and real."""
    near = [expression, *expression.args, *(inner for a in expression.args for inner in a.args)]
    if any(p in (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I) for p in near):
        return False
    if any(isinstance(p, _Real) and not p.free_symbols for p in near):
        return False  # or it would be a number
    return all(math.isfinite(float(p)) for p in near if p.is_Number)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the known name closest to `name`, if any is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else None


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
    exec("\n".join(lines), namespace)  # the text is printed from the grammar above
    function = namespace["_function"]

    def evaluate(*values: Array) -> list[Array]:
        with np.errstate(all="ignore"):
            found = function(*(np.asarray(value, dtype=np.float64) for value in values))
            return [np.asarray(value, dtype=np.float64) for value in found]

    return evaluate
