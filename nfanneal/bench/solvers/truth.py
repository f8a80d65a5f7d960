"""Trajectories and their derivatives by scipy at the tightest tolerances, as a truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from scipy.integrate import solve_ivp

from nfanneal.arrays import Array
from nfanneal.bench.solvers.systems import KnownSystem
from nfanneal.model.expressions import SCALAR_FUNCTIONS, differentiate, symbol, to_python
from nfanneal.model.ode import OdeSystem

RTOL = 1e-12
"""Of explicit solutions; implicit ones are asked for a hundredth less."""


def function_of(
    expressions: Sequence[sympy.Expr],
    arguments: Sequence[sympy.Symbol],
    library: Mapping[str, Any] | None = None,
) -> Callable[..., list[Any]]:
    """A function of scalars, or of a `library`'s own arrays, that returns a list.

    `library` holds what printed source calls: `math` and the functions of the grammar.
    """
    shared, reduced = sympy.cse(list(expressions), symbols=sympy.numbered_symbols("_s"))
    names = {s: f"a{i}" for i, s in enumerate(arguments)}
    names |= {s: f"s{i}" for i, (s, _) in enumerate(shared)}
    lines = [f"def function({', '.join(names[s] for s in arguments)}):"]
    lines += [f"    {names[s]} = {to_python(e, names)}" for s, e in shared]
    lines += [f"    return [{', '.join(to_python(e, names) for e in reduced)}]"]
    namespace: dict[str, Any] = dict(library or {"math": math, **SCALAR_FUNCTIONS})
    exec("\n".join(lines), namespace)  # the text is printed from the project's own systems
    function: Callable[..., list[Any]] = namespace["function"]
    return function


def with_sensitivities(system: OdeSystem) -> OdeSystem:
    """The system with ds/dt = (∂f/∂y)·s + ∂f/∂θ as further states, and dh/dθ as observables.

    Observables come first, then their derivatives row by row, (k·p,).
    """
    n, columns = len(system.states), system.parameters
    slopes = [[symbol(f"slope[{i * len(columns) + q}]") for q in range(len(columns))]
              for i in range(n)]  # fmt: skip

    def along(expression: sympy.Expr, q: int) -> sympy.Expr:
        """The derivative by parameter q, directly and through the states."""
        used = expression.free_symbols
        terms = [
            differentiate(expression, state) * slopes[j][q]
            for j, state in enumerate(system.states) if state in used
        ]  # fmt: skip
        direct = differentiate(expression, columns[q]) if columns[q] in used else sympy.S.Zero
        return sympy.Add(*terms, direct)

    def all_along(expressions: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
        return tuple(along(e, q) for e in expressions for q in range(len(columns)))

    started = tuple(differentiate(e, column) for e in system.initial for column in columns)
    return OdeSystem(
        time=system.time,
        states=(*system.states, *(s for row in slopes for s in row)),
        parameters=columns,
        initial=(*system.initial, *started),
        equations=(*system.equations, *all_along(system.equations)),
        observables=(*system.observables, *all_along(system.observables)),
    )


def true_values(known: KnownSystem, theta: Array) -> Array:
    """Observables (m, k) at θ (p,)."""
    return _solved(known.system, known, theta)


def true_sensitivities(known: KnownSystem, theta: Array) -> tuple[Array, Array]:
    """Observables (m, k) and their derivatives (m, k, p) at θ (p,)."""
    k, p = len(known.system.observables), len(known.system.parameters)
    found = _solved(with_sensitivities(known.system), known, theta)
    return found[:, :k], found[:, k:].reshape(len(known.times), k, p)


def _solved(system: OdeSystem, known: KnownSystem, theta: Array) -> Array:
    """Explicit if the system is not stiff; Radau with the exact Jacobian if it is."""
    arguments = [system.time, *system.states, *system.parameters]
    rhs, observe = (function_of(e, arguments) for e in (system.equations, system.observables))
    start = np.array(function_of(system.initial, system.parameters)(*theta), dtype=float)
    method: dict[str, Any] = {"method": "DOP853", "rtol": RTOL, "atol": 1e-6 * known.atol}
    if known.stiff:
        entries = [differentiate(e, s) for e in system.equations for s in system.states]
        jacobian = function_of(entries, arguments)
        shape = (len(start), len(start))
        method |= {
            "method": "Radau",
            "rtol": 100.0 * RTOL,
            "jac": lambda t, y: np.array(jacobian(t, *y, *theta), dtype=float).reshape(shape),
        }
    span = known.settings.start, known.times[-1]
    solution = solve_ivp(
        lambda t, y: rhs(t, *y, *theta), span, start, t_eval=known.times, **method
    )  # fmt: skip
    if not solution.success:
        raise RuntimeError(solution.message)
    rows = [observe(t, *y, *theta) for t, y in zip(solution.t, solution.y.T, strict=True)]
    return np.array(rows, dtype=float)
