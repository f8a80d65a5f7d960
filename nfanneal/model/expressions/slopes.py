"""Derivatives of a graph's nodes by automatic differentiation: as many nodes as the graph has.

Nodes that are used more than once, and choices, cut the graph into trees. The derivatives of a
tree's root by its leaves are found backwards, all at once; those by symbols forwards, from tree to
tree by the chain rule. Nothing is written out that the graph has once.

Source: Griewank & Walther, Evaluating Derivatives (2008), chapters 3 and 9.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache

import sympy

from nfanneal.model.expressions.functions import Least, number
from nfanneal.model.expressions.graph import (
    CALL,
    CHOICE,
    POWER,
    PRODUCT,
    SUM,
    SYMBOL,
    Graph,
)
from nfanneal.model.expressions.printing import differentiate

Function = Callable[..., sympy.Expr]
Template = tuple[sympy.Expr, tuple[sympy.Symbol | None, ...]]


def slopes(
    graph: Graph,
    roots: Sequence[int],
    symbols: Collection[sympy.Symbol],
    cuts: Collection[int] = (),
) -> list[dict[sympy.Symbol, int]]:
    """∂root/∂symbol of each root: the nodes of those that are not zero everywhere.

    `cuts` are nodes whose own derivatives are to be nodes.
    """
    seeds = {graph.symbol(symbol): symbol for symbol in symbols}
    mask = graph.mask(symbols)
    found: dict[int, dict[sympy.Symbol, int]] = {}

    def of(place: int) -> Mapping[sympy.Symbol, int]:
        return {seeds[place]: graph.one} if place in seeds else found.get(place, {})

    for place, leaves in _trees(graph, roots, mask, cuts):
        if isinstance(leaves, _Either):
            yes, no = of(leaves.yes), of(leaves.no)
            sides = ((s, yes.get(s, graph.zero), no.get(s, graph.zero)) for s in {**yes, **no})
            found[place] = {s: graph.choice(leaves.condition, y, n) for s, y, n in sides}
            continue
        parts: dict[sympy.Symbol, list[int]] = defaultdict(list)
        for leaf, factor in leaves.items():
            for symbol, slope in of(leaf).items():
                parts[symbol].append(graph.product(factor, slope))
        sums = ((symbol, graph.total(terms)) for symbol, terms in parts.items())
        found[place] = {symbol: total for symbol, total in sums if total != graph.zero}
    return [dict(of(root)) for root in roots]


def tangents(graph: Graph, roots: Sequence[int], seeds: Mapping[sympy.Symbol, int]) -> list[int]:
    """Σ ∂root/∂symbol · seed of each root, where seeds are nodes."""
    found = {graph.symbol(symbol): seed for symbol, seed in seeds.items()}
    for place, leaves in _trees(graph, roots, graph.mask(seeds), ()):
        if isinstance(leaves, _Either):
            sides = (found.get(side, graph.zero) for side in (leaves.yes, leaves.no))
            found[place] = graph.choice(leaves.condition, *sides)
        else:
            terms = ((found.get(leaf, graph.zero), factor) for leaf, factor in leaves.items())
            found[place] = graph.total(graph.product(*term) for term in terms)
    return [found.get(root, graph.zero) for root in roots]


class _Either:
    """A choice between two nodes: only the slopes of the one that is taken count."""

    def __init__(self, condition: int, yes: int, no: int) -> None:
        self.condition, self.yes, self.no = condition, yes, no


def _trees(
    graph: Graph, roots: Iterable[int], mask: int, cuts: Collection[int]
) -> Iterable[tuple[int, _Either | dict[int, int]]]:
    """Each tree's root, in the graph's order, and the derivatives by its leaves."""
    uses, order = _uses(graph, roots, mask)
    inside = set(order)
    ends = {place for place in order if uses[place] > 1} | (inside & {*roots, *cuts})
    for place in order:
        if _is_choice(graph, place):
            ends |= {place, *graph.nodes[place].arguments[-2:]} & inside
    for place in sorted(ends):
        if graph.nodes[place].kind == SYMBOL:
            continue
        if _is_choice(graph, place):
            *condition, yes, no = graph.nodes[place].arguments
            holds = condition[0] if condition else graph.not_above(yes, no)
            yield place, _Either(holds, yes, no)
        else:
            yield place, _backwards(graph, place, mask, ends)


def _is_choice(graph: Graph, place: int) -> bool:
    kind, _, what = graph.nodes[place]
    return kind == CHOICE or (kind == CALL and what is Least)


def _uses(graph: Graph, roots: Iterable[int], mask: int) -> tuple[dict[int, int], list[int]]:
    """How often each node that holds one of the symbols is used, and these nodes."""
    uses: dict[int, int] = defaultdict(int)
    waiting = [root for root in dict.fromkeys(roots) if graph.moves[root] & mask]
    seen = set(waiting)
    while waiting:
        for argument in graph.nodes[waiting.pop()].arguments:
            if graph.moves[argument] & mask:
                uses[argument] += 1
                if argument not in seen:
                    seen.add(argument)
                    waiting.append(argument)
    return uses, sorted(seen)


def _backwards(graph: Graph, root: int, mask: int, ends: set[int]) -> dict[int, int]:
    """The derivatives of a tree's root by its leaves: symbols, and roots of other trees."""
    parts: dict[int, list[int]] = {root: [graph.one]}
    waiting, leaves = [-root], dict[int, int]()
    while waiting:
        place = -heapq.heappop(waiting)  # the last first: all that uses it has been seen
        factor = graph.total(parts.pop(place))
        if place != root and (place in ends or graph.nodes[place].kind == SYMBOL):
            leaves[place] = factor
            continue
        for argument, part in _parts(graph, place, factor, mask):
            if argument not in parts:
                parts[argument] = []
                heapq.heappush(waiting, -argument)
            parts[argument].append(part)
    return leaves


def _parts(graph: Graph, place: int, factor: int, mask: int) -> Iterable[tuple[int, int]]:
    """`factor` × ∂node/∂argument, for arguments that hold one of the symbols."""
    kind, arguments, what = graph.nodes[place]
    moving = [i for i, argument in enumerate(arguments) if graph.moves[argument] & mask]
    if kind == SUM:
        yield from ((arguments[i], factor) for i in moving)
    elif kind == PRODUCT:
        yield from ((arguments[i], graph.product(factor, arguments[1 - i])) for i in moving)
    elif kind == POWER and what == -1:  # −(factor/x)/x: the first quotient is often there
        quotient = graph.product(graph.product(factor, place), place)
        yield arguments[0], graph.times(-1.0, quotient)
    elif kind == POWER:
        lower = graph.power(arguments[0], what - 1)
        yield arguments[0], graph.times(float(what), graph.product(factor, lower))
    else:
        assert kind == CALL
        for i in moving:
            yield arguments[i], graph.product(factor, _slope_of_call(graph, place, i))


def _slope_of_call(graph: Graph, place: int, index: int) -> int:
    _, arguments, what = graph.nodes[place]
    numbers = tuple(graph.value(argument) for argument in arguments)
    call, dummies = template(what, numbers)
    known = {d: a for d, a in zip(dummies, arguments, strict=True) if d is not None}
    known[call] = place
    return graph.of(_slope(what, numbers, index), known)


@cache
def template(what: Function, numbers: tuple[float | None, ...]) -> Template:
    """A call of a function of numbers, where they are known, and of symbols, which are given."""
    dummies = tuple(
        sympy.Symbol(f"_{i}", real=True) if value is None else None
        for i, value in enumerate(numbers)
    )
    arguments = (
        number(value) if dummy is None and value is not None else dummy
        for dummy, value in zip(dummies, numbers, strict=True)
    )
    return what(*arguments), dummies


@cache
def _slope(what: Function, numbers: tuple[float | None, ...], index: int) -> sympy.Expr:
    call, dummies = template(what, numbers)
    dummy = dummies[index]
    assert dummy is not None
    return differentiate(call, dummy)
