"""MathML, as libsbml has parsed it, → expressions of the grammar; functions are inlined."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy
from sympy.logic.boolalg import Boolean

from nfanneal.errors import nearest
from nfanneal.model.expressions import CONSTANTS, symbol
from nfanneal.model.expressions.functions import Where, compare, number
from nfanneal.model.expressions.grammar import is_finite
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.sbml.library import type_names
from nfanneal.spec.sbml.operators import ARITHMETIC, AVOGADRO, REFUSED, RELATIONS, FormulaError

DEEPEST = 150
"""Levels of operators, functions written out; sums and products of many terms are one level."""
MOST_NODES = 60_000
"""Of all formulas of a file, functions written out: thrice what a spec can hold."""


@dataclass(frozen=True)
class Function:
    """A function definition: the names of its arguments and its formula."""

    arguments: tuple[str, ...]
    body: Any
    line: int


@dataclass
class Formulas:
    """Makes expressions of formulas; each that cannot be one is complained about.

    `names` are the names of all ids that may stand in formulas, `time` is that of the time.
    """

    names: Mapping[str, str]
    functions: Mapping[str, Function]
    time: str
    complaints: Complaints
    _nodes: int = 0
    _depth: int = 0
    _notes: dict[str, None] = field(default_factory=dict)

    def expression(
        self, node: Any, line: int, what: str, local: Mapping[str, str] | None = None
    ) -> sympy.Expr | None:
        """The number that a formula is; `local` are names that hold in it alone."""
        found = self._try(self._number, node, line, what, local)
        return None if found is None else found

    def condition(self, node: Any, line: int, what: str) -> Any:
        """The truth value that a formula is, as sympy's."""
        return self._try(self._truth, node, line, what, None)

    def _try(
        self, build: Any, node: Any, line: int, what: str, local: Mapping[str, str] | None
    ) -> Any:
        if node is None:
            self.complaints.at(line, f"{what} has no formula")
            return None
        scope = {key: (symbol(name), 1) for key, name in (local or {}).items()}
        self._depth = 0
        self._notes.clear()
        try:
            found = build(node, scope)
        except FormulaError as refused:
            self.complaints.at(line, f"{what}: {refused.message}", refused.hint)
            return None
        except RecursionError:
            self.complaints.at(line, f"{what}: nested too deeply")
            return None
        for note in self._notes:
            self.complaints.note(f"line {line}, {what}: {note}")
        return found

    def _number(self, node: Any, scope: dict[str, tuple[Any, int]]) -> sympy.Expr:
        """A truth value is 1 or 0 where a number is needed, as SBML has it."""
        found = self._build(node, scope)
        return Where(found, sympy.S.One, sympy.S.Zero) if _is_truth(found) else found

    def _truth(self, node: Any, scope: dict[str, tuple[Any, int]]) -> Any:
        """A number is true where it is not 0."""
        found = self._build(node, scope)
        return found if _is_truth(found) else _different(found, sympy.S.Zero)

    def _build(self, node: Any, scope: dict[str, tuple[Any, int]]) -> Any:
        self._nodes += 1
        self._depth += 1
        if self._depth > DEEPEST:
            raise FormulaError(f"nested more than {DEEPEST} levels deep, functions written out")
        if self._nodes > MOST_NODES:
            raise FormulaError(f"the formulas up to here have more than {MOST_NODES:,} parts")
        try:
            found = self._node(node, scope)
            finite = _is_truth(found) or is_finite(found)
        except (OverflowError, ValueError, ZeroDivisionError):
            finite = False
        if not finite:
            raise FormulaError("a number that is not finite")
        self._depth -= 1
        return found

    def _node(self, node: Any, scope: dict[str, tuple[Any, int]]) -> Any:
        kind = type_names()[node.getType()]
        if kind in REFUSED:
            raise FormulaError(*REFUSED[kind])
        leaf = self._leaf(node, kind, scope)
        if leaf is not None:
            return leaf
        match kind:
            case "PLUS":
                return sympy.Add(*(self._number(n, scope) for n in _chain(node)))
            case "TIMES":
                return sympy.Mul(*(self._number(n, scope) for n in _chain(node)))
            case "MINUS":
                return self._difference(_operands(node), scope)
            case "FUNCTION":
                return self._call(node, scope)
            case "FUNCTION_PIECEWISE":
                return self._pieces(_operands(node), scope)
        if kind.startswith(("RELATIONAL", "LOGICAL")):
            return self._logical(node, kind, scope)
        if kind not in ARITHMETIC:
            raise FormulaError(f"{kind.lower()} is not read")
        least, most, build = ARITHMETIC[kind]
        operands = [self._number(n, scope) for n in _operands(node)]
        _check_count(kind, len(operands), least, most)
        return build(*operands)

    def _leaf(self, node: Any, kind: str, scope: dict[str, tuple[Any, int]]) -> Any:
        """A number, a name or a constant; None of anything else."""
        if node.isNumber():
            return _constant(node, kind)
        if kind == "NAME":
            return self._name(node.getName(), scope)
        leaves = {
            "NAME_TIME": symbol(self.time),
            "NAME_AVOGADRO": number(AVOGADRO),
            "CONSTANT_E": CONSTANTS["e"],
            "CONSTANT_PI": CONSTANTS["pi"],
            "CONSTANT_TRUE": sympy.true,
            "CONSTANT_FALSE": sympy.false,
        }
        return leaves.get(kind)

    def _name(self, name: str, scope: dict[str, tuple[Any, int]]) -> Any:
        if name in scope:
            value, size = scope[name]
            self._nodes += size
            return value
        if name not in self.names:
            raise FormulaError(f"unknown id '{name}'", nearest(name, [*scope, *self.names]))
        return symbol(self.names[name])

    def _difference(self, operands: list[Any], scope: dict[str, tuple[Any, int]]) -> sympy.Expr:
        _check_count("MINUS", len(operands), 1, 2)
        first, *rest = (self._number(n, scope) for n in operands)
        return first - rest[0] if rest else -first

    def _call(self, node: Any, scope: dict[str, tuple[Any, int]]) -> Any:
        name = node.getName()
        function = self.functions.get(name)
        if function is None:
            raise FormulaError(f"unknown function '{name}'", nearest(name, self.functions))
        operands = _operands(node)
        _check_count(name, len(operands), len(function.arguments), len(function.arguments))
        inner = {}
        for argument, operand in zip(function.arguments, operands, strict=True):
            before = self._nodes
            value = self._build(operand, scope)
            inner[argument] = (value, self._nodes - before)
        return self._build(function.body, inner)

    def _pieces(self, operands: list[Any], scope: dict[str, tuple[Any, int]]) -> Any:
        """Nested choices, the first that holds; without any of them the last."""
        pairs = list(zip(operands[::2], operands[1::2], strict=False))
        if len(operands) % 2:
            found = self._number(operands[-1], scope)
        elif pairs:
            self._notes["a piecewise without otherwise: its last piece is taken for all else"] = (
                None
            )
            found = self._number(pairs.pop()[0], scope)
        else:
            raise FormulaError("a piecewise without pieces")
        if len(pairs) > DEEPEST:
            raise FormulaError(f"a piecewise with more than {DEEPEST} pieces")
        for value, condition in reversed(pairs):
            found = Where(self._truth(condition, scope), self._number(value, scope), found)
        return found

    def _logical(self, node: Any, kind: str, scope: dict[str, tuple[Any, int]]) -> Any:
        if kind in RELATIONS or kind in ("RELATIONAL_EQ", "RELATIONAL_NEQ"):
            return self._relation(node, kind, scope)
        chained = kind in ("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_XOR")
        parts = [self._truth(n, scope) for n in (_chain if chained else _operands)(node)]
        match kind:
            case "LOGICAL_AND":
                return sympy.And(*parts)
            case "LOGICAL_OR":
                return sympy.Or(*parts)
            case "LOGICAL_XOR":
                return functools.reduce(_either, parts, sympy.false)
            case "LOGICAL_NOT":
                _check_count(kind, len(parts), 1, 1)
                return sympy.Not(parts[0])
            case "LOGICAL_IMPLIES":
                _check_count(kind, len(parts), 2, 2)
                return sympy.Or(sympy.Not(parts[0]), parts[1])
        raise FormulaError(f"{kind.lower()} is not read")

    def _relation(self, node: Any, kind: str, scope: dict[str, tuple[Any, int]]) -> Any:
        operands = _operands(node)
        _check_count(kind, len(operands), 2, 1000)
        built = [self._build(n, scope) for n in operands]
        if kind in ("RELATIONAL_EQ", "RELATIONAL_NEQ") and all(map(_is_truth, built)):
            pairs = [_either(a, b) for a, b in itertools.pairwise(built)]
            different = sympy.Or(*pairs)
            return different if kind == "RELATIONAL_NEQ" else sympy.Not(different)
        values = [Where(b, sympy.S.One, sympy.S.Zero) if _is_truth(b) else b for b in built]
        pairs = list(itertools.pairwise(values))
        if kind in RELATIONS:
            return sympy.And(*(compare(RELATIONS[kind], a, b) for a, b in pairs))
        if kind == "RELATIONAL_EQ":
            return sympy.And(*(_equal(a, b) for a, b in pairs))
        _check_count(kind, len(values), 2, 2)
        return _different(*values)


def _is_truth(found: Any) -> bool:
    return isinstance(found, Boolean) and not found.is_Symbol


def _equal(a: sympy.Expr, b: sympy.Expr) -> Any:
    return sympy.And(compare(sympy.Le, a, b), compare(sympy.Ge, a, b))


def _different(a: sympy.Expr, b: sympy.Expr) -> Any:
    return sympy.Or(compare(sympy.Lt, a, b), compare(sympy.Gt, a, b))


def _either(a: Any, b: Any) -> Any:
    """One of both, but not both."""
    return sympy.Or(sympy.And(a, sympy.Not(b)), sympy.And(sympy.Not(a), b))


def _constant(node: Any, kind: str) -> sympy.Expr:
    if kind == "RATIONAL":
        below = node.getDenominator()
        if below == 0:
            raise FormulaError("division by zero")
        return sympy.Rational(node.getNumerator(), below)
    value = node.getInteger() if kind == "INTEGER" else node.getReal()
    if not math.isfinite(value):
        raise FormulaError("a number that is not finite")
    return number(value)


def _operands(node: Any) -> list[Any]:
    return [node.getChild(i) for i in range(node.getNumChildren())]


def _chain(node: Any) -> list[Any]:
    """The terms of a + b + c, which libsbml keeps as (a + b) + c: a long sum is not a deep one."""
    kind, left = node.getType(), []
    while node.getType() == kind and node.getNumChildren() == 2:
        left.append(node.getChild(1))
        node = node.getChild(0)
    rest = _operands(node) if node.getType() == kind else [node]
    return [*rest, *reversed(left)]


def _check_count(kind: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        name = kind.removeprefix("FUNCTION_").removeprefix("RELATIONAL_").lower()
        wanted = str(least) if least == most else f"at least {least}"
        raise FormulaError(f"{name} takes {wanted} operand(s), not {count}")
