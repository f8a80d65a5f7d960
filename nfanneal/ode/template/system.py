"""A system as `nfanneal.ode.kernels` writes it: here exponential decay."""

import numpy as np
from numba import njit

from nfanneal.ode.template.options import INLINE, LINEAR, LINEAR_INLINE, STRICT
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
)  # fmt: skip

GRADIENT = True
TIMED, STEADY = False, False
N, P = 1, 4
FIXED, PARTIALS, SECOND = 1, 5, 1
KEPT, PLACES = 2, np.array([0, 1], dtype=np.int64)
"""How many partial derivatives of f are not zero everywhere, and where in `partials` they stand."""
LANES = 8
NEW = (8 * N + 6 * KEPT) * LANES
CONSTANTS = NEW + N * LANES
STAGE = CONSTANTS + 4 * LANES
S_STAGE = STAGE + N
"""Where the store of all lanes has the states at a stage, or at the end of a step; time, step, θ

and `fixed`; one lane's states at a stage, and its sensitivities. The first two are abreast: number
i of a lane stands at i·LANES + lane."""
TABLED = False
"""Whether the sensitivities' part of a step takes partial derivatives from `kept`, by a table."""
ACTIVE = np.array([0], dtype=np.int64)
"""The columns of θ that the states depend on: sensitivities have no others.

Zeros at the end of each row make P a multiple of what processors work on at once.
"""


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
    """f, and with sensitivities the entries of ∂f/∂y that are not zero everywhere, then ∂f/∂θ."""
    dy[0] = fixed[0] * y[0]
    partials[0] = fixed[0]
    partials[1] = -y[0]


@njit(**STRICT)
def rhs_abreast(lanes, node, store, slopes, partials):
    """f, and the partial derivatives that are not zero everywhere, in all lanes."""
    for lane in range(lanes):
        slopes[lane] = store[CONSTANTS + 24 + lane] * store[NEW + lane]
        partials[lane] = store[CONSTANTS + 24 + lane]
        partials[8 + lane] = -store[NEW + lane]


@njit(**STRICT)
def hold_constants(lane, theta, fixed, store):
    """Keep in the store what observables and stages need."""
    for i in range(1):
        store[CONSTANTS + LANES * (2 + i) + lane] = theta[i]
    for i in range(FIXED):
        store[CONSTANTS + LANES * (3 + i) + lane] = fixed[i]


@njit(**LINEAR_INLINE)
def variation(partials, s, ds):
    """ds/dt = (∂f/∂y)·s + ∂f/∂θ."""
    for q in range(P):
        ds[q] = partials[0] * s[q] + partials[1 + q]


@njit(**LINEAR)
def step_slopes(h, work, kept):
    """The sensitivities' part of an accepted step: all stages, column by column.

    `work` holds s, s after the step, a stage, the slopes of the seven stages (N·P each), and the
    `partials` of each stage.
    """
    c1_0 = h * A21
    p1_0 = work[45]
    c2_0 = h * A31
    c2_1 = h * A32
    p2_0 = work[50]
    c3_0 = h * A41
    c3_1 = h * A42
    c3_2 = h * A43
    p3_0 = work[55]
    c4_0 = h * A51
    c4_1 = h * A52
    c4_2 = h * A53
    c4_3 = h * A54
    p4_0 = work[60]
    c5_0 = h * A61
    c5_1 = h * A62
    c5_2 = h * A63
    c5_3 = h * A64
    c5_4 = h * A65
    p5_0 = work[65]
    c6_0 = h * B1
    c6_1 = h * B2
    c6_2 = h * B3
    c6_3 = h * B4
    c6_4 = h * B5
    c6_5 = h * B6
    p6_0 = work[70]
    for q in range(P):
        s0 = work[0 + q]
        k0_0 = work[12 + q]
        y1_0 = s0 + c1_0 * k0_0
        k1_0 = work[46 + q] + p1_0 * y1_0
        work[16 + q] = k1_0
        y2_0 = s0 + c2_0 * k0_0 + c2_1 * k1_0
        k2_0 = work[51 + q] + p2_0 * y2_0
        work[20 + q] = k2_0
        y3_0 = s0 + c3_0 * k0_0 + c3_1 * k1_0 + c3_2 * k2_0
        k3_0 = work[56 + q] + p3_0 * y3_0
        work[24 + q] = k3_0
        y4_0 = s0 + c4_0 * k0_0 + c4_1 * k1_0 + c4_2 * k2_0 + c4_3 * k3_0
        k4_0 = work[61 + q] + p4_0 * y4_0
        work[28 + q] = k4_0
        y5_0 = s0 + c5_0 * k0_0 + c5_1 * k1_0 + c5_2 * k2_0 + c5_3 * k3_0 + c5_4 * k4_0
        k5_0 = work[66 + q] + p5_0 * y5_0
        work[32 + q] = k5_0
        y6_0 = (
            s0 + c6_0 * k0_0 + c6_1 * k1_0 + c6_2 * k2_0 + c6_3 * k3_0 + c6_4 * k4_0 + c6_5 * k5_0
        )
        k6_0 = work[71 + q] + p6_0 * y6_0
        work[36 + q] = k6_0
        work[4 + q] = y6_0


@njit(**INLINE)
def observe(t, lane, store, values, row, output):
    """The observables of a lane, its states at a stage."""
    values[row, output, 0] = store[STAGE + 0]


@njit(**INLINE)
def observe_slopes(t, lane, store, slopes, row, output):
    slopes[row, output, :, :] = 0.0
    for q in range(len(ACTIVE)):
        slopes[row, output, 0, ACTIVE[q]] += store[S_STAGE + 0 + q]


STOPS, SWITCHES, BEFORE, FIRST_COLUMN, STOP = 1, 0, 0, 1, 1
"""How many stops depend on θ, and the switches among them; in `fixed`, where the mark of a steady
state's other constants, the inputs and the times of stops begin. Switches stand first."""
TABLE, FIRST_KNOT = 2, np.array([0, 0], dtype=np.int64)
"""Where `fixed` has the number of the inputs' table, and where the knots of each table begin."""
KNOTS, ROWS = np.empty(0), np.empty((1, 0))
"""When inputs change, and what `fixed` holds of them before a table's first time and after each."""


@njit(**STRICT)
def spaced(theta):
    """Whether all times between doses are above 0."""
    return True


@njit(**STRICT)
def apply(event, y, theta, fixed):
    """A switch turns, or a dose is given."""
    if event == 0:
        y[0] = y[0] + 1.0


@njit(**STRICT)
def apply_slopes(event, y, s, theta, fixed):
    """∂g/∂y·s + ∂g/∂θ in the place of s, for states that a dose makes y⁺ = g(y, θ)."""
    if event == 0:
        for q in range(P):
            s[0 * P + q] *= 1.0


@njit(**STRICT)
def stop_slopes(event, theta, fixed, moved):
    """∂τ/∂θ of an event, added to zeros."""
    if event == 0:
        moved[0] += 0.0


@njit(**STRICT)
def steady_jacobian(t, y, theta, fixed, matrix):
    """∂f/∂y where it is not zero everywhere."""
    matrix[0, 0] = fixed[0]


@njit(**STRICT)
def steady_direct(t, y, theta, fixed, matrix):
    """∂f/∂θ where it is not zero everywhere."""
    matrix[0, 0] = -y[0]


@njit(**STRICT)
def jacobian(t, y, theta, fixed, jac, drift):
    """∂f/∂y and ∂f/∂t, for the stiff solver."""
    jac[0, 0] = fixed[0]
    drift[0] = 0.0


@njit(**INLINE)
def bend(t, y, theta, fixed, second):
    """The second derivatives of f that are not zero everywhere, for its sensitivities."""
    second[0] = -1.0


@njit(**LINEAR_INLINE)
def curve(second, u, c, curved):
    """∂/∂(y, θ) of (∂f/∂y)·u + c·∂f/∂t, in the places of `partials`."""
    curved[0] = 0.0
    curved[1] = second[0] * u[0]
