"""From output to output: one trajectory at a time, through all steps.

Outputs between steps are interpolated.
"""

import numpy as np
from numba import njit

from nfanneal.ode.template.options import (
    CACHE,
    INLINE,
    LARGEST,
    NON_FINITE,
    OK,
    STEP_TOO_SMALL,
    STRICT,
    TOO_MANY_STEPS,
)
from nfanneal.ode.template.system import (
    FIXED,
    GRADIENT,
    PARTIALS,
    N,
    P,
    initial,
    initial_slopes,
    observe,
    observe_slopes,
    prepare,
    rhs,
    variation,
)
from nfanneal.ode.template.tsit5 import (
    SAFETY,
    SHRINK,
    all_finite,
    error_norm,
    first_step,
    growth,
    interpolate,
    move_on,
    step_slopes,
    try_step,
)


@njit(**STRICT)
def begin(theta, times, start, values, slopes, scratch):
    """Set the initial values, and record the outputs at the start; returns how many."""
    (y, _, _, _), (s, _, _, _), (fixed, _) = scratch
    prepare(theta, fixed)
    initial(theta, y)
    if GRADIENT:
        initial_slopes(theta, s)
    output = 0
    while output < len(times) and times[output] <= start:
        observe(start, y, theta, fixed, values[output])
        if GRADIENT:
            observe_slopes(start, y, s, theta, fixed, slopes[output])
        output += 1
    return output


@njit(**INLINE)
def record(t, h, after, theta, times, output, values, slopes, scratch):
    """Record the outputs of the step from t to `after`; returns how many there are by now."""
    (y, _, stage, k), (s, _, s_stage, s_k), (fixed, _) = scratch
    while output < len(times) and times[output] <= after:
        moment = times[output]
        interpolate((moment - t) / h, h, y, k, N, stage)
        observe(moment, stage, theta, fixed, values[output])
        if GRADIENT:
            interpolate((moment - t) / h, h, s, s_k, N * P, s_stage)
            observe_slopes(moment, stage, s_stage, theta, fixed, slopes[output])
        output += 1
    return output


@njit(**STRICT)
def solve_one(theta, times, start, rtol, atol, max_steps, values, slopes, scratch):
    """Integrate through all `times`; returns the status and the number of steps tried."""
    (y, new, stage, k), (s, s_new, s_stage, s_k), (fixed, partials) = scratch
    output = begin(theta, times, start, values, slopes, scratch)
    if output == len(times) or not all_finite(y):
        return (OK if all_finite(y) else NON_FINITE), 0
    rhs(start, y, theta, fixed, k[0], partials[0])
    if not all_finite(k[0]):
        return NON_FINITE, 0
    if GRADIENT:
        variation(partials[0], s, s_k[0])
    t, end, span = start, times[-1], times[-1] - start
    h = first_step(t, y, stage, k, partials, theta, fixed, rtol, atol, span)
    last_error, rejected, finite = 1e-4, False, True
    for tried in range(1, max_steps + 1):
        arrives = h >= (end - t) * (1.0 - 1e-9)
        if arrives:
            h = end - t
        elif h < 1e-14 * max(abs(t), span):
            return (STEP_TOO_SMALL if finite else NON_FINITE), tried - 1
        try_step(t, h, y, new, stage, k, partials, theta, fixed)
        error = error_norm(h, y, new, k, rtol, atol)
        finite = error < LARGEST and all_finite(new) and all_finite(k[6])
        if not finite or error > 1.0:
            h *= max(SHRINK, SAFETY * error**-0.2) if finite else 0.25
            rejected = True
            continue
        if GRADIENT:
            step_slopes(h, s, s_new, s_stage, s_k, partials)
        after = end if arrives else t + h
        output = record(t, h, after, theta, times, output, values, slopes, scratch)
        if output == len(times):
            return OK, tried
        move_on(scratch)
        t, h = after, h * growth(error, last_error, rejected)
        last_error, rejected = max(error, 1e-4), False
    return TOO_MANY_STEPS, max_steps


@njit(
    "void(f8[:,::1], f8[::1], f8, f8, f8, i8, f8[:,:,::1], f8[:,:,:,::1], i8[::1], i8[::1])",
    cache=CACHE,
    **STRICT,
)
def solve(theta, times, start, rtol, atol, max_steps, values, slopes, status, steps):
    """Solve one trajectory per row of theta; the caller splits rows over threads."""
    of_states = np.empty(N), np.empty(N), np.empty(N), np.empty((7, N))
    of_slopes = np.empty(N * P), np.empty(N * P), np.empty(N * P), np.empty((7, N * P))
    scratch = of_states, of_slopes, (np.empty(FIXED), np.empty((7, PARTIALS)))
    empty = np.empty((len(times), 0, 0))
    for row in range(len(theta)):
        status[row], steps[row] = solve_one(
            theta[row],
            times,
            start,
            rtol,
            atol,
            max_steps,
            values[row],
            slopes[row] if GRADIENT else empty,
            scratch,
        )
