"""Expressions as one graph: what is written twice, or has a name, is one node and computed once.

Nodes are numbers, symbols, sums, products of two, powers to a whole number, choices (`where`) with
their conditions, and calls of functions. The arguments of a node come before it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import sympy
from sympy.core.relational import Relational

from nfanneal.model.expressions.functions import Where

NUMBER, SYMBOL, SUM, PRODUCT, POWER, CALL = "number", "symbol", "sum", "product", "power", "call"
CHOICE, RELATION, JUNCTION = "choice", "relation", "junction"
MOST_TERMS = 32
"""Of a sum; longer ones are sums of sums."""


class Node(NamedTuple):
    """Its kind, its arguments, and what it is: a number, a symbol, an exponent, a function."""

    kind: str
    arguments: tuple[int, ...]
    what: Any = None


class Graph:
    """Nodes by number, each there once; those made of the same parts are the same node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.holds: list[int] = []
        """The symbols that a node's value depends on: a bit for each."""
        self.moves: list[int] = []
        """The symbols by which it can be differentiated: those in conditions are left out."""
        self.bits: dict[int, int] = {}
        """The bit of each symbol's node."""
        self._numbers: dict[Node, int] = {}
        self._of: dict[sympy.Basic, int] = {}
        self.zero, self.one = self.number(0.0), self.number(1.0)

    def number(self, value: float) -> int:
        """The node of a number."""
        return self._node(Node(NUMBER, (), value + 0.0))  # one zero, without a sign

    def symbol(self, symbol: sympy.Symbol) -> int:
        """The node that a symbol stands for: its own, unless it was given one."""
        if symbol not in self._of:
            place = self._of[symbol] = self._node(Node(SYMBOL, (), symbol))
            self.bits[place] = self.holds[place] = self.moves[place] = 1 << len(self.bits)
        return self._of[symbol]

    def define(self, symbol: sympy.Symbol, expression: sympy.Expr) -> int:
        """Let a symbol stand for an expression from now on."""
        self._of[symbol] = self.of(expression)
        return self._of[symbol]

    def mask(self, symbols: Iterable[sympy.Symbol]) -> int:
        """The bits of symbols."""
        return sum({self.bits[self.symbol(symbol)] for symbol in symbols})

    def _node(self, node: Node) -> int:
        place = self._numbers.get(node)
        if place is None:
            place = self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
            holds = moves = 0
            for argument in node.arguments:
                holds |= self.holds[argument]
                moves |= self.moves[argument]
            self.holds.append(holds)
            self.moves.append(0 if node.kind in (RELATION, JUNCTION) else moves)
        return place

    def value(self, place: int) -> float | None:
        """The number that a node is, if it is one."""
        node = self.nodes[place]
        return node.what if node.kind == NUMBER else None

    def scaled(self, place: int) -> tuple[float, int]:
        """A node as a number times another node."""
        kind, arguments, what = self.nodes[place]
        if kind == NUMBER:
            return what, self.one
        if kind == PRODUCT and self.nodes[arguments[0]].kind == NUMBER:
            return self.nodes[arguments[0]].what, arguments[1]
        return 1.0, place

    def times(self, factor: float, place: int) -> int:
        """A number times a node."""
        own, rest = self.scaled(place)
        factor *= own
        if factor == 0.0 or rest == self.one:
            return self.number(factor)
        if factor == 1.0:
            return rest
        return self._node(Node(PRODUCT, (self.number(factor), rest)))

    def product(self, left: int, right: int) -> int:
        """The product of two nodes; numbers stand before it."""
        (a, left), (b, right) = self.scaled(left), self.scaled(right)
        if self.one in (left, right):
            return self.times(a * b, right if left == self.one else left)
        if left == right:
            return self.times(a * b, self.power(left, 2))
        pair = (left, right) if left < right else (right, left)
        return self.times(a * b, self._node(Node(PRODUCT, pair)))

    def total(self, parts: Iterable[int]) -> int:
        """The sum of nodes; equal ones are counted, and those that cancel left out."""
        factors: dict[int, float] = defaultdict(float)
        for part in parts:
            factor, rest = self.scaled(part)
            factors[rest] += factor
        terms = [self.times(factor, rest) for rest, factor in sorted(factors.items()) if factor]
        while len(terms) > MOST_TERMS:
            rows = (terms[i : i + MOST_TERMS] for i in range(0, len(terms), MOST_TERMS))
            terms = [self._node(Node(SUM, tuple(row))) if len(row) > 1 else row[0] for row in rows]
        if len(terms) > 1:
            return self._node(Node(SUM, tuple(terms)))
        return terms[0] if terms else self.zero

    def power(self, base: int, exponent: int) -> int:
        """A whole power; one below −1 is the inverse of a power."""
        if exponent in (0, 1):
            return base if exponent else self.one
        number = self.value(base)
        if number is not None and number != 0.0 and abs(exponent) == 1:
            return self.number(1.0 / number)
        if exponent < -1:
            return self.power(self.power(base, -exponent), -1)
        return self._node(Node(POWER, (base,), exponent))

    def choice(self, condition: int, yes: int, no: int) -> int:
        """One node where a condition holds, another where not."""
        return yes if yes == no else self._node(Node(CHOICE, (condition, yes, no)))

    def not_above(self, left: int, right: int) -> int:
        """The condition left ≤ right."""
        return self._node(Node(RELATION, (left, right), sympy.Le))

    def of(self, expression: sympy.Basic, known: dict[sympy.Basic, int] | None = None) -> int:
        """The node of an expression; `known` has those of other symbols than the graph's."""
        known = self._of if known is None else known
        if expression not in known:
            known[expression] = self._new(expression, known)
        return known[expression]

    def _new(self, expression: sympy.Basic, known: dict[sympy.Basic, int]) -> int:
        if isinstance(expression, sympy.Symbol):
            return self.symbol(expression)
        if not expression.args:
            return self._constant(expression)
        if isinstance(expression, sympy.Pow) and expression.args[1].is_Number:
            return self._power(expression, known)
        parts = [self.of(part, known) for part in expression.args]
        if isinstance(expression, sympy.Add):
            return self.total(parts)
        if isinstance(expression, sympy.Mul):
            result = self.one
            for part in sorted(parts):
                result = self.product(result, part)
            return result
        if isinstance(expression, Where):
            return self.choice(*parts)
        if isinstance(expression, Relational):
            return self._node(Node(RELATION, tuple(parts), expression.func))
        if isinstance(expression, sympy.And | sympy.Or | sympy.Not):
            return self._node(Node(JUNCTION, tuple(sorted(parts)), expression.func))
        return self.call(expression.func, parts)

    def call(self, function: type[sympy.Basic], parts: Iterable[int]) -> int:
        """A function of nodes."""
        return self._node(Node(CALL, tuple(parts), function))

    def _constant(self, expression: sympy.Basic) -> int:
        if expression in (sympy.true, sympy.false):
            return self._node(Node(JUNCTION, (), bool(expression)))
        if isinstance(expression, sympy.Rational):
            try:
                return self.number(expression.p / expression.q)
            except OverflowError:
                return self.number(math.inf if expression.p > 0 else -math.inf)
        real = expression.is_Number or expression.is_NumberSymbol
        return self.number(float(expression) if real else math.nan)

    def _power(self, expression: sympy.Pow, known: dict[sympy.Basic, int]) -> int:
        base, exponent = expression.args
        inside = self.of(base, known)
        if exponent.is_Integer:
            return self.power(inside, int(exponent))
        if exponent in (sympy.S.Half, -sympy.S.Half):
            root = self.call(sympy.sqrt, [inside])
            return root if exponent == sympy.S.Half else self.power(root, -1)
        return self.call(sympy.Pow, [inside, self.number(float(exponent))])
