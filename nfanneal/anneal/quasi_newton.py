"""Local optimisation of many starts at once, by quasi-Newton steps: only gradients are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array, Bools

Function = Callable[[Array], tuple[Array, Array]]
"""Values (n,) and gradients (n, d) at points (n, d)."""

DECREASE = 1e-4
"""A step is taken if it decreases the value by this share of what the slope promises."""
SHORTER = 0.3
"""A step that is not taken is tried again with this share of its length."""
SHORTEST = 1e-8
"""A search ends where even such a share of a step decreases nothing."""
LONGEST = 1.0
"""Longest step per √d."""
CONVERGED = 1e-6
"""A search ends where a Newton step would decrease the value by no more than this."""


@dataclass(frozen=True)
class Ends:
    """Where searches ended: points (n, d), values (n,), inverse Hessians as far as known (n, d, d),

    and whether each converged (n,)."""

    z: Array
    value: Array
    inverse: Array
    converged: Bools


def descended(function: Function, starts: Array, iterations: int) -> Ends:
    """Local minima of a function from all starts (n, d), each with its own BFGS matrix.

    Source: Nocedal & Wright, Numerical Optimization, algorithms 3.1 and 6.1.
    """
    n, d = starts.shape
    x = starts.copy()
    value, slope = function(x)
    inverse = np.repeat(np.eye(d)[None], n, axis=0)
    length, fresh = np.ones(n), np.ones(n, dtype=bool)
    active, converged = np.isfinite(value), np.zeros(n, dtype=bool)
    for _ in range(iterations):
        rows = np.flatnonzero(active)
        step = -np.einsum("nij,nj->ni", inverse[rows], slope[rows])
        promise = np.einsum("ni,ni->n", step, slope[rows])
        done = promise > -2.0 * CONVERGED
        converged[rows[done]], active[rows[done]] = True, False
        rows, step, promise = rows[~done], step[~done], promise[~done]
        if not len(rows):
            break
        share = np.minimum(length[rows], LONGEST * np.sqrt(d) / np.linalg.norm(step, axis=1))
        tried = x[rows] + share[:, None] * step
        new_value, new_slope = function(tried)
        taken = new_value <= value[rows] + DECREASE * share * promise
        good = rows[taken]
        change, bend = tried[taken] - x[good], new_slope[taken] - slope[good]
        inverse[good] = _updated(inverse[good], change, bend, fresh[good])
        x[good], value[good], slope[good] = tried[taken], new_value[taken], new_slope[taken]
        length[good], fresh[good] = 1.0, False
        length[rows[~taken]] = share[~taken] * SHORTER
        _restart(inverse, length, fresh, active)
    return Ends(x, value, inverse, converged)


def _restart(inverse: Array, length: Array, fresh: Bools, active: Bools) -> None:
    """Where no step along a matrix decreases anything, begin again with the gradient, or end."""
    stuck = np.flatnonzero(active & (length < SHORTEST))
    active[stuck[fresh[stuck]]] = False
    inverse[stuck] = np.eye(inverse.shape[1])
    length[stuck], fresh[stuck] = 1.0, True


def _updated(inverse: Array, change: Array, bend: Array, fresh: Bools) -> Array:
    """The BFGS update of inverse Hessians (n, d, d): steps (n, d) changed the slopes by `bend`.

    The first one also scales the identity. Where the curvature along a step is not positive the
    matrix stays.
    """
    curved = np.einsum("ni,ni->n", change, bend)
    size = np.einsum("ni,ni->n", bend, bend)
    usable = curved > 1e-10 * np.sqrt(size * np.einsum("ni,ni->n", change, change))
    curved, size = np.where(usable, curved, 1.0), np.where(usable, size, 1.0)
    scale = np.where(fresh & usable, curved / size, 1.0)
    old = inverse * scale[:, None, None]
    along = np.einsum("nij,nj->ni", old, bend)
    factor = (curved + np.einsum("ni,ni->n", bend, along)) / curved**2
    new = old + factor[:, None, None] * change[:, :, None] * change[:, None, :]
    cross = along[:, :, None] * change[:, None, :]
    new -= (cross + np.swapaxes(cross, 1, 2)) / curved[:, None, None]
    return np.where(usable[:, None, None], new, inverse)
