"""What the sources of a system's functions are written with: names, assignments, functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy
from sympy.logic.boolalg import Boolean

from nfanneal.model.expressions import differentiate, to_python
from nfanneal.model.ode.codegen.sensitivities import MANY, Partial
from nfanneal.model.ode.system import OdeSystem

PIECE = 40
"""Assignments of a function of a large system."""
SHORT = 35
"""Lines of a function that is still compiled into its callers."""


@dataclass(frozen=True)
class Layout:
    """Names of array elements; which parameters the states depend on; what θ alone decides.

    `columns` are those of a row of sensitivities, unused ones at its end included. `fixed` are the
    subexpressions of θ alone that are worth computing once per trajectory, with the symbols that
    stand for them in the system's own expressions.
    """

    system: OdeSystem
    names: dict[sympy.Symbol, str]
    active: tuple[int, ...]
    columns: int
    fixed: dict[sympy.Expr, sympy.Symbol]

    @property
    def is_large(self) -> bool:
        """Whether its functions are written in pieces."""
        return len(self.system.states) > MANY

    @property
    def taken(self) -> int:
        """The first elements of `fixed`: what the timetable holds, then the times of its stops,

        the number of the inputs' table, and whether the start is a steady state.
        """
        table = self.system.timetable
        return len(table.held) + len(table.moments) + table.stops + table.steady


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


def with_fixed(layout: Layout, expression: sympy.Basic) -> sympy.Basic:
    """The expression with its largest parts that depend on θ alone replaced by symbols.

    Sums and products of parameters are cheap, and are left as they are.
    """
    if not expression.args or not expression.free_symbols:
        return expression
    alone = expression.free_symbols <= set(layout.system.parameters)
    cheap = isinstance(expression, sympy.Add | sympy.Mul | Boolean)
    if alone and not cheap:
        if expression not in layout.fixed:
            index = layout.taken + len(layout.fixed)
            layout.fixed[expression] = sympy.Symbol(f"_fixed{index}", real=True)
            layout.names[layout.fixed[expression]] = f"fixed[{index}]"
        return layout.fixed[expression]
    parts = [with_fixed(layout, part) for part in expression.args]
    return expression.func(*parts) if parts != list(expression.args) else expression


def assign(
    layout: Layout,
    targets: Sequence[str],
    expressions: Sequence[sympy.Expr],
    wanted: int | None = None,
) -> list[str]:
    """`target = expression` lines, only the `wanted` first of them; shared parts once."""
    shared, reduced = sympy.cse(list(expressions), symbols=sympy.numbered_symbols("_s"))
    reduced = reduced[:wanted]
    names = layout.names | {s: f"s{i}" for i, (s, _) in enumerate(shared)}
    lines = [(names[s], e) for s, e in _needed(shared, reduced)]
    lines += zip(targets[:wanted], reduced, strict=True)
    return [f"{target} = {_float(to_python(e, names))}" for target, e in lines]


def in_pieces(
    layout: Layout,
    name: str,
    arguments: str,
    targets: Sequence[str],
    expressions: Sequence[sympy.Expr],
    before: Sequence[str] = (),
    finish: Callable[[Sequence[str]], Sequence[str]] = list,
) -> str:
    """A function that assigns by calling others, which assign a few each; `finish` their lines.

    The time to compile a function grows faster than its length.
    """
    texts = list[str]()
    calls = list(before)
    for first in range(0, len(targets), PIECE):
        piece, rows = f"{name}_{first}", slice(first, first + PIECE)
        body = finish(assign(layout, targets[rows], expressions[rows]))
        texts.append(arithmetic(piece, arguments, body, "APART", "APART"))
        calls.append(f"{piece}({arguments})")
    return "".join([*texts, function(name, arguments, calls, "APART", "APART")])


def _needed(
    shared: Sequence[tuple[sympy.Symbol, sympy.Expr]], reduced: Sequence[sympy.Expr]
) -> list[tuple[sympy.Symbol, sympy.Expr]]:
    """The shared parts that the reduced expressions use, directly or through others."""
    used = set().union(*(e.free_symbols for e in reduced))
    kept = []
    for symbol, expression in reversed(shared):
        if symbol in used:
            used |= expression.free_symbols
            kept.append((symbol, expression))
    return kept[::-1]


def _float(source: str) -> str:
    """Integer literals as floats, so that every variable has one type."""
    return f"{source}.0" if source.lstrip("-").isdigit() else source


def names_in_store(layout: Layout, lanes: int) -> dict[sympy.Symbol, str]:
    """Names of θ and of what it decides, where the solver keeps them for each lane."""
    given = len(layout.system.parameters)
    starts = {"theta": 2, "fixed": 2 + given}
    names = {}
    for symbol, name in layout.names.items():
        array, _, index = name.rstrip("]").partition("[")
        if array in starts:
            names[symbol] = f"store[CONSTANTS + {lanes * (starts[array] + int(index))} + lane]"
    return names


def nonzero(expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol]) -> list[Partial]:
    """(i, j, ∂expression_i/∂symbol_j) wherever that is not identically zero."""
    partials = [
        (i, j, differentiate(expression, symbol))
        for i, expression in enumerate(expressions)
        for j, symbol in enumerate(symbols)
        if symbol in expression.free_symbols
    ]
    return [(i, j, partial) for i, j, partial in partials if partial != 0]
