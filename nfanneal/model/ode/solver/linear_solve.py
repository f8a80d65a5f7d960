"""Linear systems of N equations: factors of a matrix, and solutions from them."""

from numba import njit

from nfanneal.model.ode.solver.constants import LARGEST, STRICT
from nfanneal.model.ode.solver.example_system import N

PIVOT = 0.1
"""A diagonal element at least so large, over the largest, is the pivot: zeros stay zeros."""


@njit(**STRICT)
def factorise(lu, order):
    """L and U in the place of a matrix, its rows exchanged by `order`; whether there are any.

    The diagonal holds inverses.
    """
    for i in range(N):
        order[i] = i
    for c in range(N):
        best, size = c, abs(lu[c, c])
        for r in range(c + 1, N):
            if abs(lu[r, c]) * PIVOT > size:
                best, size = r, abs(lu[r, c])
        if not 0.0 < size < LARGEST:
            return False
        if best != c:
            order[c], order[best] = order[best], order[c]
            for j in range(N):
                lu[c, j], lu[best, j] = lu[best, j], lu[c, j]
        inverse = 1.0 / lu[c, c]
        for r in range(c + 1, N):
            if lu[r, c] != 0.0:
                factor = lu[r, c] * inverse
                lu[r, c] = factor
                for j in range(c + 1, N):
                    lu[r, j] -= factor * lu[c, j]
        lu[c, c] = inverse
    return True


@njit(**STRICT)
def solve_factored(lu, order, right, x):
    """x from the factors and the right-hand side, which is another array."""
    for r in range(N):
        total = right[order[r]]
        for c in range(r):
            total -= lu[r, c] * x[c]
        x[r] = total
    for r in range(N - 1, -1, -1):
        total = x[r]
        for c in range(r + 1, N):
            total -= lu[r, c] * x[c]
        x[r] = total * lu[r, r]
