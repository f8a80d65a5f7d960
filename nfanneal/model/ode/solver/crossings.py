"""Where within a step relations of events' conditions turn, and the end of the step there.

The solution in between is looked at for changes of the differences' signs. What turns there and
makes no event fire is only remembered. What turns twice between two looks is not seen, but where a
relation has just turned and goes back at once, as that of a ball does which bounces: such a step is
taken again, ever shorter, until it is.
"""

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import (
    ARRIVES,
    CROSSED,
    CUT,
    DUE,
    ERROR,
    GOAL,
    PART,
    STEP,
    STEP_TOO_SMALL,
    STRICT,
    TIME,
    TOO_MANY_EVENTS,
    TOO_MANY_STEPS,
    TRIED,
    WANTED,
)
from nfanneal.model.ode.solver.events import rounding_of
from nfanneal.model.ode.solver.example_system import (
    BEFORE_AT,
    COUNT,
    CROSSED_AT,
    EVENTS,
    HOLDS,
    HOLDS_NEW,
    LAST,
    MOVING,
    NOW,
    POINT,
    RELATIONS,
    TRIED_AT,
    TRUE,
    TRUE_NEW,
    TRUE_THEN,
    N,
    conditions,
    differences,
)
from nfanneal.model.ode.solver.step_control import ULPS
from nfanneal.model.ode.solver.triggers import holds
from nfanneal.model.ode.solver.tsit5 import between, opened, states_between

LOOKS_IN_STEP = 4
"""At the ends of so many parts of a step signs are looked at."""
FINEST = np.finfo(np.float64).eps
"""How exactly the part of a step is found at which a relation turns."""
NEAR_END, BEYOND = 0.9, 1.01
"""A step that an event would end sooner is taken again, so much longer than up to the event: what
lies between the ends of a step is less exact than its end."""
ALL_EVENTS = 50
"""Where there are fewer steps to an event, steps ran out because of the events."""


@njit(**STRICT)
def crossing(lane, which, low, high, at_low, at_high, theta, run, parts):
    """The part of a step right after a relation turns, between two parts, by false position."""
    _, _, fixed, _ = opened(lane, parts)
    point, values = fixed[POINT : POINT + N], fixed[TRIED_AT : TRIED_AT + 2 * RELATIONS]
    t, h, side, moved = run[TIME, lane], run[STEP, lane], holds(at_high, which), 0
    for turns in range(200):
        if high - low <= 2.0 * FINEST:
            break
        part = (low * at_high - high * at_low) / (at_high - at_low)
        if turns > 40 or not low <= part <= high:
            part = 0.5 * (low + high)
        part = min(max(part, low + FINEST), high - FINEST)
        states_between(lane, part, run, parts, point)
        differences(t + part * h, point, theta, fixed, values)
        if holds(values[which], which) == side:
            high, at_high = part, values[which]
            at_low *= 0.5 if moved > 0 else 1.0
            moved = 1
        else:
            low, at_low = part, values[which]
            at_high *= 0.5 if moved < 0 else 1.0
            moved = -1
    return high


@njit(**STRICT)
def watch(lane, theta, times, run, parts):
    """Look at an accepted step for relations that turn; where an event fires, the step ends."""
    run[CUT, lane], run[WANTED, lane] = 0.0, 0.0
    if not run[ERROR, lane] <= 1.0:
        return
    _, _, fixed, _ = opened(lane, parts)
    t, h = run[TIME, lane], run[STEP, lane]
    point, now = fixed[POINT : POINT + N], fixed[NOW : NOW + 2 * RELATIONS]
    holding, before = fixed[HOLDS_NEW : HOLDS_NEW + RELATIONS], fixed[BEFORE_AT:]
    true, then = fixed[TRUE_NEW : TRUE_NEW + EVENTS], fixed[TRUE_THEN : TRUE_THEN + EVENTS]
    for r in range(RELATIONS):
        holding[r] = fixed[HOLDS + r]
    for event in range(EVENTS):
        then[event] = fixed[TRUE + event]
    states_between(lane, 0.0, run, parts, point)
    differences(t, point, theta, fixed, now)
    low = 0.0
    for look in range(1, LOOKS_IN_STEP + 1):
        high = look / LOOKS_IN_STEP
        for r in range(RELATIONS):
            before[r] = now[r]
        after = run[GOAL, lane] if high == 1.0 and run[ARRIVES, lane] > 0.0 else t + high * h
        states_between(lane, high, run, parts, point)
        differences(after, point, theta, fixed, now)
        while True:
            first, which = 2.0, -1
            for r in range(MOVING):
                side = holds(now[r], r)
                if side != (holding[r] > 0.5):
                    if look == 1 and side == holds(before[r], r):  # it was elsewhere in between
                        again(lane, 1.0 / LOOKS_IN_STEP, run)
                        return
                    part = crossing(lane, r, low, high, before[r], now[r], theta, run, parts)
                    if part < first:
                        first, which = part, r
            if which < 0:
                break
            holding[which] = 1.0 - holding[which]
            conditions(holding, true)
            fires = False
            for event in range(EVENTS):
                fires = fires or (true[event] > 0.5 and not then[event] > 0.5)
            if fires and first < NEAR_END and first * h > 1e3 * ULPS * abs(t):
                again(lane, first * BEYOND, run)
                return
            if fires:
                keep_sides(fixed)
                cut(lane, first, which, times, run, fixed)
                return
            for event in range(EVENTS):
                then[event] = true[event]
        low = high
    keep_sides(fixed)


@njit(**STRICT)
def again(lane, shorter, run):
    """Let the step be taken again, so much shorter."""
    run[ERROR, lane], run[WANTED, lane] = 2.0, shorter


@njit(**STRICT)
def keep_sides(fixed):
    """Remember what held at last in a step."""
    for r in range(RELATIONS):
        fixed[HOLDS + r] = fixed[HOLDS_NEW + r]
    for event in range(EVENTS):
        fixed[TRUE + event] = fixed[TRUE_THEN + event]


@njit(**STRICT)
def cut(lane, part, which, times, run, fixed):
    """Let the step end where a relation turns."""
    at = run[TIME, lane] + part * run[STEP, lane]
    if abs(run[DUE, lane] - at) <= rounding_of(times):
        at = run[DUE, lane]
    run[GOAL, lane] = min(at, run[GOAL, lane])
    run[ARRIVES, lane], run[CUT, lane], run[CROSSED, lane] = 1.0, part, which
    fixed[CROSSED_AT + which] = run[GOAL, lane]


@njit(**STRICT)
def go_to_cuts(lanes, run, parts):
    """States and sensitivities where events end steps, into the places for stages."""
    cuts = False
    for lane in range(lanes):
        run[PART, lane] = run[CUT, lane]
        cuts = cuts or run[CUT, lane] > 0.0
    if cuts:
        between(len(run[PART]), run, parts)


@njit(**STRICT)
def told(status, lane, run, parts):
    """The status, if a trajectory did not end because of too many events."""
    if status not in (STEP_TOO_SMALL, TOO_MANY_STEPS):
        return status
    _, _, fixed, _ = opened(lane, parts)
    t, tried = run[TIME, lane], run[TRIED, lane]
    just = run[WANTED, lane] > 0.0 or t <= fixed[LAST] + 1e3 * ULPS * abs(t)
    often = ALL_EVENTS * fixed[COUNT] > tried
    return TOO_MANY_EVENTS if (just if status == STEP_TOO_SMALL else often) else status
