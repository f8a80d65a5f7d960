"""The problem: prior × likelihood over the latent space, where the prior is N(0, I)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import ModelError, ModelMemoryError
from nfanneal.model.latent import LatentMap
from nfanneal.model.likelihood import DataLikelihood, Likelihood
from nfanneal.target import EVALUATION_CHUNK, Evaluation, Opening, Target, joined

Answer = TypeVar("Answer")

LARGEST = 1e100
"""A gradient or information beyond this says nothing of a direction, and its powers overflow."""


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
            opening=self._opening,
            in_words=self.latent.in_words,
            chunk=self.chunk,
        )

    @property
    def _opening(self) -> Opening | None:
        likelihood = self.likelihood
        if not (isinstance(likelihood, DataLikelihood) and likelihood.has_information):
            return None
        return partial(_opening, self, likelihood)

    def evaluate(self, z: Array, gradient: bool) -> Evaluation:
        """log L at latent z (n, d), and its gradient ∂ log L/∂z = ∂ log L/∂θ · dθ/dz."""
        if not len(z):
            return Evaluation(np.empty(0), np.empty(0, dtype=bool))
        starts = range(0, len(z), self.chunk)
        parts = [
            part
            for i in starts
            for part in by_halves(partial(self._evaluate, gradient=gradient), z[i : i + self.chunk])
        ]
        return joined(parts)

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


def _opening(problem: Problem, likelihood: DataLikelihood, z: Array, share: float) -> Evaluation:
    """log L of the first `share` of the data at latent z (n, d), with its gradient."""
    return replace(problem, likelihood=likelihood.opening(share)).evaluate(z, True)


def by_halves(ask: Callable[[Array], Answer], points: Array) -> list[Answer]:
    """What the model says of the points (n, d), in parts where there is no memory for all.

    Raises:
        ModelError: there is none for a single one.
    """
    try:
        return [ask(points)]
    except (MemoryError, ModelMemoryError) as error:
        if len(points) <= 1:
            raise ModelError("not enough memory to evaluate the model at one draw") from error
    half = len(points) // 2
    return [*by_halves(ask, points[:half]), *by_halves(ask, points[half:])]
