"""What a trajectory takes along: to the other stepper, and to where an event ends its step."""

from numba import njit

from nfanneal.model.ode.solver.constants import (
    FOR_STIFF,
    PROGRESS,
    STIFF_TRIED,
    STRICT,
    TRIED,
    TRIED_BEFORE,
)
from nfanneal.model.ode.solver.events import align, set_switches
from nfanneal.model.ode.solver.example_system import (
    BEFORE,
    COLUMNS,
    KEPT_UNTIL,
    LANES,
    MEMORY,
    S_COLUMN,
    S_ROW,
    S_STAGE,
    STAGE,
    STEADY,
    TIMED,
    TRIGGERED,
    N,
    P,
    prepare,
)
from nfanneal.model.ode.solver.triggers import forget
from nfanneal.model.ode.solver.tsit5 import MINE, load, load_slopes, opened


@njit(**STRICT)
def take_up(lane, row, theta, t, times, held, parts):
    """Go on where the other stepper stopped."""
    gradient = parts[1]
    (y, _, _, _), s, fixed, _ = opened(lane, parts)
    prepare(theta, fixed)
    if TIMED:
        align(times, fixed)
    for i in range(N):
        y[i] = held[row, i]
    for i in range(N if gradient else 0):
        for q in range(COLUMNS):
            s[i * P + q] = held[row, N + i * COLUMNS + q]
    if TRIGGERED:
        forget(fixed)
        for i in range(MEMORY, KEPT_UNTIL):
            fixed[i] = held[row, N + N * COLUMNS + i - MEMORY]
    if TIMED:
        set_switches(t, fixed, True)
    if STEADY:
        fixed[BEFORE] = 0.0


@njit(**STRICT)
def put_down(lane, row, held, parts):
    """Keep what the other stepper needs to go on."""
    gradient = parts[1]
    load(lane, parts)
    if gradient:
        load_slopes(lane, parts)
    (y, _, _, _), s, fixed, _ = opened(lane, parts)
    for i in range(N):
        held[row, i] = y[i]
        for q in range(COLUMNS if gradient else 0):
            held[row, N + i * COLUMNS + q] = s[i * P + q]
    for i in range(MEMORY, KEPT_UNTIL):
        held[row, N + N * COLUMNS + i - MEMORY] = fixed[i]


@njit(**STRICT)
def leave(lane, row, progress, run):
    """Note how far a trajectory came."""
    for field in range(PROGRESS):
        progress[row, field] = run[field, lane]
    if MINE == FOR_STIFF:
        progress[row, STIFF_TRIED] += run[TRIED, lane] - run[TRIED_BEFORE, lane]


@njit(**STRICT)
def take_cut(lane, y, s, parts):
    """States and sensitivities from the places for stages."""
    store, gradient = parts[0], parts[1]
    for i in range(N):
        y[i] = store[STAGE + i * LANES + lane]
        for q in range(P if gradient else 0):
            s[i * P + q] = store[S_STAGE + i * S_ROW + q * S_COLUMN + lane]
