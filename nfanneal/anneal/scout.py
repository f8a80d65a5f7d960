"""Scouting: where the posterior's narrow parts are, found by many least-squares starts at once.

Where a model gives the Fisher information for free, a batched Levenberg–Marquardt search from the
best draws of the prior finds narrow modes in seconds. Where hardly any search gets there, others
fit the data in the order of time, a part more at each stage, and stay as near as they can to the
draw that they began with: their ends spread over everything that fits the data. Student-t
components around the ends and around heavy points of the pool, shaped by the local information,
have an exact density: their draws join the pool like any others. The prior's draws stay in the
path, so that nothing rests on the end points alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.local import LocalPoints, _finite
from nfanneal.arrays import Array, concatenated
from nfanneal.errors import ModelError
from nfanneal.target import Evaluation, Opening, Spent, Target

Likelihood = Callable[[Array], Evaluation]

SEARCHED = 1 / 16
"""Such a share of the prior's draws starts a search for the best place."""
SPREAD = 1 / 4
"""Such a share of them starts one in the order of time, where fewer than `ENOUGH_ENDS` of the

former end near the best place."""
STAGES = 7
"""Stages of a search in the order of time: at stage k it knows k/`STAGES` of the data."""
LEAST_STARTS = 256
ENOUGH_ENDS = 8
"""A best place that so few searches find may not be the best there is."""
NEAR_BEST = 2.0
"""Near the best in log Laplace mass."""
MOST_ITERATIONS = 60
CONVERGED = 1e-2
"""Gain in log posterior below which a search ends: its end is a centre to draw around, no more."""
STEP_LIMIT = 1.0
"""Longest step of the search, in prior standard deviations per √d."""
STEEPEST = 1e12
"""Gradients are clipped here, so that their squares are finite."""


def scout(target: Target, z: Array, log_likelihood: Array) -> tuple[LocalPoints | None, Spent]:
    """Search from the best of the prior draws z (n, d): end points, and gradients spent.

    Searches in the order of time follow where the best place was found by few. None if no draw
    has a finite likelihood.
    """
    starts = z[_starts(z, log_likelihood, max(round(SEARCHED * len(z)), LEAST_STARTS))]
    if not len(starts):
        return None, Spent()
    found, spent = minimize(lambda z: target.evaluate(z, True), starts, np.zeros_like(starts))
    ends = _finite(found)
    if not _found_often(ends) and target.ask_opening is not None:
        more, also = _in_order_of_time(target.evaluate_opening, z)
        return concatenated([ends, more]), spent + also
    return ends, spent


def _in_order_of_time(opening: Opening, z: Array) -> tuple[LocalPoints, Spent]:
    """Where draws z (n, d) get to that are moved as little as more and more of the data allow.

    A fit to all periods of an oscillation at once ends where a few of them match; one that follows
    them one after the other does not. The penalty is the distance to the draw itself, so that
    draws from the prior end all over a long ridge, and not in its best place.

    Source: Oliver, He & Reynolds (1996), Conditioning permeability fields to pressure data,
    doi:10.3997/2214-4609.201406884.
    """
    first = opening(z, 1.0 / STAGES)
    anchors = z[_starts(z, first.log_likelihood, round(SPREAD * len(z)))]
    found, spent = minimize(partial(opening, share=1.0 / STAGES), anchors, anchors)
    for stage in range(2, STAGES + 1):
        found, more = minimize(partial(opening, share=stage / STAGES), found.z, anchors)
        spent += more
    return _finite(found), first.spent + spent


def _found_often(ends: LocalPoints) -> bool:
    """Whether many searches ended where the most mass is."""
    log_masses = ends.log_masses(1.0)
    near = log_masses > log_masses.max(initial=-np.inf) - NEAR_BEST
    return int(near.sum()) >= ENOUGH_ENDS


def _starts(z: Array, log_likelihood: Array, size: int) -> NDArray[np.int64]:
    """Rows: half the best draws, half from the best tenth: good, and not all from one place."""
    finite = np.flatnonzero(np.isfinite(log_likelihood))
    joint = log_likelihood[finite] - 0.5 * np.einsum("ij,ij->i", z[finite], z[finite])
    order = finite[np.argsort(-joint, kind="stable")]
    best = order[: size // 2]
    tenth = order[size // 2 : max(len(order) // 10, size)]
    stride = max(len(tenth) // max(size - len(best), 1), 1)
    return np.concatenate([best, tenth[::stride][: size - len(best)]])


def minimize(
    likelihood: Likelihood, starts: Array, anchors: Array, iterations: int = MOST_ITERATIONS
) -> tuple[LocalPoints, Spent]:
    """Minimise ½|z − anchor|² − log L from all starts (k, d) at once, each with its anchor (k, d).

    Each has its own Levenberg–Marquardt steps −(M + λ·diag M)⁻¹g with the metric M = I + Fisher
    information; a step that does not decrease the value is not taken and raises λ.

    Source: Nocedal & Wright, Numerical Optimization, section 10.3.

    Raises:
        ModelError: the likelihood has no Fisher information.
    """
    spent = Spent()

    def function(z: Array, anchor: Array) -> tuple[Array, Array, Array, Array]:
        nonlocal spent
        evaluation = likelihood(z)
        spent += evaluation.spent
        if evaluation.gradient is None or evaluation.information is None:
            raise ModelError("the model gives no Fisher information")
        largest = np.abs(evaluation.gradient).max(axis=1, keepdims=True)
        slope = evaluation.gradient * (STEEPEST / np.maximum(largest, STEEPEST))
        away, log_l = z - anchor, evaluation.log_likelihood
        value = 0.5 * np.einsum("ij,ij->i", away, away) - log_l
        return value, away - slope, evaluation.information, log_l

    k, d = starts.shape
    x = starts.copy()
    value, gradient, information, log_likelihood = function(x, anchors)
    damping = np.full(k, 1e-2)
    active = np.isfinite(value)
    for _ in range(iterations):
        rows = np.flatnonzero(active)
        if not len(rows):
            break
        step = _damped_step(np.eye(d) + information[rows], gradient[rows], damping[rows])
        tried = x[rows] + step
        new_value, new_gradient, new_information, new_log_likelihood = function(
            tried, anchors[rows]
        )
        taken = new_value < value[rows]
        good = rows[taken]
        drop = value[good] - new_value[taken]
        x[good], value[good] = tried[taken], new_value[taken]
        gradient[good], information[good] = new_gradient[taken], new_information[taken]
        log_likelihood[good] = new_log_likelihood[taken]
        damping[rows] *= np.where(taken, 0.2, 6.0)
        damping = np.maximum(damping, 1e-9)
        active[good] = drop > CONVERGED
        active &= damping < 1e9
    return LocalPoints(x, log_likelihood, information), spent


def _damped_step(metric: Array, gradient: Array, damping: Array) -> Array:
    """−(M + λ·diag M)⁻¹g, no longer than `STEP_LIMIT`·√d; M (k, d, d), g (k, d), λ (k,)."""
    d = gradient.shape[1]
    damped = metric.copy()
    diagonal = np.einsum("kii->ki", damped)
    diagonal *= 1.0 + damping[:, None]
    step = -np.linalg.solve(damped, gradient[:, :, None])[:, :, 0]
    size = np.linalg.norm(step, axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, STEP_LIMIT * math.sqrt(d) / np.maximum(size, 1e-300)))
