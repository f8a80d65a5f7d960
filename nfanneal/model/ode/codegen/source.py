"""From symbols to source: the system's part of the compiled solver."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from nfanneal.model.expressions import SCALAR_FUNCTIONS
from nfanneal.model.expressions.graph import Graph
from nfanneal.model.ode.codegen.layout import (
    Form,
    Layout,
    at_a_point,
    function,
    hold,
    in_store,
    lines_of,
    partials,
    written,
)
from nfanneal.model.ode.codegen.sensitivities import (
    MANY,
    Partial,
    entries,
    padded,
    place,
    variation_body,
)
from nfanneal.model.ode.codegen.steady import steady_sources
from nfanneal.model.ode.codegen.triggers import memory_sizes, trigger_functions
from nfanneal.model.ode.system import OdeSystem

HEAD = """import math

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from nfanneal.model.ode.codegen.llvm import lines, room  # {emission}
"""
OWN_IMPORT = re.compile(
    r"^(import|from) [\w.]+( import (\([^)]*\)|[^(\n]*))?( *# fmt: skip)?\n", re.MULTILINE
)

More = Callable[[Layout, Sequence[Partial], Sequence[Partial]], list[str]]
"""From a layout and the entries of ∂f/∂y and ∂f/∂θ to sources."""


@dataclass(frozen=True)
class Stepper:
    """One of the solvers: modules of the template, of which the last comes after the system.

    So many trajectories go abreast, each in a lane, whose numbers take the first so many places of
    the store (`abreast`, a formula); `more` writes functions of the system that it needs besides.
    Sensitivities stand row by row, padded with zeros, or column by column.
    """

    parts: tuple[str, ...]
    lanes: int
    abreast: str
    more: More
    by_rows: bool
    linear: bool = False


def kernel_source(system: OdeSystem, stepper: Stepper) -> str:
    """Source of a module whose `solve` integrates `system`, from the solver's template."""
    own = {"example_system": _system_source(system, stepper)}
    table = system.timetable
    needs = {
        "linear_solve": stepper.linear or table.rests,
        "events": table.stops,
        "triggers": bool(table.triggers),
        "crossings": bool(table.triggers),
        "steady_state": table.rests,
    }
    *before, last = stepper.parts
    order = (
        "constants", *before, "example_system", "step_control", "linear_solve", last, "events",
        "triggers", "crossings", "steady_state", "outputs", "handing_over", "integrate",
    )  # fmt: skip
    parts = [part for part in order if needs.get(part, True)]
    return "\n".join([_head(), *(own.get(part) or _part(part) for part in parts)])


@cache
def _head() -> str:
    """The imports; another emission makes another text, which is compiled anew."""
    emission = resources.files("nfanneal.model.ode.codegen").joinpath("llvm.py").read_bytes()
    return HEAD.format(emission=hashlib.sha256(emission).hexdigest()[:16])


@cache
def _part(name: str) -> str:
    """The text of a module of the template, without its imports."""
    text = resources.files("nfanneal.model.ode.solver").joinpath(f"{name}.py").read_text("utf-8")
    return OWN_IMPORT.sub("", text)


def _system_source(system: OdeSystem, stepper: Stepper) -> str:
    layout = _layout(system, stepper)
    jacobian = partials(layout, layout.equations, system.states)
    direct = partials(layout, layout.equations, layout.columns_of)
    slopes = [node for _, _, node in (*jacobian, *direct)]
    hold(layout, [*layout.equations, *slopes])
    places = [*range(len(jacobian))]
    places += [place(len(jacobian), layout.columns, i, q) for i, q, _ in direct]
    sources = [_initial(layout), _initial_slopes(layout), *_rhs(layout, slopes, places)]
    sources += [_observe(layout, stepper.lanes), _observe_slopes(layout, stepper.lanes)]
    sources += [_variation(layout, jacobian, direct)]
    sources += [*stepper.more(layout, jacobian, direct), *_timetable(layout, jacobian, direct)]
    sources += trigger_functions(layout)
    sources = [_prepare(layout), *sources]  # last, when everything fixed has been found
    sizes = _sizes(layout, len(jacobian), stepper)
    helpers = _scalar_functions("\n".join(sources))
    return "\n".join([sizes, *helpers, *sources, _hold_constants(len(system.parameters))])


def _sizes(layout: Layout, jacobian: int, stepper: Stepper) -> str:
    """How many there are of everything, and where the store has it."""
    system, n = layout.system, len(layout.system.states)
    fixed, p = layout.taken + len(layout.fixed), layout.columns
    table = system.timetable
    memory, end = memory_sizes(layout, fixed)
    return f"""N, P = {n}, {p}
FIXED, PARTIALS = {end}, {jacobian + n * p}
TIMED, STEADY, RESETS = {table.stops}, {table.steady}, {bool(table.resets)}
ENDLESS, HALTS = {table.endless}, {table.endless or table.stops}
ACTIVE = np.array({list(layout.active)}, dtype=np.int64)
COLUMNS, LANES = {len(layout.active)}, {stepper.lanes}
NEW = {stepper.abreast}
CONSTANTS = NEW + N * LANES
STAGE = CONSTANTS + {2 + len(system.parameters) + fixed} * LANES
S_STAGE = STAGE + N * LANES
S_ROW, S_COLUMN = {"P, 1" if stepper.by_rows else "LANES, N * LANES"}
{memory}"""


def _layout(system: OdeSystem, stepper: Stepper) -> Layout:
    graph, table = Graph(), system.timetable
    texts = {graph.symbol(s): f"theta[{i}]" for i, s in enumerate(system.parameters)}
    texts |= {graph.symbol(s): f"fixed[{i}]" for i, s in enumerate(table.held)}
    texts |= {graph.symbol(system.time): "t"}
    texts |= {graph.symbol(s): f"y[{i}]" for i, s in enumerate(system.states)}
    initial = tuple(map(graph.of, system.initial))
    for name, expression in system.named:
        graph.define(name, expression)
    equations = tuple(map(graph.of, system.equations))
    observables = tuple(map(graph.of, system.observables))
    used = 0
    for node in (*initial, *equations, *map(graph.of, table.expressions)):
        used |= graph.holds[node]
    used &= ~graph.mask(system.given)
    active = tuple(i for i, s in enumerate(system.parameters) if graph.mask([s]) & used)
    columns = padded(len(active)) if stepper.by_rows else len(active)
    return Layout(system, graph, texts, active, columns, {}, initial, equations, observables)


def _scalar_functions(source: str) -> list[str]:
    """All scalar helpers if the source calls any."""
    if not any(f"{name}(" in source for name in SCALAR_FUNCTIONS):
        return []
    return [_scalar_function(name) for name in SCALAR_FUNCTIONS]


def _scalar_function(name: str) -> str:
    function = SCALAR_FUNCTIONS[name]
    source = inspect.getsource(function).replace(f"def {function.__name__}(", f"def {name}(")
    return f"@njit(**STRICT)\n{source}\n"


def _prepare(layout: Layout) -> str:
    table, of = layout.system.timetable, layout.graph.of
    timed = [*table.moments, table.tables.number] if table.stops else []
    timed += [table.equilibrates] if table.steady else []
    targets = [*layout.fixed.values()]
    targets += [f"fixed[{len(table.held) + i}]" for i in range(len(timed))]
    nodes = [*layout.fixed, *map(of, timed)]
    signature = "prepare", "theta, fixed"
    return written(layout, Form(layout.texts), signature, (targets, nodes))


def _initial(layout: Layout) -> str:
    targets = [f"y[{i}]" for i in range(len(layout.initial))]
    signature = "initial", "theta, y"
    return written(layout, Form(layout.texts), signature, (targets, layout.initial))


def _initial_slopes(layout: Layout) -> str:
    entries = partials(layout, layout.initial, layout.columns_of)
    assigned = (
        [f"s[{i * layout.columns + q}]" for i, q, _ in entries],
        [node for *_, node in entries],
    )
    signature = "initial_slopes", "theta, s"
    return written(layout, Form(layout.texts), signature, assigned, before=["s[:] = 0.0"])


def _rhs(layout: Layout, slopes: Sequence[int], places: Sequence[int]) -> list[str]:
    """f alone, and with its derivatives: not a bit of f may differ."""
    alone, both = "t, y, theta, fixed, dy", "t, y, theta, fixed, dy, partials"
    targets = [f"dy[{i}]" for i in range(len(layout.equations))]
    all_targets = [*targets, *(f"partials[{i}]" for i in places)]
    nodes, form = layout.equations, at_a_point(layout)
    return [
        written(layout, form, ("rhs", alone), (targets, nodes)),
        written(layout, form, ("rhs_and_partials", both), (all_targets, [*nodes, *slopes])),
    ]


def _variation(layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> str:
    """ds/dt = (∂f/∂y)·s + ∂f/∂θ at a point."""
    sizes = len(layout.system.states), layout.columns
    body = variation_body(*sizes, jacobian, direct)
    tabled = entries(jacobian) if sizes[0] > MANY else ""
    return tabled + function("variation", "partials, s, ds", body, "LINEAR_INLINE", "LINEAR")


def _observe(layout: Layout, lanes: int) -> str:
    """h(t, x, θ) from the store: of one lane, and of a stage."""
    plain, others = _plain_and_other_observables(layout)
    nodes, after = [layout.observables[k] for k in others], list[str]()
    hold(layout, nodes)
    if plain:
        after += ["for o in range(len(PLAIN)):"]
        state = "store[STAGE + PLAIN[o, 1] * LANES + lane]"
        after += [f"    values[row, output, PLAIN[o, 0]] = {state}"]
    pairs = f"PLAIN = np.array({plain}, dtype=np.int64)\n" if plain else ""
    assigned = [f"values[row, output, {k}]" for k in others], nodes
    signature = "observe", "t, lane, store, values, row, output"
    form = Form(_at_output(layout, lanes))
    return pairs + written(layout, form, signature, assigned, after=after)


def _plain_and_other_observables(layout: Layout) -> tuple[list[tuple[int, int]], list[int]]:
    """Of a large system the observables that are states, (observable, state); and the others.

    The former are gone through by a table: lines for each would take long to compile.
    """
    place = {layout.graph.symbol(s): j for j, s in enumerate(layout.system.states)}
    observables = list(enumerate(layout.observables))
    if not layout.is_large:
        return [], [k for k, _ in observables]
    plain = [(k, place[h]) for k, h in observables if h in place]
    return plain, [k for k, h in observables if h not in place]


def _observe_slopes(layout: Layout, lanes: int) -> str:
    """dh/dθ = ∂h/∂x·s + ∂h/∂θ."""
    system = layout.system
    plain, others = _plain_and_other_observables(layout)
    observables = [layout.observables[k] for k in others]
    by_state = partials(layout, observables, system.states)
    direct = partials(layout, observables, system.parameters)
    nodes = [node for *_, node in (*by_state, *direct)]
    hold(layout, nodes)
    names = [f"h{i}" for i in range(len(nodes))]
    body = lines_of(layout, names, nodes, _at_output(layout, lanes))
    body += ["s = store[S_STAGE + lane:]"]
    whole = layout.active == tuple(range(len(system.parameters)))
    if not whole or {k for k, _, _ in by_state} < {*range(len(others))}:
        body += ["slopes[row, output, :, :] = 0.0"]
    column = "q" if whole else "ACTIVE[q]"
    for k, observable in enumerate(others):
        terms = [
            f"{name} * s[{j} * S_ROW + q * S_COLUMN]"
            for name, (row, j, _) in zip(names, by_state, strict=False) if row == k
        ]  # fmt: skip
        if terms:
            body += ["for q in range(COLUMNS):"]
            body += [f"    slopes[row, output, {observable}, {column}] = {' + '.join(terms)}"]
    for name, (k, q, _) in zip(names[len(by_state) :], direct, strict=True):
        body.append(f"slopes[row, output, {others[k]}, {q}] += {name}")
    if plain:
        body += ["for q in range(COLUMNS):", "    for o in range(len(PLAIN)):"]
        place = "s[PLAIN[o, 1] * S_ROW + q * S_COLUMN]"
        body += [f"        slopes[row, output, PLAIN[o, 0], {column}] = {place}"]
    return function("observe_slopes", "t, lane, store, slopes, row, output", body)


def _at_output(layout: Layout, lanes: int) -> dict[int, str]:
    """Names of what observables are computed from."""
    node, system = layout.graph.symbol, layout.system
    names = {node(s): f"store[STAGE + {lanes * i} + lane]" for i, s in enumerate(system.states)}
    return {**in_store(layout, lanes), node(system.time): "t", **names}


def _hold_constants(parameters: int) -> str:
    body = [
        f"for i in range({parameters}):",
        "    store[CONSTANTS + LANES * (2 + i) + lane] = theta[i]",
    ]
    body += [
        "for i in range(MEMORY):",
        f"    store[CONSTANTS + LANES * ({2 + parameters} + i) + lane] = fixed[i]",
    ]
    return function("hold_constants", "lane, theta, fixed, store", body, "STRICT")


def _timetable(layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> list[str]:
    """What a system has only if something happens at certain times."""
    table, sources = layout.system.timetable, list[str]()
    if table.stops:
        sources += [_tables(layout), _spaced(layout), _apply(layout)]
        sources += [_apply_slopes(layout), _stop_slopes(layout)]
    if table.resets:
        sources += [_reset(layout), _reset_slopes(layout)]
    if table.steady:
        if not table.stops:
            sources += [f"BEFORE = {len(table.switches)}\n"]
        sources += [f"EQUILIBRATES = {layout.taken - 1}\n"]
    if table.rests:
        sources += steady_sources(layout, jacobian, direct)
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
    late = [False] * len(table.switches) + [dose.late for dose in table.doses]
    first = [0, *itertools.accumulate(map(len, tables.knots))]
    table_at = layout.taken - 1 - table.steady
    return (
        f"STOPS, SWITCHES, BEFORE, FIRST_COLUMN, STOP = {numbers}\n"
        f"TABLE, FIRST_KNOT = {table_at}, np.array({first}, dtype=np.int64)\n"
        f"KNOTS = np.array({knots}, dtype=np.float64)\n"
        f"LATE = np.array({late}, dtype=np.bool_)\n"
        f"ROWS = np.array({flat}, dtype=np.float64).reshape({shape})\n"
    )


def _spaced(layout: Layout) -> str:
    nodes = [layout.graph.of(interval) for interval in layout.system.timetable.intervals]
    targets = [f"interval{i}" for i in range(len(nodes))]
    above = " and ".join(f"{target} > 0.0" for target in targets) or "True"
    body = [*lines_of(layout, targets, nodes, layout.texts), f"return {above}"]
    return function("spaced", "theta", body, "STRICT")


def _apply(layout: Layout) -> str:
    table, body = layout.system.timetable, ["pass"]
    for event in range(len(table.switches)):
        body += [f"if event == {event}:", f"    fixed[{event}] = 1.0"]
    for event, dose in enumerate(table.doses, start=len(table.switches)):
        node = layout.graph.of(dose.after)
        lines = lines_of(layout, [f"y[{dose.state}]"], [node], layout.texts)
        body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    return function("apply", "event, y, theta, fixed", body, "STRICT")


def _apply_slopes(layout: Layout) -> str:
    """∂g/∂y of the one state that a dose changes, times its sensitivities, and ∂g/∂θ."""
    system, body = layout.system, ["pass"]
    for event, dose in enumerate(system.timetable.doses, start=len(system.timetable.switches)):
        after = [layout.graph.of(dose.after)]
        own = partials(layout, after, [system.states[dose.state]])
        direct = partials(layout, after, layout.columns_of)
        names = ["own", *(f"h{q}" for _, q, _ in direct)]
        nodes = [own[0][2] if own else layout.graph.zero, *(node for *_, node in direct)]
        lines = lines_of(layout, names, nodes, layout.texts)
        lines += ["for q in range(P):", f"    s[{dose.state} * P + q] *= own"]
        lines += [f"s[{dose.state} * P + {q}] += h{q}" for _, q, _ in direct]
        body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    return function("apply_slopes", "event, y, s, theta, fixed", body, "STRICT")


def _reset(layout: Layout) -> str:
    resets = layout.system.timetable.resets
    names = [f"new{i}" for i, _ in resets]
    nodes = [layout.graph.of(value) for _, value in resets]
    body = lines_of(layout, names, nodes, layout.texts)
    body += [f"y[{i}] = new{i}" for i, _ in resets]
    return function("reset", "theta, fixed, y", body, "STRICT")


def _reset_slopes(layout: Layout) -> str:
    """∂R/∂y·s + ∂R/∂θ in the rows of s of the states that become R(y, θ)."""
    system, resets = layout.system, layout.system.timetable.resets
    values = [layout.graph.of(value) for _, value in resets]
    by_state = partials(layout, values, system.states)
    direct = partials(layout, values, layout.columns_of)
    nodes = [node for *_, node in (*by_state, *direct)]
    names = [f"h{n}" for n in range(len(nodes))]
    body = lines_of(layout, names, nodes, layout.texts)
    body += ["for q in range(P):"]
    for row, (i, _) in enumerate(resets):
        terms = [f"h{n} * s[{j} * P + q]" for n, (r, j, _) in enumerate(by_state) if r == row]
        body.append(f"    new{i} = {' + '.join(terms) or '0.0'}")
    body += [f"    s[{i} * P + q] = new{i}" for i, _ in resets]
    for name, (row, q, _) in zip(names[len(by_state) :], direct, strict=True):
        body.append(f"s[{resets[row][0]} * P + {q}] += {name}")
    return function("reset_slopes", "theta, fixed, y, s", body, "STRICT")


def _stop_slopes(layout: Layout) -> str:
    body = ["pass"]
    for event, moment in enumerate(layout.system.timetable.moments):
        entries = partials(layout, [layout.graph.of(moment)], layout.columns_of)
        targets, nodes = [f"moved[{q}]" for _, q, _ in entries], [node for *_, node in entries]
        lines = lines_of(layout, targets, nodes, layout.texts)
        if lines:
            body += [f"if event == {event}:", *(f"    {line}" for line in lines)]
    return function("stop_slopes", "event, theta, fixed, moved", body, "STRICT")
