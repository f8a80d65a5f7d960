"""A step of Tsit5, its error, and what lies between its ends.

The N states y are stepped alone; the N × P sensitivities s = ∂y/∂θ (row by row) follow each
accepted step through the same stages, by the linear equations ds/dt = (∂f/∂y)·s + ∂f/∂θ, whose
coefficients were kept. So trajectories take the same steps with sensitivities and without, and s is
the derivative of what the solver computes.

Stability bound and detection of stiffness as in Hairer & Wanner, Solving ODEs II, section IV.2.
"""

import math

import numpy as np
from numba import njit

from nfanneal.ode.template.control import all_finite, fastest_rate
from nfanneal.ode.template.options import (
    FOR_EXPLICIT,
    FOR_STIFF,
    INLINE,
    LARGEST,
    LINEAR_INLINE,
    STRICT,
)
from nfanneal.ode.template.system import (
    FIXED,
    GRADIENT,
    PARTIALS,
    N,
    P,
    rhs,
    step_slopes,
    variation,
)
from nfanneal.ode.template.tableau import (
    A21,
    A31,
    A32,
    A41,
    A42,
    A43,
    A51,
    A52,
    A53,
    A54,
    A61,
    A62,
    A63,
    A64,
    A65,
    B1,
    B2,
    B3,
    B4,
    B5,
    B6,
    C2,
    C3,
    C4,
    C5,
    E1,
    E2,
    E3,
    E4,
    E5,
    E6,
    E7,
)  # fmt: skip

MINE, OTHER, BEGIN = FOR_EXPLICIT, FOR_STIFF, 0
"""Which trajectories this stepper takes, whose it can ask for, and where in k f(t, y) stands."""
EDGE, CLOSE, LOOK = 2.7, 2.0, 16
"""Step × fastest rate: the most (stability ends at 3.5; there y is held by its error, s is not),
and from where on it is stability that limits; steps between two looks at the rate."""
PATIENCE, WORTH = 12, 500.0
"""Limited steps in a row, and as long ones still to come, before the stiff solver is asked."""


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


@njit(**STRICT)
def allocate():
    """What a trajectory needs: of states, of sensitivities, of both, and of this stepper."""
    of_states = np.empty(N), np.empty(N), np.empty(N), np.empty((7, N))
    work, size = np.zeros(10 * N * P + 7 * PARTIALS), N * P
    of_slopes = (
        work[:size],
        work[size : 2 * size],
        work[2 * size : 3 * size],
        work[3 * size : 10 * size].reshape((7, size)),
    )
    partials = work[10 * size :].reshape((7, PARTIALS))
    return of_states, of_slopes, (np.empty(FIXED), partials), (np.empty(N), work)


@njit(**INLINE)
def settle(t, theta, scratch):
    """Make (t, y) the start of the next step; whether f is finite there."""
    (y, _, _, k), (s, _, _, s_k), (fixed, partials), _ = scratch
    rhs(t, y, theta, fixed, k[0], partials[0])
    if GRADIENT:
        variation(partials[0], s, s_k[0])
    return all_finite(y) and all_finite(k[0])


@njit(**INLINE)
def attempt(t, h, theta, rtol, atol, scratch):
    """Try a step; returns its error, infinite where something is not finite."""
    (y, new, stage, k), _, (fixed, partials), _ = scratch
    try_step(t, h, y, new, stage, k, partials, theta, fixed)
    error = error_norm(h, y, new, k, rtol, atol)
    return error if error < LARGEST and all_finite(new) and all_finite(k[6]) else math.inf


@njit(**LINEAR_INLINE)
def follow(t, h, theta, scratch):
    """The sensitivities' part of an accepted step."""
    _, _, _, (_, work) = scratch
    step_slopes(h, work)


@njit(**INLINE)
def between(u, h, scratch):
    """The states, and sensitivities, at t + u·h, into the places for stages."""
    (y, _, stage, k), (s, _, s_stage, s_k), _, _ = scratch
    interpolate(u, h, y, k, N, stage)
    if GRADIENT:
        interpolate(u, h, s, s_k, N * P, s_stage)


@njit(**INLINE)
def move_on(t, theta, scratch):
    """Make the end of a step the start of the next; its last stage is the next one's first."""
    (y, new, _, k), _, _, (_, work) = scratch
    for i in range(N):
        y[i], k[0, i] = new[i], k[6, i]
    for i in range(N * P):
        work[i] = work[N * P + i]
    for i in range(N * P):
        work[3 * N * P + i] = work[9 * N * P + i]


@njit(**INLINE)
def look(t, theta, rtol, atol, scratch):
    """The fastest rate at the start of a step."""
    (y, _, stage, k), _, (fixed, partials), (direction, _) = scratch
    return fastest_rate(
        t, y, k[0], direction, stage, k[1], partials[1], theta, fixed, rtol, atol
    )  # fmt: skip


@njit(**INLINE)
def longest(rate):
    """The longest step that this rate allows."""
    return EDGE / rate if rate > 0.0 else math.inf


@njit(**INLINE)
def suspicion(before, pace, error):
    """How many steps of late were such that the other stepper would do better; pace is h × rate."""
    if pace > CLOSE:
        return before + 1 if error < 0.1 else before
    return max(before - 2, 0)
