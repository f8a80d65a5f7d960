"""The size of steps, and what limits it: shared by the steppers.

Source: Hairer, Nørsett & Wanner, Solving ODEs I, section II.4 (the first step), and Hairer &
Wanner, Solving ODEs II, section IV.2 (PI controller); the spectral radius by power iterations on
differences of f, as in Sommeijer, Shampine & Verwer (1998), doi:10.1016/S0377-0427(97)00219-7.
"""

import math

from numba import njit

from nfanneal.model.ode.solver.constants import INLINE, LARGEST, STRICT
from nfanneal.model.ode.solver.elementary import exp_abreast, log_abreast
from nfanneal.model.ode.solver.example_system import N, rhs

SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
PROPORTIONAL, INTEGRAL = 0.7 / 5.0, 0.4 / 5.0
LOG_LEAST = math.log(1e-4)
"""Of the last error: below it, it is as good as this."""
ULPS, INSTANT = 4e-15, 1e-36
"""The shortest step, over the time; over the whole span near time 0, where time is no scale."""


@njit(**INLINE)
def scaled_norm(x, y, rtol, atol):
    total = 0.0
    for i in range(N):
        total += (x[i] / (atol[i] + rtol * abs(y[i]))) ** 2
    return math.sqrt(total / N)


@njit(**STRICT)
def first_step(t, y, moved, f, slope, theta, fixed, rtol, atol, span):
    """Hairer's starting step, from the sizes of x, x' and a difference estimate of x''."""
    d0, d1 = scaled_norm(y, y, rtol, atol), scaled_norm(f, y, rtol, atol)
    least = 1e-6 * min(span, 1.0)
    h = least if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    h = min(h, span)
    for i in range(N):
        moved[i] = y[i] + h * f[i]
    rhs(t + h, moved, theta, fixed, slope)
    for i in range(N):
        slope[i] -= f[i]
    d2 = scaled_norm(slope, y, rtol, atol) / h
    if not d2 < LARGEST:
        return h
    largest = max(d1, d2)
    refined = max(least, h * 1e-3) if largest <= 1e-15 else (0.01 / largest) ** 0.2
    return min(100.0 * h, refined, span)


@njit(**INLINE)
def all_finite(y):
    finite = True
    for i in range(N):
        finite = finite and abs(y[i]) < LARGEST
    return finite


@njit(**STRICT)
def control(lanes, errors, last, log_errors, growths):
    """The PI controller's next step over this one, of each lane; `last` are logarithms."""
    for lane in range(lanes):
        log_error = log_abreast(max(errors[lane], 1e-10))
        log_errors[lane] = log_error
        exponent = INTEGRAL * last[lane] - PROPORTIONAL * log_error
        growths[lane] = max(SHRINK, SAFETY * exp_abreast(exponent))


@njit(**INLINE)
def shrinkage(log_error):
    """The next try over this one, after an error above 1."""
    return max(SHRINK, SAFETY * math.exp(-0.2 * log_error)) if log_error < LARGEST else 0.25


@njit(**STRICT)
def any_direction(y, direction, rtol, atol):
    """Each state away from its value by its tolerance, up or down: where power iterations begin."""
    for i in range(N):
        sign = 1.0 if (i * 5 + i * i * 3) % 7 < 4 else -1.0
        direction[i] = sign * (atol[i] + rtol * abs(y[i]))


@njit(**STRICT)
def fastest_rate(t, y, f, direction, moved, slope, theta, fixed, rtol, atol):
    """|∂f/∂y·v|/|v| for the direction v, which turns to that of the largest eigenvalue.

    0 where f cannot be had beside y.
    """
    for i in range(N):
        moved[i] = y[i] + direction[i]
    rhs(t, moved, theta, fixed, slope)
    for i in range(N):
        slope[i] -= f[i]
    size, rate = scaled_norm(direction, y, rtol, atol), scaled_norm(slope, y, rtol, atol)
    if not 1e-300 < rate < LARGEST or not 1e-300 < size < LARGEST:
        any_direction(y, direction, rtol, atol)
        return 0.0
    for i in range(N):
        direction[i] = slope[i] / rate
    return rate / size
