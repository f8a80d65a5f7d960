"""Local proposals: Student-t components around points, as wide as the information says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.weights import normalized, systematic_resample
from nfanneal.arrays import Array, rows_of
from nfanneal.errors import ModelError
from nfanneal.target import Spent, Target

NARROWEST = 1e12
"""Largest precision of a component in any direction."""
DF = 5.0
STIFFNESS = (1.0, 10.0, 100.0)
"""Prior curvatures of the components, in turn: short steps follow a curved valley, long ones leave

a component's neighbourhood."""
EVEN_SHARE = 0.3
"""Share of the centres that are chosen regardless of their mass, so that no mode starves."""
PLAUSIBLE = 20.0
"""… if their log mass is at most so far below the largest."""


@dataclass(frozen=True)
class LocalPoints:
    """Points z (k, d) with log L (k,) and the Fisher information there (k, d, d)."""

    z: Array
    log_likelihood: Array
    information: Array

    def log_masses(self, beta: float) -> Array:
        """Log of the Laplace mass (k,) of prior·L^β around each point, but for a constant."""
        log_joint = beta * self.log_likelihood - 0.5 * np.einsum("kd,kd->k", self.z, self.z)
        curvature = np.eye(self.z.shape[1]) + beta * self.information
        precisions = np.clip(np.linalg.eigvalsh(curvature), 1.0, NARROWEST)
        return np.asarray(log_joint - 0.5 * np.log(precisions).sum(axis=1))

    def chosen(self, beta: float, size: int, rng: np.random.Generator) -> LocalPoints:
        """`size` of the points, mostly by their Laplace mass under prior·L^β."""
        log_masses = self.log_masses(beta)
        plausible = log_masses >= log_masses.max() - PLAUSIBLE
        weights = (1.0 - EVEN_SHARE) * normalized(log_masses)
        weights += EVEN_SHARE * plausible / plausible.sum()
        rows = systematic_resample(weights, size, rng)
        return rows_of(self, rows)

    def mixture(self, beta: float) -> StudentMixture:
        """Equally weighted Student-t components with precision c·I + β·information."""
        k, d = self.z.shape
        stiffness = np.resize(STIFFNESS, k)
        precision = stiffness[:, None, None] * np.eye(d) + beta * self.information
        values, vectors = np.linalg.eigh(precision)
        widths = 1.0 / np.sqrt(np.clip(values, stiffness[:, None], NARROWEST))
        even = np.full(k, -math.log(k))
        return StudentMixture(self.z, _lower_factors(vectors * widths[:, None, :]), even, DF)


def _lower_factors(square_roots: Array) -> Array:
    """Lower triangular L with positive diagonal and L·Lᵀ = R·Rᵀ, for any roots R (k, d, d)."""
    upper = np.linalg.qr(np.swapaxes(square_roots, 1, 2), mode="r")
    signs = np.sign(np.einsum("kii->ki", upper))
    return np.ascontiguousarray(np.swapaxes(upper * signs[:, :, None], 1, 2))


def local_points(target: Target, z: Array) -> tuple[LocalPoints, Spent]:
    """Evaluate log L and the Fisher information at z (k, d): points, and gradients spent.

    Raises:
        ModelError: the target has no Fisher information.
    """
    evaluation = target.evaluate(z, True)
    if evaluation.information is None:
        raise ModelError("the model gives no Fisher information")
    points = LocalPoints(z, evaluation.log_likelihood, evaluation.information)
    return _finite(points), evaluation.spent


def _finite(points: LocalPoints) -> LocalPoints:
    """Those of the points whose likelihood is not zero."""
    good = np.isfinite(points.log_likelihood)
    return LocalPoints(points.z[good], points.log_likelihood[good], points.information[good])
