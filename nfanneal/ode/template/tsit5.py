"""A step of Tsit5, its error, and what lies between its ends.

The N states y are stepped alone; the N × P sensitivities s = ∂y/∂θ (row by row) follow each
accepted step through the same stages, by the linear equations ds/dt = (∂f/∂y)·s + ∂f/∂θ, whose
coefficients were kept. So trajectories take the same steps with sensitivities and without, and s is
the derivative of what the solver computes.

Source: Tsitouras (2011), Runge–Kutta pairs of order 5(4), doi:10.1016/j.camwa.2011.06.002; step
control of Hairer, Nørsett & Wanner, Solving ODEs I, sections II.4 and IV.2 (PI controller).
"""

import math

from numba import njit

from nfanneal.ode.template.options import INLINE, LARGEST, LINEAR_INLINE, STRICT
from nfanneal.ode.template.system import PARTIALS, N, P, rhs, variation

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
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
PROPORTIONAL, INTEGRAL = 0.7 / 5.0, 0.4 / 5.0


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
