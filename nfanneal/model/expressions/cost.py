"""How much work an expression will make: its operations, its depth, and those of its derivatives.

Text of ten thousand characters can be a product whose derivatives have millions of terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy
from sympy.logic.boolalg import Boolean


@dataclass(frozen=True)
class Cost:
    """Nodes of an expression's tree, nodes of all its derivatives, were they written out (roughly),

    its depth, and how many leaves of it are symbols."""

    operations: int = 0
    derivatives: int = 0
    depth: int = 0
    symbols: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.operations + other.operations,
            self.derivatives + other.derivatives,
            max(self.depth, other.depth),
            self.symbols + other.symbols,
        )


def cost_of(expression: sympy.Expr, known: Mapping[sympy.Symbol, Cost] | None = None) -> Cost:
    """The cost of an expression, without recursion and without differentiating it.

    `known` has the costs of what stands for some of its symbols.
    The derivative by a leaf repeats every product and function that holds the leaf, but of a sum
    only the term that does: Σ over products and functions of (nodes × symbols within).
    """
    order: list[sympy.Basic] = [expression]
    for node in order:
        order += node.args
    done: dict[sympy.Basic, tuple[int, int, int, int]] = {
        s: (c.operations, c.symbols, c.derivatives, c.depth) for s, c in (known or {}).items()
    }
    for node in reversed(order):  # the parts of a node before the node itself
        if node not in done:
            parts = [done[part] for part in node.args]
            size = 1 + sum(part[0] for part in parts)
            symbols = int(node.is_Symbol) + sum(part[1] for part in parts)
            work = sum(part[2] for part in parts)
            work += size * symbols if parts and not node.is_Add else int(node.is_Symbol)
            depth = 1 + max((part[3] for part in parts), default=0)
            conditions = isinstance(node, Boolean) and not node.is_Symbol  # never differentiated
            done[node] = (size, 0, 0, depth) if conditions else (size, symbols, work, depth)
    size, symbols, work, depth = done[expression]
    return Cost(size, work, depth, symbols)
