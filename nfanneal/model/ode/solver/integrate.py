"""From output to output: trajectories side by side, each through steps of its own.

Outputs between steps are interpolated. A trajectory that the other stepper would take in fewer
steps stops in between: its progress, states and sensitivities are kept, and the other goes on.
"""

import math

from numba import njit

from nfanneal.model.ode.solver.constants import (
    ACCEPTED,
    AFTER,
    ARRIVES,
    CACHE,
    CROSSED,
    CUT,
    DOSE_INTERVAL,
    DUE,
    END,
    ENTRY,
    ERROR,
    GOAL,
    GROWTH,
    INLINE,
    LARGEST,
    LAST_ERROR,
    LIMITED,
    LOG_ERROR,
    NO_STEADY_STATE,
    NON_FINITE,
    OK,
    OUTPUT,
    PROGRESS,
    RATE,
    REJECTED,
    RUN,
    SEEN_LAST,
    STEP,
    STEP_TOO_SMALL,
    STRICT,
    SUSPECTED,
    TIME,
    TOO_MANY_STEPS,
    TOO_STIFF,
    TRIED,
    TRIED_BEFORE,
    WANTED,
)
from nfanneal.model.ode.solver.crossings import go_to_cuts, told, watch
from nfanneal.model.ode.solver.events import (
    align,
    last_stop,
    next_stop,
    pass_stops,
    set_switches,
)
from nfanneal.model.ode.solver.example_system import (
    BEFORE,
    ENDLESS,
    EQUILIBRATES,
    HALTS,
    LANES,
    MOVING,
    RESETS,
    STEADY,
    TIMED,
    TRIGGERED,
    N,
    hold_constants,
    initial,
    initial_slopes,
    prepare,
    reset,
    reset_slopes,
    spaced,
)
from nfanneal.model.ode.solver.handing_over import leave, put_down, take_cut, take_up
from nfanneal.model.ode.solver.outputs import due, record, record_here
from nfanneal.model.ode.solver.steady_state import find_steady
from nfanneal.model.ode.solver.step_control import (
    GROW,
    INSTANT,
    LOG_LEAST,
    ULPS,
    all_finite,
    any_direction,
    control,
    first_step,
    shrinkage,
)
from nfanneal.model.ode.solver.triggers import align_due, arm, pass_all, strike
from nfanneal.model.ode.solver.tsit5 import (
    CLOSE,
    LOOK,
    MINE,
    OTHER,
    PATIENCE,
    WORTH,
    allocate,
    attempt,
    follow,
    load,
    load_slopes,
    longest,
    look,
    move_lane,
    move_on,
    opened,
    settle,
    suspicion,
)


@njit(**STRICT)
def begin(lane, theta, start, times, rtol, atol, parts):
    """Set the initial values; returns the status, MINE if the trajectory goes on."""
    gradient = parts[1]
    (y, _, _, _), s, fixed, _ = opened(lane, parts)
    prepare(theta, fixed)
    if TIMED:
        align(times, fixed)
    initial(theta, y)
    if gradient:
        initial_slopes(theta, s)
    if TIMED and not set_switches(start, fixed, False):
        return NON_FINITE
    if TIMED and not spaced(theta):
        return DOSE_INTERVAL
    if STEADY:
        fixed[BEFORE] = 1.0 if fixed[EQUILIBRATES] > 0.0 else 0.0
        if fixed[BEFORE] > 0.0 and not find_steady(start, y, s, gradient, theta, fixed, rtol, atol):
            return NO_STEADY_STATE
        fixed[BEFORE] = 0.0
    if RESETS:
        if gradient:
            reset_slopes(theta, fixed, y, s)
        reset(theta, fixed, y)
    status = MINE
    if TRIGGERED:
        status = arm(start, y, s, gradient, theta, fixed)
    if TIMED and status == MINE:
        status = happen(start, y, s, times, gradient, theta, fixed, False)
    return status if status != MINE or all_finite(y) else NON_FINITE


@njit(**STRICT)
def happen(t, y, s, times, gradient, theta, fixed, late):
    """Let happen what happens at time t, before or after outputs; returns the status."""
    status = MINE
    if TRIGGERED:
        status = pass_all(t, y, s, gradient, theta, fixed, late)
        align_due(times, fixed)
    else:
        pass_stops(t, y, s, gradient, theta, fixed, late)
    return status


@njit(**STRICT)
def last_time(start, times, fixed):
    """The last output's time; of one at infinity, that from which on nothing happens any more."""
    end = times[-1]
    if ENDLESS and end == math.inf:
        end = start
        for time in times:
            end = max(end, time) if time < math.inf else end
        if TIMED:
            end = last_stop(end, fixed)
    return end


@njit(**STRICT)
def rest(lane, row, theta, times, rtol, atol, values, slopes, held, run, parts):
    """Go on from what was opened to the steady state, and record it; returns the status."""
    gradient = parts[1]
    (y, _, _, _), s, fixed, _ = opened(lane, parts)
    t = run[TIME, lane]
    if not all_finite(y):
        return NON_FINITE
    if not find_steady(t, y, s, gradient, theta, fixed, rtol, atol):
        return NO_STEADY_STATE
    if not settle(lane, t, theta, parts):
        return NON_FINITE
    for i in range(N):
        held[row, i] = y[i]
    run[TIME, lane] = math.inf
    record_here(lane, row, times, values, slopes, run, parts)
    return OK


@njit(**STRICT)
def depart(lane, theta, end, span, rtol, atol, max_step, run, parts):
    """Choose the first step from what was opened; returns whether f is finite there."""
    t = run[TIME, lane]
    if not settle(lane, t, theta, parts):
        return False
    (y, stage, f, slope), _, fixed, _ = opened(lane, parts)
    h = first_step(t, y, stage, f, slope, theta, fixed, rtol, atol, span)
    run[STEP, lane] = min(h, max_step)
    run[GOAL, lane] = next_stop(t, end, fixed) if TIMED else end
    run[LAST_ERROR, lane], run[SUSPECTED, lane] = LOG_LEAST, 0.0
    return True


@njit(**STRICT)
def enter(lane, row, theta, times, limits, values, slopes, progress, held, run, parts):
    """Begin a trajectory, or go on where the other stepper stopped; returns the status."""
    start, rtol, atol, max_step, _, _ = limits
    theta = theta[row]
    run[:, lane] = 0.0
    if progress[row, TRIED] < 0.0:
        run[TIME, lane] = start
        status = begin(lane, theta, start, times, rtol, atol, parts)
        if status != MINE:
            return status
        (y, _, _, _), s, fixed, _ = opened(lane, parts)
        hold_constants(lane, theta, fixed, parts[0])
        run[END, lane] = end = last_time(start, times, fixed)
        if record_here(lane, row, times, values, slopes, run, parts):
            return OK
        if TIMED:
            status = happen(start, y, s, times, parts[1], theta, fixed, True)
            if status != MINE:
                return status
        if ENDLESS and not start < end:
            return rest(lane, row, theta, times, rtol, atol, values, slopes, held, run, parts)
        if not depart(lane, theta, end, end - start, rtol, atol, max_step, run, parts):
            return NON_FINITE
    else:
        for field in range(PROGRESS):
            run[field, lane] = progress[row, field]
        t, run[TRIED_BEFORE, lane] = progress[row, TIME], progress[row, TRIED]
        run[DUE, lane] = due(int(run[OUTPUT, lane]), times)
        take_up(lane, row, theta, t, times, held, parts)
        if not settle(lane, t, theta, parts):
            return NON_FINITE
        _, _, fixed, _ = opened(lane, parts)
        run[END, lane] = end = last_time(start, times, fixed)
        run[GOAL, lane] = next_stop(t, end, fixed) if TIMED else end
    (y, _, _, _), _, _, direction = opened(lane, parts)
    any_direction(y, direction, rtol, atol)
    return aim(lane, end - start, limits, run)


@njit(**INLINE)
def aim(lane, span, limits, run):
    """Let the next step end at a stop if it gets there; returns the status."""
    _, _, _, _, max_steps, may_switch = limits
    t, h, goal, tried = run[TIME, lane], run[STEP, lane], run[GOAL, lane], run[TRIED, lane]
    if tried >= max_steps:
        return TOO_STIFF if not may_switch and 2.0 * run[LIMITED, lane] > tried else TOO_MANY_STEPS
    arrives = h >= (goal - t) * (1.0 - 1e-9)
    run[ARRIVES, lane] = arrives
    if arrives:
        run[STEP, lane] = goal - t
    elif h < max(ULPS * abs(t), INSTANT * span):
        return STEP_TOO_SMALL if run[ERROR, lane] < LARGEST else NON_FINITE
    return MINE


@njit(**INLINE)
def go_on(lane, row, theta, times, limits, values, slopes, held, run, parts):
    """What an attempted step leads to: another try, or the next step; returns the status."""
    start, rtol, atol, max_step, _, may_switch = limits
    h, error, after, end = run[STEP, lane], run[ERROR, lane], run[AFTER, lane], run[END, lane]
    run[TRIED, lane] += 1.0
    if not error <= 1.0:
        run[STEP, lane] = h * shrinkage(run[LOG_ERROR, lane])
        if TRIGGERED and run[WANTED, lane] > 0.0:
            run[STEP, lane] = h * run[WANTED, lane]
        run[REJECTED, lane] = 1.0
        return aim(lane, end - start, limits, run)
    if run[DUE, lane] == math.inf and run[OUTPUT, lane] >= len(times):
        run[TIME, lane] = after
        return OK
    if TRIGGERED and run[CUT, lane] > 0.0:
        run[TIME, lane], run[REJECTED, lane] = after, 0.0
        run[ACCEPTED, lane] += 1.0
        return stop(lane, row, theta, times, limits, values, slopes, held, run, parts)
    most = 1.0 if run[REJECTED, lane] > 0.0 else GROW
    factor, pace = min(most, run[GROWTH, lane]), h * run[RATE, lane]
    h *= factor
    run[TIME, lane], run[LAST_ERROR, lane] = after, max(run[LOG_ERROR, lane], LOG_LEAST)
    run[REJECTED, lane] = 0.0
    run[ACCEPTED, lane] += 1.0
    accepted = int(run[ACCEPTED, lane])
    if accepted < 4 or factor > 1.5 or accepted % LOOK == 0:
        seen = look(lane, row, after, theta, rtol, atol, parts)
        run[RATE, lane] = min(seen, run[SEEN_LAST, lane]) if accepted > 1 else seen
        run[SEEN_LAST, lane] = seen
    run[STEP, lane] = h = min(h, longest(run[RATE, lane]), max_step)
    run[SUSPECTED, lane] = suspicion(run[SUSPECTED, lane], pace, error)
    run[LIMITED, lane] += pace > CLOSE
    if HALTS and run[ARRIVES, lane] > 0.0:
        return stop(lane, row, theta, times, limits, values, slopes, held, run, parts)
    if may_switch and run[SUSPECTED, lane] >= PATIENCE and end - after > WORTH * run[STEP, lane]:
        put_down(lane, row, held, parts)
        return OTHER
    return aim(lane, end - start, limits, run)


@njit(**STRICT)
def stop(lane, row, theta, times, limits, values, slopes, held, run, parts):
    """Let happen what happens at this time, and depart; returns the status."""
    start, rtol, atol, max_step, _, _ = limits
    theta = theta[row]
    t, end = run[TIME, lane], run[END, lane]
    gradient, status = parts[1], MINE
    (y, _, _, _), s, fixed, _ = opened(lane, parts)
    if TRIGGERED and run[CUT, lane] > 0.0:
        take_cut(lane, y, s, parts)
        status = strike(t, int(run[CROSSED, lane]), y, s, gradient, theta, fixed)
    else:
        load(lane, parts)
        if gradient:
            load_slopes(lane, parts)
    if TIMED and status == MINE:
        status = happen(t, y, s, times, gradient, theta, fixed, False)
    if status != MINE:
        return status
    hold_constants(lane, theta, fixed, parts[0])
    if record_here(lane, row, times, values, slopes, run, parts):
        return OK if all_finite(y) else NON_FINITE
    if TIMED:
        status = happen(t, y, s, times, gradient, theta, fixed, True)
    if status != MINE:
        return status
    if ENDLESS and not t < end:
        return rest(lane, row, theta, times, rtol, atol, values, slopes, held, run, parts)
    if not depart(lane, theta, end, end - t, rtol, atol, max_step, run, parts):
        return NON_FINITE
    return aim(lane, end - start, limits, run)


@njit(**STRICT)
def close_ranks(lanes, rows, status, progress, held, run, parts):
    """Take out the trajectories that have ended, and let the last ones go on in their lanes.

    The states at a trajectory's end are kept.
    """
    for lane in range(lanes - 1, -1, -1):
        if status[rows[lane]] == OK:
            load(lane, parts)
            (y, _, _, _), _, _, _ = opened(lane, parts)
            for i in range(N):
                held[rows[lane], i] = y[i]
        if status[rows[lane]] != MINE:
            leave(lane, rows[lane], progress, run)
            lanes -= 1
            if lane < lanes:
                move_lane(lanes, lane, parts)
                rows[lane] = rows[lanes]
                for field in range(RUN):
                    run[field, lane] = run[field, lanes]
    return lanes


@njit(
    "void(f8[:,::1], f8[::1], f8, f8, f8[::1], f8, i8, b1, b1, f8[:,:,::1], f8[:,:,:,::1], i8[::1],"
    "f8[:,::1], f8[:,::1], f8[::1], f8[:,::1], i8[::1])",
    cache=CACHE,
    **ENTRY,
)
def solve(
    theta, times, start, rtol, atol, max_step, max_steps, may_switch, gradient, values, slopes,
    status, progress, held, store, run, rows,
):  # fmt: skip
    """Solve the trajectories that wait for this stepper, one per row of theta.

    `atol` (N,) are absolute tolerances, `max_step` is the longest step. The caller splits rows
    over threads. `progress` (rows, 6) has −1 for the steps tried of rows that have not begun;
    `held` (rows, N + N·COLUMNS + …) are states, sensitivities and what is remembered of events, in
    between, and states at the end.
    Without `gradient` there are no sensitivities, and the states are the same, bit for bit.
    """
    parts = allocate(store, gradient, atol)
    limits = (start, rtol, atol, max_step, max_steps, may_switch)
    lanes, next_row = rows[0], rows[0]  # with a 0 for them numba would compile the rest twice
    while True:
        while lanes < LANES and next_row < len(theta):
            row, next_row = next_row, next_row + 1
            if status[row] == MINE:
                status[row] = enter(
                    lanes, row, theta, times, limits, values, slopes, progress, held, run, parts
                )
                leave(lanes, row, progress, run)
                rows[lanes], lanes = row, lanes + (status[row] == MINE)
        if lanes == 0:
            return
        for lane in range(lanes, LANES):
            run[DUE, lane] = math.inf
        attempt(len(rows), theta, rows, rtol, atol, run, parts)
        control(len(rows), run[ERROR], run[LAST_ERROR], run[LOG_ERROR], run[GROWTH])
        if TRIGGERED and MOVING > 0:
            for lane in range(lanes):
                watch(lane, theta[rows[lane]], times, run, parts)
        if gradient:
            follow(len(rows), theta, rows, run, parts)
        record(lanes, rows, times, values, slopes, run, parts)
        if TRIGGERED:
            go_to_cuts(lanes, run, parts)
        move_on(len(rows), theta, rows, run, parts)
        for lane in range(lanes):
            row = rows[lane]
            status[row] = go_on(lane, row, theta, times, limits, values, slopes, held, run, parts)
            if TRIGGERED:
                status[row] = told(status[row], lane, run, parts)
        lanes = close_ranks(lanes, rows, status, progress, held, run, parts)
