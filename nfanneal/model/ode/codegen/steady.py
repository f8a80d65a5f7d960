"""What the search for a steady state needs of a system: ∂f/∂y, ∂f/∂θ, and what is conserved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sympy
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from nfanneal.model.ode.codegen.layout import Layout, at_a_point, written
from nfanneal.model.ode.codegen.sensitivities import Partial


def steady_sources(
    layout: Layout, jacobian: Sequence[Partial], direct: Sequence[Partial]
) -> list[str]:
    """Sources for `steady_state` of the template."""
    return [
        _laws(layout),
        _matrix(layout, "steady_jacobian", jacobian),
        _matrix(layout, "steady_direct", direct),
    ]


def conserved(equations: Sequence[sympy.Expr]) -> tuple[list[int], list[list[float]]]:
    """Combinations W (laws, states) of states that no term of the equations changes.

    Terms that differ by a number are one; what they are multiplied by decides, exactly. Each law
    has a state of its own (their numbers come first), with the coefficient 1, which no other has.
    """
    terms: dict[sympy.Expr, int] = {}
    entries = defaultdict[int, dict[int, sympy.Rational]](dict)
    for i, equation in enumerate(equations):
        for term in sympy.Add.make_args(equation):
            coefficient, rest = term.as_coeff_Mul()
            if coefficient == 0 or not coefficient.is_finite:
                continue
            column = terms.setdefault(rest, len(terms))
            known = entries[column].get(i, sympy.S.Zero)
            entries[column][i] = known + sympy.Rational(coefficient)
    rows = {
        column: {i: QQ.from_sympy(value) for i, value in row.items() if value != 0}
        for column, row in entries.items()
    }
    matrix = DomainMatrix(rows, (max(len(terms), 1), len(equations)), QQ)
    basis, pivots = matrix.nullspace().rref()
    laws = [[float(v) for v in row] for row in basis.to_Matrix().tolist()]
    return list(pivots), laws[: len(pivots)]


def _laws(layout: Layout) -> str:
    states, laws = conserved(layout.system.equations)
    shape = f"({len(laws)}, {len(layout.system.states)})"
    return (
        f"LAW_ROWS = np.array({states}, dtype=np.int64)\n"
        f"LAWS = np.array({laws}, dtype=np.float64).reshape({shape})\n"
    )


def _matrix(layout: Layout, name: str, entries: Sequence[Partial]) -> str:
    assigned = [f"matrix[{i}, {j}]" for i, j, _ in entries], [node for *_, node in entries]
    signature = name, "t, y, theta, fixed, matrix"
    return written(layout, at_a_point(layout), signature, assigned)
