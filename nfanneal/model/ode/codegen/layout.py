"""What the sources of a system's functions are written with: its graph, names, functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from nfanneal.model.expressions.graph import (
    CALL,
    CHOICE,
    JUNCTION,
    NUMBER,
    POWER,
    RELATION,
    SYMBOL,
    Graph,
)
from nfanneal.model.expressions.slopes import slopes
from nfanneal.model.ode.codegen.lines import listing
from nfanneal.model.ode.codegen.sensitivities import MANY, Partial
from nfanneal.model.ode.system import OdeSystem

PIECE = 40
"""Lines of a function of a large system that are long themselves."""
OPERATIONS, IN_A_PIECE = 300, 150
"""Operations of a function that is written in pieces, and of a piece."""
SHORT = 35
"""Lines of a function that is still compiled into its callers."""
CHEAP = 2
"""Operations that cost no more than to look up what they come to."""


@dataclass(frozen=True)
class Layout:
    """A system's graph and derivatives; names of array elements; what θ alone decides.

    `columns` are those of a row of sensitivities, unused ones at its end included: of the `active`
    parameters, which the states depend on. `texts` are the names of symbols' nodes, `fixed` the
    nodes that depend on θ alone and are worth computing once per trajectory, with their names.
    """

    system: OdeSystem
    graph: Graph
    texts: dict[int, str]
    active: tuple[int, ...]
    columns: int
    fixed: dict[int, str]
    initial: tuple[int, ...]
    equations: tuple[int, ...]
    observables: tuple[int, ...]

    @property
    def is_large(self) -> bool:
        """Whether loops go through tables instead of lines for each entry."""
        return len(self.system.states) > MANY

    @property
    def taken(self) -> int:
        """The first elements of `fixed`: what the timetable holds, then the times of its stops,

        the number of the inputs' table, and whether the start is a steady state.
        """
        table = self.system.timetable
        return len(table.held) + len(table.moments) + table.stops + table.steady

    @property
    def columns_of(self) -> list[sympy.Symbol]:
        """The active parameters."""
        return [self.system.parameters[c] for c in self.active]


def function(
    name: str, arguments: str, body: Sequence[str], short: str = "INLINE", long: str = "STRICT"
) -> str:
    """Source of a compiled function; a short one becomes a part of those that call it."""
    lines = [f"    {line}" for line in body] or ["    pass"]
    options = short if len(lines) <= SHORT else long
    return f"@njit(**{options})\ndef {name}({arguments}):\n" + "\n".join(lines) + "\n\n"


def arithmetic(
    name: str,
    arguments: str,
    lines: Sequence[str],
    short: str = "INLINE",
    long: str = "STRICT",
    *,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> str:
    """The same for lines of arithmetic, with others before and after them.

    A function of `lanes` does them in each lane.
    """
    inside = re.sub(r"^lanes\b", "lane", arguments)
    call = f"{name}_lines({inside})"
    body = [*before, f"for lane in range(lanes): {call}" if inside != arguments else call, *after]
    text = "\n".join(lines)
    options = short if len(lines) <= SHORT else long
    return f'''{name}_lines = lines("{inside}", """\\
{text}
""", globals())
''' + function(name, arguments, body, options, options)


def lines_of(
    layout: Layout, targets: Sequence[str], nodes: Sequence[int], texts: Mapping[int, str]
) -> list[str]:
    """What sets targets to nodes, as a part of a function."""
    every = listing(layout.graph, texts, targets, nodes)
    return every.lines(range(len(every.statements)), {})


@dataclass(frozen=True)
class Form:
    """How a function of nodes is written: where what is known stands, how many lanes it has,

    what becomes of its lines, and the options of a short function, a long one, and pieces.
    """

    texts: Mapping[int, str]
    lanes: int = 1
    finish: Callable[[Sequence[str]], Sequence[str]] = list
    options: tuple[str, str, str] = ("INLINE", "STRICT", "APART")


def at_a_point(layout: Layout) -> Form:
    """Of t, y, θ and `fixed`."""
    return Form({**layout.texts, **layout.fixed})


def written(
    layout: Layout,
    form: Form,
    signature: tuple[str, str],
    assigned: tuple[Sequence[str], Sequence[int]],
    *,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> str:
    """A function, of a name and arguments, that sets targets to nodes.

    A long one calls others, since the time to compile a function grows faster than its length. What
    one of these computes and others need stands in an array of the function that calls them.
    """
    name, arguments = signature
    every = listing(layout.graph, form.texts, *assigned)
    short, long, apart = form.options
    if sum(every.sizes) <= OPERATIONS:
        body = form.finish(every.lines(range(len(every.statements)), {}))
        return arithmetic(name, arguments, body, short, long, before=before, after=after)
    runs, lane = every.cut(IN_A_PIECE), "" if form.lanes == 1 else " + lane"
    places = every.crossing(runs)
    room = {node: f"room[{form.lanes * i}{lane}]" for i, node in enumerate(places)}
    sources, calls = [f"{name}_room = room({form.lanes * max(len(places), 1)})\n"], [*before]
    calls.append(f"room = {name}_room()")
    for i, run in enumerate(runs):
        lines, inside = form.finish(every.lines(run, room)), f"{arguments}, room"
        sources.append(arithmetic(f"{name}_{i}", inside, lines, apart, apart))
        calls.append(f"{name}_{i}({inside})")
    return "".join([*sources, function(name, arguments, [*calls, *after], apart, apart)])


def hold(layout: Layout, nodes: Sequence[int]) -> None:
    """Find the largest parts of nodes that depend on θ alone and are worth computing once."""
    theta = layout.graph.mask(layout.system.parameters)
    waiting, seen = list(reversed(nodes)), set(nodes)
    while waiting:
        node = waiting.pop()
        if _is_worth_it(layout.graph, node, theta):
            if node not in layout.fixed:
                layout.fixed[node] = f"fixed[{layout.taken + len(layout.fixed)}]"
            continue
        for part in reversed(layout.graph.nodes[node].arguments):
            if part not in seen:
                seen.add(part)
                waiting.append(part)


def _is_worth_it(graph: Graph, node: int, theta: int) -> bool:
    kind = graph.nodes[node].kind
    if kind in (NUMBER, SYMBOL, RELATION, JUNCTION) or graph.holds[node] & ~theta:
        return False
    return bool(graph.holds[node]) and _operations(graph, node) > CHEAP


def _operations(graph: Graph, node: int) -> int:
    """Sums and products, up to a few; other operations are many of these."""
    found, waiting = 0, [node]
    while waiting and found <= CHEAP:
        kind, arguments, _ = graph.nodes[waiting.pop()]
        if kind in (POWER, CALL, CHOICE):
            return CHEAP + 1
        found += max(len(arguments) - 1, 0)
        waiting += arguments
    return found


def in_store(layout: Layout, lanes: int) -> dict[int, str]:
    """Names of θ and of what it decides, where the solver keeps them for each lane."""
    given = len(layout.system.parameters)
    starts = {"theta": 2, "fixed": 2 + given}
    names = {}
    for node, name in {**layout.texts, **layout.fixed}.items():
        array, _, index = name.rstrip("]").partition("[")
        if array in starts:
            names[node] = f"store[CONSTANTS + {lanes * (starts[array] + int(index))} + lane]"
    return names


def partials(
    layout: Layout, nodes: Sequence[int], symbols: Sequence[sympy.Symbol]
) -> list[Partial]:
    """(i, j, ∂node_i/∂symbol_j) wherever that is not zero everywhere."""
    found = slopes(layout.graph, nodes, symbols)
    return [
        (i, j, row[symbol])
        for i, row in enumerate(found)
        for j, symbol in enumerate(symbols)
        if symbol in row
    ]
