"""The whitelist grammar: text → sympy. Nothing outside it is ever evaluated."""

from __future__ import annotations

import ast
import functools
import math
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import sympy

from nfanneal.errors import ExitCode, NfannealError, nearest
from nfanneal.model.expressions.functions import (
    Hill,
    Least,
    Magnitude,
    Power,
    Real,
    Where,
    compare,
    number,
    symbol,
)

Names = Mapping[str, int | None]

LONGEST = 10_000
DEEPEST = 80
RELATIONS = {ast.Lt: sympy.Lt, ast.LtE: sympy.Le, ast.Gt: sympy.Gt, ast.GtE: sympy.Ge}


class ExpressionError(NfannealError):
    """An expression is not in the grammar; `column` counts from 1 in its text."""

    exit_code = ExitCode.INVALID

    def __init__(self, message: str, column: int, text: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.column, self.text, self.hint = message, column, text, hint


def _elementary(name: str) -> Callable[[sympy.Expr], sympy.Expr]:
    """Numbers in floating point: sympy would compute a tower of exponentials exactly."""
    symbolic, numeric = getattr(sympy, name), getattr(math, name)
    return lambda x: number(numeric(float(x))) if x.is_Number else symbolic(x)


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

_NUMBERS = "an expression is a finite real number"
_CONDITIONS = "write where(condition, a, b)"
_NO_CONDITION = "not a condition such as x > 3 and not t < 5"
_LISTED = f"there are {', '.join(FUNCTIONS)}"
FOREIGN = {
    **dict.fromkeys(("nan", "inf", "infinity"), _NUMBERS),
    **dict.fromkeys(("true", "false", "ifelse", "piecewise", "heaviside"), _CONDITIONS),
    **dict.fromkeys(("sinh", "cosh", "asin", "acos", "atan", "floor", "ceil", "mod"), _LISTED),
    "ln": "the natural logarithm is log(x)",
    "log2": "write log(x)/log(2)",
    "pow": "write x**y",
    "fabs": "write abs(x)",
    "square": "write x**2",
}
"""What to write for names, in lower case, of other languages: the nearest here would mislead."""
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
            return number(text)
        except OverflowError:
            raise ExpressionError("not a finite number", 1, f"{text!r:.40}") from None
    return _parsed(text, names, _Parser.expression)


def parse_condition(text: Any, names: Names) -> Any:
    """Parse a condition, such as `x > 3 and not t < k`, over `names`; a sympy condition.

    Raises:
        ExpressionError: the text is not in the grammar, is no condition, or uses an unknown name.
    """
    if not isinstance(text, str):
        raise ExpressionError(_NO_CONDITION, 1, f"{text!r:.40}")
    return _parsed(text, names, _Parser.condition)


def _parsed(text: str, names: Names, build: Callable[[_Parser, ast.expr], Any]) -> Any:
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters", 1, text[:20])
    if "#" in text:
        column = text.index("#") + 1
        raise ExpressionError("no comments in an expression", column, text[column - 1 :][:40])
    source, columns = _with_double_stars(text)
    try:
        return build(_Parser(text, source, columns, names), _python_tree(source, columns, text))
    except RecursionError:
        raise ExpressionError("too long, or nested too deeply", 1, text[:40]) from None


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
            finite = is_finite(found)
        except (OverflowError, ValueError, ZeroDivisionError):
            finite = False
        if not finite:
            raise self._fail(node, "not a finite real number")
        self._depth -= 1
        return found

    def condition(self, node: ast.expr) -> Any:
        """A condition by itself."""
        if not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp) or isinstance(
            getattr(node, "op", None), ast.USub | ast.UAdd
        ):
            raise self._fail(node, _NO_CONDITION)
        return self._condition(node)

    def _build(self, node: ast.expr) -> sympy.Expr:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return number(value)
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
        is_truth = isinstance(node, ast.Constant) and isinstance(node.value, bool)
        raise self._fail(node, "not allowed in an expression", _CONDITIONS if is_truth else None)

    def _known(self, written: str) -> str | None:
        """The known name of an identifier, which Python normalises: µ (micro) becomes μ (mu)."""
        if written in self._sizes:
            return written
        odd = (name for name in self._sizes if not name.isascii())
        return next((name for name in odd if unicodedata.normalize("NFKC", name) == written), None)

    def _name(self, node: ast.Name) -> sympy.Expr:
        name = self._known(node.id)
        if name is None:
            if node.id in CONSTANTS:
                return CONSTANTS[node.id]
            if node.id in FUNCTIONS:
                raise self._fail(node, f"'{node.id}' is a function; write {node.id}(…)")
            known = [*self._sizes, *CONSTANTS, *FUNCTIONS]
            hint = FOREIGN.get(node.id.lower()) or nearest(node.id, known)
            raise self._fail(node, f"unknown name '{node.id}'", hint)
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
            hint: str | None = "write * to multiply"
            if isinstance(node.func, ast.Attribute) and node.func.attr in FUNCTIONS:  # math.exp
                hint = f"write {node.func.attr}(…)"
            elif name is not None and self._known(name) is None:
                hint = FOREIGN.get(name.lower()) or nearest(name, FUNCTIONS)
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
            parts.append(compare(RELATIONS[type(op)], left, right))
        return sympy.And(*parts) if len(parts) > 1 else parts[0]

    def _element(self, node: ast.Subscript) -> sympy.Expr:
        written = node.value.id if isinstance(node.value, ast.Name) else ""
        name = self._known(written)
        size = None if name is None else self._sizes[name]
        if name is None or size is None:
            raise self._fail(node, "only vector parameters can be indexed")
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if type(index) is not int or not 0 <= index < size:
            allowed = "0" if size == 1 else f"one of 0 … {size - 1}"
            raise self._fail(node, f"the index of '{name}' must be {allowed}")
        return symbol(f"{name}[{index}]")


def is_finite(expression: sympy.Expr) -> bool:
    """Whether the numbers that the last operation can have changed are finite and real."""
    near = [expression, *expression.args, *(inner for a in expression.args for inner in a.args)]
    if any(p in (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I) for p in near):
        return False
    if any(isinstance(p, Real) and not p.free_symbols for p in near):
        return False  # or it would be a number
    return all(math.isfinite(float(p)) for p in near if p.is_Number)


def with_numbers(
    expression: sympy.Basic, values: Mapping[sympy.Symbol, float], known: dict[Any, Any]
) -> Any:
    """The expression with numbers for symbols, computed part by part.

    No part is computed from a number that is not finite in 64 bits: sympy's own numbers have no
    largest, and a tower of exponentials of one would never be done. `known` is filled on the way.

    Raises:
        OverflowError: some part has no finite real value.
    """
    if expression in values:
        return sympy.Float(values[expression])
    if not expression.args:
        return expression
    if expression not in known:
        parts = [with_numbers(part, values, known) for part in expression.args]
        changed = any(new is not old for new, old in zip(parts, expression.args, strict=True))
        known[expression] = expression.func(*parts) if changed else expression
        if changed and not is_finite(known[expression]):
            raise OverflowError(f"{expression} is not a finite real number")
    return known[expression]
