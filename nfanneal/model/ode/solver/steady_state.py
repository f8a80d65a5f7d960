"""A steady state, f(y) = 0, that a trajectory comes to, with its derivatives.

The transient is followed by an implicit method (SDIRK4) whose steps have their error controlled,
roughly, and grow, until Newton's method finds a steady state close by. What the equations conserve,
W·y, takes the place of as many rows of f = 0, which are not independent: W·y = W·y₀. Derivatives
follow from the same matrix, by the implicit function theorem.

Where the matrix cannot be inverted even so, more is kept than those totals: what decays for ever,
or a share that depends on rates, such as y(∞) = y₀ + x₀·k₂/(k₁ + k₂) of x → y and x → ∅. There the
state is followed until it rests, as precisely as all trajectories, and so are the sensitivities,
through the stages of the same steps; they end in the limit of s ← (1/δ − ∂f/∂y)⁻¹·(s/δ + ∂f/∂θ).

Source: Hairer & Wanner, Solving ODEs II, table IV.6.5 (SDIRK4), and IV.8 (errors of stiff ones).
"""

import math

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import OWNING, STRICT
from nfanneal.model.ode.solver.example_system import (
    LAW_ROWS,
    LAWS,
    N,
    P,
    rhs,
    steady_direct,
    steady_jacobian,
)
from nfanneal.model.ode.solver.linear_solve import factorise, solve_factored
from nfanneal.model.ode.solver.step_control import all_finite, scaled_norm

STEADY_A = np.array(
    [
        [1 / 4, 0.0, 0.0, 0.0, 0.0],
        [1 / 2, 1 / 4, 0.0, 0.0, 0.0],
        [17 / 50, -1 / 25, 1 / 4, 0.0, 0.0],
        [371 / 1360, -137 / 2720, 15 / 544, 1 / 4, 0.0],
        [25 / 24, -49 / 48, 125 / 16, -85 / 12, 1 / 4],
    ]
)
STEADY_E = np.array([-3 / 16, -27 / 32, 25 / 32, 0.0, 1 / 4])
"""The stages' coefficients, of which the last are the step's; what is left of an order 3 one."""
STEADY_GAMMA, STEADY_STAGES = 0.25, 5
ROUGH, FINEST_WAY = 1e-5, 1e-10
"""The relative tolerance of the way to a steady state that does not depend on the way itself; and
the least of one that does: rounding would keep Newton's method from smaller ones."""
MOST_TRIED, MOST_TURNS = 2000, 8
"""Steps before a trajectory counts as never at rest, or ten times as many where the way is to be
precise; turns of Newton's method in a stage."""
FASTER = 2.0
"""How fast steps may grow: faster, and what grows slowly would be damped before it is seen."""
LONG, LONGEST, ENDLESSLY = 10.0, 1e8, 1e12
"""Steps over the time scale of the fastest rate: from where on Newton's method is tried; where a
state that does not move rests; the longest for those that move: rounding adds up in longer ones."""
SLOWEST = 1e-30
"""A rate for where nothing says how fast anything is."""
SOLVED, NEAR, THERE, SETTLED = 0.01, 10.0, 1e-5, 1e-7
"""Over the tolerance: the last turn in a stage; the first step of Newton's method near a steady
state, and the last one; and the last change of sensitivities over their size."""
SINGULAR = 1e-11
"""Pivots below that, of a matrix whose rows and columns are about 1, are rounding."""


@njit(**STRICT)
def shifted(t, y, theta, fixed, rate, matrix):
    """rate − ∂f/∂y into `matrix`; returns the largest sum of a row of ∂f/∂y."""
    matrix[:, :] = 0.0
    steady_jacobian(t, y, theta, fixed, matrix)
    largest = 0.0
    for i in range(N):
        total = 0.0
        for j in range(N):
            total += abs(matrix[i, j])
            matrix[i, j] = -matrix[i, j]
        matrix[i, i] += rate
        largest = max(largest, total)
    return largest


@njit(**STRICT)
def all_zero(f):
    zero = True
    for i in range(N):
        zero = zero and f[i] == 0.0
    return zero


@njit(**STRICT)
def implicit_step(t, y, h, theta, fixed, rtol, atol, matrix, order, states, k, work):
    """The stages from y, with the factors of 1/(γh) − ∂f/∂y; returns the error, in tolerances."""
    base, f, change = work[0], work[1], work[2]
    rate = 1.0 / (STEADY_GAMMA * h)
    for i in range(STEADY_STAGES):
        at, before = states[i], math.inf
        for n in range(N):
            base[n] = y[n]
            at[n] = states[i - 1, n] if i > 0 else y[n]
            for j in range(i):
                base[n] += h * STEADY_A[i, j] * k[j, n]
        solved = False
        for _ in range(MOST_TURNS):
            rhs(t, at, theta, fixed, f)
            for n in range(N):
                f[n] -= (at[n] - base[n]) * rate
            solve_factored(matrix, order, f, change)
            for n in range(N):
                at[n] += change[n]
            size = scaled_norm(change, at, rtol, atol)
            if not (size < 2.0 * before and all_finite(at)):
                return math.inf
            solved, before = size < SOLVED, size
            if solved:
                break
        if not solved:
            return math.inf
        for n in range(N):
            k[i, n] = (at[n] - base[n]) * rate
    for n in range(N):
        f[n] = 0.0
        for i in range(STEADY_STAGES):
            f[n] += STEADY_E[i] * k[i, n] / STEADY_GAMMA
    solve_factored(matrix, order, f, change)
    error = scaled_norm(change, states[STEADY_STAGES - 1], rtol, atol)
    return error if error < math.inf else math.inf


@njit(**STRICT)
def implicit_slopes(t, h, s, theta, fixed, matrix, order, states, k, direct, work):
    """Sensitivities through the stages of a step: its derivative."""
    base, right, column = work[0], work[1], work[2]
    rate = 1.0 / (STEADY_GAMMA * h)
    for i in range(STEADY_STAGES):
        shifted(t, states[i], theta, fixed, rate, matrix)
        direct[:, :] = 0.0
        steady_direct(t, states[i], theta, fixed, direct)
        if not factorise(matrix, order):
            s[:] = np.nan
        for q in range(P):
            for n in range(N):
                base[n] = s[n * P + q]
                for j in range(i):
                    base[n] += h * STEADY_A[i, j] * k[j, n, q]
                right[n] = direct[n, q] + base[n] * rate
            solve_factored(matrix, order, right, column)
            for n in range(N):
                k[i, n, q] = (column[n] - base[n]) * rate
    for n in range(N):
        for q in range(P):
            for i in range(STEADY_STAGES):
                s[n * P + q] += h * STEADY_A[STEADY_STAGES - 1, i] * k[i, n, q]


@njit(**STRICT)
def with_laws(t, y, theta, fixed, matrix, order, rows, columns):
    """Factors of −∂f/∂y with W in the place of rows; whether there are any.

    Rows are divided by `rows`, columns multiplied by `columns`.
    """
    shifted(t, y, theta, fixed, 0.0, matrix)
    for law in range(len(LAW_ROWS)):
        for j in range(N):
            matrix[LAW_ROWS[law], j] = LAWS[law, j]
    columns[:] = 0.0
    for i in range(N):
        rows[i] = 0.0
        for j in range(N):
            rows[i] = max(rows[i], abs(matrix[i, j]))
        if not 0.0 < rows[i] < math.inf:
            return False
        for j in range(N):
            matrix[i, j] /= rows[i]
            columns[j] = max(columns[j], abs(matrix[i, j]))
    for j in range(N):
        if not columns[j] > 0.0:
            return False
        columns[j] = 1.0 / columns[j]
        for i in range(N):
            matrix[i, j] *= columns[j]
    if not factorise(matrix, order):
        return False
    regular = True
    for i in range(N):
        regular = regular and abs(matrix[i, i]) * SINGULAR < 1.0
    return regular


@njit(**STRICT)
def newton_step(t, y, start, theta, fixed, rtol, atol, matrix, order, work):
    """Newton's step to f = 0 and W·y = W·start, in work[2]; its size, infinite if there is none."""
    rows, columns, step, right = work[0], work[1], work[2], work[3]
    if not with_laws(t, y, theta, fixed, matrix, order, rows, columns):
        return math.inf
    rhs(t, y, theta, fixed, right)
    for law in range(len(LAW_ROWS)):
        right[LAW_ROWS[law]] = 0.0
        for j in range(N):
            right[LAW_ROWS[law]] += LAWS[law, j] * (start[j] - y[j])
    for i in range(N):
        right[i] /= rows[i]
    solve_factored(matrix, order, right, step)
    for i in range(N):
        step[i] *= columns[i]
    size = scaled_norm(step, y, rtol, atol)
    return size if size < math.inf else math.inf


@njit(**OWNING)
def approach(t, y, s, gradient, theta, fixed, rtol, atol, most):
    """Follow y, and for a gradient s, until y rests; whether it does."""
    matrix, order = np.empty((N, N)), np.empty(N, dtype=np.int64)
    states, k, work = np.empty((STEADY_STAGES, N)), np.empty((STEADY_STAGES, N)), np.empty((4, N))
    kept = N if gradient else 0
    slopes, direct = np.empty((STEADY_STAGES, kept, P)), np.empty((kept, P))
    start = y.copy()
    h = 1.0 / max(shifted(t, y, theta, fixed, 0.0, matrix), SLOWEST)
    for _ in range(most):
        fastest = shifted(t, y, theta, fixed, 1.0 / (STEADY_GAMMA * h), matrix)
        error = math.inf
        if factorise(matrix, order):
            error = implicit_step(t, y, h, theta, fixed, rtol, atol, matrix, order, states, k, work)
        if not error <= 1.0:
            h *= max(0.2, 0.9 * error**-0.25) if error < math.inf else 0.25
            continue
        if gradient:
            implicit_slopes(t, h, s, theta, fixed, matrix, order, states, slopes, direct, work)
        for i in range(N):
            work[0, i] = states[STEADY_STAGES - 1, i] - y[i]
            y[i] = states[STEADY_STAGES - 1, i]
        moved = scaled_norm(work[0], y, rtol, atol)
        if moved < 1.0 and h * fastest > LONG:
            size = newton_step(t, y, start, theta, fixed, rtol, atol, matrix, order, work)
            if size < NEAR or h * fastest > (ENDLESSLY if size < math.inf else LONGEST):
                return True
        rhs(t, y, theta, fixed, work[0])
        if all_zero(work[0]):
            return True
        h *= min(FASTER, max(0.2, 0.9 * max(error, 1e-10) ** -0.25))
        h = min(h, 2.0 * ENDLESSLY / max(fastest, SLOWEST))
    return False


@njit(**OWNING)
def relax(t, y, theta, fixed, rtol, atol):
    """Very long steps of the implicit Euler method, until y rests; whether it does."""
    matrix, order, work = np.empty((N, N)), np.empty(N, dtype=np.int64), np.empty((2, N))
    before = math.inf
    for _ in range(MOST_TRIED):
        fastest = shifted(t, y, theta, fixed, 0.0, matrix)
        rhs(t, y, theta, fixed, work[0])
        if all_zero(work[0]):
            return True
        for i in range(N):
            matrix[i, i] += max(fastest, SLOWEST) / LONGEST
        if not factorise(matrix, order):
            return False
        solve_factored(matrix, order, work[0], work[1])
        for i in range(N):
            y[i] += work[1, i]
        size = scaled_norm(work[1], y, rtol, atol)
        if not all_finite(y) or not size < NEAR:
            return False
        if size < THERE or (size < SOLVED and size > 0.5 * before):
            return True
        before = size
    return False


@njit(**OWNING)
def find_steady(t, y, s, gradient, theta, fixed, rtol, atol):
    """Move y, and for a gradient s, to the steady state; returns whether it was found."""
    matrix, order, work = np.empty((N, N)), np.empty(N, dtype=np.int64), np.empty((4, N))
    start = y.copy()
    rhs(t, y, theta, fixed, work[0])
    if not all_finite(y) or not all_finite(work[0]):
        return False
    looser = max(ROUGH / rtol, 1.0)
    if not approach(t, y, s, False, theta, fixed, rtol * looser, atol * looser, MOST_TRIED):
        return False
    before = 2.0 * NEAR * looser
    for _ in range(MOST_TURNS):
        size = newton_step(t, y, start, theta, fixed, rtol, atol, matrix, order, work)
        if not size < before:
            break
        for i in range(N):
            y[i] += work[2, i]
        before = size
        if size < THERE:
            break
    if before < SOLVED * looser:  # below, it may be rounding that is left
        if gradient:
            lawful_slopes(t, y, s, theta, fixed, matrix, order, work)
        return all_finite(y)
    for i in range(N):
        y[i] = start[i]
    looser = max(FINEST_WAY / rtol, 1.0)
    rtol, atol = rtol * looser, atol * looser
    if not approach(t, y, s, gradient, theta, fixed, rtol, atol, 10 * MOST_TRIED):
        return False
    if not relax(t, y, theta, fixed, rtol, atol):
        return False
    if gradient:
        limit_of_slopes(t, y, s, theta, fixed, matrix, order, work)
    return all_finite(y)


@njit(**OWNING)
def lawful_slopes(t, y, s, theta, fixed, matrix, order, work):
    """Move s to the derivatives of the steady state y that has the totals of the start."""
    rows, columns, right, column = work[0], work[1], work[2], work[3]
    direct = np.zeros((N, P))
    steady_direct(t, y, theta, fixed, direct)
    if not with_laws(t, y, theta, fixed, matrix, order, rows, columns):
        s[:] = np.nan
        return
    for q in range(P):
        for i in range(N):
            right[i] = direct[i, q]
        for law in range(len(LAW_ROWS)):
            right[LAW_ROWS[law]] = 0.0
            for j in range(N):
                right[LAW_ROWS[law]] += LAWS[law, j] * s[j * P + q]
        for i in range(N):
            right[i] /= rows[i]
        solve_factored(matrix, order, right, column)
        for i in range(N):
            s[i * P + q] = column[i] * columns[i]


@njit(**OWNING)
def limit_of_slopes(t, y, s, theta, fixed, matrix, order, work):
    """Move s from what it is at the end of the way to its limit, or to nan if it has none."""
    right, column = work[0], work[1]
    direct = np.zeros((N, P))
    steady_direct(t, y, theta, fixed, direct)
    rate = max(shifted(t, y, theta, fixed, 0.0, matrix), SLOWEST) / LONGEST
    for i in range(N):
        matrix[i, i] += rate
    if not factorise(matrix, order):
        s[:] = np.nan
        return
    for q in range(P):
        settled = False
        for _ in range(MOST_TRIED):
            change, size = 0.0, 1e-300
            for i in range(N):
                right[i] = s[i * P + q] * rate + direct[i, q]
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
