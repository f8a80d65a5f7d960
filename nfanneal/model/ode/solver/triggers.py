"""Events: what happens where conditions turn true, within a step or at a stop, and then follows.

Each relation of a condition is a difference c(t, y, θ) that is above 0 where it holds. Where one
makes an event fire, the states y⁻ become y⁺ = g(y⁻, θ), and its time τ moves by
τ' = −(∂c/∂y·s⁻ + ∂c/∂θ)/(∂c/∂y·f⁻ + ∂c/∂t), so that
s⁺ = ∂g/∂y·(s⁻ + f⁻·τ') + ∂g/∂θ + ∂g/∂t·τ' − f⁺·τ'. At a stop τ' is known.

What is assigned waits in a queue, with its derivatives, until it is due: at once, or after a delay.
Whether a relation holds is remembered: of one that has just turned the sign is rounding.

Source of the jump of sensitivities: Rozenvasser (1967), General sensitivity equations of
discontinuous systems, Automation and Remote Control 28:400-404.
"""

import math

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import (
    EVENT_DELAY,
    INLINE,
    OWNING,
    STRICT,
    TOO_MANY_EVENTS,
)
from nfanneal.model.ode.solver.events import hold, pass_slopes, rounding_of, set_switches
from nfanneal.model.ode.solver.example_system import (
    AT_ONCE,
    AT_START,
    BEFORE_AT,
    COLUMNS,
    COUNT,
    CROSSED_AT,
    EVENTS,
    FIRST,
    FIXED,
    GIVES_UP,
    HOLDS,
    LAST,
    LATE,
    LATE_VALUES,
    MEMORY,
    MOVING,
    NOW,
    OF_PLACE,
    ORDER,
    PLACES,
    PRIORITY,
    QUEUE,
    RELATIONS,
    SAME,
    STOP,
    STOPS,
    STRICTLY,
    TARGETS,
    TRUE,
    TRUE_NEW,
    VALUES,
    N,
    P,
    apply,
    assigned,
    assigned_slopes,
    conditions,
    differences,
    first_conditions,
    relation_rate,
    rhs,
    stop_slopes,
)
from nfanneal.model.ode.solver.step_control import ULPS
from nfanneal.model.ode.solver.tsit5 import MINE

MOST_AT_ONCE = 1000
"""So many events may happen at an instant, and so many more for each that there is."""
SLIGHT, TINY = 1e-8, 1e-13
"""A rate of change, over the one before, and a difference, over its sides, that is as good as 0."""


@njit(**INLINE)
def holds(difference, relation):
    return difference > 0.0 or (difference == 0.0 and not STRICTLY[relation])


@njit(**STRICT)
def forget(fixed):
    """Nothing waits."""
    for place in range(QUEUE, QUEUE + PLACES * OF_PLACE, OF_PLACE):
        fixed[place] = math.inf


@njit(**STRICT)
def look_at(t, y, theta, fixed):
    """The differences now, and what they were when they were looked at last."""
    for r in range(RELATIONS):
        fixed[BEFORE_AT + r] = fixed[NOW + r]
    differences(t, y, theta, fixed, fixed[NOW : NOW + 2 * RELATIONS])


@njit(**STRICT)
def arm(t, y, s, gradient, theta, fixed):
    """Note what holds at the start, and let happen what does so there; returns the status."""
    for i in range(MEMORY, FIXED):
        fixed[i] = 0.0
    fixed[LAST] = -math.inf
    forget(fixed)
    first_conditions(t, y, theta, fixed, fixed[TRUE : TRUE + EVENTS])
    for event in range(EVENTS):
        if AT_START[event]:
            fixed[TRUE + event] = 0.0
    set_switches(t, fixed, True)
    look_at(t, y, theta, fixed)
    for r in range(RELATIONS):
        fixed[HOLDS + r] = 1.0 if holds(fixed[NOW + r], r) else 0.0
        fixed[CROSSED_AT + r] = -math.inf
    return at_rest(t, y, s, gradient, theta, fixed)


@njit(**OWNING)
def at_rest(t, y, s, gradient, theta, fixed):
    """What turns, and what is due, at a time that no parameter moves; returns the status."""
    status = turn(t, y, s, gradient, np.zeros(P), theta, fixed)
    return carry_out(t, y, s, gradient, theta, fixed) if status == MINE else status


@njit(**OWNING)
def pass_all(t, y, s, gradient, theta, fixed, late):
    """Let happen what happens at time t, as `pass_stops` does, and what events follow from it;

    returns the status."""
    moved = np.zeros(P)
    look_at(t, y, theta, fixed)
    hold(t, fixed)
    compare_sides(t, y, theta, fixed)
    status = turn(t, y, s, gradient, moved, theta, fixed)
    for event in range(STOPS):
        if status == MINE and fixed[STOP + event] == t and LATE[event] == late:
            look_at(t, y, theta, fixed)
            if gradient:
                pass_slopes(event, t, y, s, theta, fixed)
                moved[:] = 0.0
                stop_slopes(event, theta, fixed, moved)
            else:
                apply(event, y, theta, fixed)
            compare_sides(t, y, theta, fixed)
            status = turn(t, y, s, gradient, moved, theta, fixed)
            if status == MINE:
                status = carry_out(t, y, s, gradient, theta, fixed)
    return carry_out(t, y, s, gradient, theta, fixed) if status == MINE else status


@njit(**STRICT)
def compare_sides(t, y, theta, fixed):
    """Which relations hold after something else than time has changed them."""
    look_at(t, y, theta, fixed)
    for r in range(RELATIONS):
        if fixed[NOW + r] != fixed[BEFORE_AT + r]:
            fixed[HOLDS + r] = 1.0 if holds(fixed[NOW + r], r) else 0.0


@njit(**OWNING)
def strike(t, which, y, s, gradient, theta, fixed):
    """Let happen what follows where a relation turns; returns the status."""
    f, by_y, moved = np.empty(N), np.zeros(N), np.zeros(P)
    rhs(t, y, theta, fixed, f)
    rate = relation_rate(which, t, y, theta, fixed, by_y, moved)
    for i in range(N):
        rate += by_y[i] * f[i]
    for q in range(COLUMNS if gradient else 0):
        for i in range(N):
            moved[q] += by_y[i] * s[i * P + q]
        moved[q] /= -rate
    look_at(t, y, theta, fixed)
    for r in range(MOVING):  # others may turn at the very same time
        now = 1.0 if holds(fixed[NOW + r], r) else 0.0
        if r != which and now != fixed[HOLDS + r] and fixed[CROSSED_AT + r] != t:
            fixed[HOLDS + r], fixed[CROSSED_AT + r] = now, t
    status = turn(t, y, s, gradient, moved, theta, fixed)
    return carry_out(t, y, s, gradient, theta, fixed) if status == MINE else status


@njit(**STRICT)
def turn(t, y, s, gradient, moved, theta, fixed):
    """Put what conditions lead to that turned true, in order, into the queue; the status.

    Where one that comes first is among them, the others wait for the look that follows it.
    """
    true = fixed[TRUE_NEW : TRUE_NEW + EVENTS]
    conditions(fixed[HOLDS : HOLDS + RELATIONS], true)
    status, first = MINE, False
    for event in range(EVENTS):
        first = first or (FIRST[event] and true[event] > 0.5 > fixed[TRUE + event])
    for event in range(EVENTS):
        if first and not FIRST[event]:
            continue
        if status == MINE and true[event] > 0.5 > fixed[TRUE + event]:
            status = enqueue(event, t, y, s, gradient, moved, theta, fixed)
        elif GIVES_UP[event] and true[event] < 0.5:
            give_up(event, fixed)
        fixed[TRUE + event] = true[event]
    return status


@njit(**STRICT)
def give_up(event, fixed):
    """Nothing of this event waits any longer."""
    for place in range(QUEUE, QUEUE + PLACES * OF_PLACE, OF_PLACE):
        if fixed[place] < math.inf and int(fixed[place + 2]) == event:
            fixed[place] = math.inf


@njit(**OWNING)
def enqueue(event, t, y, s, gradient, moved, theta, fixed):
    """Keep what an event sets, and how that moves, until it is due; returns the status.

    Late values are found when its turn comes: those before it may change them.
    """
    place = -1
    for one in range(QUEUE, QUEUE + PLACES * OF_PLACE, OF_PLACE):
        if place < 0 and fixed[one] == math.inf:
            place = one
    if place < 0:
        return TOO_MANY_EVENTS
    first = place + 4
    delay = assigned(event, t, y, theta, fixed, fixed[first : first + VALUES])
    if not 0.0 <= delay < math.inf:
        return EVENT_DELAY
    fixed[ORDER] += 1.0
    fixed[place], fixed[place + 1], fixed[place + 2] = t + delay, fixed[ORDER], event
    fixed[place + 3] = 1.0 if LATE_VALUES[event] else 0.0
    for q in range(COLUMNS):
        fixed[first + VALUES + q] = moved[q]
    if gradient and (t + delay > t or not LATE_VALUES[event]):
        f, total, slopes = np.empty(N), np.empty(N * P), np.zeros((VALUES + 1) * COLUMNS)
        rhs(t, y, theta, fixed, f)
        for i in range(N):
            for q in range(P):
                total[i * P + q] = s[i * P + q] + f[i] * moved[q]
        assigned_slopes(event, t, y, total, moved, theta, fixed, slopes)
        for q in range(COLUMNS):
            fixed[first + VALUES + q] += slopes[VALUES * COLUMNS + q]
        for i in range(VALUES * COLUMNS):
            fixed[first + VALUES + COLUMNS + i] = slopes[i]
    return MINE


@njit(**STRICT)
def comes_before(place, other, fixed):
    """Which of two that are due at one time comes first: by priority, then as they turned."""
    mine, theirs = PRIORITY[int(fixed[place + 2])], PRIORITY[int(fixed[other + 2])]
    return mine > theirs or (mine == theirs and fixed[place + 1] < fixed[other + 1])


@njit(**STRICT)
def due_now(t, fixed):
    """What is to be done first of what is due; −1 if nothing is."""
    found = -1
    for place in range(QUEUE, QUEUE + PLACES * OF_PLACE, OF_PLACE):
        if fixed[place] <= t and (
            found < 0
            or fixed[place] < fixed[found]
            or (fixed[place] == fixed[found] and comes_before(place, found, fixed))
        ):
            found = place
    return found


@njit(**STRICT)
def counted(t, fixed):
    """Whether one event more is not too many."""
    at_once = t <= fixed[LAST] + 4.0 * ULPS * abs(t)
    fixed[COUNT], fixed[LAST] = fixed[COUNT] + 1.0, t
    fixed[AT_ONCE] = fixed[AT_ONCE] + 1.0 if at_once else 1.0
    return fixed[AT_ONCE] <= MOST_AT_ONCE * (1.0 + EVENTS)


@njit(**OWNING)
def carry_out(t, y, s, gradient, theta, fixed):
    """Assign what is due, and what follows from that at the same time; returns the status."""
    f, moved, slopes = np.empty(N), np.zeros(P), np.empty((VALUES + 1) * COLUMNS)
    rates, rates_after = np.zeros(RELATIONS), np.zeros(RELATIONS)
    while True:
        place = due_now(t, fixed)
        if place < 0:
            return MINE
        if not counted(t, fixed):
            return TOO_MANY_EVENTS
        event, first = int(fixed[place + 2]), place + 4
        rhs(t, y, theta, fixed, f)
        for q in range(COLUMNS if gradient else 0):
            moved[q] = fixed[first + VALUES + q]
            for i in range(N):
                s[i * P + q] += f[i] * moved[q]
        if fixed[place + 3] > 0.5:
            assigned(event, t, y, theta, fixed, fixed[first : first + VALUES])
            if gradient:
                assigned_slopes(event, t, y, s, moved, theta, fixed, slopes)
                for i in range(VALUES * COLUMNS):
                    fixed[first + VALUES + COLUMNS + i] = slopes[i]
        rates_of_turned(t, y, f, theta, fixed, rates)
        look_at(t, y, theta, fixed)
        for v in range(VALUES):
            state = TARGETS[event, v]
            if state >= 0:
                y[state] = fixed[first + v]
                for q in range(COLUMNS if gradient else 0):
                    slope = first + VALUES + (1 + v) * COLUMNS + q
                    s[state * P + q] = fixed[slope]
        fixed[place] = math.inf
        rhs(t, y, theta, fixed, f)
        for q in range(COLUMNS if gradient else 0):
            for i in range(N):
                s[i * P + q] -= f[i] * moved[q]
        rates_of_turned(t, y, f, theta, fixed, rates_after)
        look_at(t, y, theta, fixed)
        set_sides(t, event, rates, rates_after, fixed)
        status = turn(t, y, s, gradient, moved, theta, fixed)
        if status != MINE:
            return status


@njit(**OWNING)
def rates_of_turned(t, y, f, theta, fixed, rates):
    """How fast the differences change of relations that turned at this time."""
    by_y, by_theta = np.empty(N), np.empty(P)
    for r in range(MOVING):
        if fixed[CROSSED_AT + r] == t:
            by_y[:] = 0.0
            rates[r] = relation_rate(r, t, y, theta, fixed, by_y, by_theta)
            for i in range(N):
                rates[r] += by_y[i] * f[i]


@njit(**STRICT)
def set_sides(t, event, before, after, fixed):
    """Which relations hold after an event.

    Of one that turned right now, and that the event leaves where it is, the way it goes on tells.
    """
    for r in range(RELATIONS):
        now, it_holds = fixed[NOW + r], fixed[HOLDS + r] > 0.5
        turned = fixed[CROSSED_AT + r] == t
        if turned and SAME[event, r]:
            rate = after[r] if it_holds else -after[r]
            if rate < -SLIGHT * abs(before[r]):
                it_holds = not it_holds
        elif now != fixed[BEFORE_AT + r]:
            near = turned and abs(now) <= TINY * fixed[NOW + RELATIONS + r]
            it_holds = holds(0.0 if near else now, r)
        fixed[HOLDS + r] = 1.0 if it_holds else 0.0


@njit(**STRICT)
def align_due(times, fixed):
    """What is due at an output but for rounding is due at it."""
    rounding = rounding_of(times)
    for place in range(QUEUE, QUEUE + PLACES * OF_PLACE, OF_PLACE):
        if fixed[place] < math.inf:
            for output in times:
                if abs(fixed[place] - output) <= rounding:
                    fixed[place] = output
