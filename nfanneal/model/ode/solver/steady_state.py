"""A steady state, f(y) = 0, as the start of a trajectory, with its derivatives.

Pseudo-transient continuation: steps (1/δ − ∂f/∂y)·d = f of the implicit Euler method, whose δ grows
as f falls, follow the transient from the first guess and end as Newton steps. Sensitivities follow
with the last matrix, s ← (1/δ − ∂f/∂y)⁻¹·(s/δ + ∂f/∂θ), to the limit of the implicit function
theorem. Both keep what the system conserves, where ∂f/∂y itself cannot be inverted.

Source: Kelley & Keyes (1998), Convergence analysis of pseudo-transient continuation,
doi:10.1137/S0036142996304796.
"""

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import OWNING, STRICT
from nfanneal.model.ode.solver.example_system import (
    N,
    P,
    rhs,
    steady_direct,
    steady_jacobian,
)
from nfanneal.model.ode.solver.linear_solve import factorise, solve_factored
from nfanneal.model.ode.solver.step_control import all_finite, scaled_norm

MOST_TRIED = 1000
LONGEST = 1e8
"""The largest δ, over the time scale of the fastest rate: longer steps lose what is conserved."""
SLOWEST = 1e-30
"""A rate for where nothing says how fast anything is."""
THERE, SETTLED = 1e-5, 1e-7
"""The last step over the tolerance; the last change of sensitivities over their size."""


@njit(**STRICT)
def shifted(t, y, theta, fixed, delta, matrix):
    """1/δ − ∂f/∂y into `matrix`; returns the largest sum of a row of ∂f/∂y."""
    matrix[:, :] = 0.0
    steady_jacobian(t, y, theta, fixed, matrix)
    largest = 0.0
    for i in range(N):
        total = 0.0
        for j in range(N):
            total += abs(matrix[i, j])
            matrix[i, j] = -matrix[i, j]
        largest = max(largest, total)
    for i in range(N):
        matrix[i, i] += 1.0 / delta if delta > 0.0 else largest
    return largest


@njit(**STRICT)
def all_zero(f):
    zero = True
    for i in range(N):
        zero = zero and f[i] == 0.0
    return zero


@njit(**OWNING)
def find_steady(t, y, s, gradient, theta, fixed, rtol, atol):
    """Move y, and for a gradient s, to the steady state; returns whether it was found."""
    matrix, order = np.empty((N, N)), np.empty(N, dtype=np.int64)
    f, step, new = np.empty(N), np.empty(N), np.empty(N)
    rhs(t, y, theta, fixed, f)
    if not all_finite(y) or not all_finite(f):
        return False
    delta = 0.0
    for _ in range(MOST_TRIED):
        fastest = shifted(t, y, theta, fixed, delta, matrix)
        delta = delta if delta > 0.0 else 1.0 / max(fastest, SLOWEST)
        longest = LONGEST / max(fastest, SLOWEST)
        solved = factorise(matrix, order)
        if solved:
            solve_factored(matrix, order, f, step)
            for i in range(N):
                new[i] = y[i] + step[i]
            before = scaled_norm(f, y, rtol, atol)
            rhs(t, new, theta, fixed, f)
            solved = all_finite(new) and all_finite(f)
        if not solved:
            rhs(t, y, theta, fixed, f)
            delta *= 0.1
            continue
        size, after = scaled_norm(step, new, rtol, atol), scaled_norm(f, new, rtol, atol)
        for i in range(N):
            y[i] = new[i]
        if size < THERE and (delta >= 0.1 * longest or all_zero(f)):
            if gradient:
                steady_slopes(t, y, s, theta, fixed, longest)
            return True
        gain = min(10.0, max(0.2, 2.0 * before / max(after, 1e-300)))
        delta = min(delta * gain, longest)
    return False


@njit(**OWNING)
def steady_slopes(t, y, s, theta, fixed, delta):
    """Move s to the derivatives of the steady state y, or to nan where they do not settle."""
    matrix, order = np.empty((N, N)), np.empty(N, dtype=np.int64)
    direct, right, column = np.zeros((N, P)), np.empty(N), np.empty(N)
    steady_direct(t, y, theta, fixed, direct)
    shifted(t, y, theta, fixed, delta, matrix)
    if not factorise(matrix, order):
        s[:] = np.nan
        return
    for q in range(P):
        settled = False
        for _ in range(MOST_TRIED):
            change, size = 0.0, 1e-300
            for i in range(N):
                right[i] = s[i * P + q] / delta + direct[i, q]
            solve_factored(matrix, order, right, column)
            for i in range(N):
                change = max(change, abs(column[i] - s[i * P + q]))
                size = max(size, abs(column[i]))
                s[i * P + q] = column[i]
            if change <= SETTLED * size:
                settled = True
                break
        if not settled:
            s[:] = np.nan
            return
