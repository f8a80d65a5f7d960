"""Derivatives of log L by differences, of models that tell nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nfanneal.arrays import Array
from nfanneal.target import Evaluation, Spent, Target

STEP = 1e-4
"""Step in prior standard deviations: short beside a posterior, long beside rounding."""
MOST_DIMENSIONS = 64
"""Second differences of values take d²/2 evaluations a point: only in so few dimensions.

Where nothing is searched, a path may end in one of forty modes and see no fault in that."""


def with_slope(target: Target, z: Array) -> tuple[Evaluation, Spent]:
    """log L at z (n, d) and its gradient: the model's own, or central differences.

    Where a neighbour's likelihood is zero, that component of the gradient is zero.
    """
    if target.differentiable:
        found = target.evaluate(z, True)
        return found, found.spent
    n, d = z.shape
    steps = STEP * np.eye(d)
    stacked = np.concatenate([z[None], z + steps[:, None], z - steps[:, None]]).reshape(-1, d)
    found = target.evaluate(stacked, False)
    values = found.log_likelihood.reshape(2 * d + 1, n)
    with np.errstate(invalid="ignore"):
        slope = (values[1 : d + 1] - values[d + 1 :]).T / (2.0 * STEP)
    slope = np.where(np.isfinite(slope), slope, 0.0)
    first = Evaluation(values[0], found.failed[:n], slope)
    return first, Spent(evaluations=len(stacked))


def with_information(target: Target, z: Array) -> tuple[Evaluation, Spent]:
    """log L at z (n, d), its gradient, and −∂²log L/∂z² by differences as the information.

    It need not be positive definite. Derivatives that are not finite are zero.
    """
    if target.differentiable:
        return _from_gradients(target, z)
    return _from_values(target, z)


def _from_gradients(target: Target, z: Array) -> tuple[Evaluation, Spent]:
    n, d = z.shape
    steps = STEP * np.eye(d)
    stacked = np.concatenate([z[None], z + steps[:, None], z - steps[:, None]]).reshape(-1, d)
    found = target.evaluate(stacked, True)
    assert found.gradient is not None
    slopes = found.gradient.reshape(2 * d + 1, n, d)
    hessian = np.moveaxis(slopes[1 : d + 1] - slopes[d + 1 :], 0, 1) / (2.0 * STEP)
    first = Evaluation(found.log_likelihood[:n], found.failed[:n], slopes[0])
    return replace(first, information=_symmetric(-hessian)), found.spent


def _from_values(target: Target, z: Array) -> tuple[Evaluation, Spent]:
    n, d = z.shape
    steps = STEP * np.eye(d)
    rows, columns = np.triu_indices(d, 1)
    offsets = np.concatenate([np.zeros((1, d)), steps, -steps, steps[rows] + steps[columns]])
    found = target.evaluate((z + offsets[:, None]).reshape(-1, d), False)
    values = found.log_likelihood.reshape(len(offsets), n)
    here, up, down, both = np.split(values, [1, d + 1, 2 * d + 1])
    with np.errstate(invalid="ignore"):
        slope = (up - down).T / (2.0 * STEP)
        hessian = np.zeros((n, d, d))
        hessian[:, range(d), range(d)] = (up + down - 2.0 * here).T / STEP**2
        crossed = (both - up[rows] - up[columns] + here).T / STEP**2
    hessian[:, rows, columns] = crossed
    hessian[:, columns, rows] = crossed
    slope = np.where(np.isfinite(slope), slope, 0.0)
    first = Evaluation(here[0], found.failed[:n], slope, _symmetric(-hessian))
    return first, Spent(evaluations=values.size)


def _symmetric(matrices: Array) -> Array:
    """Their symmetric parts; zero where they are not finite."""
    even = 0.5 * (matrices + np.swapaxes(matrices, 1, 2))
    return np.where(np.isfinite(even).all(axis=(1, 2), keepdims=True), even, 0.0)
