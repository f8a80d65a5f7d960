"""From symbols to source: the system's part of the compiled solver."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import sympy
from sympy.logic.boolalg import Boolean

from nfanneal.expressions import SCALAR_FUNCTIONS, differentiate, to_python
from nfanneal.ode.system import OdeSystem

PARTS = ("options", "system", "tsit5", "drive")
"""The template's modules, in the order in which they are put together."""
HEAD = "import math\n\nimport numpy as np\nfrom numba import njit\n"
OWN_IMPORT = re.compile(r"^(import|from) [\w.]+( import (\([^)]*\)|[^(\n]*))?\n", re.MULTILINE)

SHORT = 35
"""Lines of a function that is still compiled into its callers."""

Partial = tuple[int, int, sympy.Expr]


@dataclass(frozen=True)
class _Layout:
    """Names of array elements; which parameters the states depend on; what θ alone decides.

    `fixed` are the subexpressions of θ alone that are worth computing once per trajectory, with
    the symbols that stand for them in the system's own expressions.
    """

    system: OdeSystem
    names: dict[sympy.Symbol, str]
    active: tuple[int, ...]
    fixed: dict[sympy.Expr, sympy.Symbol]


def kernel_source(system: OdeSystem, gradient: bool) -> str:
    """Source of a module whose `solve` integrates `system`, from the solver's template."""
    own = {"system": _system_source(system, gradient)}
    return "\n".join([HEAD, *(own.get(part) or _part(part) for part in PARTS)])


@cache
def _part(name: str) -> str:
    """The text of a module of the template, without its imports."""
    text = resources.files("nfanneal.ode.template").joinpath(f"{name}.py").read_text("utf-8")
    return OWN_IMPORT.sub("", text)


def _system_source(system: OdeSystem, gradient: bool) -> str:
    layout = _layout(system)
    jacobian, direct = _rhs_partials(layout)
    partials = [e for _, _, e in (*jacobian, *direct)]
    sources = [_initial(layout), _rhs(layout, partials, gradient), _observe(layout)]
    if gradient:
        sources += [_initial_slopes(layout), _variation(layout, jacobian, direct)]
        sources += [_observe_slopes(layout)]
    sources = [_prepare(layout), *sources]  # last, when everything fixed has been found
    counts = (len(layout.active), len(partials)) if gradient else (0, 0)
    sizes = f"GRADIENT = {gradient}\nN, P = {len(system.states)}, {counts[0]}\n"
    sizes += f"FIXED, PARTIALS = {len(layout.fixed)}, {counts[1]}\n"
    sizes += f"ACTIVE = np.array({list(layout.active)}, dtype=np.int64)\n"
    helpers = _scalar_functions("\n".join(sources))
    return "\n".join([sizes, *helpers, *sources])


def _layout(system: OdeSystem) -> _Layout:
    names = {system.time: "t"}
    names |= {s: f"y[{i}]" for i, s in enumerate(system.states)}
    names |= {s: f"theta[{i}]" for i, s in enumerate(system.parameters)}
    used: set[sympy.Symbol] = set()
    for expression in (*system.initial, *system.equations):
        used |= expression.free_symbols
    active = tuple(i for i, s in enumerate(system.parameters) if s in used)
    return _Layout(system, names, active, {})


def _scalar_functions(source: str) -> list[str]:
    """All scalar helpers if the source calls any."""
    if not any(f"{name}(" in source for name in SCALAR_FUNCTIONS):
        return []
    return [_scalar_function(name) for name in SCALAR_FUNCTIONS]


def _scalar_function(name: str) -> str:
    function = SCALAR_FUNCTIONS[name]
    source = inspect.getsource(function).replace(f"def {function.__name__}(", f"def {name}(")
    return f"@njit(**STRICT)\n{source}\n"


def _function(
    name: str, arguments: str, body: Sequence[str], short: str = "INLINE", long: str = "STRICT"
) -> str:
    """Source of a compiled function; a short one becomes a part of those that call it."""
    lines = [f"    {line}" for line in body] or ["    pass"]
    options = short if len(lines) <= SHORT else long
    return f"@njit(**{options})\ndef {name}({arguments}):\n" + "\n".join(lines) + "\n\n"


def _with_fixed(layout: _Layout, expression: sympy.Basic) -> sympy.Basic:
    """The expression with its largest parts that depend on θ alone replaced by symbols.

    Sums and products of parameters are cheap, and are left as they are.
    """
    if not expression.args or not expression.free_symbols:
        return expression
    alone = expression.free_symbols <= set(layout.system.parameters)
    cheap = isinstance(expression, sympy.Add | sympy.Mul | Boolean)
    if alone and not cheap:
        if expression not in layout.fixed:
            index = len(layout.fixed)
            layout.fixed[expression] = sympy.Symbol(f"_fixed{index}", real=True)
            layout.names[layout.fixed[expression]] = f"fixed[{index}]"
        return layout.fixed[expression]
    parts = [_with_fixed(layout, part) for part in expression.args]
    return expression.func(*parts) if parts != list(expression.args) else expression


def _assign(
    layout: _Layout,
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


def _prepare(layout: _Layout) -> str:
    targets = [layout.names[symbol] for symbol in layout.fixed.values()]
    return _function("prepare", "theta, fixed", _assign(layout, targets, list(layout.fixed)))


def _initial(layout: _Layout) -> str:
    targets = [f"y[{i}]" for i in range(len(layout.system.states))]
    return _function("initial", "theta, y", _assign(layout, targets, layout.system.initial))


def _initial_slopes(layout: _Layout) -> str:
    columns = [layout.system.parameters[c] for c in layout.active]
    partials = _nonzero(layout.system.initial, columns)
    targets = [f"s[{i * len(columns) + q}]" for i, q, _ in partials]
    body = _assign(layout, targets, [e for _, _, e in partials])
    return _function("initial_slopes", "theta, s", ["s[:] = 0.0", *body])


def _rhs_partials(layout: _Layout) -> tuple[list[Partial], list[Partial]]:
    """The entries of ∂f/∂y and of ∂f/∂θ that are not zero everywhere."""
    system = layout.system
    columns = [system.parameters[c] for c in layout.active]
    return _nonzero(system.equations, system.states), _nonzero(system.equations, columns)


def _rhs(layout: _Layout, partials: Sequence[sympy.Expr], gradient: bool) -> str:
    """The same lines for the states with sensitivities and without: not a bit may differ."""
    equations = layout.system.equations
    targets = [f"dy[{i}]" for i in range(len(equations))]
    targets += [f"partials[{i}]" for i in range(len(partials))]
    expressions = [_with_fixed(layout, e) for e in (*equations, *partials)]
    body = _assign(layout, targets, expressions, None if gradient else len(equations))
    return _function("rhs", "t, y, theta, fixed, dy, partials", body)


def _variation(layout: _Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> str:
    """ds/dt = (∂f/∂y)·s + ∂f/∂θ, one row of P numbers per state."""
    p = len(layout.active)
    body = []
    for i in range(len(layout.system.states)) if p else ():
        row = [
            f"partials[{index}] * s[{j * p} + q]"
            for index, (k, j, _) in enumerate(jacobian) if k == i
        ] or ["0.0"]  # fmt: skip
        body += ["for q in range(P):", f"    ds[{i * p} + q] = {' + '.join(row)}"]
    for index, (i, q, _) in enumerate(direct, start=len(jacobian)):
        body.append(f"ds[{i * p + q}] += partials[{index}]")
    return _function("variation", "partials, s, ds", body, "LINEAR_INLINE", "LINEAR")


def _nonzero(expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol]) -> list[Partial]:
    """(i, j, ∂expression_i/∂symbol_j) wherever that is not identically zero."""
    partials = [
        (i, j, differentiate(expression, symbol))
        for i, expression in enumerate(expressions)
        for j, symbol in enumerate(symbols)
        if symbol in expression.free_symbols
    ]
    return [(i, j, partial) for i, j, partial in partials if partial != 0]


def _observe(layout: _Layout) -> str:
    targets = [f"values[{k}]" for k in range(len(layout.system.observables))]
    expressions = [_with_fixed(layout, e) for e in layout.system.observables]
    return _function("observe", "t, y, theta, fixed, values", _assign(layout, targets, expressions))


def _observe_slopes(layout: _Layout) -> str:
    """dh/dθ = ∂h/∂x·s + ∂h/∂θ."""
    system, p = layout.system, len(layout.active)
    by_state = _nonzero(system.observables, system.states)
    direct = _nonzero(system.observables, system.parameters)
    names = [f"h{i}" for i in range(len(by_state) + len(direct))]
    expressions = [_with_fixed(layout, e) for _, _, e in (*by_state, *direct)]
    body = ["slopes[:, :] = 0.0", *_assign(layout, names, expressions)]
    for name, (k, j, _) in zip(names, by_state, strict=False):
        body += ["for q in range(P):", f"    slopes[{k}, ACTIVE[q]] += {name} * s[{j * p} + q]"]
    for name, (k, column, _) in zip(names[len(by_state) :], direct, strict=True):
        body.append(f"slopes[{k}, {column}] += {name}")
    return _function("observe_slopes", "t, y, s, theta, fixed, slopes", body)
