"""A step of Rodas5P, its error, and what lies between its ends.

A Rosenbrock method: each of its eight stages solves a linear system with W = 1/(γh) − ∂f/∂y, which
is factorised once per step. The sensitivities s = ∂y/∂θ follow each accepted step: they are the
derivative of its eight linear systems, so they are solved with the same factors, and need how
∂f/∂y changes with y and θ. Trajectories take the same steps with sensitivities and without.

Source: Steinebach (2023), Construction of Rosenbrock–Wanner method Rodas5P and numerical benchmarks
within the Julia Differential Equations package, doi:10.1007/s10543-023-00967-x; in the form of
Hairer & Wanner, Solving ODEs II, equation IV.7.25, whose u are the stages here.
"""

import math

import numpy as np
from numba import njit

from nfanneal.model.ode.solver.constants import (
    AFTER,
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
    FIXED,
    PARTIALS,
    S_STAGE,
    SECOND,
    STAGE,
    N,
    P,
    bend,
    curve,
    hold_constants,
    jacobian,
    rhs,
    rhs_and_partials,
    variation,
)
from nfanneal.model.ode.solver.linear_solve import factorise, solve_factored
from nfanneal.model.ode.solver.step_control import all_finite, any_direction, scaled_norm

MINE, OTHER, BEGIN = FOR_STIFF, FOR_EXPLICIT, 8
"""Which trajectories this stepper takes, whose it can ask for, and where in k f(t, y) stands."""
CLOSE, LOOK = math.inf, 1
CALM = 0.7
"""Step × fastest rate below which an explicit step is far from its stability bound."""
PATIENCE, WORTH = 20, 20.0
"""Calm steps in a row, and as long ones still to come, before the explicit solver is asked."""

GAMMA = 0.21193756319429014
A = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [2.849394379747939, 0.45842242204463923, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584, 0.0, 0.0, 0.0, 0.0, 0.0],
        [
            2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641,
            0.0, 0.0, 0.0, 0.0,
        ],
        [
            -7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256,
            0.030198172008377946, 0.0, 0.0, 0.0,
        ],
        [
            -7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256,
            0.030198172008377946, 1.0, 0.0, 0.0,
        ],
        [
            -7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256,
            0.030198172008377946, 1.0, 1.0, 0.0,
        ],
    ]
)  # fmt: skip
C = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-14.155112264123755, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-17.97296035885952, -2.859693295451294, 0.0, 0.0, 0.0, 0.0, 0.0],
        [147.12150275711716, -1.41221402718213, 71.68940251302358, 0.0, 0.0, 0.0, 0.0],
        [
            165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306,
            0.0, 0.0, 0.0,
        ],
        [
            24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125,
            -0.6610691825249471, 0.0, 0.0,
        ],
        [
            30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783,
            -19.097331116725623, -28.087943162872662, 0.0,
        ],
        [
            37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047,
            -40.06618937091002, -54.66780262877968, -9.48861652309627,
        ],
    ]
)  # fmt: skip
NODES = np.array(
    [
        0.0,
        0.6358126895828704,
        0.4095798393397535,
        0.9769306725060716,
        0.4288403609558664,
        1.0,
        1.0,
        1.0,
    ]
)
DRIFTS = np.array(
    [
        0.21193756319429014,
        -0.42387512638858027,
        -0.3384627126235924,
        1.8046452872882734,
        2.325825639765069,
        0.0,
        0.0,
        0.0,
    ]
)
DENSE = np.array(
    [
        [
            25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204,
            0.524948541321073, 1.1241088310450404, 0.4272876194431874, -0.17202221070155493,
        ],
        [
            -9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796,
            20.176138334709044, 15.98066361424651, -6.789040303419874, -6.710236069923372,
        ],
        [
            11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643,
            -52.072871366152654, -59.78993625266729, -0.15582684282751913, 4.883087185713722,
        ],
    ]
)  # fmt: skip


SIZE = S_STAGE + N * P


@njit(**OWNING)
def allocate(store, gradient, atol):
    """What a trajectory needs: for observables, and whether sensitivities are wanted; of states, of

    sensitivities, of both, and of this stepper."""
    of_states = np.empty(N), np.empty(N), store[STAGE : STAGE + N], np.empty((10, N))
    s_stage = store[S_STAGE:]
    of_slopes = np.zeros(N * P), np.zeros(N * P), s_stage, np.zeros((10, N * P))
    both = np.empty(FIXED), np.zeros((9, PARTIALS))
    jac, lu, order = np.empty((N, N)), np.empty((N, N)), np.empty(N, dtype=np.int64)
    second, curved = np.empty(SECOND), np.zeros(PARTIALS)
    work = np.empty(N), np.empty(N), jac, lu, order, second, curved
    return store, gradient, of_states, of_slopes, both, work


@njit(**STRICT)
def opened(lane, parts):
    """y, a stage, f(t, y), another slope; s; `fixed`; a direction of y."""
    _, _, (y, _, stage, k), (s, _, _, _), (fixed, _), work = parts
    direction, _, _, _, _, _, _ = work
    return (y, stage, k[BEGIN], k[1]), s, fixed, direction


@njit(**STRICT)
def load(lane, parts):
    """There is one lane, and it is open."""


@njit(**STRICT)
def load_slopes(lane, parts):
    """Likewise."""


@njit(**STRICT)
def settle(lane, t, theta, parts):
    """Make (t, y) the start of the next step; whether f is finite there."""
    _, gradient, (y, _, _, k), _, (fixed, partials), (_, drift, jac, _, _, _, _) = parts
    evaluate(t, y, gradient, theta, fixed, k[BEGIN], partials[0])
    jacobian(t, y, theta, fixed, jac, drift)
    hold_constants(lane, theta, fixed, parts[0])
    return all_finite(y) and all_finite(k[BEGIN])


@njit(**INLINE)
def evaluate(t, y, gradient, theta, fixed, dy, partials):
    """f, and for a gradient its partial derivatives."""
    if gradient:
        rhs_and_partials(t, y, theta, fixed, dy, partials)
    else:
        rhs(t, y, theta, fixed, dy)


@njit(**STRICT)
def move_lane(lane, to, parts):
    """There is no other."""


@njit(**STRICT)
def factors(h, jac, lu, order):
    """L and U of 1/(γh) − ∂f/∂y; whether there are any."""
    for i in range(N):
        for j in range(N):
            lu[i, j] = -jac[i, j]
        lu[i, i] += 1.0 / (GAMMA * h)
    return factorise(lu, order)


@njit(**LINEAR_INLINE)
def solve_slopes(lu, order, right, x):
    """The same for the N × P right-hand sides of the sensitivities."""
    for r in range(N):
        for q in range(P):
            x[r * P + q] = right[order[r] * P + q]
        for c in range(r):
            factor = lu[r, c]
            if factor != 0.0:
                for q in range(P):
                    x[r * P + q] -= factor * x[c * P + q]
    for r in range(N - 1, -1, -1):
        for c in range(r + 1, N):
            factor = lu[r, c]
            if factor != 0.0:
                for q in range(P):
                    x[r * P + q] -= factor * x[c * P + q]
        for q in range(P):
            x[r * P + q] *= lu[r, r]


@njit(**INLINE)
def attempt(lanes, theta, rows, rtol, atol, run, parts):
    """Try a step; its error is infinite where something is not finite."""
    t, h, row = run[TIME, 0], run[STEP, 0], theta[rows[0]]
    run[ERROR, 0] = error_of(t, h, row, rtol, atol, parts)


@njit(**INLINE)
def error_of(t, h, theta, rtol, atol, parts):
    _, gradient, (y, new, stage, k), _, (fixed, partials), work = parts
    _, drift, jac, lu, order, _, _ = work
    if not factors(h, jac, lu, order):
        return math.inf
    right = k[9]
    for n in range(8):
        for i in range(N):
            stage[i] = y[i]
        for m in range(n):
            for i in range(N):
                stage[i] += A[n, m] * k[m, i]
        if n == 0:
            for i in range(N):
                right[i] = k[BEGIN, i]
        else:
            evaluate(t + NODES[n] * h, stage, gradient, theta, fixed, right, partials[n])
        for i in range(N):
            right[i] += h * DRIFTS[n] * drift[i]
        for m in range(n):
            for i in range(N):
                right[i] += C[n, m] / h * k[m, i]
        solve_factored(lu, order, right, k[n])
    total = 0.0
    for i in range(N):
        new[i] = stage[i] + k[7, i]
        total += (k[7, i] / (atol[i] + rtol * max(abs(y[i]), abs(new[i])))) ** 2
    error = math.sqrt(total / N)
    if not (error < LARGEST and all_finite(new)):
        return math.inf
    if error <= 1.0:
        evaluate(t + h, new, gradient, theta, fixed, right, partials[8])
    return error if all_finite(right) else math.inf


@njit(**INLINE)
def follow(lanes, theta, rows, run, parts):
    """The sensitivities' part of an accepted step."""
    if run[ERROR, 0] <= 1.0:
        follow_systems(run[TIME, 0], run[STEP, 0], theta[rows[0]], parts)


@njit(**LINEAR_INLINE)
def follow_systems(t, h, theta, parts):
    """The derivative of a step's linear systems."""
    _, _, (y, _, _, u), (s, new, stage, k), (fixed, partials), work = parts
    _, _, _, lu, order, second, curved = work
    bend(t, y, theta, fixed, second)
    right, more = k[8], k[9]
    for n in range(8):
        for i in range(N * P):
            stage[i] = s[i]
        for m in range(n):
            for i in range(N * P):
                stage[i] += A[n, m] * k[m, i]
        variation(partials[n], stage, right)
        curve(second, u[n], h * DRIFTS[n], curved)
        variation(curved, s, more)
        for i in range(N * P):
            right[i] += more[i]
        for m in range(n):
            for i in range(N * P):
                right[i] += C[n, m] / h * k[m, i]
        solve_slopes(lu, order, right, k[n])
    for i in range(N * P):
        new[i] = stage[i] + k[7, i]


@njit(**INLINE)
def interpolate(v, y, new, k, size, at):
    """The solution at t + v·h, 0 ≤ v ≤ 1, of order 4."""
    for i in range(size):
        at[i] = (1.0 - v) * y[i] + v * new[i]
    for m in range(8):
        weight = v * (1.0 - v) * (DENSE[0, m] + v * (DENSE[1, m] + v * DENSE[2, m]))
        for i in range(size):
            at[i] += weight * k[m, i]


@njit(**INLINE)
def between(lanes, run, parts):
    """The states, and sensitivities, at a part of the step, into the places for stages."""
    v = run[PART, 0]
    _, gradient, (y, new, stage, k), (s, s_new, s_stage, s_k), _, _ = parts
    interpolate(v, y, new, k, N, stage)
    if gradient:
        interpolate(v, s, s_new, s_k, N * P, s_stage)


@njit(**STRICT)
def states_between(lane, u, run, parts, to):
    """The states alone at a part of the step."""
    _, _, (y, new, _, k), _, _, _ = parts
    interpolate(u, y, new, k, N, to)


@njit(**INLINE)
def move_on(lanes, theta, rows, run, parts):
    """Make the end of an accepted step the start of the next."""
    _, gradient, (y, new, _, k), (s, s_new, _, _), (fixed, partials), work = parts
    _, drift, jac, _, _, _, _ = work
    if not run[ERROR, 0] <= 1.0:
        return
    for i in range(N):
        y[i], k[BEGIN, i] = new[i], k[9, i]
    if gradient:
        for i in range(PARTIALS):
            partials[0, i] = partials[8, i]
        for i in range(N * P):
            s[i] = s_new[i]
    jacobian(run[AFTER, 0], y, theta[rows[0]], fixed, jac, drift)


@njit(**STRICT)
def look(lane, row, t, theta, rtol, atol, parts):
    """The fastest rate at the start of a step, by a power iteration."""
    _, _, (y, _, moved, _), _, _, (direction, _, jac, _, _, _, _) = parts
    for i in range(N):
        moved[i] = 0.0
        for j in range(N):
            moved[i] += jac[i, j] * direction[j]
    size, rate = scaled_norm(direction, y, rtol, atol), scaled_norm(moved, y, rtol, atol)
    if not 1e-300 < rate < LARGEST or not 1e-300 < size < LARGEST:
        any_direction(y, direction, rtol, atol)
        return 0.0
    for i in range(N):
        direction[i] = moved[i] / rate
    return rate / size


@njit(**INLINE)
def longest(rate):
    """Every step is stable."""
    return math.inf


@njit(**INLINE)
def suspicion(before, pace, error):
    """How many steps of late were such that the other stepper would do better; pace is h × rate."""
    return before + 1 if pace < CALM else 0
