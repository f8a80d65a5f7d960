"""The compiled solver: Tsit5 with forward sensitivities, one trajectory at a time.

This file is a template: `nfanneal.ode.kernels` replaces the system between the two markers (here
exponential decay) by the user's, and compiles the result, once without sensitivities and, when
they are first asked for, once with. The N states y are stepped alone; the N × P sensitivities
s = ∂y/∂θ (row by row) follow each accepted step through the same stages, by the linear equations
ds/dt = (∂f/∂y)·s + ∂f/∂θ, whose coefficients were kept. So trajectories take the same steps with
sensitivities and without, and s is the derivative of what the solver computes. Outputs between
steps are interpolated.

Source: Tsitouras (2011), Runge–Kutta pairs of order 5(4), doi:10.1016/j.camwa.2011.06.002; step
control of Hairer, Nørsett & Wanner, Solving ODEs I, sections II.4 and IV.2 (PI controller).
"""

import math

import numpy as np
from numba import njit

STRICT = {"nogil": True, "error_model": "numpy"}
LINEAR = {**STRICT, "fastmath": {"contract", "nsz"}}
"""Only the sensitivities are rounded freely: the states are the same, bit for bit, without them."""
INLINE, LINEAR_INLINE = {**STRICT, "forceinline": True}, {**LINEAR, "forceinline": True}
"""For what runs in every step, if it is short: long functions would take minutes to compile."""
CACHE = True

# --- system ---
GRADIENT = True
N, P = 1, 1
FIXED, PARTIALS = 1, 2
ACTIVE = np.array([0], dtype=np.int64)
"""The columns of θ that the states depend on: sensitivities have no others."""


@njit(**STRICT)
def prepare(theta, fixed):
    """What depends on θ alone, once per trajectory."""
    fixed[0] = -theta[0]


@njit(**STRICT)
def initial(theta, y):
    y[0] = 1.0


@njit(**STRICT)
def initial_slopes(theta, s):
    s[:] = 0.0


@njit(**INLINE)
def rhs(t, y, theta, fixed, dy, partials):
    """f, and with sensitivities the entries of ∂f/∂y and ∂f/∂θ that are not zero everywhere."""
    dy[0] = fixed[0] * y[0]
    partials[0] = fixed[0]
    partials[1] = -y[0]


@njit(**LINEAR_INLINE)
def variation(partials, s, ds):
    for q in range(P):
        ds[q] = partials[0] * s[q]
    ds[0] += partials[1]


@njit(**INLINE)
def observe(t, y, theta, fixed, values):
    values[0] = y[0]


@njit(**INLINE)
def observe_slopes(t, y, s, theta, fixed, slopes):
    slopes[:, :] = 0.0
    for q in range(P):
        slopes[0, ACTIVE[q]] += s[q]


# --- end of system ---

A21 = 0.161
A31, A32 = -0.008480655492356989, 0.335480655492357
A41, A42, A43 = 2.8971530571054935, -6.359448489975075, 4.3622954328695815
A51, A52, A53, A54 = (
    5.325864828439257,
    -11.748883564062828,
    7.4955393428898365,
    -0.09249506636175525,
)
A61, A62, A63, A64, A65 = (
    5.86145544294642,
    -12.92096931784711,
    8.159367898576159,
    -0.071584973281401,
    -0.028269050394068383,
)
B1, B2, B3, B4, B5, B6 = (
    0.09646076681806523,
    0.01,
    0.4798896504144996,
    1.379008574103742,
    -3.290069515436081,
    2.324710524099774,
)
C2, C3, C4, C5 = 0.161, 0.327, 0.9, 0.9800255409045097
E1, E2, E3, E4, E5, E6, E7 = (
    -0.00178001105222577714,
    -0.0008164344596567469,
    0.007880878010261995,
    -0.1447110071732629,
    0.5823571654525552,
    -0.45808210592918697,
    1.0 / 66.0,
)

OK, TOO_MANY_STEPS, STEP_TOO_SMALL, NON_FINITE = 0, 1, 2, 3
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
PROPORTIONAL, INTEGRAL = 0.7 / 5.0, 0.4 / 5.0
LARGEST = 1e300


@njit(**INLINE)
def scaled_norm(x, y, rtol, atol):
    total = 0.0
    for i in range(N):
        total += (x[i] / (atol + rtol * abs(y[i]))) ** 2
    return math.sqrt(total / N)


@njit(**STRICT)
def first_step(t, y, moved, k, partials, theta, fixed, rtol, atol, span):
    """Hairer's starting step, from the sizes of x, x' and a difference estimate of x''."""
    d0, d1 = scaled_norm(y, y, rtol, atol), scaled_norm(k[0], y, rtol, atol)
    h = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    h = min(h, span)
    for i in range(N):
        moved[i] = y[i] + h * k[0, i]
    slope = k[1]
    rhs(t + h, moved, theta, fixed, slope, partials[1])
    for i in range(N):
        slope[i] -= k[0, i]
    d2 = scaled_norm(slope, y, rtol, atol) / h
    if not d2 < LARGEST:
        return h
    largest = max(d1, d2)
    refined = max(1e-6, h * 1e-3) if largest <= 1e-15 else (0.01 / largest) ** 0.2
    return min(100.0 * h, refined, span)


@njit(**INLINE)
def try_step(t, h, y, new, stage, k, partials, theta, fixed):
    """One Tsit5 step from y to new; k[0] holds f(t, y), k[6] will hold f(t + h, new)."""
    for i in range(N):
        stage[i] = y[i] + h * (A21 * k[0, i])
    rhs(t + C2 * h, stage, theta, fixed, k[1], partials[1])
    for i in range(N):
        stage[i] = y[i] + h * (A31 * k[0, i] + A32 * k[1, i])
    rhs(t + C3 * h, stage, theta, fixed, k[2], partials[2])
    for i in range(N):
        stage[i] = y[i] + h * (A41 * k[0, i] + A42 * k[1, i] + A43 * k[2, i])
    rhs(t + C4 * h, stage, theta, fixed, k[3], partials[3])
    for i in range(N):
        stage[i] = y[i] + h * (A51 * k[0, i] + A52 * k[1, i] + A53 * k[2, i] + A54 * k[3, i])
    rhs(t + C5 * h, stage, theta, fixed, k[4], partials[4])
    for i in range(N):
        stage[i] = y[i] + h * (
            A61 * k[0, i] + A62 * k[1, i] + A63 * k[2, i] + A64 * k[3, i] + A65 * k[4, i]
        )
    rhs(t + h, stage, theta, fixed, k[5], partials[5])
    for i in range(N):
        new[i] = y[i] + h * (
            B1 * k[0, i] + B2 * k[1, i] + B3 * k[2, i] + B4 * k[3, i] + B5 * k[4, i] + B6 * k[5, i]
        )
    rhs(t + h, new, theta, fixed, k[6], partials[6])


@njit(**LINEAR_INLINE)
def step_slopes(h, s, new, stage, k, partials):
    """The sensitivities' part of an accepted step, with the partials of its stages."""
    for i in range(N * P):
        stage[i] = s[i] + h * (A21 * k[0, i])
    variation(partials[1], stage, k[1])
    for i in range(N * P):
        stage[i] = s[i] + h * (A31 * k[0, i] + A32 * k[1, i])
    variation(partials[2], stage, k[2])
    for i in range(N * P):
        stage[i] = s[i] + h * (A41 * k[0, i] + A42 * k[1, i] + A43 * k[2, i])
    variation(partials[3], stage, k[3])
    for i in range(N * P):
        stage[i] = s[i] + h * (A51 * k[0, i] + A52 * k[1, i] + A53 * k[2, i] + A54 * k[3, i])
    variation(partials[4], stage, k[4])
    for i in range(N * P):
        stage[i] = s[i] + h * (
            A61 * k[0, i] + A62 * k[1, i] + A63 * k[2, i] + A64 * k[3, i] + A65 * k[4, i]
        )
    variation(partials[5], stage, k[5])
    for i in range(N * P):
        new[i] = s[i] + h * (
            B1 * k[0, i] + B2 * k[1, i] + B3 * k[2, i] + B4 * k[3, i] + B5 * k[4, i] + B6 * k[5, i]
        )
    variation(partials[6], new, k[6])


@njit(**INLINE)
def interpolate(u, h, y, k, size, at):
    """The solution at t + u·h, 0 ≤ u ≤ 1, of order 4 (Tsitouras' free interpolant)."""
    w = h * u * u
    b1 = -1.0530884977290216 * h * u * (u - 1.3299890189751412)
    b1 *= u * u - 1.4364028541716351 * u + 0.7139816917074209
    b2 = 0.1017 * w * (u * u - 2.1966568338249754 * u + 1.2949852507374631)
    b3 = 2.490627285651252793 * w * (u * u - 2.38535645472061657 * u + 1.57803468208092486)
    b4 = -16.54810288924490272 * w * (u - 1.21712927295533244) * (u - 0.61620406037800089)
    b5 = 47.37952196281928122 * w * (u - 1.203071208372362603) * (u - 0.658047292653547382)
    b6 = -34.87065786149660974 * w * (u - 1.2) * (u - 0.666666666666666667)
    b7 = 2.5 * w * (u - 1.0) * (u - 0.6)
    for i in range(size):
        at[i] = y[i] + (
            b1 * k[0, i] + b2 * k[1, i] + b3 * k[2, i] + b4 * k[3, i] + b5 * k[4, i]
            + b6 * k[5, i] + b7 * k[6, i]
        )  # fmt: skip


@njit(**INLINE)
def error_norm(h, y, new, k, rtol, atol):
    total = 0.0
    for i in range(N):
        error = (
            E1 * k[0, i] + E2 * k[1, i] + E3 * k[2, i] + E4 * k[3, i] + E5 * k[4, i]
            + E6 * k[5, i] + E7 * k[6, i]
        )  # fmt: skip
        total += (h * error / (atol + rtol * max(abs(y[i]), abs(new[i])))) ** 2
    return math.sqrt(total / N)


@njit(**INLINE)
def all_finite(y):
    finite = True
    for i in range(N):
        finite = finite and abs(y[i]) < LARGEST
    return finite


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


@njit(**INLINE)
def move_on(scratch):
    """Make the end of a step the start of the next; its last stage is the next one's first."""
    (y, new, _, k), (s, s_new, _, s_k), (_, partials) = scratch
    for i in range(N):
        y[i], k[0, i] = new[i], k[6, i]
    for i in range(PARTIALS):
        partials[0, i] = partials[6, i]
    for i in range(N * P):
        s[i], s_k[0, i] = s_new[i], s_k[6, i]


@njit(**INLINE)
def growth(error, last_error, rejected):
    """The PI controller's next step over this one; no growth right after a rejection."""
    factor = SAFETY * max(error, 1e-10) ** -PROPORTIONAL * last_error**INTEGRAL
    return min(1.0 if rejected else GROW, max(SHRINK, factor))


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
