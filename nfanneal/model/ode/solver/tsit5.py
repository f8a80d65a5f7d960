"""A step of Tsit5, its error, and what lies between its ends.

Several trajectories go abreast, each in a lane and with steps of its own: number i of the one in a
lane stands at i·LANES + lane, so that one instruction serves them all. No lane looks at another.

The N states y are stepped alone; the N × P sensitivities s = ∂y/∂θ follow each step column by
column through the same stages, by the linear equations ds/dt = (∂f/∂y)·s + ∂f/∂θ, whose
coefficients were kept. So trajectories take the same steps with sensitivities and without, and s is
the derivative of what the solver computes.

Stability bound and detection of stiffness as in Hairer & Wanner, Solving ODEs II, section IV.2.
"""

import math

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import (
    ERROR,
    FOR_EXPLICIT,
    FOR_STIFF,
    INLINE,
    LARGEST,
    LINEAR_INLINE,
    OWNING,
    PART,
    STEP,
    STRICT,
    TIME,
)
from nfanneal.model.ode.solver.example_system import (
    CONSTANTS,
    FIXED,
    KEPT,
    LANES,
    NEW,
    PARTIALS,
    S_STAGE,
    STAGE,
    N,
    P,
    hold_constants,
    rhs,
    rhs_abreast,
    rhs_and_partials,
    rhs_and_partials_abreast,
    step_column,
    variation,
)
from nfanneal.model.ode.solver.step_control import all_finite, fastest_rate
from nfanneal.model.ode.solver.tsit5_tableau import (
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
    weights,
)  # fmt: skip

MINE, OTHER = FOR_EXPLICIT, FOR_STIFF
"""Which trajectories this stepper takes, and whose it can ask for."""
EDGE, CLOSE, LOOK = 2.7, 2.0, 16
"""Step × fastest rate: the most (stability ends at 3.5; there y is held by its error, s is not),
and from where on it is stability that limits; steps between two looks at the rate."""
PATIENCE, WORTH = 12, 500.0
"""Limited steps in a row, and as long ones still to come, before the stiff solver is asked."""
SMALL, PERHAPS = 0.1, 0.25
"""An error that does not limit a step; as how many limited steps one with a larger error counts."""
NODES = np.array([C2, C3, C4, C5, 1.0, 1.0])
WIDE = N * LANES
"""The numbers that all lanes have of N."""
Y, K1, K2, K3, K4, K5, K6, K7 = (n * WIDE for n in range(8))
H = CONSTANTS + LANES
KEPT_AT = S_STAGE + P * WIDE
SLOPES, OF_SLOPES = KEPT_AT + 6 * KEPT * LANES, 9 * WIDE
STEPS = SLOPES + P * OF_SLOPES
ERRORS = STEPS + WIDE
B1_AT, B2_AT, B3_AT, B4_AT, B5_AT, B6_AT, B7_AT = (STEPS + n * WIDE for n in range(2, 9))
WEIGHTS = STEPS + 9 * WIDE
OPEN = WEIGHTS + 7 * LANES
OPEN_SLOPES = OPEN + 4 * N
OWN = OPEN_SLOPES + 2 * N * P + PARTIALS
ATOLS = OWN + LANES * (FIXED + N)
SIZE = ATOLS + WIDE
"""Where in the store y, its slopes at the stages, and the step of each lane begin; the partial

derivatives of f, and the columns of s: each with its end and its slopes at the stages. Then numbers
of each lane N times: the step, its error, and the weights of the slopes in between; these once.
Then what is used in turns, what each lane has of its own: `fixed` and a direction; and the
absolute tolerances, repeated."""
HUGE = 1e8
"""Times this, numbers above LARGEST are infinite."""


@njit(**OWNING)
def allocate(store, gradient, atol):
    """What the lanes need, and whether sensitivities are wanted."""
    for i in range(N):
        for lane in range(LANES):
            store[ATOLS + i * LANES + lane] = atol[i]
    return store, gradient


@njit(**STRICT)
def opened(lane, parts):
    """A lane's y, a stage, f(t, y), another slope; s; `fixed`; a direction of y.

    `load` has to fill the first and the third, and `load_slopes` s, unless they are to be set.
    """
    store, _ = parts
    of_states = (
        store[OPEN : OPEN + N],
        store[OPEN + N : OPEN + 2 * N],
        store[OPEN + 2 * N : OPEN + 3 * N],
        store[OPEN + 3 * N : OPEN + 4 * N],
    )
    s, own = store[OPEN_SLOPES : OPEN_SLOPES + N * P], OWN + lane * (FIXED + N)
    fixed, direction = store[own : own + FIXED], store[own + FIXED : own + FIXED + N]
    return of_states, s, fixed, direction


@njit(**STRICT)
def load(lane, parts):
    """Fill y and f(t, y) of what was opened."""
    store, _ = parts
    for i in range(N):
        store[OPEN + i] = store[Y + i * LANES + lane]
        store[OPEN + 2 * N + i] = store[K1 + i * LANES + lane]


@njit(**STRICT)
def load_slopes(lane, parts):
    """Fill s of what was opened."""
    store, _ = parts
    for q in range(P):
        for i in range(N):
            store[OPEN_SLOPES + i * P + q] = store[SLOPES + q * OF_SLOPES + i * LANES + lane]


@njit(**STRICT)
def settle(lane, t, theta, parts):
    """Make (t, y) of what was opened the start of the next step; whether f is finite there."""
    store, gradient = parts
    (y, _, f, _), s, fixed, _ = opened(lane, parts)
    if gradient:
        partials = store[OPEN_SLOPES + 2 * N * P : OPEN_SLOPES + 2 * N * P + PARTIALS]
        rhs_and_partials(t, y, theta, fixed, f, partials)
        ds = store[OPEN_SLOPES + N * P : OPEN_SLOPES + 2 * N * P]
        variation(partials, s, ds)
        for q in range(P):
            for i in range(N):
                to = SLOPES + q * OF_SLOPES + i * LANES + lane
                store[to], store[to + 2 * WIDE] = s[i * P + q], ds[i * P + q]
    else:
        rhs(t, y, theta, fixed, f)
    for i in range(N):
        store[Y + i * LANES + lane], store[K1 + i * LANES + lane] = y[i], f[i]
    hold_constants(lane, theta, fixed, store)
    return all_finite(y) and all_finite(f)


@njit(**STRICT)
def move_lane(lane, to, parts):
    """Let a lane's trajectory go on in another lane."""
    store, gradient = parts
    for i in range(CONSTANTS, STAGE, LANES):
        store[i + to] = store[i + lane]
    for i in range(0, WIDE, LANES):
        store[Y + i + to], store[K1 + i + to] = store[Y + i + lane], store[K1 + i + lane]
    for i in range(FIXED + N):
        store[OWN + to * (FIXED + N) + i] = store[OWN + lane * (FIXED + N) + i]
    for q in range(P if gradient else 0):
        for i in range(SLOPES + q * OF_SLOPES, SLOPES + q * OF_SLOPES + WIDE, LANES):
            store[i + to] = store[i + lane]
            store[i + 2 * WIDE + to] = store[i + 2 * WIDE + lane]


@njit(**STRICT)
def attempt(lanes, theta, rows, rtol, atol, run, parts):
    """One step in every lane, and its error: infinite where something is not finite.

    k holds f(t, y) first, and f(t + h, new) last. `lanes` is LANES: a number that the compiler
    does not know is a loop that it does not unroll, but does several turns of at once.
    """
    store, gradient = parts
    for lane in range(lanes):
        store[CONSTANTS + lane], store[H + lane] = run[TIME, lane], run[STEP, lane]
    repeat(lanes, run[STEP], store[STEPS : STEPS + WIDE])
    for stage in range(6):
        advance(stage, N * lanes, store)
        node, slopes = NODES[stage], store[K2 + stage * WIDE :]
        if gradient:
            kept = store[KEPT_AT + stage * KEPT * LANES :]
            rhs_and_partials_abreast(lanes, node, store, slopes, kept)
        else:
            rhs_abreast(lanes, node, store, slopes)
    measure(lanes, rtol, store, run[ERROR])


@njit(**INLINE)
def advance(stage, wide, store):
    """The next stage, or at last the step's end.

    Places of one array: of slices the compiler would ask, at each loop, whether they overlap.
    """
    if stage == 0:
        for i in range(wide):
            slope = A21 * store[K1 + i]
            store[NEW + i] = store[Y + i] + store[STEPS + i] * slope
    elif stage == 1:
        for i in range(wide):
            slope = A31 * store[K1 + i] + A32 * store[K2 + i]
            store[NEW + i] = store[Y + i] + store[STEPS + i] * slope
    elif stage == 2:
        for i in range(wide):
            slope = A41 * store[K1 + i] + A42 * store[K2 + i] + A43 * store[K3 + i]
            store[NEW + i] = store[Y + i] + store[STEPS + i] * slope
    elif stage == 3:
        for i in range(wide):
            slope = (
                A51 * store[K1 + i] + A52 * store[K2 + i] + A53 * store[K3 + i]
                + A54 * store[K4 + i]
            )  # fmt: skip
            store[NEW + i] = store[Y + i] + store[STEPS + i] * slope
    elif stage == 4:
        for i in range(wide):
            slope = (
                A61 * store[K1 + i] + A62 * store[K2 + i] + A63 * store[K3 + i]
                + A64 * store[K4 + i] + A65 * store[K5 + i]
            )  # fmt: skip
            store[NEW + i] = store[Y + i] + store[STEPS + i] * slope
    else:
        for i in range(wide):
            slope = (
                B1 * store[K1 + i] + B2 * store[K2 + i] + B3 * store[K3 + i]
                + B4 * store[K4 + i] + B5 * store[K5 + i] + B6 * store[K6 + i]
            )  # fmt: skip
            store[NEW + i] = store[Y + i] + store[STEPS + i] * slope


@njit(**INLINE)
def measure(lanes, rtol, store, errors):
    """The error of each lane's step, in tolerances."""
    for i in range(N * lanes):
        y, new, last = store[Y + i], store[NEW + i], store[K7 + i]
        error = store[STEPS + i] * (
            E1 * store[K1 + i] + E2 * store[K2 + i] + E3 * store[K3 + i] + E4 * store[K4 + i]
            + E5 * store[K5 + i] + E6 * store[K6 + i] + E7 * last
        )  # fmt: skip
        error /= store[ATOLS + i] + rtol * max(abs(y), abs(new))
        nothing = 0.0 * (new * HUGE) + 0.0 * (last * HUGE)  # nan if not finite
        store[ERRORS + i] = error * error + nothing
    for lane in range(lanes):
        errors[lane] = store[ERRORS + lane]
    for i in range(LANES, WIDE, LANES):
        for lane in range(lanes):
            errors[lane] += store[ERRORS + i + lane]
    for lane in range(lanes):
        error = math.sqrt(errors[lane] / N)
        errors[lane] = error if error < LARGEST else math.inf


@njit(**STRICT)
def follow(lanes, theta, rows, run, parts):
    """The sensitivities' part of a step; what it gives where the step is not accepted is unused."""
    store, _ = parts
    steps, kept = store[STEPS : STEPS + WIDE], store[KEPT_AT : KEPT_AT + 6 * KEPT * LANES]
    for q in range(P):
        first = SLOPES + q * OF_SLOPES
        step_column(lanes, q, steps, store[first : first + OF_SLOPES], kept)


@njit(**INLINE)
def repeat(lanes, numbers, to):
    """A number of each lane, N times."""
    for i in range(0, WIDE, LANES):
        for lane in range(lanes):
            to[i + lane] = numbers[lane]


@njit(**STRICT)
def states_between(lane, u, run, parts, to):
    """A lane's states alone at a part of its step."""
    store, _ = parts
    b1, b2, b3, b4, b5, b6, b7 = weights(u, run[STEP, lane])
    for i in range(N):
        at = i * LANES + lane
        to[i] = store[NEW + at]
        if u < 1.0:
            to[i] = store[Y + at] + (
                b1 * store[K1 + at] + b2 * store[K2 + at] + b3 * store[K3 + at]
                + b4 * store[K4 + at] + b5 * store[K5 + at] + b6 * store[K6 + at]
                + b7 * store[K7 + at]
            )  # fmt: skip


@njit(**STRICT)
def between(lanes, run, parts):
    """States and sensitivities at a part of each lane's step, into the places for stages."""
    store, gradient = parts
    wide = N * lanes
    w = store[WEIGHTS : WEIGHTS + 7 * LANES]
    for lane in range(lanes):
        w1, w2, w3, w4, w5, w6, w7 = weights(run[PART, lane], run[STEP, lane])
        w[lane], w[LANES + lane], w[2 * LANES + lane], w[3 * LANES + lane] = w1, w2, w3, w4
        w[4 * LANES + lane], w[5 * LANES + lane], w[6 * LANES + lane] = w5, w6, w7
    for n in range(7):
        to = B1_AT + n * WIDE
        repeat(lanes, w[n * LANES : (n + 1) * LANES], store[to : to + WIDE])
    for i in range(wide):
        store[STAGE + i] = store[Y + i] + (
            store[B1_AT + i] * store[K1 + i] + store[B2_AT + i] * store[K2 + i]
            + store[B3_AT + i] * store[K3 + i] + store[B4_AT + i] * store[K4 + i]
            + store[B5_AT + i] * store[K5 + i] + store[B6_AT + i] * store[K6 + i]
            + store[B7_AT + i] * store[K7 + i]
        )  # fmt: skip
    if gradient:
        of_slopes = store[B1_AT : B1_AT + 7 * WIDE]
        for q in range(P):
            own = store[SLOPES + q * OF_SLOPES : SLOPES + (q + 1) * OF_SLOPES]
            at = store[S_STAGE + q * WIDE : S_STAGE + (q + 1) * WIDE]
            between_of_column(wide, of_slopes, own, at)


@njit(**LINEAR_INLINE)
def between_of_column(wide, w, own, at):
    """The same for a column of s."""
    for i in range(wide):
        at[i] = own[i] + (
            w[i] * own[2 * WIDE + i] + w[WIDE + i] * own[3 * WIDE + i]
            + w[2 * WIDE + i] * own[4 * WIDE + i] + w[3 * WIDE + i] * own[5 * WIDE + i]
            + w[4 * WIDE + i] * own[6 * WIDE + i] + w[5 * WIDE + i] * own[7 * WIDE + i]
            + w[6 * WIDE + i] * own[8 * WIDE + i]
        )  # fmt: skip


@njit(**STRICT)
def move_on(lanes, theta, rows, run, parts):
    """Make the end of each accepted step the start of the next, its last stage the next's first."""
    store, gradient = parts
    repeat(lanes, run[ERROR], store[ERRORS : ERRORS + WIDE])
    wide, errors = N * lanes, store[ERRORS : ERRORS + WIDE]
    for i in range(wide):
        y, new, first, last = store[Y + i], store[NEW + i], store[K1 + i], store[K7 + i]
        store[Y + i] = new if errors[i] <= 1.0 else y
        store[K1 + i] = last if errors[i] <= 1.0 else first
    if gradient:
        for q in range(P):
            column_on(wide, errors, store[SLOPES + q * OF_SLOPES : SLOPES + (q + 1) * OF_SLOPES])


@njit(**INLINE)
def column_on(wide, errors, own):
    """The same for a column of s."""
    for i in range(wide):
        s, new, first, last = own[i], own[WIDE + i], own[2 * WIDE + i], own[8 * WIDE + i]
        own[i] = new if errors[i] <= 1.0 else s
        own[2 * WIDE + i] = last if errors[i] <= 1.0 else first


@njit(**STRICT)
def look(lane, row, t, theta, rtol, atol, parts):
    """The fastest rate at the start of a step."""
    load(lane, parts)
    (y, stage, f, slope), _, fixed, direction = opened(lane, parts)
    return fastest_rate(t, y, f, direction, stage, slope, theta[row], fixed, rtol, atol)


@njit(**INLINE)
def longest(rate):
    """The longest step that this rate allows."""
    return EDGE / rate if rate > 0.0 else math.inf


@njit(**INLINE)
def suspicion(before, pace, error):
    """How many steps of late were such that the other stepper would do better; pace is h × rate.

    Where errors are large, too, it may be accuracy that limits steps; or, at tight tolerances, what
    is left of the fast modes, which hardly fades close to the stability bound.
    """
    if pace > CLOSE:
        return before + (1.0 if error < SMALL else PERHAPS)
    return max(before - 2.0, 0.0)
