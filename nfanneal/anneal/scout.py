"""Scouting: where the posterior's narrow parts are, found by many local searches at once.

A narrow mode has next to no mass at intermediate β, so that no path of tempered posteriors carries
it; searches at β = 1 from draws of the prior, and from the pool's points at several β, find it in
seconds. A model of data is searched by Levenberg–Marquardt steps, with the Fisher information (of
differences, where it does not come for free); another one by quasi-Newton steps. Where hardly any
search gets to the best place, others fit the data in the order of time, a part more at each stage,
and stay as near as they can to the draw that they began with: their ends spread over everything
that fits the data. Student-t components around the ends and around heavy points of the pool, shaped
by the local curvature, have an exact density: their draws join the pool like any others. The
prior's draws stay in the path, so that nothing rests on the end points alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from nfanneal.anneal.archive import Archive, as_found, distinct
from nfanneal.anneal.differences import MOST_DIMENSIONS, with_slope
from nfanneal.anneal.local import LocalPoints, finite, local_points
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.quasi_newton import Ends, descended
from nfanneal.anneal.weights import tempered, truncated
from nfanneal.arrays import Array
from nfanneal.target import Evaluation, Spent, Target

Likelihood = Callable[[Array], tuple[Evaluation, Spent]]
Values = Callable[[Array], tuple[Array, Spent]]
Told = Callable[[int, int], None]

SPREAD = 1 / 4
"""Such a share of draws starts a search in the order of time, where fewer than `ENOUGH_ENDS` of the

former end near the best place."""
STAGES = 7
"""Stages of a search in the order of time: at stage k it knows k/`STAGES` of the data."""
STARTS = {"free": (64, 2048), "gradients": (64, 2048), "differences": (64, 512)}
"""Searches from the prior's draws, at first and at most, by what takes a step: the model's own

curvature, gradients, or differences."""
LOOKED_AT = {"free": 16_384, "gradients": 65_536, "differences": 65_536}
"""Draws of the prior that are looked at first: functions of arrays take no time, and their slopes

tell of a narrow mode only within it; a fit to data gets to one from further away."""
MOST_OPENINGS = {"free": 16384, "differences": 256}
"""Draws among which searches in the order of time begin, at most …"""
OPENINGS = 2048
"""… and so many at a time."""
ROUNDS_IN_VAIN = 2
"""Rounds of such searches in turn that find nothing better end them."""
NEIGHBOURS = 16
ROUGHLY = ((1, 3.0), (4, 1.0))
"""So many neighbours are looked at first, within (1 + eps) times their distance: most points are

worse than one of these, and all neighbours of all points take three to five times as long."""
MANY_DIMENSIONS, FEWER_POINTS = 6, 4096
"""Neighbours in more dimensions are dear to find: among so many points at once."""
LOOKED_AT_ONCE = 4096
"""Points of a pool that are held against all known optima at a time, until enough are unknown."""
OTHERS = 16
"""So many draws, whatever they are, may begin searches too."""
FEWEST_STEPS = 20
"""A search is not begun that has a budget for fewer."""
QUASI_NEWTON = 150
"""Iterations of a quasi-Newton search: they cost a gradient each."""
ALIKE = 0.1
"""Ends of quasi-Newton searches that agree in value and place to this share have one curvature."""
MOST_CURVATURES = 64
"""Curvatures by differences, those of the best distinct ends."""
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


@dataclass(frozen=True)
class Scouting:
    """Optima that were found, what it took, and whether one that matters was new."""

    archive: Archive
    spent: Spent
    news: bool


def scouts(target: Target) -> bool:
    """Whether optima of a target can be searched at a bearable price."""
    by_values = target.ask_curvature is None and not target.differentiable
    return not by_values or target.dimension <= MOST_DIMENSIONS


def nothing_found(dimension: int) -> Archive:
    """An archive without optima."""
    none = LocalPoints(np.empty((0, dimension)), np.empty(0), np.empty((0, dimension, dimension)))
    return as_found(none, np.empty(0, dtype=np.int64))


def steps_by(target: Target) -> str:
    """By what a search takes its steps, see `STARTS`."""
    if target.ask_curvature is not None and not target.curvature_cost:
        return "free"
    by_gradients = target.ask_curvature is None and target.differentiable
    return "gradients" if by_gradients else "differences"


def likely_starts(z: Array, log_likelihood: Array) -> NDArray[np.int64]:
    """Rows of draws z (n, d) of the prior, with log L (n,), where to begin searches.

    Draws that are better than their neighbours: a narrow mode that few draws hit is not among the
    best of all. The best ones and any, in turn: in many dimensions all of the best lie around the
    widest modes. Of a smooth landscape they are few; some other draws follow.
    """
    joint = log_standard_normal(z) + log_likelihood
    size = FEWER_POINTS if z.shape[1] > MANY_DIMENSIONS else max(len(z), 1)
    blocks = range(0, len(z), size)
    peaks = [start + local_maxima(z[start : start + size], joint[start : start + size])
             for start in blocks]  # fmt: skip
    rows = np.concatenate([np.empty(0, dtype=np.int64), *peaks])
    rows = np.column_stack([rows[np.argsort(-joint[rows], kind="stable")], np.sort(rows)]).ravel()
    rows = rows[np.sort(np.unique(rows, return_index=True)[1])]
    others = np.flatnonzero(np.isfinite(joint))[:OTHERS]
    return np.concatenate([rows, others[~np.isin(others, rows)]])


def in_order_of_time(
    target: Target, z: Array, archive: Archive, told: Told = lambda done, total: None
) -> tuple[Archive, Spent]:
    """The archive with the ends of searches in the order of time, from draws z (n, d).

    They follow where few others found the best place, some draws at a time, until many have, or
    until rounds in turn find none that is much better: on a ridge no two ends are near each other.
    `told` of each stage of each round.
    """
    spent, best, in_vain = Spent(), -np.inf, 0
    z = z[: MOST_OPENINGS["differences" if target.curvature_cost else "free"]]
    rounds = range(0, len(z), OPENINGS)
    for done, first in enumerate(rounds):

        def told_of(stage: int, before: int = STAGES * done) -> None:
            told(before + stage, STAGES * len(rounds))

        found, more = _in_order_of_time(target, z[first : first + OPENINGS], told_of)
        ends = distinct(as_found(found, np.ones(len(found.z), dtype=np.int64)))
        archive, spent = archive.merged(ends)[0], spent + more
        top = float(archive.log_masses.max(initial=-np.inf))
        in_vain = 0 if top > best + NEAR_BEST else in_vain + 1
        best = max(best, top)
        if found_often(archive) or in_vain == ROUNDS_IN_VAIN:
            break
    return archive, spent


def local_maxima(z: Array, value: Array) -> NDArray[np.int64]:
    """Rows of points z (n, d) that are better than each of their nearest neighbours, best first.

    A search from any other would, as a rule, end where that from a better neighbour ends.

    Source: Rinnooy Kan & Timmer (1987), Stochastic global optimization methods, part II: multi
    level methods, doi:10.1007/BF02592071; with neighbours by rank, not by distance.
    """
    finite = np.flatnonzero(np.isfinite(value))
    if len(finite) <= NEIGHBOURS:
        return finite[np.argsort(-value[finite], kind="stable")]
    if z.shape[1] > MANY_DIMENSIONS:
        finite = finite[-FEWER_POINTS:]
    tree, own, peaks = cKDTree(z[finite]), value[finite], np.arange(len(finite))
    for k, eps in (*ROUGHLY, (NEIGHBOURS, 0.0)):
        near = tree.query(z[finite[peaks]], k=k + 1, eps=eps)[1][:, 1:]
        peaks = peaks[own[peaks] > own[near].max(axis=1)]
    return finite[peaks[np.argsort(-own[peaks], kind="stable")]]


def searched(target: Target, starts: Array, archive: Archive, most: float = math.inf) -> Scouting:
    """Searches from starts (k, d): the archive with their ends, which count as often as found.

    With a bound on the evaluations of log L there are fewer of them, and they take fewer steps.
    """
    by_values = target.ask_curvature is None and not target.differentiable
    cost = 2 * target.dimension + 1 if by_values else target.curvature_cost
    starts = starts[: _times(len(starts), most, FEWEST_STEPS * cost)]
    if not len(starts):
        return Scouting(archive, Spent(), False)
    if target.ask_curvature is not None:
        steps = _times(MOST_ITERATIONS, most, cost * len(starts))
        values = _values_of(target) if target.curvature_cost else None
        points, spent = minimize(target.curvature, starts, np.zeros_like(starts), steps, values)
        points = finite(points)
        ends = distinct(as_found(points, np.ones(len(points.z), dtype=np.int64)))
    else:
        ends, spent = _by_quasi_newton(target, starts, most / 2.0 if by_values else math.inf)
    merged, news = archive.merged(ends)
    return Scouting(merged, spent, news)


def _values_of(target: Target) -> Values:
    """log L alone, for models whose derivatives are dear."""

    def values(z: Array) -> tuple[Array, Spent]:
        return target.evaluate(z, False).log_likelihood, Spent(evaluations=len(z))

    return values


def _times(wanted: int, most: float, cost: int) -> int:
    """So many as are wanted, or as there is room for at such a cost each."""
    return wanted if most == math.inf or not cost else int(min(wanted, most // cost))


def _by_quasi_newton(target: Target, starts: Array, most: float) -> tuple[Archive, Spent]:
    """Searches for `most` evaluations, and as many again for the curvatures at their ends."""
    spent, d = Spent(), target.dimension

    def function(z: Array) -> tuple[Array, Array]:
        nonlocal spent
        found, more = with_slope(target, z)
        spent += more
        assert found.gradient is not None
        value = 0.5 * np.einsum("ij,ij->i", z, z) - found.log_likelihood
        return value, z - _bounded(found.gradient)

    ends = descended(function, starts, _times(QUASI_NEWTON, most, (2 * d + 1) * len(starts)))
    rows, counts = _groups(ends)
    curvatures = _times(len(rows), most, 1 + 2 * d + d * (d - 1) // 2)
    rows, counts = rows[:curvatures], counts[:curvatures]
    points, more = local_points(target, ends.z[rows])
    return distinct(as_found(points, counts)), spent + more


def _groups(ends: Ends) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The best end of each group that agrees in value and place, and how many are in it."""
    inside = np.flatnonzero(np.isfinite(ends.value))
    left = inside[np.argsort(ends.value[inside], kind="stable")]
    best: list[np.int64] = []
    counts: list[np.int64] = []
    while len(left) and len(best) < MOST_CURVATURES:
        first = left[0]
        away = ends.z[left] - ends.z[first]
        solved = np.linalg.lstsq(ends.inverse[first], away.T, rcond=None)[0].T
        same = np.einsum("ni,ni->n", away, solved) < ALIKE
        same &= ends.value[left] - ends.value[first] < ALIKE
        same[0] = True
        best.append(first)
        counts.append(same.sum())
        left = left[~same]
    return np.array(best, dtype=np.int64), np.array(counts, dtype=np.int64)


def pool_starts(
    z: Array, log_base_weights: Array, log_likelihood: Array, size: int, archive: Archive
) -> Array:
    """Starts (k, d) among a pool's points z (n, d) that no known optimum explains.

    Half are the heaviest under prior·L, where the proposals under-cover it most, the others those
    that are better than their neighbours.
    """
    weights = truncated(tempered(log_base_weights, log_likelihood, 1.0))
    finite = np.flatnonzero(np.isfinite(log_likelihood))
    heaviest = finite[np.argsort(-weights[finite], kind="stable")]
    heavy = _unexplained(archive, z, heaviest, size // 2)
    newest = FEWER_POINTS if z.shape[1] > MANY_DIMENSIONS else len(z)
    unknown = _unexplained(archive, z, finite[::-1], newest)[::-1]
    peaks = unknown[local_maxima(z[unknown], (log_standard_normal(z) + log_likelihood)[unknown])]
    rows = np.concatenate([heavy, peaks[~np.isin(peaks, heavy)]])[:size]
    return z[np.sort(rows)]


def _unexplained(
    archive: Archive, z: Array, rows: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """The first of some rows of z (n, d) that no known optimum explains: no more are looked at."""
    found = rows[:0]
    for part in np.split(rows, range(LOOKED_AT_ONCE, len(rows), LOOKED_AT_ONCE)):
        found = np.concatenate([found, part[~archive.explains(z[part])]])
        if len(found) >= most:
            break
    return found[:most]


def _in_order_of_time(
    target: Target, z: Array, told: Callable[[int], None]
) -> tuple[LocalPoints, Spent]:
    """Where draws z (n, d) get to that are moved as little as more and more of the data allow.

    A fit to all periods of an oscillation at once ends where a few of them match; one that follows
    them one after the other does not. The penalty is the distance to the draw itself, so that
    draws from the prior end all over a long ridge, and not in its best place.

    Source: Oliver, He & Reynolds (1996), Conditioning permeability fields to pressure data,
    doi:10.3997/2214-4609.201406884.
    """
    opened, spent = target.curvature(z, 1.0 / STAGES)
    size = round(SPREAD * len(z))
    anchors = z[_starts(z, opened.log_likelihood, size)]
    ends = anchors
    for stage in range(1, STAGES + 1):

        def opening(z: Array, share: float = stage / STAGES) -> tuple[Evaluation, Spent]:
            return target.curvature(z, share)

        told(stage - 1)
        found, more = minimize(opening, ends, anchors)
        ends, spent = found.z, spent + more
    return finite(found), spent


def found_often(archive: Archive) -> bool:
    """Whether many searches ended where the most mass is."""
    log_masses = archive.log_masses
    near = log_masses > log_masses.max(initial=-np.inf) - NEAR_BEST
    return int(archive.found[near].sum()) >= ENOUGH_ENDS


def _starts(z: Array, log_likelihood: Array, size: int) -> NDArray[np.int64]:
    """Rows: half the best draws, half from the best tenth: good, and not all from one place."""
    finite = np.flatnonzero(np.isfinite(log_likelihood))
    joint = log_standard_normal(z[finite]) + log_likelihood[finite]
    order = finite[np.argsort(-joint, kind="stable")]
    best = order[: size // 2]
    tenth = order[size // 2 : max(len(order) // 10, size)]
    stride = max(len(tenth) // max(size - len(best), 1), 1)
    return np.concatenate([best, tenth[::stride][: size - len(best)]])


def minimize(
    likelihood: Likelihood,
    starts: Array,
    anchors: Array,
    iterations: int = MOST_ITERATIONS,
    values: Values | None = None,
) -> tuple[LocalPoints, Spent]:
    """Minimise ½|z − anchor|² − log L from all starts (k, d) at once, each with its anchor (k, d).

    Each has its own Levenberg–Marquardt steps −(M + λ·diag M)⁻¹g with the metric M = I + Fisher
    information; a step that does not decrease the value is not taken and raises λ. Where `values`
    are given, derivatives are asked for only where a step is taken.

    Source: Nocedal & Wright, Numerical Optimization, section 10.3.
    """
    spent = Spent()

    def function(z: Array, anchor: Array) -> tuple[Array, Array, Array, Array]:
        nonlocal spent
        evaluation, more = likelihood(z)
        spent += more
        assert evaluation.gradient is not None and evaluation.information is not None
        away, log_l = z - anchor, evaluation.log_likelihood
        value = 0.5 * np.einsum("ij,ij->i", away, away) - log_l
        return value, away - _bounded(evaluation.gradient), evaluation.information, log_l

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
        tried, promising = x[rows] + step, np.ones(len(rows), dtype=bool)
        if values is not None:
            log_l, more = values(tried)
            spent += more
            away = tried - anchors[rows]
            promising = 0.5 * np.einsum("ij,ij->i", away, away) - log_l < value[rows]
        taken = np.zeros(len(rows), dtype=bool)
        if not promising.any():
            damping[rows] *= 6.0
            active &= damping < 1e9
            continue
        found = function(tried[promising], anchors[rows[promising]])
        better = found[0] < value[rows[promising]]
        taken[np.flatnonzero(promising)[better]] = True
        good = rows[taken]
        drop = value[good] - found[0][better]
        x[good] = tried[taken]
        value[good], gradient[good], information[good], log_likelihood[good] = (
            each[better] for each in found
        )
        damping[rows] *= np.where(taken, 0.2, 6.0)
        damping = np.maximum(damping, 1e-9)
        active[good] = drop > CONVERGED
        active &= damping < 1e9
    return LocalPoints(x, log_likelihood, information), spent


def _bounded(gradient: Array) -> Array:
    """Gradients (n, d) none of whose components is larger than `STEEPEST`."""
    largest = np.abs(gradient).max(axis=1, keepdims=True)
    return np.asarray(gradient * (STEEPEST / np.maximum(largest, STEEPEST)))


def _damped_step(metric: Array, gradient: Array, damping: Array) -> Array:
    """−(M + λ·diag M)⁻¹g, no longer than `STEP_LIMIT`·√d; M (k, d, d), g (k, d), λ (k,)."""
    d = gradient.shape[1]
    damped = metric.copy()
    diagonal = np.einsum("kii->ki", damped)
    diagonal *= 1.0 + damping[:, None]
    step = -np.linalg.solve(damped, gradient[:, :, None])[:, :, 0]
    size = np.linalg.norm(step, axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, STEP_LIMIT * math.sqrt(d) / np.maximum(size, 1e-300)))
