"""From symbols to source: the system's part of the compiled solver."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

import sympy

from nfanneal.expressions import SCALAR_FUNCTIONS, differentiate, to_python
from nfanneal.ode.system import OdeSystem

BEGIN, END = "# --- system ---\n", "# --- end of system ---\n"


@dataclass(frozen=True)
class _Layout:
    """Names of array elements, and which parameters the states depend on."""

    system: OdeSystem
    names: dict[sympy.Symbol, str]
    active: tuple[int, ...]


def kernel_source(system: OdeSystem) -> str:
    """Source of a module whose `solve` integrates `system`, from the solver's template."""
    template = resources.files("nfanneal.ode").joinpath("template.py").read_text("utf-8")
    head, rest = template.split(BEGIN)
    tail = rest.split(END)[1]
    return head + BEGIN + _system_source(system) + END + tail


def _system_source(system: OdeSystem) -> str:
    layout = _layout(system)
    parts = [
        *(_scalar_function(name) for name in _used_functions(system)),
        f"N = {len(system.states)}\nP = {len(layout.active)}\n",
        _initial(layout),
        _rhs(layout),
        _rhs_gradient(layout),
        _observe(layout),
        _observe_gradient(layout),
    ]
    return "\n".join(parts)


def _layout(system: OdeSystem) -> _Layout:
    names = {system.time: "t"}
    names |= {s: f"y[{i}]" for i, s in enumerate(system.states)}
    names |= {s: f"theta[{i}]" for i, s in enumerate(system.parameters)}
    used: set[sympy.Symbol] = set()
    for expression in (*system.initial, *system.equations):
        used |= expression.free_symbols
    return _Layout(system, names, tuple(i for i, s in enumerate(system.parameters) if s in used))


def _used_functions(system: OdeSystem) -> list[str]:
    """All scalar helpers if any expression needs one: derivatives may call others."""
    atoms: set[str] = set()
    for expression in (*system.initial, *system.equations, *system.observables):
        atoms |= {type(a).__name__ for a in expression.atoms(sympy.Function)}
    return list(SCALAR_FUNCTIONS) if atoms & set(SCALAR_FUNCTIONS) else []


def _scalar_function(name: str) -> str:
    function = SCALAR_FUNCTIONS[name]
    source = inspect.getsource(function).replace(f"def {function.__name__}(", f"def {name}(")
    return f"@njit(**OPTIONS)\n{source}\n"


def _function(name: str, arguments: str, body: Iterable[str]) -> str:
    lines = [f"    {line}" for line in body] or ["    pass"]
    return f"@njit(**OPTIONS)\ndef {name}({arguments}):\n" + "\n".join(lines) + "\n\n"


def _assign(
    layout: _Layout, targets: Sequence[str], expressions: Sequence[sympy.Expr]
) -> list[str]:
    """`target = expression` lines; common subexpressions are computed once."""
    shared, reduced = sympy.cse(list(expressions), symbols=sympy.numbered_symbols("_s"))
    names = layout.names | {s: f"s{i}" for i, (s, _) in enumerate(shared)}
    lines = [f"{names[s]} = {to_python(e, names)}" for s, e in shared]
    return lines + [
        f"{t} = {_float(to_python(e, names))}" for t, e in zip(targets, reduced, strict=True)
    ]


def _float(source: str) -> str:
    """Integer literals as floats, so that every variable has one type."""
    return f"{source}.0" if source.lstrip("-").isdigit() else source


def _initial(layout: _Layout) -> str:
    system, n, p = layout.system, len(layout.system.states), len(layout.active)
    body = _assign(layout, [f"y[{i}]" for i in range(n)], system.initial)
    partials = [
        (f"y[{n + i * p + q}]", differentiate(e, system.parameters[column]))
        for i, e in enumerate(system.initial)
        for q, column in enumerate(layout.active)
    ]
    partials = [(target, e) for target, e in partials if e != 0]
    inner = [f"y[{n}:] = 0.0", *_assign(layout, *_unzip(partials))]
    body += ["if gradient:", *(f"    {line}" for line in inner)]
    return _function("initial", "theta, y, gradient", body)


def _unzip(pairs: list[tuple[str, sympy.Expr]]) -> tuple[list[str], list[sympy.Expr]]:
    return [target for target, _ in pairs], [expression for _, expression in pairs]


def _rhs(layout: _Layout) -> str:
    targets = [f"dy[{i}]" for i in range(len(layout.system.states))]
    return _function("rhs", "t, y, theta, dy", _assign(layout, targets, layout.system.equations))


def _rhs_gradient(layout: _Layout) -> str:
    """f, then dS/dt = J·S + ∂f/∂θ with only the entries of J and ∂f/∂θ that are not zero."""
    system, n, p = layout.system, len(layout.system.states), len(layout.active)
    jacobian = _nonzero(system.equations, system.states, "j")
    direct = _nonzero(system.equations, [system.parameters[c] for c in layout.active], "f")
    targets = [f"dy[{i}]" for i in range(n)]
    targets += [name for name, _, _, _ in (*jacobian, *direct)]
    expressions = [*system.equations, *(e for _, _, _, e in (*jacobian, *direct))]
    body = _assign(layout, targets, expressions)
    for i in range(n):
        row = [
            f"{name} * y[{n + j * p} + q]" for name, k, j, _ in jacobian if k == i
        ] or ["0.0"]  # fmt: skip
        body += ["for q in range(P):", f"    dy[{n + i * p} + q] = {' + '.join(row)}"]
    body += [f"dy[{n + i * p + q}] += {name}" for name, i, q, _ in direct]
    return _function("rhs_gradient", "t, y, theta, dy", body)


def _nonzero(
    expressions: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol], letter: str
) -> list[tuple[str, int, int, sympy.Expr]]:
    """(name, i, j, ∂expression_i/∂symbol_j) wherever that is not identically zero."""
    found = []
    for i, expression in enumerate(expressions):
        for j, symbol in enumerate(symbols):
            if symbol in expression.free_symbols:
                partial = differentiate(expression, symbol)
                if partial != 0:
                    found.append((f"{letter}_{i}_{j}", i, j, partial))
    return found


def _observe(layout: _Layout) -> str:
    targets = [f"values[{k}]" for k in range(len(layout.system.observables))]
    body = _assign(layout, targets, layout.system.observables)
    return _function("observe", "t, y, theta, values", body)


def _observe_gradient(layout: _Layout) -> str:
    """dh/dθ = ∂h/∂x·S + ∂h/∂θ."""
    system, n, p = layout.system, len(layout.system.states), len(layout.active)
    by_state = _nonzero(system.observables, system.states, "h")
    direct = _nonzero(system.observables, system.parameters, "d")
    named = [*by_state, *direct]
    body = ["slopes[:, :] = 0.0"]
    body += _assign(layout, [name for name, _, _, _ in named], [e for _, _, _, e in named])
    for name, k, j, _ in by_state:
        body += [
            f"slopes[{k}, {column}] += {name} * y[{n + j * p + q}]"
            for q, column in enumerate(layout.active)
        ]
    body += [f"slopes[{k}, {column}] += {name}" for name, k, column, _ in direct]
    return _function("observe_gradient", "t, y, theta, slopes", body)
