"""The problem: prior × likelihood over the latent space, where the prior is N(0, I)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.target import EVALUATION_CHUNK, Evaluation, Target
from nfanneal.likelihood import Likelihood
from nfanneal.priors import LatentMap

Array = NDArray[np.float64]

LARGEST = 1e100
"""Fisher information beyond this says nothing of a direction, and its powers overflow."""


@dataclass(frozen=True)
class Problem:
    """Priors and a likelihood of θ (n, d), whose columns the latent map names.

    The model is called with `chunk` draws at once, which bounds the memory of sensitivities.
    """

    name: str
    latent: LatentMap
    likelihood: Likelihood
    chunk: int = EVALUATION_CHUNK

    @property
    def target(self) -> Target:
        """The problem as annealing sees it."""
        return Target(
            self.latent.dimension,
            self.evaluate,
            differentiable=self.likelihood.differentiable,
            has_information=self.likelihood.has_information,
            chunk=self.chunk,
        )

    def evaluate(self, z: Array, gradient: bool) -> Evaluation:
        """log L at latent z (n, d), and its gradient ∂ log L/∂z = ∂ log L/∂θ · dθ/dz."""
        starts = range(0, len(z), self.chunk)
        parts = [self._evaluate(z[i : i + self.chunk], gradient) for i in starts]
        if len(parts) == 1:
            return parts[0]
        gradients = [part.gradient for part in parts if part.gradient is not None]
        metrics = [part.information for part in parts if part.information is not None]
        return Evaluation(
            np.concatenate([part.log_likelihood for part in parts] or [np.empty(0)]),
            np.concatenate([part.failed for part in parts] or [np.empty(0, dtype=bool)]),
            np.concatenate(gradients) if gradients else None,
            np.concatenate(metrics) if metrics else None,
        )

    def _evaluate(self, z: Array, gradient: bool) -> Evaluation:
        theta = self.latent.from_latent(z)
        values = self.likelihood.evaluate(theta, gradient)
        if values.gradient is None:
            return Evaluation(values.log_likelihood, values.failed)
        latent_slope = self.latent.latent_slope(z, theta)
        slope = values.gradient * latent_slope
        good = np.isfinite(slope).all(axis=1, keepdims=True)
        slope = np.where(good, slope, 0.0)
        if values.information is None:
            return Evaluation(values.log_likelihood, values.failed, slope)
        with np.errstate(over="ignore", invalid="ignore"):
            metric = values.information * latent_slope[:, :, None] * latent_slope[:, None, :]
            usable = (np.abs(metric) < LARGEST).all(axis=(1, 2), keepdims=True)
        metric = np.where(usable, metric, 0.0)
        return Evaluation(values.log_likelihood, values.failed, slope, metric)
