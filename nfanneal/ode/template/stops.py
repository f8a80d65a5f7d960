"""Stops: the times at which a switch turns, a dose is given, or an input takes its next value.

Times of switches and doses are in `fixed` from STOP on; they are sorted by looking for the next.
At a stop of time τ(θ) the states y⁻ become y⁺ = g(y⁻, θ) and f⁻ becomes f⁺; since dy/dθ at the time
itself is s + f·∂τ/∂θ on both sides, s⁺ = ∂g/∂y·(s⁻ + f⁻·∂τ/∂θ) + ∂g/∂θ − f⁺·∂τ/∂θ.
"""

import numpy as np
from numba import njit

from nfanneal.ode.template.options import OWNING, STRICT
from nfanneal.ode.template.system import (
    FIRST_COLUMN,
    FIRST_KNOT,
    GRADIENT,
    KNOTS,
    PARTIALS,
    ROWS,
    STOP,
    STOPS,
    SWITCHES,
    TABLE,
    N,
    P,
    apply,
    apply_slopes,
    rhs,
    stop_slopes,
)


@njit(**STRICT)
def knots_until(t, fixed):
    """The first knot of the inputs' table that is after t, or where the next table begins."""
    table = int(fixed[TABLE])
    low, high = FIRST_KNOT[table], FIRST_KNOT[table + 1]
    while low < high:
        middle = (low + high) // 2
        if KNOTS[middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low


@njit(**STRICT)
def next_stop(t, end, fixed):
    """The first stop after t, or the end."""
    nearest = end
    for event in range(STOPS):
        if t < fixed[STOP + event] < nearest:
            nearest = fixed[STOP + event]
    knot = knots_until(t, fixed)
    if knot < FIRST_KNOT[int(fixed[TABLE]) + 1] and KNOTS[knot] < nearest:
        nearest = KNOTS[knot]
    return nearest


@njit(**STRICT)
def hold(t, fixed):
    """The inputs from time t on."""
    row = knots_until(t, fixed) + int(fixed[TABLE])  # each table has one row more than knots
    for column in range(ROWS.shape[1]):
        fixed[FIRST_COLUMN + column] = ROWS[row, column]


@njit(**STRICT)
def set_switches(t, fixed, included):
    """Turn switches whose time is before t, or t if that is `included`; hold the inputs' values.

    Returns whether all times are numbers.
    """
    known = True
    for event in range(STOPS):
        time = fixed[STOP + event]
        known = known and not np.isnan(time)
        if event < SWITCHES:
            fixed[event] = 1.0 if time < t or (included and time == t) else 0.0
    hold(t, fixed)
    return known


@njit(**STRICT)
def pass_stops(t, y, s, theta, fixed):
    """Let happen what happens at time t; returns whether that is anything."""
    hold(t, fixed)
    knot = knots_until(t, fixed)
    any_event = knot > FIRST_KNOT[int(fixed[TABLE])] and KNOTS[knot - 1] == t
    for event in range(STOPS):
        if fixed[STOP + event] == t:
            any_event = True
            if GRADIENT:
                pass_slopes(event, t, y, s, theta, fixed)
            else:
                apply(event, y, theta, fixed)
    return any_event


@njit(**OWNING)
def pass_slopes(event, t, y, s, theta, fixed):
    """One event, and what it does to the sensitivities."""
    f, partials, moved = np.empty(N), np.empty(PARTIALS), np.zeros(P)
    rhs(t, y, theta, fixed, f, partials)
    stop_slopes(event, theta, fixed, moved)
    for i in range(N):
        for q in range(P):
            s[i * P + q] += f[i] * moved[q]
    apply_slopes(event, y, s, theta, fixed)
    apply(event, y, theta, fixed)
    rhs(t, y, theta, fixed, f, partials)
    for i in range(N):
        for q in range(P):
            s[i * P + q] -= f[i] * moved[q]
