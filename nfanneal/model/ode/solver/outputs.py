"""Recording outputs: those at the time of a stop, and those between the ends of a step."""

import math

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import (
    AFTER,
    ARRIVES,
    DUE,
    ERROR,
    FAR,
    GOAL,
    INLINE,
    OUTPUT,
    PART,
    STEP,
    STRICT,
    TIME,
    UNTIL,
)
from nfanneal.model.ode.solver.example_system import (
    LANES,
    S_COLUMN,
    S_ROW,
    S_STAGE,
    STAGE,
    TIMED,
    N,
    P,
    observe,
    observe_slopes,
)
from nfanneal.model.ode.solver.tsit5 import between, opened


@njit(**INLINE)
def write(t, lane, row, output, values, slopes, parts):
    """One output from the places for stages."""
    store, gradient = parts[0], parts[1]
    observe(t, lane, store, values, row, output)
    if gradient:
        observe_slopes(t, lane, store, slopes, row, output)


@njit(**STRICT)
def record_here(lane, row, times, values, slopes, run, parts):
    """Record the outputs up to the time of what was opened; returns whether that are all."""
    (y, _, _, _), s, _, _ = opened(lane, parts)
    store, gradient = parts[0], parts[1]
    t, output = run[TIME, lane], int(run[OUTPUT, lane])
    for i in range(N):
        store[STAGE + i * LANES + lane] = y[i]
        for q in range(P if gradient else 0):
            store[S_STAGE + i * S_ROW + q * S_COLUMN + lane] = s[i * P + q]
    while output < len(times) and times[output] <= t:
        write(min(t, FAR), lane, row, output, values, slopes, parts)
        output += 1
    run[OUTPUT, lane], run[DUE, lane] = output, due(output, times)
    return output == len(times)


@njit(**INLINE)
def record(lanes, rows, times, values, slopes, run, parts):
    """Record the outputs in the steps that were accepted, and note where the steps end."""
    t, h, after, until = run[TIME], run[STEP], run[AFTER], run[UNTIL]
    for lane in range(len(rows)):
        after[lane] = run[GOAL, lane] if run[ARRIVES, lane] > 0.0 else t[lane] + h[lane]
        until[lane] = after[lane] if run[ERROR, lane] <= 1.0 else -math.inf
    for lane in range(lanes if TIMED else 0):
        if run[ARRIVES, lane] > 0.0:
            until[lane] = np.nextafter(until[lane], -math.inf)
    while locate(len(rows), t, h, until, run[DUE], run[PART]) > 0:
        between(len(rows), run, parts)
        for lane in range(lanes):
            if run[PART, lane] >= 0.0:
                output = int(run[OUTPUT, lane])
                write(times[output], lane, rows[lane], output, values, slopes, parts)
                run[OUTPUT, lane], run[DUE, lane] = output + 1, due(output + 1, times)


@njit(**INLINE)
def locate(lanes, t, h, until, dues, parts_of_steps):
    """Find where in its step the next output of each lane is; returns how many there are."""
    found = 0
    for lane in range(lanes):
        part = max((dues[lane] - t[lane]) / h[lane], 0.0)
        parts_of_steps[lane] = part if dues[lane] <= until[lane] else -1.0
        found += 1 if dues[lane] <= until[lane] else 0
    return found


@njit(**INLINE)
def due(output, times):
    """When an output is; never, if there is none."""
    return times[output] if output < len(times) else math.inf
