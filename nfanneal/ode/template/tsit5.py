"""A step of Tsit5, its error, and what lies between its ends.

Several trajectories go abreast, each in a lane and with steps of its own: number i of the one in a
lane stands at i·LANES + lane, so that one instruction serves them all. No lane looks at another.

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
    ERROR,
    FOR_EXPLICIT,
    FOR_STIFF,
    INLINE,
    LARGEST,
    OWNING,
    STEP,
    STRICT,
    TIME,
)
from nfanneal.ode.template.system import (
    CONSTANTS,
    FIXED,
    GRADIENT,
    KEPT,
    LANES,
    NEW,
    PARTIALS,
    PLACES,
    S_STAGE,
    STAGE,
    TABLED,
    N,
    P,
    hold_constants,
    rhs,
    rhs_abreast,
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

MINE, OTHER = FOR_EXPLICIT, FOR_STIFF
"""Which trajectories this stepper takes, and whose it can ask for."""
EDGE, CLOSE, LOOK = 2.7, 2.0, 16
"""Step × fastest rate: the most (stability ends at 3.5; there y is held by its error, s is not),
and from where on it is stability that limits; steps between two looks at the rate."""
PATIENCE, WORTH = 12, 500.0
"""Limited steps in a row, and as long ones still to come, before the stiff solver is asked."""
STAGES = np.array(
    [
        [A21, 0.0, 0.0, 0.0, 0.0, 0.0],
        [A31, A32, 0.0, 0.0, 0.0, 0.0],
        [A41, A42, A43, 0.0, 0.0, 0.0],
        [A51, A52, A53, A54, 0.0, 0.0],
        [A61, A62, A63, A64, A65, 0.0],
        [B1, B2, B3, B4, B5, B6],
        [E1, E2, E3, E4, E5, E6],
    ]
)
NODES = np.array([C2, C3, C4, C5, 1.0, 1.0])
WIDE = N * LANES
Y, KEPT_AT, OPEN = 0, 8 * WIDE, S_STAGE + N * P
K1, K2, K3, K4, K5, K6, K7 = WIDE, 2 * WIDE, 3 * WIDE, 4 * WIDE, 5 * WIDE, 6 * WIDE, 7 * WIDE
H = CONSTANTS + LANES
OWN = OPEN + 3 * N
SLOPES, OF_SLOPES = OWN + LANES * (FIXED + N), 10 * N * P + 7 * PARTIALS
"""Where in the store y, the step's end, its slopes and their partial derivatives begin, abreast;

then what is used in turns, and what each lane has of its own: `fixed` and a direction, and all that
belongs to sensitivities, as `step_slopes` wants it."""
HUGE = 1e8
"""Times this, numbers above LARGEST are infinite."""


SIZE = SLOPES + LANES * OF_SLOPES


@njit(**OWNING)
def allocate(store):
    """What the lanes need."""
    return (store,)


@njit(**STRICT)
def opened(lane, parts):
    """A lane's y, a stage, f(t, y), another slope; s; `fixed`, `partials`; a direction of y.

    `load` has to fill the first and the third, unless they are to be set.
    """
    (store,) = parts
    of_states = (
        store[OPEN : OPEN + N],
        store[STAGE : STAGE + N],
        store[OPEN + N : OPEN + 2 * N],
        store[OPEN + 2 * N : OPEN + 3 * N],
    )
    own, slopes = OWN + lane * (FIXED + N), SLOPES + lane * OF_SLOPES
    fixed, direction = store[own : own + FIXED], store[own + FIXED : own + FIXED + N]
    partials = store[slopes + 10 * N * P : slopes + 10 * N * P + PARTIALS]
    return of_states, store[slopes : slopes + N * P], (fixed, partials), direction


@njit(**STRICT)
def load(lane, parts):
    """Fill y and f(t, y) of what was opened."""
    (store,) = parts
    for i in range(N):
        store[OPEN + i] = store[Y + i * LANES + lane]
        store[OPEN + N + i] = store[K1 + i * LANES + lane]


@njit(**STRICT)
def forget(lane, parts):
    """Put numbers in the place of slopes that may not be finite: `slope` takes them times 0."""
    (store,) = parts
    for i in range(K2 + lane, K7 + WIDE, LANES):
        store[i] = 0.0


@njit(**STRICT)
def settle(lane, t, theta, parts):
    """Make (t, y) of what was opened the start of the next step; whether f is finite there."""
    (store,) = parts
    (y, _, f, _), s, (fixed, partials), _ = opened(lane, parts)
    rhs(t, y, theta, fixed, f, partials)
    forget(lane, parts)
    if GRADIENT:
        first = SLOPES + lane * OF_SLOPES + 3 * N * P
        variation(partials, s, store[first : first + N * P])
    for i in range(N):
        store[Y + i * LANES + lane], store[K1 + i * LANES + lane] = y[i], f[i]
    hold_constants(lane, theta, fixed, store)
    return all_finite(y) and all_finite(f)


@njit(**STRICT)
def move_lane(lane, to, parts):
    """Let a lane's trajectory go on in another lane."""
    (store,) = parts
    for i in range(CONSTANTS, STAGE, LANES):
        store[i + to] = store[i + lane]
    for i in range(0, WIDE, LANES):
        store[Y + i + to], store[K1 + i + to] = store[Y + i + lane], store[K1 + i + lane]
    for i in range(FIXED + N):
        store[OWN + to * (FIXED + N) + i] = store[OWN + lane * (FIXED + N) + i]
    for i in range(OF_SLOPES):
        store[SLOPES + to * OF_SLOPES + i] = store[SLOPES + lane * OF_SLOPES + i]


@njit(**STRICT)
def attempt(lanes, theta, rows, rtol, atol, run, parts):
    """One step in every lane, and its error: infinite where something is not finite.

    k holds f(t, y) first, and f(t + h, new) last. `lanes` is LANES: a number that the compiler
    does not know is a loop that it does not unroll, but does several turns of at once.
    """
    (store,) = parts
    for lane in range(lanes):
        store[CONSTANTS + lane], store[H + lane] = run[TIME, lane], run[STEP, lane]
    for stage in range(6):
        advance(lanes, stage, store)
        slopes, kept = K2 + stage * WIDE, KEPT_AT + stage * KEPT * LANES
        rhs_abreast(lanes, NODES[stage], store, store[slopes:], store[kept:])
    measure(lanes, rtol, atol, store, run[ERROR])


@njit(**INLINE)
def advance(lanes, stage, store):
    """The next stage, or at last the step's end."""
    for i in range(0, WIDE, LANES):
        for lane in range(lanes):
            j = i + lane
            store[NEW + j] = store[Y + j] + store[H + lane] * slope(stage, j, store)


@njit(**INLINE)
def slope(stage, j, store):
    """What the first six slopes come to, those that are not there yet times 0."""
    a1, a2, a3 = STAGES[stage, 0], STAGES[stage, 1], STAGES[stage, 2]
    a4, a5, a6 = STAGES[stage, 3], STAGES[stage, 4], STAGES[stage, 5]
    k1, k2, k3 = store[K1 + j], store[K2 + j], store[K3 + j]
    k4, k5, k6 = store[K4 + j], store[K5 + j], store[K6 + j]
    return a1 * k1 + a2 * k2 + a3 * k3 + a4 * k4 + a5 * k5 + a6 * k6


@njit(**INLINE)
def measure(lanes, rtol, atol, store, errors):
    """The error of each lane's step, in tolerances."""
    for lane in range(lanes):
        errors[lane] = 0.0
    for i in range(0, WIDE, LANES):
        for lane in range(lanes):
            j = i + lane
            y, new, last = store[Y + j], store[NEW + j], store[K7 + j]
            error = store[H + lane] * (slope(6, j, store) + E7 * last)
            error /= atol + rtol * max(abs(y), abs(new))
            nothing = 0.0 * (new * HUGE) + 0.0 * (last * HUGE)  # nan if not finite
            errors[lane] += error * error + nothing
    for lane in range(lanes):
        error = math.sqrt(errors[lane] / N)
        errors[lane] = error if error < LARGEST else math.inf


@njit(**STRICT)
def follow(lane, row, t, h, theta, parts):
    """The sensitivities' part of an accepted step."""
    (store,) = parts
    first = SLOPES + lane * OF_SLOPES
    own, kept = store[first : first + OF_SLOPES], store[KEPT_AT + lane :]
    if not TABLED:
        for entry in range(KEPT):
            to = 10 * N * P + PARTIALS + PLACES[entry]
            for j in range(6):
                own[to + j * PARTIALS] = kept[(j * KEPT + entry) * LANES]
    step_slopes(h, own, kept)


@njit(**INLINE)
def weights(u, h):
    """Of the stages' slopes in y(t + u·h), 0 ≤ u ≤ 1, of order 4 (Tsitouras' free interpolant)."""
    w = h * u * u
    b1 = -1.0530884977290216 * h * u * (u - 1.3299890189751412)
    b1 *= u * u - 1.4364028541716351 * u + 0.7139816917074209
    b2 = 0.1017 * w * (u * u - 2.1966568338249754 * u + 1.2949852507374631)
    b3 = 2.490627285651252793 * w * (u * u - 2.38535645472061657 * u + 1.57803468208092486)
    b4 = -16.54810288924490272 * w * (u - 1.21712927295533244) * (u - 0.61620406037800089)
    b5 = 47.37952196281928122 * w * (u - 1.203071208372362603) * (u - 0.658047292653547382)
    b6 = -34.87065786149660974 * w * (u - 1.2) * (u - 0.666666666666666667)
    b7 = 2.5 * w * (u - 1.0) * (u - 0.6)
    return b1, b2, b3, b4, b5, b6, b7


@njit(**STRICT)
def between(lane, u, h, parts):
    """The states, and sensitivities, at t + u·h, into the places for stages."""
    (store,) = parts
    b1, b2, b3, b4, b5, b6, b7 = weights(u, h)
    for i in range(N):
        j = i * LANES + lane
        store[STAGE + i] = store[Y + j] + (
            b1 * store[K1 + j] + b2 * store[K2 + j] + b3 * store[K3 + j] + b4 * store[K4 + j]
            + b5 * store[K5 + j] + b6 * store[K6 + j] + b7 * store[K7 + j]
        )  # fmt: skip
    if GRADIENT:
        first, size = SLOPES + lane * OF_SLOPES, N * P
        own, stage = store[first : first + OF_SLOPES], store[S_STAGE : S_STAGE + size]
        for j in range(size):
            stage[j] = own[j] + (
                b1 * own[3 * size + j] + b2 * own[4 * size + j] + b3 * own[5 * size + j]
                + b4 * own[6 * size + j] + b5 * own[7 * size + j] + b6 * own[8 * size + j]
                + b7 * own[9 * size + j]
            )  # fmt: skip


@njit(**INLINE)
def move_on(lane, row, t, theta, parts):
    """Make the end of a step the start of the next; its last stage is the next one's first."""
    (store,) = parts
    for i in range(lane, WIDE, LANES):
        store[Y + i], store[K1 + i] = store[NEW + i], store[K7 + i]
    if GRADIENT:
        first = SLOPES + lane * OF_SLOPES
        own = store[first : first + OF_SLOPES]
        for i in range(N * P):
            own[i] = own[N * P + i]
        for i in range(N * P):
            own[3 * N * P + i] = own[9 * N * P + i]


@njit(**STRICT)
def look(lane, row, t, theta, rtol, atol, parts):
    """The fastest rate at the start of a step."""
    load(lane, parts)
    (y, stage, f, slope), _, (fixed, partials), direction = opened(lane, parts)
    return fastest_rate(t, y, f, direction, stage, slope, partials, theta[row], fixed, rtol, atol)


@njit(**INLINE)
def longest(rate):
    """The longest step that this rate allows."""
    return EDGE / rate if rate > 0.0 else math.inf


@njit(**INLINE)
def suspicion(before, pace, error):
    """How many steps of late were such that the other stepper would do better; pace is h × rate."""
    if pace > CLOSE:
        return before + 1 if error < 0.1 else before
    return max(before - 2.0, 0.0)
