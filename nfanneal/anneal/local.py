"""Local proposals: Student-t components around points, as wide as the information says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nfanneal.anneal.differences import with_information
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.arrays import Array, rows_of
from nfanneal.target import Spent, Target

NARROWEST = 1e12
"""Largest precision of a component in any direction."""
DF = 5.0
STIFFNESS = (1.0, 10.0, 100.0)
"""Prior curvatures of the components, in turn: short steps follow a curved valley, long ones leave

a component's neighbourhood."""


@dataclass(frozen=True)
class LocalPoints:
    """Points z (k, d) with log L (k,) and the Fisher information there (k, d, d)."""

    z: Array
    log_likelihood: Array
    information: Array

    @property
    def log_joint(self) -> Array:
        """Log of prior·L at the points (k,), but for a constant."""
        return self.log_likelihood - 0.5 * np.einsum("kd,kd->k", self.z, self.z)

    def precisions(self, beta: float) -> Array:
        """Inverse covariances under prior·L^β (k, d, d): none wider than the prior."""
        values, vectors = self._axes(beta)
        return np.asarray((vectors * values[:, None, :]) @ np.swapaxes(vectors, 1, 2))

    def factors(self, beta: float) -> Array:
        """Lower Cholesky factors (k, d, d) of the covariances, however stiff they are."""
        values, vectors = self._axes(beta)
        return _lower_factors(vectors / np.sqrt(values)[:, None, :])

    def _axes(self, beta: float) -> tuple[Array, Array]:
        """Eigenvalues (k, d) and eigenvectors (k, d, d) of the precisions."""
        values, vectors = np.linalg.eigh(np.eye(self.z.shape[1]) + beta * self.information)
        return np.clip(values, 1.0, NARROWEST), vectors

    def roots(self, beta: float) -> Array:
        """Lower Cholesky factors (k, d, d) of the precisions."""
        return np.asarray(np.linalg.cholesky(self.precisions(beta)))

    def log_masses(self, beta: float) -> Array:
        """Log of the Laplace mass (k,) of prior·L^β around each point, but for a constant."""
        log_joint = beta * self.log_likelihood - 0.5 * np.einsum("kd,kd->k", self.z, self.z)
        return np.asarray(log_joint - 0.5 * np.log(self._axes(beta)[0]).sum(axis=1))

    def mixture(self, beta: float, stiffnesses: tuple[float, ...] = STIFFNESS) -> StudentMixture:
        """Equally weighted Student-t components with precision c·I + β·information.

        Those that are the same, as a point may be there many times, become one of their weight.
        """
        k, d = self.z.shape
        stiffness = np.resize(stiffnesses, k)
        distinct = np.unique(
            np.column_stack([self.z, stiffness]), axis=0, return_index=True, return_counts=True
        )
        rows, counts = distinct[1], distinct[2]
        stiffness = stiffness[rows]
        precision = stiffness[:, None, None] * np.eye(d) + beta * self.information[rows]
        values, vectors = np.linalg.eigh(precision)
        widths = 1.0 / np.sqrt(np.clip(values, stiffness[:, None], NARROWEST))
        factors = _lower_factors(vectors * widths[:, None, :])
        return StudentMixture(self.z[rows], factors, np.log(counts / k), DF)


def _lower_factors(square_roots: Array) -> Array:
    """Lower triangular L with positive diagonal and L·Lᵀ = R·Rᵀ, for any roots R (k, d, d)."""
    upper = np.linalg.qr(np.swapaxes(square_roots, 1, 2), mode="r")
    signs = np.sign(np.einsum("kii->ki", upper))
    return np.ascontiguousarray(np.swapaxes(upper * signs[:, :, None], 1, 2))


def local_points(target: Target, z: Array) -> tuple[LocalPoints, Spent]:
    """Evaluate log L and the information at z (k, d): points, and what was spent.

    It is the Fisher information of data, and else the Hessian of −log L.
    """
    of_data = target.ask_curvature is not None
    found, spent = target.curvature(z) if of_data else with_information(target, z)
    assert found.information is not None
    return finite(LocalPoints(z, found.log_likelihood, found.information)), spent


def finite(points: LocalPoints) -> LocalPoints:
    """Those of the points whose likelihood is not zero."""
    return rows_of(points, np.isfinite(points.log_likelihood))
