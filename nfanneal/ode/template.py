"""The compiled solver: Tsit5 with forward sensitivities, one trajectory at a time.

This file is a template: `nfanneal.ode.kernels` replaces the system between the two markers (here
exponential decay) by the user's, and compiles the result. The state vector holds the N states,
then, with gradients, the N × P sensitivities ∂x_i/∂θ_q row by row.

Source: Tsitouras (2011), Runge–Kutta pairs of order 5(4), doi:10.1016/j.camwa.2011.06.002; step
control of Hairer, Nørsett & Wanner, Solving ODEs I, sections II.4 and IV.2 (PI controller).
"""

import math

import numpy as np
from numba import njit

OPTIONS = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
}

# --- system ---
N = 1
P = 1


@njit(**OPTIONS)
def initial(theta, y, gradient):
    y[0] = 1.0
    if gradient:
        y[1] = 0.0


@njit(**OPTIONS)
def rhs(t, y, theta, dy):
    dy[0] = -theta[0] * y[0]


@njit(**OPTIONS)
def rhs_gradient(t, y, theta, dy):
    dy[0] = -theta[0] * y[0]
    dy[1] = -theta[0] * y[1] - y[0]


@njit(**OPTIONS)
def observe(t, y, theta, values):
    values[0] = y[0]


@njit(**OPTIONS)
def observe_gradient(t, y, theta, slopes):
    slopes[0, 0] = y[1]


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


@njit(**OPTIONS)
def derivative(t, y, theta, dy, gradient):
    if gradient:
        rhs_gradient(t, y, theta, dy)
    else:
        rhs(t, y, theta, dy)


@njit(**OPTIONS)
def scaled_norm(x, y, rtol, atol):
    total = 0.0
    for i in range(N):
        total += (x[i] / (atol + rtol * abs(y[i]))) ** 2
    return math.sqrt(total / N)


@njit(**OPTIONS)
def first_step(t, y, k, theta, rtol, atol, span):
    """Hairer's starting step, from the sizes of x, x' and a difference estimate of x''."""
    d0, d1 = scaled_norm(y, y, rtol, atol), scaled_norm(k[0], y, rtol, atol)
    h = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    h = min(h, span)
    moved, slope = np.empty(N), np.empty(N)
    for i in range(N):
        moved[i] = y[i] + h * k[0, i]
    rhs(t + h, moved, theta, slope)
    for i in range(N):
        slope[i] -= k[0, i]
    d2 = scaled_norm(slope, y, rtol, atol) / h
    if not d2 < 1e300:
        return h
    largest = max(d1, d2)
    refined = max(1e-6, h * 1e-3) if largest <= 1e-15 else (0.01 / largest) ** 0.2
    return min(100.0 * h, refined, span)


@njit(**OPTIONS)
def try_step(t, h, y, new, stage, k, theta, gradient, size):
    """One Tsit5 step from y to new; k[0] holds f(t, y), k[6] will hold f(t + h, new)."""
    for i in range(size):
        stage[i] = y[i] + h * (A21 * k[0, i])
    derivative(t + C2 * h, stage, theta, k[1], gradient)
    for i in range(size):
        stage[i] = y[i] + h * (A31 * k[0, i] + A32 * k[1, i])
    derivative(t + C3 * h, stage, theta, k[2], gradient)
    for i in range(size):
        stage[i] = y[i] + h * (A41 * k[0, i] + A42 * k[1, i] + A43 * k[2, i])
    derivative(t + C4 * h, stage, theta, k[3], gradient)
    for i in range(size):
        stage[i] = y[i] + h * (A51 * k[0, i] + A52 * k[1, i] + A53 * k[2, i] + A54 * k[3, i])
    derivative(t + C5 * h, stage, theta, k[4], gradient)
    for i in range(size):
        stage[i] = y[i] + h * (
            A61 * k[0, i] + A62 * k[1, i] + A63 * k[2, i] + A64 * k[3, i] + A65 * k[4, i]
        )
    derivative(t + h, stage, theta, k[5], gradient)
    for i in range(size):
        new[i] = y[i] + h * (
            B1 * k[0, i] + B2 * k[1, i] + B3 * k[2, i] + B4 * k[3, i] + B5 * k[4, i] + B6 * k[5, i]
        )
    derivative(t + h, new, theta, k[6], gradient)


@njit(**OPTIONS)
def error_norm(h, y, new, k, rtol, atol):
    """Error of the states alone: trajectories are the same with gradients and without."""
    total = 0.0
    for i in range(N):
        error = (
            E1 * k[0, i] + E2 * k[1, i] + E3 * k[2, i] + E4 * k[3, i] + E5 * k[4, i]
            + E6 * k[5, i] + E7 * k[6, i]
        )  # fmt: skip
        total += (h * error / (atol + rtol * max(abs(y[i]), abs(new[i])))) ** 2
    return math.sqrt(total / N)


@njit(**OPTIONS)
def all_finite(y, size):
    finite = True
    for i in range(size):
        finite = finite and abs(y[i]) < 1e300
    return finite


@njit(**OPTIONS)
def record(t, y, theta, gradient, values, slopes):
    observe(t, y, theta, values)
    if gradient:
        observe_gradient(t, y, theta, slopes)


@njit(**OPTIONS)
def solve_one(theta, times, start, rtol, atol, max_steps, gradient, values, slopes):
    """Integrate through all `times`; returns the status and the number of steps tried."""
    size = N * (1 + P) if gradient else N
    y, new, stage, k = np.empty(size), np.empty(size), np.empty(size), np.empty((7, size))
    initial(theta, y, gradient)
    t, output, steps = start, 0, 0
    while output < len(times) and times[output] <= start:
        record(t, y, theta, gradient, values[output], slopes[output])
        output += 1
    if output == len(times):
        return (OK if all_finite(y, size) else NON_FINITE), 0
    derivative(t, y, theta, k[0], gradient)
    if not (all_finite(y, size) and all_finite(k[0], size)):
        return NON_FINITE, 0
    span = times[-1] - start
    h = first_step(t, y, k, theta, rtol, atol, span)
    last_error, rejected, finite = 1e-4, False, True
    while output < len(times):
        if steps == max_steps:
            return TOO_MANY_STEPS, steps
        remaining = times[output] - t
        arrives = h >= remaining * (1.0 - 1e-9)
        step = remaining if arrives else (0.5 * remaining if 2.0 * h > remaining else h)
        if not arrives and step < 1e-14 * max(abs(t), span):
            return (STEP_TOO_SMALL if finite else NON_FINITE), steps
        steps += 1
        try_step(t, step, y, new, stage, k, theta, gradient, size)
        error = error_norm(step, y, new, k, rtol, atol)
        finite = error < 1e300 and all_finite(new, size) and all_finite(k[6], size)
        if not finite:
            h, rejected = 0.25 * step, True
            continue
        if error > 1.0:
            h, rejected = step * max(SHRINK, SAFETY * error**-0.2), True
            continue
        factor = SAFETY * max(error, 1e-10) ** -PROPORTIONAL * last_error**INTEGRAL
        factor = min(GROW, max(SHRINK, factor))
        if rejected:
            factor = min(1.0, factor)
        h = max(h, step * factor) if step < h and factor >= 1.0 else step * factor
        last_error, rejected = max(error, 1e-4), False
        t = times[output] if arrives else t + step
        y, new = new, y
        for i in range(size):
            k[0, i] = k[6, i]
        if arrives:
            record(t, y, theta, gradient, values[output], slopes[output])
            output += 1
    return OK, steps


@njit(
    "void(f8[:,::1], f8[::1], f8, f8, f8, i8, b1, f8[:,:,::1], f8[:,:,:,::1], i8[::1], i8[::1])",
    **OPTIONS,
)
def solve(theta, times, start, rtol, atol, max_steps, gradient, values, slopes, status, steps):
    """Solve one trajectory per row of theta; the caller splits rows over threads."""
    empty = np.empty((len(times), 0, 0))
    for row in range(len(theta)):
        status[row], steps[row] = solve_one(
            theta[row],
            times,
            start,
            rtol,
            atol,
            max_steps,
            gradient,
            values[row],
            slopes[row] if gradient else empty,
        )
