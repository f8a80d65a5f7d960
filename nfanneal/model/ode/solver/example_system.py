"""A system as `nfanneal.model.ode.codegen.source` writes it: here exponential decay."""

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import INLINE, LINEAR, LINEAR_INLINE, STRICT
from nfanneal.model.ode.solver.tsit5_tableau import A21

TIMED, STEADY, RESETS, ENDLESS, HALTS = False, False, False, False, False
N, P = 1, 1
FIXED, PARTIALS, SECOND = 1, 2, 1
KEPT = 2
"""How many partial derivatives of f are kept at a stage."""
COLUMNS, LANES = 1, 8
"""Parameters that the states depend on: sensitivities have no others. Where they stand row by row,

zeros at the end of each make P a multiple of what processors work on at once."""
NEW = 8 * N * LANES
CONSTANTS = NEW + N * LANES
STAGE = CONSTANTS + 4 * LANES
S_STAGE = STAGE + N * LANES
S_ROW, S_COLUMN = LANES, N * LANES
"""Where the store has the states at the end of a step; time, step, θ and `fixed`; the states, and

the sensitivities, at a stage or at an output. Number i of a lane stands at i·LANES + lane."""
ACTIVE = np.array([0], dtype=np.int64)
"""The columns of θ that the states depend on."""


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
def rhs(t, y, theta, fixed, dy):
    """f."""
    dy[0] = fixed[0] * y[0]


@njit(**INLINE)
def rhs_and_partials(t, y, theta, fixed, dy, partials):
    """f, the entries of ∂f/∂y that are not zero everywhere, then ∂f/∂θ."""
    dy[0] = fixed[0] * y[0]
    partials[0] = fixed[0]
    partials[1] = -y[0]


@njit(**STRICT)
def rhs_abreast(lanes, node, store, slopes):
    """f in all lanes."""
    for lane in range(lanes):
        slopes[lane] = store[CONSTANTS + 24 + lane] * store[NEW + lane]


@njit(**STRICT)
def rhs_and_partials_abreast(lanes, node, store, slopes, partials):
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
    for i in range(MEMORY):
        store[CONSTANTS + LANES * (3 + i) + lane] = fixed[i]


@njit(**LINEAR_INLINE)
def variation(partials, s, ds):
    """ds/dt = (∂f/∂y)·s + ∂f/∂θ."""
    for q in range(P):
        ds[q] = partials[0] * s[q] + partials[1 + q]


@njit(**LINEAR)
def step_column(lanes, q, steps, own, kept):
    """A column of s through all stages of a step, in all lanes: here the first of them.

    `own` holds the column, its end, and its slopes at the seven stages; `kept` the partial
    derivatives of f at the later six; `steps` the step of each lane.
    """
    first = (1 + q * N) * LANES
    for lane in range(lanes):
        h = steps[lane]
        s0 = own[0 + lane]
        k0_0 = own[16 + lane]
        y1_0 = s0 + h * (A21 * k0_0)
        own[24 + lane] = kept[first + 0 + lane] + kept[0 + lane] * y1_0


@njit(**INLINE)
def observe(t, lane, store, values, row, output):
    """The observables of a lane, its states at a stage."""
    values[row, output, 0] = store[STAGE + 0 + lane]


@njit(**INLINE)
def observe_slopes(t, lane, store, slopes, row, output):
    s = store[S_STAGE + lane :]
    for q in range(COLUMNS):
        slopes[row, output, 0, q] = s[0 * S_ROW + q * S_COLUMN]


STOPS, SWITCHES, BEFORE, FIRST_COLUMN, STOP = 1, 0, 0, 1, 1
"""How many stops depend on θ, and the switches among them; in `fixed`, where the mark of a steady
state's other constants, the inputs and the times of stops begin. Switches stand first."""
TABLE, FIRST_KNOT = 2, np.array([0, 0], dtype=np.int64)
"""Where `fixed` has the number of the inputs' table, and where the knots of each table begin."""
EQUILIBRATES = 3
"""Where it has whether the trajectory starts at a steady state: above 0, if so."""
KNOTS, ROWS = np.empty(0), np.empty((1, 0))
LATE = np.array([False])
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
def reset(theta, fixed, y):
    """What states are set to before the trajectory goes on from its start."""
    new0 = 2.0 * y[0]
    y[0] = new0


@njit(**STRICT)
def reset_slopes(theta, fixed, y, s):
    """∂R/∂y·s + ∂R/∂θ in the place of s, for states that become R(y, θ)."""
    for q in range(P):
        new0 = 2.0 * s[0 * P + q]
        s[0 * P + q] = new0


@njit(**STRICT)
def stop_slopes(event, theta, fixed, moved):
    """∂τ/∂θ of an event, added to zeros."""
    if event == 0:
        moved[0] += 0.0


LAWS, LAW_ROWS = np.empty((0, 1)), np.empty(0, dtype=np.int64)
"""What is conserved, W (laws, N), and the row of f = 0 that each law takes the place of."""


TRIGGERED, MEMORY, KEPT_UNTIL = False, FIXED, FIXED
"""Whether there are events with conditions; where `fixed` has what is remembered of them, and until
where that goes to the other stepper with a trajectory. The rest is worked with."""
COUNT, AT_ONCE, LAST, ORDER = MEMORY, MEMORY + 1, MEMORY + 2, MEMORY + 3
"""How many events there were, how many at the last time, that time, and how many were to be."""
HOLDS, CROSSED_AT, TRUE = MEMORY + 4, MEMORY + 5, MEMORY + 6
"""Which relations hold, when they turned within a step, and which conditions are true."""
QUEUE = MEMORY + 7
"""Places for what is to be set: the time, the order, the event, whether at once, its values, ∂/∂θ

of the time, and of each value."""
HOLDS_NEW, TRUE_NEW, TRUE_THEN, BEFORE_AT = MEMORY + 14, MEMORY + 15, MEMORY + 16, MEMORY + 17
NOW, TRIED_AT, POINT = MEMORY + 18, MEMORY + 20, MEMORY + 22
EVENTS, RELATIONS, MOVING = 1, 1, 1
"""How many there are, and those of the relations that may turn at any time: they stand first."""
VALUES, PLACES, OF_PLACE = 1, 1, 7
"""The most values that an event sets, how many may wait, and the numbers of each."""
SAME = np.array([[False]])
"""Whether an event leaves the difference of a relation as it is."""
TARGETS = np.array([[0]], dtype=np.int64)
"""The states that an event sets; −1 where it sets fewer than others."""
STRICTLY, AT_START = np.array([True]), np.array([False])
"""Whether a relation does not hold at 0; whether an event whose condition is true at the start

happens there."""
LATE_VALUES, GIVES_UP = np.array([True]), np.array([False])
"""Whether what an event sets is found when it is due; whether it ends as its condition does."""
FIRST, PRIORITY = np.array([False]), np.array([0.0])
"""Whether it is over before others look at the states; which of several that are due is first."""


@njit(**STRICT)
def differences(t, y, theta, fixed, values):
    """What is above 0 where each relation holds; then how large their sides are."""
    values[0], values[1] = y[0] - 0.5, y[0] + 0.5


@njit(**STRICT)
def conditions(holds, true):
    """Which conditions are true, from which relations hold."""
    true[0] = holds[0]


@njit(**STRICT)
def first_conditions(t, y, theta, fixed, true):
    """Which are true at the start."""
    true[0] = 1.0 if y[0] > 0.5 else 0.0


@njit(**STRICT)
def relation_rate(which, t, y, theta, fixed, by_y, by_theta):
    """∂c/∂y and ∂c/∂θ of a difference, added to zeros; returns ∂c/∂t."""
    by_y[0] = 1.0
    return 0.0


@njit(**STRICT)
def assigned(event, t, y, theta, fixed, values):
    """What an event sets; returns after which delay."""
    values[0] = 0.5 * y[0]
    return 0.0


@njit(**STRICT)
def assigned_slopes(event, t, y, total, moved, theta, fixed, slopes):
    """∂/∂θ of its values, then of its delay, where y moves by `total` and t by `moved`."""
    for q in range(COLUMNS):
        slopes[q], slopes[COLUMNS + q] = 0.5 * total[q], 0.0


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
