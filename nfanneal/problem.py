"""The problem: prior × likelihood over the latent space, where the prior is N(0, I)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.target import Evaluation, Target
from nfanneal.likelihood import DataLikelihood, Likelihood
from nfanneal.priors import LatentMap

Array = NDArray[np.float64]

LARGEST = 1e100
"""A gradient or information beyond this says nothing of a direction, and its powers overflow."""
CHUNK = 4096
"""Draws per call of the model: bounds the memory that sensitivities take."""


@dataclass(frozen=True)
class Problem:
    """Priors and a likelihood of θ (n, d), whose columns the latent map names."""

    name: str
    latent: LatentMap
    likelihood: Likelihood

    @property
    def target(self) -> Target:
        """The problem as annealing sees it."""
        return Target(
            self.latent.dimension,
            self.evaluate,
            differentiable=self.likelihood.differentiable,
            has_information=self.likelihood.has_information,
            in_words=self.latent.in_words,
        )

    def evaluate(self, z: Array, gradient: bool) -> Evaluation:
        """log L at latent z (n, d), and its gradient ∂ log L/∂z = ∂ log L/∂θ · dθ/dz."""
        parts = [self._evaluate(z[i : i + CHUNK], gradient) for i in range(0, len(z), CHUNK)]
        if len(parts) == 1:
            return parts[0]
        gradients = [part.gradient for part in parts if part.gradient is not None]
        metrics = [part.information for part in parts if part.information is not None]
        dropped = [part.dropped for part in parts if part.dropped is not None]
        return Evaluation(
            np.concatenate([part.log_likelihood for part in parts] or [np.empty(0)]),
            np.concatenate([part.failed for part in parts] or [np.empty(0, dtype=bool)]),
            np.concatenate(gradients) if gradients else None,
            np.concatenate(metrics) if metrics else None,
            np.concatenate(dropped) if dropped else None,
        )

    def _evaluate(self, z: Array, gradient: bool) -> Evaluation:
        theta = self.latent.from_latent(z)
        values = self.likelihood.evaluate(theta, gradient)
        if values.gradient is None:
            return Evaluation(values.log_likelihood, values.failed)
        latent_slope = self.latent.latent_slope(z, theta)
        with np.errstate(over="ignore", invalid="ignore"):
            slope = values.gradient * latent_slope
            good = np.asarray((np.abs(slope) < LARGEST).all(axis=1))
        slope = np.where(good[:, None], slope, 0.0)
        dropped = ~good & np.isfinite(values.log_likelihood)
        if values.dropped is not None:
            dropped |= values.dropped
        if values.information is None:
            return Evaluation(values.log_likelihood, values.failed, slope, dropped=dropped)
        with np.errstate(over="ignore", invalid="ignore"):
            metric = values.information * latent_slope[:, :, None] * latent_slope[:, None, :]
            usable = (np.abs(metric) < LARGEST).all(axis=(1, 2), keepdims=True)
        metric = np.where(usable, metric, 0.0)
        return Evaluation(values.log_likelihood, values.failed, slope, metric, dropped)

    def pointwise(self, theta: Array) -> dict[str, Array]:
        """log p of each datum at θ (n, d), (n, c) per observable; empty without data."""
        if not isinstance(self.likelihood, DataLikelihood):
            return {}
        return self.likelihood.pointwise(theta)

    def replicate(self, theta: Array, rng: np.random.Generator) -> dict[str, Array]:
        """Noisy replicates of the data at θ (n, d), (n, c) per observable; empty without data."""
        if not isinstance(self.likelihood, DataLikelihood):
            return {}
        return self.likelihood.draw(theta, rng)
