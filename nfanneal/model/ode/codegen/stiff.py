"""What the stiff solver needs of a system besides: ∂f/∂y, ∂f/∂t, and how ∂f/∂y changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sympy

from nfanneal.model.expressions import differentiate
from nfanneal.model.ode.codegen.layout import (
    PIECE,
    Layout,
    arithmetic,
    assign,
    function,
    in_pieces,
    with_fixed,
)
from nfanneal.model.ode.codegen.sensitivities import Partial, place
from nfanneal.model.ode.codegen.source import Stepper, kernel_source
from nfanneal.model.ode.system import OdeSystem


def stiff_source(system: OdeSystem) -> str:
    """Source of a module whose `solve` integrates `system` by Rodas5P."""
    return kernel_source(system, STIFF)


def _functions(layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> list[str]:
    return [_jacobian(layout, jacobian), *_curvature(layout, jacobian, direct)]


STIFF = Stepper(
    parts=("elementary", "rodas5p"),
    lanes=1,
    abreast="0",
    more=_functions,
    by_rows=True,
    linear=True,
)


def _jacobian(layout: Layout, jacobian: Sequence[Partial]) -> str:
    """∂f/∂y as a full matrix, and ∂f/∂t: the same lines with sensitivities and without."""
    system = layout.system
    by_time = [differentiate(e, system.time) for e in system.equations]
    targets = [f"jac[{i}, {j}]" for i, j, _ in jacobian]
    targets += [f"drift[{i}]" for i in range(len(by_time))]
    expressions = [with_fixed(layout, e) for e in (*(e for _, _, e in jacobian), *by_time)]
    arguments, before = "t, y, theta, fixed, jac, drift", ["jac[:, :] = 0.0"]
    if layout.is_large:
        return in_pieces(layout, "jacobian", arguments, targets, expressions, before)
    body = assign(layout, targets, expressions)
    return arithmetic("jacobian", arguments, body, before=before)


def _curvature(layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]) -> list[str]:
    """Second derivatives at a point, and what they make of a direction u.

    `bend` gives ∂²f/∂y∂y, ∂²f/∂y∂θ and ∂²f/∂t∂(y, θ), wherever they are not zero everywhere;
    `curve` the derivatives of (∂f/∂y)·u + c·∂f/∂t by y and θ in the places that `partials` has for
    the derivatives of f.
    """
    system, entries_of_y = layout.system, len(jacobian)
    places = {(i, "y", j): n for n, (i, j, _) in enumerate(jacobian)}
    places |= {(i, "theta", q): place(entries_of_y, layout.columns, i, q) for i, q, _ in direct}
    entries: dict[sympy.Expr, int] = {}
    terms: dict[int, list[str]] = defaultdict(list)
    by_time = ((i, None, differentiate(e, system.time)) for i, e in enumerate(system.equations))
    for i, j, slope in (*jacobian, *by_time):
        for kind, symbol, column in _variables(layout):
            second = _second(slope, symbol)
            if second != 0:
                index = entries.setdefault(with_fixed(layout, second), len(entries))
                factor = "c" if j is None else f"u[{j}]"
                terms[places[i, kind, column]].append(f"second[{index}] * {factor}")
    targets = [f"second[{n}]" for n in range(len(entries))]
    body = [f"curved[{n}] = {' + '.join(terms[n]) or '0.0'}" for n in places.values()]
    return [
        f"SECOND = {len(entries)}\n",
        _bend(layout, targets, list(entries)),
        *_curve(layout, body),
    ]


def _bend(layout: Layout, targets: Sequence[str], entries: Sequence[sympy.Expr]) -> str:
    arguments = "t, y, theta, fixed, second"
    if layout.is_large:
        return in_pieces(layout, "bend", arguments, targets, entries)
    return arithmetic("bend", arguments, assign(layout, targets, entries))


def _curve(layout: Layout, lines: Sequence[str]) -> list[str]:
    arguments = "second, u, c, curved"
    if not layout.is_large:
        return [arithmetic("curve", arguments, lines, "LINEAR_INLINE", "LINEAR")]
    texts, calls = list[str](), list[str]()
    for first in range(0, len(lines), PIECE):
        name, piece = f"curve_{first}", lines[first : first + PIECE]
        texts.append(arithmetic(name, arguments, piece, "LINEAR_APART", "LINEAR_APART"))
        calls.append(f"{name}({arguments})")
    return [*texts, function("curve", arguments, calls, "LINEAR_APART", "LINEAR_APART")]


def _variables(layout: Layout) -> list[tuple[str, sympy.Symbol, int]]:
    """The states and the active parameters, with their kind and column."""
    system = layout.system
    states = [("y", symbol, j) for j, symbol in enumerate(system.states)]
    return states + [("theta", system.parameters[c], q) for q, c in enumerate(layout.active)]


def _second(slope: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    return differentiate(slope, symbol) if symbol in slope.free_symbols else sympy.S.Zero
