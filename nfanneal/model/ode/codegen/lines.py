"""Lines of arithmetic that compute nodes of a graph: each at most once, in the graph's order.

What a node comes to does not depend on what is computed besides it: not a bit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import sympy

from nfanneal.model.expressions import to_python
from nfanneal.model.expressions.graph import (
    CALL,
    CHOICE,
    JUNCTION,
    NUMBER,
    POWER,
    PRODUCT,
    RELATION,
    SUM,
    Graph,
)
from nfanneal.model.expressions.slopes import Function, template

DEEPEST = 10
"""Operations within one another on a line; deeper ones get a line of their own."""
CONDITIONS = (RELATION, JUNCTION)
SIGNS = {sympy.Lt: "<", sympy.Le: "<=", sympy.Gt: ">", sympy.Ge: ">=", sympy.Eq: "==",
         sympy.Ne: "!="}  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A line that sets a target to a node; without a target, the node's own name."""

    node: int
    target: str | None = None


@dataclass(frozen=True)
class Listing:
    """Statements in an order in which they can be done, and the nodes that have lines.

    `texts` say where nodes that are known beforehand stand; `sizes` how many operations a line has.
    """

    graph: Graph
    texts: Mapping[int, str]
    statements: list[Statement] = field(default_factory=list)
    named: set[int] = field(default_factory=set)
    sizes: list[int] = field(default_factory=list)

    def cut(self, most: int) -> list[range]:
        """Runs of statements with about so many operations each."""
        runs, first, size = list[range](), 0, 0
        for i, own in enumerate(self.sizes):
            size += own
            if size >= most:
                runs.append(range(first, i + 1))
                first, size = i + 1, 0
        return [*runs, range(first, len(self.sizes))] if size else runs

    def lines(self, run: range, room: Mapping[int, str]) -> list[str]:
        """The lines of a run; nodes of other runs stand in `room`, and are put there.

        Targets come last: whatever is read after them the compiler would have to read again.
        """
        own = {self.statements[i].node for i in run if self.statements[i].target is None}
        names = {place: f"s{place}" for place in own}
        texts = {**room, **names, **self.texts}
        found = []
        for i in sorted(run, key=lambda i: self.statements[i].target is not None):
            statement, node = self.statements[i], self.statements[i].node
            if statement.target is not None:
                found.append(f"{statement.target} = {self._value(node, texts)}")
                continue
            found.append(f"{names[node]} = {_written(self.graph, node, texts)}")
            if node in room:
                found.append(f"{room[node]} = {names[node]}")
        return found

    def _value(self, node: int, texts: Mapping[int, str]) -> str:
        return texts[node] if node in texts else _written(self.graph, node, texts)

    def crossing(self, runs: Sequence[range]) -> list[int]:
        """The nodes that one run computes and another uses."""
        home = {self.statements[i].node: r for r, run in enumerate(runs) for i in run
                if self.statements[i].target is None}  # fmt: skip
        found = dict[int, None]()
        for r, run in enumerate(runs):
            for i in run:
                statement = self.statements[i]
                used = _leaves(self.graph, statement, self.texts, self.named)
                found |= dict.fromkeys(node for node in used if home[node] != r)
        return list(found)


def listing(
    graph: Graph, texts: Mapping[int, str], targets: Sequence[str], nodes: Sequence[int]
) -> Listing:
    """What sets targets to nodes."""
    uses = _uses(graph, texts, nodes)
    result = Listing(graph, texts)
    depths, sizes = dict[int, int](), dict[int, int]()
    for target, root in zip(targets, nodes, strict=True):
        for node in _in_order(graph, texts, root, depths):
            parts = graph.nodes[node].arguments
            depth = 1 + max((depths.get(part, 0) for part in parts), default=0)
            size = 1 + sum(sizes.get(part, 0) for part in parts)
            is_condition = graph.nodes[node].kind in CONDITIONS
            if not is_condition and (uses[node] > 1 or depth > DEEPEST):
                result.statements.append(Statement(node))
                result.named.add(node)
                result.sizes.append(size)
                depth = size = 0
            depths[node], sizes[node] = depth, size
        result.statements.append(Statement(root, target))
        result.sizes.append(1 + sizes.get(root, 0))
    return result


def _known(graph: Graph, texts: Mapping[int, str], node: int) -> bool:
    return node in texts or graph.nodes[node].kind == NUMBER


def _uses(graph: Graph, texts: Mapping[int, str], nodes: Sequence[int]) -> Counter[int]:
    uses = Counter(nodes)
    waiting = list(uses)
    while waiting:
        node = waiting.pop()
        if _known(graph, texts, node):
            continue
        kind, arguments, _ = graph.nodes[node]
        for argument in arguments:
            if argument not in uses:
                waiting.append(argument)
            uses[argument] += 2 if kind in CONDITIONS else 1  # conditions have no lines
    return uses


def _in_order(
    graph: Graph, texts: Mapping[int, str], root: int, done: Mapping[int, int]
) -> list[int]:
    """The nodes below a root that have not been done, each after its arguments."""
    order, seen, waiting = list[int](), set[int](), [(root, False)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            order.append(node)
        elif node not in seen and node not in done and not _known(graph, texts, node):
            seen.add(node)
            waiting.append((node, True))
            waiting += [(part, False) for part in reversed(graph.nodes[node].arguments)]
    return order


def _leaves(
    graph: Graph, statement: Statement, texts: Mapping[int, str], named: set[int]
) -> set[int]:
    """The nodes with lines of their own that a statement uses."""
    if statement.target is not None and (statement.node in named or statement.node in texts):
        return {statement.node} & named
    found = set[int]()
    waiting = list(graph.nodes[statement.node].arguments)
    while waiting:
        node = waiting.pop()
        if node in named:
            found.add(node)
        elif node not in texts:
            waiting += graph.nodes[node].arguments
    return found


def _written(graph: Graph, node: int, texts: Mapping[int, str]) -> str:
    """An expression of names for a node; parts without a name are written within."""

    def whole(place: int) -> str:
        return texts[place] if place in texts else _written(graph, place, texts)

    def closed(place: int) -> str:
        kind = graph.nodes[place].kind
        return whole(place) if place in texts or kind in (CALL, CHOICE) else f"({whole(place)})"

    def factor(place: int) -> str:
        factor, _ = graph.scaled(place)
        inner = place in texts or (graph.nodes[place].kind == PRODUCT and factor == 1.0)
        return whole(place) if inner else closed(place)

    kind, arguments, what = graph.nodes[node]
    if kind == NUMBER:
        infinite = "math.inf" if what > 0.0 else "-math.inf" if what < 0.0 else "math.nan"
        return repr(what) if math.isfinite(what) else infinite
    if kind == SUM:
        return _sum([(closed if _is_sum(graph, part) else whole)(part) for part in arguments])
    if kind == PRODUCT:
        left, right = arguments
        if graph.value(left) == -1.0:
            return f"-{closed(right)}"
        first = whole(left) if graph.nodes[left].kind == NUMBER else factor(left)
        return f"{first}*{closed(right)}"
    if kind == POWER:
        return f"1.0/{closed(*arguments)}" if what == -1 else f"{closed(*arguments)}**{what}"
    if kind == CHOICE:
        condition, yes, no = map(whole, arguments)
        return f"({yes} if {condition} else {no})"
    if kind == RELATION:
        left_side, right_side = map(closed, arguments)
        return f"({left_side} {SIGNS[what]} {right_side})"
    if kind == JUNCTION:
        return _junction(what, [whole(place) for place in arguments])
    numbers = tuple(graph.value(place) for place in arguments)
    return _call(what, numbers).format(*map(closed, arguments))


def _is_sum(graph: Graph, place: int) -> bool:
    return graph.nodes[place].kind == SUM


def _sum(terms: Sequence[str]) -> str:
    """A sum; −a + b is written as b − a, which is the same to the bit."""
    if terms[0].startswith("-") and not terms[1].startswith("-"):
        terms = [terms[1], terms[0], *terms[2:]]
    pieces = list[str]()
    for term in terms:
        minus = term.startswith("-")
        pieces += [" - " if minus else " + ", term[1:] if minus else term]
    return ("-" if pieces[0] == " - " else "") + "".join(pieces[1:])


def _junction(what: object, parts: Sequence[str]) -> str:
    if isinstance(what, bool):
        return str(what)
    if what is sympy.Not:
        return f"(not {parts[0]})"
    return f"({(' and ' if what is sympy.And else ' or ').join(parts)})"


@cache
def _call(what: Function, numbers: tuple[float | None, ...]) -> str:
    """How a call is written, with places for its arguments."""
    call, dummies = template(what, numbers)
    text = to_python(call, {d: f"{{{i}}}" for i, d in enumerate(dummies) if d is not None})
    return f"({text})" if "**" in text else text
