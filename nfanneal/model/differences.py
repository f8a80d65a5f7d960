"""Derivatives of predictions by differences, of models that do not give them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.simulator import Predictions

STEP = 1e-4
"""Step in prior standard deviations: short beside a posterior, long beside a solver's noise."""


def difference_points(dimension: int) -> int:
    """How many predictions it takes to have them at one point with all their derivatives."""
    return 2 * dimension + 1


def with_differences(
    predict: Callable[[Array], Predictions], from_latent: Callable[[Array], Array], z: Array
) -> Predictions:
    """Predictions at z (n, d), with their Jacobian by θ from central differences along z.

    Where a neighbour of a point fails, or a prior's bound leaves no room for two of them, that
    column of the Jacobian is zero.
    """
    n, d = z.shape
    steps = STEP * np.eye(d)
    stacked = np.concatenate([z[None], z + steps[:, None], z - steps[:, None]])
    theta = from_latent(stacked.reshape(-1, d)).reshape(stacked.shape)
    found = predict(theta.reshape(-1, d))
    values = found.values.reshape(2 * d + 1, n, *found.values.shape[1:])
    failed = found.failed.reshape(2 * d + 1, n)
    widths = np.einsum("jnj->jn", theta[1 : d + 1] - theta[d + 1 :])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        jacobian = (values[1 : d + 1] - values[d + 1 :]) / widths[:, :, None, None]
    known = ~(failed[1 : d + 1] | failed[d + 1 :]) & (widths > 0)
    known &= np.isfinite(jacobian).all(axis=(2, 3))
    jacobian = np.moveaxis(np.where(known[:, :, None, None], jacobian, 0.0), 0, -1)

    def pullback(slope: Array) -> Array:
        return np.einsum("nmk,nmkp->np", slope, jacobian)

    reasons = found.reasons if failed[0].any() else {}
    return Predictions(values[0], failed[0], reasons, pullback, jacobian)
