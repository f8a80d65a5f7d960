"""Expressions with a name: their order, what they depend on, and which are written out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import sympy

from nfanneal.model.expressions import Cost, cost_of, symbol


@dataclass
class NamedExpressions:
    """What is known so far of expressions with a name.

    Those that hold no state, directly or through others, are `written` out where they stand, since
    they say when things happen, or are constant; `kept` are the others, each after those that it
    holds. `reach` is on how many states and parameters each of the latter depends, and `costs` what
    the former cost.
    """

    kept: dict[str, sympy.Expr] = field(default_factory=dict)
    written: dict[sympy.Basic, sympy.Basic] = field(default_factory=dict)
    reach: dict[sympy.Symbol, frozenset[sympy.Symbol]] = field(default_factory=dict)
    costs: dict[sympy.Symbol, Cost] = field(default_factory=dict)

    def cost(self, expression: sympy.Expr) -> Cost:
        """What an expression costs, with what stands for the names that are written out."""
        return cost_of(expression, self.costs)

    def products(self, expression: sympy.Expr) -> int:
        """How many products the chain rule makes of what it holds through names."""
        return sum(len(self.reach.get(s, ())) for s in expression.free_symbols)

    def add(self, name: str, expression: sympy.Expr, states: Collection[str]) -> None:
        """One that is affordable, after those that it holds."""
        whole = expression.xreplace(self.written)
        free = whole.free_symbols
        depends = set[sympy.Symbol]().union(*(self.reach.get(s, frozenset({s})) for s in free))
        if any(str(s) in states for s in depends):
            self.kept[name], self.reach[symbol(name)] = whole, frozenset(depends)
        else:
            self.costs[symbol(name)] = self.cost(expression)
            self.written[symbol(name)] = whole

    def constant(self, moving: Collection[str]) -> list[str]:
        """The names of those that hold parameters and constants only."""
        return [
            str(name)
            for name, whole in self.written.items()
            if not any(str(s) in moving for s in whole.free_symbols)
        ]


def in_order(
    expressions: Mapping[str, sympy.Expr],
) -> tuple[list[str], dict[str, Sequence[str]]]:
    """Names, each after those that its expression holds; and circles, each by its first name.

    What is in a circle, or holds something that is, is not among the former.
    """
    holds = {
        name: [s for s in map(str, expression.free_symbols) if s in expressions]
        for name, expression in expressions.items()
    }
    rank = {name: i for i, name in enumerate(expressions)}
    order, done, circles = list[str](), set[str](), dict[str, Sequence[str]]()
    for first in expressions:
        way = {} if first in done else {first: sorted(holds[first])}
        while way:
            name = next(reversed(way))
            if not way[name]:
                del way[name]
                done.add(name)
                order.append(name)
                continue
            other = way[name].pop()
            if other in way:
                places = list(way)
                circle = [*places[places.index(other) :], other]
                circles.setdefault(min(circle, key=rank.__getitem__), circle)
            elif other not in done:
                way[other] = sorted(holds[other])
    bad = {name for circle in circles.values() for name in circle}
    for name in order:
        if any(other in bad for other in holds[name]):
            bad.add(name)
    return [name for name in order if name not in bad], circles
