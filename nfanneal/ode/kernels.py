"""From symbols to source: the system's part of the compiled solver."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import sympy
from sympy.logic.boolalg import Boolean

from nfanneal.expressions import SCALAR_FUNCTIONS, differentiate, to_python
from nfanneal.ode.slopes import MANY, Partial, padded, place, step_body, table, variation_body
from nfanneal.ode.system import OdeSystem

EXPLICIT = ("tableau", "tsit5")
"""The template's modules for a stepper: before, and after the system."""
HEAD = "import math\n\nimport numpy as np\nfrom numba import njit\n"
OWN_IMPORT = re.compile(
    r"^(import|from) [\w.]+( import (\([^)]*\)|[^(\n]*))?( *# fmt: skip)?\n", re.MULTILINE
)

PIECE = 40
"""Assignments of a function of a large system."""
SHORT = 35
"""Lines of a function that is still compiled into its callers."""


@dataclass(frozen=True)
class Layout:
    """Names of array elements; which parameters the states depend on; what θ alone decides.

    `fixed` are the subexpressions of θ alone that are worth computing once per trajectory, with
    the symbols that stand for them in the system's own expressions.
    """

    system: OdeSystem
    names: dict[sympy.Symbol, str]
    active: tuple[int, ...]
    fixed: dict[sympy.Expr, sympy.Symbol]

    @property
    def is_large(self) -> bool:
        """Whether its functions are written in pieces."""
        return len(self.system.states) > MANY

    @property
    def taken(self) -> int:
        """The first elements of `fixed`: what the timetable holds, then the times of its stops,

        and the number of the inputs' table.
        """
        table = self.system.timetable
        return len(table.held) + len(table.moments) + table.stops

    @property
    def columns(self) -> int:
        """The columns of a row of sensitivities, unused ones at its end included."""
        return padded(len(self.active))


More = Callable[[Layout, Sequence[Partial], Sequence[Partial], bool], list[str]]
"""From a layout, the entries of ∂f/∂y and ∂f/∂θ, and with or without slopes, to sources."""


def kernel_source(
    system: OdeSystem,
    gradient: bool,
    stepper: Sequence[str] = EXPLICIT,
    more: More | None = None,
) -> str:
    """Source of a module whose `solve` integrates `system`, from the solver's template.

    `more` writes functions of the system that the stepper needs besides.
    """
    own = {"system": _system_source(system, gradient, more)}
    table, stiff = system.timetable, more is not None
    needs = {"linear": stiff or table.steady, "stops": table.stops, "steady": table.steady}
    order = ("options", *stepper[:-1], "system", "control", "linear", stepper[-1])
    parts = [part for part in (*order, "stops", "steady", "drive") if needs.get(part, True)]
    return "\n".join([HEAD, *(own.get(part) or _part(part) for part in parts)])


@cache
def _part(name: str) -> str:
    """The text of a module of the template, without its imports."""
    text = resources.files("nfanneal.ode.template").joinpath(f"{name}.py").read_text("utf-8")
    return OWN_IMPORT.sub("", text)


def _system_source(system: OdeSystem, gradient: bool, more: More | None) -> str:
    layout = _layout(system)
    jacobian, direct = _rhs_partials(layout)
    partials = [e for _, _, e in (*jacobian, *direct)]
    places = [*range(len(jacobian))]
    places += [place(len(jacobian), layout.columns, i, q) for i, q, _ in direct]
    sources = [_initial(layout), _rhs(layout, partials, places, gradient), _observe(layout)]
    if gradient:
        sources += [_initial_slopes(layout), *_slopes(layout, jacobian, direct)]
        sources += [_observe_slopes(layout)]
    if more is not None:
        sources += more(layout, jacobian, direct, gradient)
    sources += _timetable(layout, gradient)
    sources = [_prepare(layout), *sources]  # last, when everything fixed has been found
    p = layout.columns
    counts = (p, len(jacobian) + p * len(system.states)) if gradient else (0, 0)
    sizes = f"GRADIENT = {gradient}\nN, P = {len(system.states)}, {counts[0]}\n"
    sizes += f"FIXED, PARTIALS = {layout.taken + len(layout.fixed)}, {counts[1]}\n"
    sizes += f"TIMED, STEADY = {system.timetable.stops}, {system.timetable.steady}\n"
    sizes += f"ACTIVE = np.array({list(layout.active)}, dtype=np.int64)\n"
    helpers = _scalar_functions("\n".join(sources))
    return "\n".join([sizes, *helpers, *sources])


def _layout(system: OdeSystem) -> Layout:
    names = {system.time: "t"}
    names |= {s: f"y[{i}]" for i, s in enumerate(system.states)}
    names |= {s: f"theta[{i}]" for i, s in enumerate(system.parameters)}
    names |= {s: f"fixed[{i}]" for i, s in enumerate(system.timetable.held)}
    used: set[sympy.Symbol] = set()
    for expression in (*system.initial, *system.equations, *system.timetable.expressions):
        used |= expression.free_symbols
    used -= set(system.given)
    active = tuple(i for i, s in enumerate(system.parameters) if s in used)
    return Layout(system, names, active, {})


def _scalar_functions(source: str) -> list[str]:
    """All scalar helpers if the source calls any."""
    if not any(f"{name}(" in source for name in SCALAR_FUNCTIONS):
        return []
    return [_scalar_function(name) for name in SCALAR_FUNCTIONS]


def _scalar_function(name: str) -> str:
    function = SCALAR_FUNCTIONS[name]
    source = inspect.getsource(function).replace(f"def {function.__name__}(", f"def {name}(")
    return f"@njit(**STRICT)\n{source}\n"


def function(
    name: str, arguments: str, body: Sequence[str], short: str = "INLINE", long: str = "STRICT"
) -> str:
    """Source of a compiled function; a short one becomes a part of those that call it."""
    lines = [f"    {line}" for line in body] or ["    pass"]
    options = short if len(lines) <= SHORT else long
    return f"@njit(**{options})\ndef {name}({arguments}):\n" + "\n".join(lines) + "\n\n"


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
    parts: Sequence[tuple[Sequence[str], Sequence[sympy.Expr]]],
    before: Sequence[str] = (),
) -> str:
    """A function that assigns by calling others, which assign a few each.

    The time to compile a function grows faster than its length.
    """
    texts = list[str]()
    calls = list(before)
    for targets, expressions in parts:
        for first in range(0, len(targets), PIECE):
            piece, rows = f"{name}_{len(texts)}", slice(first, first + PIECE)
            body = assign(layout, targets[rows], expressions[rows])
            texts.append(function(piece, arguments, body, "STRICT"))
            calls.append(f"{piece}({arguments})")
    return "".join([*texts, function(name, arguments, calls, "STRICT")])


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


def _prepare(layout: Layout) -> str:
    targets = [layout.names[symbol] for symbol in layout.fixed.values()]
    table = layout.system.timetable
    timed = [*table.moments, table.tables.number] if table.stops else []
    targets += [f"fixed[{len(table.held) + i}]" for i in range(len(timed))]
    expressions = [*layout.fixed, *timed]
    return function("prepare", "theta, fixed", assign(layout, targets, expressions))


def _initial(layout: Layout) -> str:
    targets = [f"y[{i}]" for i in range(len(layout.system.states))]
    return function("initial", "theta, y", assign(layout, targets, layout.system.initial))


def _initial_slopes(layout: Layout) -> str:
    columns = [layout.system.parameters[c] for c in layout.active]
    partials = nonzero(layout.system.initial, columns)
    targets = [f"s[{i * layout.columns + q}]" for i, q, _ in partials]
    body = assign(layout, targets, [e for _, _, e in partials])
    return function("initial_slopes", "theta, s", ["s[:] = 0.0", *body])


def _rhs_partials(layout: Layout) -> tuple[list[Partial], list[Partial]]:
    """The entries of ∂f/∂y and of ∂f/∂θ that are not zero everywhere."""
    system = layout.system
    columns = [system.parameters[c] for c in layout.active]
    return nonzero(system.equations, system.states), nonzero(system.equations, columns)


def _rhs(
    layout: Layout, partials: Sequence[sympy.Expr], places: Sequence[int], gradient: bool
) -> str:
    """The same lines for the states with sensitivities and without: not a bit may differ."""
    equations = layout.system.equations
    targets = [f"dy[{i}]" for i in range(len(equations))]
    targets += [f"partials[{i}]" for i in places]
    expressions = [with_fixed(layout, e) for e in (*equations, *partials)]
    wanted = None if gradient else len(equations)
    arguments = "t, y, theta, fixed, dy, partials"
    if layout.is_large:
        n = len(equations)
        parts = [(targets[:n], expressions[:n]), (targets[n:wanted], expressions[n:wanted])]
        return in_pieces(layout, "rhs", arguments, parts)
    return function("rhs", arguments, assign(layout, targets, expressions, wanted))


def _slopes(
    layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> tuple[str, str, str]:
    """ds/dt = (∂f/∂y)·s + ∂f/∂θ at a point, and through a step."""
    sizes = len(layout.system.states), layout.columns
    variation = variation_body(*sizes, jacobian, direct)
    step = step_body(*sizes, jacobian, direct)
    return (
        table(sizes[0], jacobian),
        function("variation", "partials, s, ds", variation, "LINEAR_INLINE", "LINEAR"),
        function("step_slopes", "h, work", step, "LINEAR", "LINEAR"),
    )


def nonzero(expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol]) -> list[Partial]:
    """(i, j, ∂expression_i/∂symbol_j) wherever that is not identically zero."""
    partials = [
        (i, j, differentiate(expression, symbol))
        for i, expression in enumerate(expressions)
        for j, symbol in enumerate(symbols)
        if symbol in expression.free_symbols
    ]
    return [(i, j, partial) for i, j, partial in partials if partial != 0]


def _observe(layout: Layout) -> str:
    targets = [f"values[{k}]" for k in range(len(layout.system.observables))]
    expressions = [with_fixed(layout, e) for e in layout.system.observables]
    return function("observe", "t, y, theta, fixed, values", assign(layout, targets, expressions))


def _observe_slopes(layout: Layout) -> str:
    """dh/dθ = ∂h/∂x·s + ∂h/∂θ."""
    system, p = layout.system, layout.columns
    by_state = nonzero(system.observables, system.states)
    direct = nonzero(system.observables, system.parameters)
    names = [f"h{i}" for i in range(len(by_state) + len(direct))]
    expressions = [with_fixed(layout, e) for _, _, e in (*by_state, *direct)]
    body = ["slopes[:, :] = 0.0", *assign(layout, names, expressions)]
    for name, (k, j, _) in zip(names, by_state, strict=False):
        body += ["for q in range(len(ACTIVE)):"]
        body += [f"    slopes[{k}, ACTIVE[q]] += {name} * s[{j * p} + q]"]
    for name, (k, column, _) in zip(names[len(by_state) :], direct, strict=True):
        body.append(f"slopes[{k}, {column}] += {name}")
    return function("observe_slopes", "t, y, s, theta, fixed, slopes", body)


def _timetable(layout: Layout, gradient: bool) -> list[str]:
    """What a system has only if something happens at certain times."""
    table, sources = layout.system.timetable, list[str]()
    if table.stops:
        sources += [_tables(layout), _spaced(layout), _apply(layout)]
        sources += [_apply_slopes(layout), _stop_slopes(layout)] if gradient else []
    if table.steady:
        columns = [layout.system.parameters[c] for c in layout.active]
        names: dict[str, Sequence[sympy.Symbol]] = {"steady_jacobian": layout.system.states}
        names |= {"steady_direct": columns} if gradient else {}
        if not table.stops:
            sources += [f"BEFORE = {len(table.switches)}\n"]
        sources += [_matrix(layout, name, symbols) for name, symbols in names.items()]
    return sources


def _tables(layout: Layout) -> str:
    """Where in `fixed` things are, and the inputs."""
    table, tables = layout.system.timetable, layout.system.timetable.tables
    stop = len(table.held)
    before, column = len(table.switches), stop - len(tables.symbols)
    numbers = f"{len(table.moments)}, {len(table.switches)}, {before}, {column}, {stop}"
    rows = [row for each in tables.rows for row in each]
    shape = f"({len(rows)}, {len(tables.symbols)})"
    flat = [value for row in rows for value in row]
    knots = [knot for each in tables.knots for knot in each]
    first = [0, *itertools.accumulate(map(len, tables.knots))]
    return (
        f"STOPS, SWITCHES, BEFORE, FIRST_COLUMN, STOP = {numbers}\n"
        f"TABLE, FIRST_KNOT = {layout.taken - 1}, np.array({first}, dtype=np.int64)\n"
        f"KNOTS = np.array({knots}, dtype=np.float64)\n"
        f"ROWS = np.array({flat}, dtype=np.float64).reshape({shape})\n"
    )


def _spaced(layout: Layout) -> str:
    intervals = layout.system.timetable.intervals
    targets = [f"interval{i}" for i in range(len(intervals))]
    above = " and ".join(f"{target} > 0.0" for target in targets) or "True"
    body = [*assign(layout, targets, intervals), f"return {above}"]
    return function("spaced", "theta", body, "STRICT")


def _apply(layout: Layout) -> str:
    table, body = layout.system.timetable, ["pass"]
    for event in range(len(table.switches)):
        body += [f"if event == {event}:", f"    fixed[{event}] = 1.0"]
    for event, dose in enumerate(table.doses, start=len(table.switches)):
        lines = assign(layout, [f"y[{dose.state}]"], [dose.after])
        body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    return function("apply", "event, y, theta, fixed", body, "STRICT")


def _apply_slopes(layout: Layout) -> str:
    """∂g/∂y of the one state that a dose changes, times its sensitivities, and ∂g/∂θ."""
    system, body = layout.system, ["pass"]
    columns = [system.parameters[c] for c in layout.active]
    for event, dose in enumerate(system.timetable.doses, start=len(system.timetable.switches)):
        own = differentiate(dose.after, system.states[dose.state])
        direct = nonzero([dose.after], columns)
        names = ["own", *(f"h{q}" for _, q, _ in direct)]
        lines = assign(layout, names, [own, *(e for _, _, e in direct)])
        lines += ["for q in range(P):", f"    s[{dose.state} * P + q] *= own"]
        lines += [f"s[{dose.state} * P + {q}] += h{q}" for _, q, _ in direct]
        body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    return function("apply_slopes", "event, y, s, theta, fixed", body, "STRICT")


def _stop_slopes(layout: Layout) -> str:
    columns, body = [layout.system.parameters[c] for c in layout.active], ["pass"]
    for event, moment in enumerate(layout.system.timetable.moments):
        partials = nonzero([moment], columns)
        lines = assign(layout, [f"moved[{q}]" for _, q, _ in partials], [e for *_, e in partials])
        if lines:
            body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    return function("stop_slopes", "event, theta, fixed, moved", body, "STRICT")


def _matrix(layout: Layout, name: str, symbols: Sequence[sympy.Symbol]) -> str:
    partials = nonzero(layout.system.equations, symbols)
    targets = [f"matrix[{i}, {j}]" for i, j, _ in partials]
    body = assign(layout, targets, [with_fixed(layout, e) for *_, e in partials])
    return function(name, "t, y, theta, fixed, matrix", body, "STRICT")
