"""The likelihood of data under a model's predictions and noise, with its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nfanneal.arrays import Array, Bools
from nfanneal.model.edges import within_edges
from nfanneal.model.python_model import GRADIENT_CAUSES
from nfanneal.model.series import ObservedSeries
from nfanneal.model.simulator import Predictions, Simulator
from nfanneal.target import Evaluation

NOT_A_DENSITY = "log L came out as nan or +infinity; where the likelihood is zero it is -inf"
"""Why a draw of a log-likelihood failed."""


@dataclass(frozen=True)
class DataLikelihood:
    """Data at the `times` of each experiment, under a simulator's predictions.

    The series index all times, those of one experiment after those of another.
    """

    simulator: Simulator
    times: tuple[Array, ...]
    series: Sequence[ObservedSeries]

    @property
    def differentiable(self) -> bool:
        """Whether gradients can be had."""
        return self.simulator.differentiable

    @property
    def has_information(self) -> bool:
        """Whether the Fisher information comes with the gradient."""
        return self.simulator.has_jacobian

    @property
    def gradient_causes(self) -> str:
        """What to look for where gradients are not finite."""
        return self.simulator.gradient_causes

    @property
    def by_parts(self) -> bool:
        """Whether draws can be asked about a few at a time, on several threads at once."""
        return self.simulator.by_parts

    @property
    def cells(self) -> int:
        """How many numbers are predicted for a draw."""
        return sum(map(len, self.times)) * len(self.simulator.observables)

    @property
    def all_times(self) -> Array:
        """The m times of all experiments, as the series index them."""
        return np.concatenate(self.times)

    def early(self, share: float) -> Bools:
        """Which of all times (m,) are the first `share` of their experiment's, one at least."""
        return np.concatenate([np.arange(len(t)) < math.ceil(share * len(t)) for t in self.times])

    def opening(self, share: float) -> DataLikelihood:
        """The likelihood of the first `share` of each experiment's times, one at least."""
        there = self.early(share)
        kept = [math.ceil(share * len(times)) for times in self.times]
        place = np.cumsum(there) - 1
        series = []
        for each in self.series:
            cells = there[each.time_index]
            index, values = place[each.time_index[cells]], each.values[cells]
            series.append(replace(each, time_index=index, values=values))
        times = tuple(t[:k] for t, k in zip(self.times, kept, strict=True))
        return replace(self, times=times, series=series)

    def evaluate(self, theta: Array, gradient: bool) -> Evaluation:
        """log L at θ (n, p); −inf where the model failed."""
        return self.of_predictions(theta, self.simulator.predict(theta, self.times, gradient))

    def _known(self, theta: Array, predictions: Predictions) -> Predictions:
        """Predictions that their noise allows, with a harmless number where the model failed."""
        return within_edges(theta, predictions, self.series, self.times, self.simulator)

    def of_predictions(self, theta: Array, predictions: Predictions) -> Evaluation:
        """The same from predictions at θ (n, p), with the gradient if they can be pulled back."""
        predictions = self._known(theta, predictions)
        values = predictions.values
        if predictions.pullback is None:
            total = sum((s.log_prob(theta, values).sum(axis=1) for s in self.series), np.zeros(1))
            return _with_failures(np.broadcast_to(total, len(theta)).copy(), predictions, None)
        to_theta, to_predictions = np.zeros_like(theta), np.zeros_like(values)
        total = np.zeros(len(theta))
        for series in self.series:
            total += series.add_gradient(theta, values, to_theta, to_predictions)
        slope = to_theta + predictions.pullback(to_predictions)
        found = _with_failures(total, predictions, slope)
        if predictions.jacobian is None:
            return found
        jacobian = predictions.jacobian
        parts = [series.information(theta, values, jacobian) for series in self.series]
        return replace(found, information=np.sum(parts, axis=0))

    def predict(self, theta: Array, times: tuple[Array, ...] | None = None) -> Predictions:
        """Predictions for θ (n, p) at the data's times, or at others of each experiment."""
        return self.simulator.predict(theta, self.times if times is None else times, False)

    def pointwise(self, theta: Array, predictions: Predictions) -> dict[str, Array]:
        """log p of each cell, (n, c) per observable; −inf where the model failed."""
        predictions = self._known(theta, predictions)
        values, bad = predictions.values, predictions.failed[:, None]
        return {s.name: np.where(bad, -np.inf, s.log_prob(theta, values)) for s in self.series}

    def draw(
        self, theta: Array, predictions: Predictions, rng: np.random.Generator
    ) -> dict[str, Array]:
        """Noisy replicates of the data, (n, c) per observable; nan where the model failed."""
        predictions = self._known(theta, predictions)
        values, bad = predictions.values, predictions.failed[:, None]
        return {s.name: np.where(bad, np.nan, s.draw(theta, values, rng)) for s in self.series}


class LogDensity(Protocol):
    """A log-likelihood as a user's code gives it."""

    @property
    def differentiable(self) -> bool:
        """Whether gradients can be had."""

    def evaluate(self, theta: Array, gradient: bool) -> tuple[Array, Array | None, dict[str, int]]:
        """log L (n,), if asked for ∂ log L/∂θ (n, p), and why draws failed, as far as is known."""


@dataclass(frozen=True)
class DirectLikelihood:
    """A log-likelihood that the user computes."""

    function: LogDensity

    @property
    def differentiable(self) -> bool:
        """Whether gradients can be had."""
        return self.function.differentiable

    @property
    def has_information(self) -> bool:
        """A bare log-likelihood does not tell."""
        return False

    @property
    def gradient_causes(self) -> str:
        """What to look for where gradients are not finite."""
        return GRADIENT_CAUSES

    @property
    def by_parts(self) -> bool:
        """A user's function gets all draws at once."""
        return False

    @property
    def cells(self) -> int:
        """A log-likelihood is one number."""
        return 1

    def evaluate(self, theta: Array, gradient: bool) -> Evaluation:
        """log L at θ (n, p). −inf is a likelihood of zero; nan and +inf are failures."""
        values, slope, known = self.function.evaluate(theta, gradient)
        failed = np.isnan(values) | (values == np.inf)
        others = int(failed.sum()) - sum(known.values())
        reasons = known | ({NOT_A_DENSITY: others} if others else {})
        values = np.where(failed, -np.inf, values)
        slope, dropped = _finite_rows(slope, values)
        return Evaluation(values, failed, slope, dropped=dropped, reasons=reasons)


Likelihood = DataLikelihood | DirectLikelihood


def _with_failures(total: Array, predictions: Predictions, slope: Array | None) -> Evaluation:
    """Failures of the model and non-finite densities become a likelihood of zero."""
    odd = ~predictions.failed & (np.isnan(total) | (total == np.inf))
    reasons = dict(predictions.reasons)
    if odd.any():
        reasons["the noise model gave no finite density"] = int(odd.sum())
    failed = predictions.failed | odd
    values = np.where(failed, -np.inf, total)
    slope, dropped = _finite_rows(slope, values)
    if dropped is not None and predictions.overflowed is not None:
        dropped |= predictions.overflowed & np.isfinite(values)
    return Evaluation(values, failed, slope, dropped=dropped, reasons=reasons)


def _finite_rows(slope: Array | None, values: Array) -> tuple[Array | None, Bools | None]:
    """Zero the gradient of draws whose value or gradient is not finite; which values were."""
    if slope is None:
        return None, None
    known = np.isfinite(slope).all(axis=1)
    good = np.isfinite(values) & known
    return np.where(good[:, None], slope, 0.0), np.isfinite(values) & ~known
