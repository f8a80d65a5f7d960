"""Stops: the times at which a switch turns, a dose is given, or an input takes its next value.

Times of switches and doses are in `fixed` from STOP on; they are sorted by looking for the next.
At a stop of time τ(θ) the states y⁻ become y⁺ = g(y⁻, θ) and f⁻ becomes f⁺; since dy/dθ at the time
itself is s + f·∂τ/∂θ on both sides, s⁺ = ∂g/∂y·(s⁻ + f⁻·∂τ/∂θ) + ∂g/∂θ − f⁺·∂τ/∂θ.
"""

import math

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import OWNING, STRICT
from nfanneal.model.ode.solver.example_system import (
    FIRST_COLUMN,
    FIRST_KNOT,
    KNOTS,
    LATE,
    OF_PLACE,
    PLACES,
    QUEUE,
    ROWS,
    STOP,
    STOPS,
    SWITCHES,
    TABLE,
    TRIGGERED,
    N,
    P,
    apply,
    apply_slopes,
    rhs,
    stop_slopes,
)

ROUNDING = 8 * np.finfo(np.float64).eps
"""A time and an output are the same within so much of the largest output."""


@njit(**STRICT)
def knots_until(t, fixed, included=True):
    """The first knot of the inputs' table that is after t, or at t if that is not `included`; or

    where the next table begins.
    """
    table = int(fixed[TABLE])
    low, high = FIRST_KNOT[table], FIRST_KNOT[table + 1]
    while low < high:
        middle = (low + high) // 2
        if KNOTS[middle] < t or (included and KNOTS[middle] == t):
            low = middle + 1
        else:
            high = middle
    return low


@njit(**STRICT)
def next_stop(t, end, fixed):
    """The first stop after t, one for an event that waits included, or the end."""
    nearest = end
    for event in range(STOPS):
        if t < fixed[STOP + event] < nearest:
            nearest = fixed[STOP + event]
    knot = knots_until(t, fixed)
    if knot < FIRST_KNOT[int(fixed[TABLE]) + 1] and KNOTS[knot] < nearest:
        nearest = KNOTS[knot]
    if TRIGGERED:
        for place in range(QUEUE, QUEUE + PLACES * OF_PLACE, OF_PLACE):
            if t < fixed[place] < nearest:
                nearest = fixed[place]
    return nearest


@njit(**STRICT)
def last_stop(earliest, fixed):
    """The last stop at a finite time, if it is not before the `earliest`, which is told else."""
    last = earliest
    for event in range(STOPS):
        if last < fixed[STOP + event] < math.inf:
            last = fixed[STOP + event]
    table = int(fixed[TABLE])
    if FIRST_KNOT[table] < FIRST_KNOT[table + 1]:
        last = max(last, KNOTS[FIRST_KNOT[table + 1] - 1])
    return last


@njit(**STRICT)
def hold(t, fixed, included=True):
    """The inputs from time t on, or just before it if that is not `included`."""
    table = int(fixed[TABLE])  # each has one row more than knots
    row = knots_until(t, fixed, included) + table
    for column in range(ROWS.shape[1]):
        fixed[FIRST_COLUMN + column] = ROWS[row, column]


@njit(**STRICT)
def rounding_of(times):
    """Times that differ by no more are the same."""
    largest = 0.0
    for output in times:
        largest = max(largest, abs(output) if output < math.inf else 0.0)
    return ROUNDING * largest


@njit(**STRICT)
def align(times, fixed):
    """Stops that miss an output by rounding are at it: 0.1 + 2·0.1 is not 0.3."""
    rounding = rounding_of(times)
    for event in range(STOPS):
        for output in times:
            if abs(fixed[STOP + event] - output) <= rounding:
                fixed[STOP + event] = output


@njit(**STRICT)
def set_switches(t, fixed, included):
    """Turn switches, and take the inputs' values, until before t, or until t if it is `included`.

    Returns whether all times are numbers.
    """
    known = True
    for event in range(STOPS):
        time = fixed[STOP + event]
        known = known and not np.isnan(time)
        if event < SWITCHES:
            fixed[event] = 1.0 if time < t or (included and time == t) else 0.0
    hold(t, fixed, included)
    return known


@njit(**STRICT)
def pass_stops(t, y, s, gradient, theta, fixed, late):
    """Let happen what happens at time t: before outputs at that time, or after them if `late`."""
    hold(t, fixed)
    for event in range(STOPS):
        if fixed[STOP + event] == t and LATE[event] == late:
            if gradient:
                pass_slopes(event, t, y, s, theta, fixed)
            else:
                apply(event, y, theta, fixed)


@njit(**OWNING)
def pass_slopes(event, t, y, s, theta, fixed):
    """One event, and what it does to the sensitivities."""
    f, moved = np.empty(N), np.zeros(P)
    rhs(t, y, theta, fixed, f)
    stop_slopes(event, theta, fixed, moved)
    for i in range(N):
        for q in range(P):
            s[i * P + q] += f[i] * moved[q]
    apply_slopes(event, y, s, theta, fixed)
    apply(event, y, theta, fixed)
    rhs(t, y, theta, fixed, f)
    for i in range(N):
        for q in range(P):
            s[i * P + q] -= f[i] * moved[q]
