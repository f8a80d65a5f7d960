"""From output to output: one trajectory at a time, through all steps.

Outputs between steps are interpolated. A trajectory that the other stepper would take in fewer
steps stops in between: its progress, states and sensitivities are kept, and the other goes on.
"""

import numpy as np
from numba import njit

from nfanneal.ode.template.control import (
    INSTANT,
    SAFETY,
    SHRINK,
    ULPS,
    all_finite,
    any_direction,
    copy,
    first_step,
    growth,
)
from nfanneal.ode.template.options import (
    CACHE,
    DOSE_INTERVAL,
    ENTRY,
    FOR_STIFF,
    INLINE,
    LARGEST,
    LAST_ERROR,
    NO_STEADY_STATE,
    NON_FINITE,
    OK,
    OUTPUT,
    STEP,
    STEP_TOO_SMALL,
    STIFF_TRIED,
    STRICT,
    TIME,
    TOO_MANY_STEPS,
    TOO_STIFF,
    TRIED,
)
from nfanneal.ode.template.steady import find_steady
from nfanneal.ode.template.stops import next_stop, pass_stops, set_switches
from nfanneal.ode.template.system import (
    BEFORE,
    GRADIENT,
    STEADY,
    TIMED,
    N,
    initial,
    initial_slopes,
    observe,
    observe_slopes,
    prepare,
    spaced,
)
from nfanneal.ode.template.tsit5 import (
    BEGIN,
    CLOSE,
    LOOK,
    MINE,
    OTHER,
    PATIENCE,
    WORTH,
    allocate,
    attempt,
    between,
    follow,
    longest,
    look,
    move_on,
    settle,
    suspicion,
)


@njit(**STRICT)
def begin(theta, start, rtol, atol, scratch):
    """Set the initial values; returns the status."""
    (y, _, _, _), (s, _, _, _), (fixed, _), _ = scratch
    prepare(theta, fixed)
    initial(theta, y)
    if GRADIENT:
        initial_slopes(theta, s)
    if TIMED and not set_switches(start, fixed, False):
        return NON_FINITE
    if TIMED and not spaced(theta):
        return DOSE_INTERVAL
    if STEADY:
        fixed[BEFORE] = 1.0
        found = find_steady(start, y, s, theta, fixed, rtol, atol)
        fixed[BEFORE] = 0.0
        if not found:
            return NO_STEADY_STATE
    if TIMED:
        pass_stops(start, y, s, theta, fixed)
    return OK if all_finite(y) else NON_FINITE


@njit(**STRICT)
def record_here(t, theta, times, output, values, slopes, scratch):
    """Record the outputs up to the time t of the state; returns how many there are by now."""
    (y, _, _, _), (s, _, _, _), (fixed, _), _ = scratch
    while output < len(times) and times[output] <= t:
        observe(t, y, theta, fixed, values[output])
        if GRADIENT:
            observe_slopes(t, y, s, theta, fixed, slopes[output])
        output += 1
    return output


@njit(**INLINE)
def record(t, h, after, theta, times, output, values, slopes, scratch):
    """Record the outputs of the step from t to `after`; returns how many there are by now."""
    (_, _, stage, _), (_, _, s_stage, _), (fixed, _), _ = scratch
    while output < len(times) and times[output] <= after:
        moment = times[output]
        between((moment - t) / h, h, scratch)
        observe(moment, stage, theta, fixed, values[output])
        if GRADIENT:
            observe_slopes(moment, stage, s_stage, theta, fixed, slopes[output])
        output += 1
    return output


@njit(**STRICT)
def take_up(theta, progress, held, scratch):
    """Go on where the other stepper stopped."""
    (y, _, _, _), (s, _, _, _), (fixed, _), _ = scratch
    prepare(theta, fixed)
    copy(held[:N], y)
    copy(held[N:], s)
    if TIMED:
        set_switches(progress[TIME], fixed, True)
    if STEADY:
        fixed[BEFORE] = 0.0


@njit(**STRICT)
def put_down(held, scratch):
    """Keep what the other stepper needs to go on."""
    (y, _, _, _), (s, _, _, _), _, _ = scratch
    copy(y, held[:N])
    copy(s, held[N:])


@njit(**STRICT)
def solve_one(theta, times, limits, values, slopes, progress, held, scratch):
    """Integrate through all `times`, or until the other stepper should; returns the status."""
    start, rtol, atol, _, _ = limits
    (y, _, stage, k), _, (fixed, partials), work = scratch
    fresh = progress[TRIED] < 0.0
    if fresh:
        progress[:] = 0.0
        progress[TIME], progress[LAST_ERROR] = start, 1e-4
        status = begin(theta, start, rtol, atol, scratch)
        if status != OK:
            return status
        progress[OUTPUT] = record_here(start, theta, times, 0, values, slopes, scratch)
        if progress[OUTPUT] == len(times):
            return OK
    else:
        take_up(theta, progress, held, scratch)
    t, span = progress[TIME], times[-1] - start
    if not settle(t, theta, scratch):
        return NON_FINITE
    h = progress[STEP]
    if fresh:
        h = first_step(
            t, y, stage, k[BEGIN], k[1], partials[1], theta, fixed, rtol, atol, span
        )  # fmt: skip
    any_direction(y, work[0], rtol, atol)
    return advance(h, theta, times, limits, values, slopes, progress, held, scratch)


@njit(**STRICT)
def advance(h, theta, times, limits, values, slopes, progress, held, scratch):
    """Step from t on; returns the status, and leaves in `progress` how far it came."""
    start, rtol, atol, max_steps, may_switch = limits
    (y, _, stage, k), (s, _, _, _), (fixed, partials), _ = scratch
    t, output, before = progress[TIME], int(progress[OUTPUT]), int(progress[TRIED])
    end, span = times[-1], times[-1] - start
    goal = next_stop(t, end, fixed) if TIMED else end
    last_error, rejected, finite = progress[LAST_ERROR], False, True
    rate, seen_last, most = 0.0, 0.0, LARGEST
    accepted, suspected, limited = 0, 0, 0
    status, tried = TOO_MANY_STEPS, before
    while tried < max_steps:
        arrives = h >= (goal - t) * (1.0 - 1e-9)
        if arrives:
            h = goal - t
        elif h < max(ULPS * abs(t), INSTANT * span):
            status = STEP_TOO_SMALL if finite else NON_FINITE
            break
        tried += 1
        error = attempt(t, h, theta, rtol, atol, scratch)
        finite = error < LARGEST
        if not finite or error > 1.0:
            h *= max(SHRINK, SAFETY * error**-0.2) if finite else 0.25
            rejected = True
            continue
        if GRADIENT:
            follow(t, h, theta, scratch)
        after = goal if arrives else t + h
        until = np.nextafter(after, t) if TIMED and arrives else after
        output = record(t, h, until, theta, times, output, values, slopes, scratch)
        if output == len(times):
            t, status = after, OK
            break
        move_on(after, theta, scratch)
        factor, pace = growth(error, last_error, rejected), h * rate
        t, h, last_error, rejected = after, h * factor, max(error, 1e-4), False
        accepted += 1
        if accepted < 4 or factor > 1.5 or accepted % LOOK == 0:
            seen = look(t, theta, rtol, atol, scratch)
            rate, seen_last = (min(seen, seen_last) if accepted > 1 else seen), seen
            most = longest(rate)
        h = min(h, most)
        suspected, limited = suspicion(suspected, pace, error), limited + (pace > CLOSE)
        if TIMED and arrives:
            pass_stops(t, y, s, theta, fixed)
            output = record_here(t, theta, times, output, values, slopes, scratch)
            if output == len(times):
                status = OK if all_finite(y) else NON_FINITE
                break
            if not settle(t, theta, scratch):
                status = NON_FINITE
                break
            h = first_step(
                t, y, stage, k[BEGIN], k[1], partials[1], theta, fixed, rtol, atol, end - t
            )  # fmt: skip
            goal, last_error, suspected = next_stop(t, end, fixed), 1e-4, 0
        if may_switch and suspected >= PATIENCE and end - t > WORTH * h:
            status = OTHER
            put_down(held, scratch)
            break
    if status == TOO_MANY_STEPS and not may_switch and 2 * limited > tried:
        status = TOO_STIFF
    if MINE == FOR_STIFF:
        progress[STIFF_TRIED] += tried - before
    progress[TIME], progress[STEP], progress[LAST_ERROR] = t, h, last_error
    progress[OUTPUT], progress[TRIED] = output, tried
    return status


@njit(
    "void(f8[:,::1], f8[::1], f8, f8, f8, i8, b1, f8[:,:,::1], f8[:,:,:,::1], i8[::1], f8[:,::1],"
    "f8[:,::1])",
    cache=CACHE,
    **ENTRY,
)
def solve(
    theta, times, start, rtol, atol, max_steps, may_switch, values, slopes, status, progress, held
):
    """Solve the trajectories that wait for this stepper, one per row of theta.

    The caller splits rows over threads. `progress` (rows, 6) has −1 for the steps tried of rows
    that have not begun; `held` (rows, N + N·P) are states and sensitivities in between.
    """
    scratch = allocate()
    limits = (start, rtol, atol, max_steps, may_switch)
    empty = np.empty((len(times), 0, 0))
    for row in range(len(theta)):
        if status[row] == MINE:
            status[row] = solve_one(
                theta[row],
                times,
                limits,
                values[row],
                slopes[row] if GRADIENT else empty,
                progress[row],
                held[row],
                scratch,
            )
