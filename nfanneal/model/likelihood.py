"""The likelihood of data under a model's predictions and noise, with its gradient."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from nfanneal.arrays import Array, Bools
from nfanneal.model.python_model import PythonLikelihood
from nfanneal.model.series import ObservedSeries
from nfanneal.model.simulator import Predictions, Simulator
from nfanneal.runtime.threads import over_threads, rows_at_once

Answer = TypeVar("Answer")

NOT_A_DENSITY = "the function returned nan or +infinity; return -inf where the likelihood is zero"
"""Why a draw of a log-likelihood failed."""


@dataclass(frozen=True)
class LikelihoodValues:
    """log L (n,), failures (n,), why; if asked for, ∂ log L/∂θ (n, p) and the Fisher information

    (n, p, p), the latter only where the model's Jacobian comes for free. `dropped` (n,) are draws
    whose gradient is not finite although log L is."""

    log_likelihood: Array
    failed: Bools
    reasons: Mapping[str, int]
    gradient: Array | None = None
    information: Array | None = None
    dropped: Bools | None = None


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
    def all_times(self) -> Array:
        """The m times of all experiments, as the series index them."""
        return np.concatenate(self.times)

    def opening(self, share: float) -> DataLikelihood:
        """The likelihood of the first `share` of each experiment's times, one at least."""
        kept = [math.ceil(share * len(times)) for times in self.times]
        early = [np.arange(len(times)) < k for times, k in zip(self.times, kept, strict=True)]
        there = np.concatenate(early)
        place = np.cumsum(there) - 1
        series = []
        for each in self.series:
            cells = there[each.time_index]
            index, values = place[each.time_index[cells]], each.values[cells]
            series.append(replace(each, time_index=index, values=values))
        times = tuple(t[:k] for t, k in zip(self.times, kept, strict=True))
        return replace(self, times=times, series=series)

    def evaluate(self, theta: Array, gradient: bool) -> LikelihoodValues:
        """log L at θ (n, p); −inf where the model failed.

        A model that can be asked by parts is: no more sensitivities are there at a time than those
        of the draws that the threads are at, and they are gone when their draws' gradients are
        known.
        """
        numbers = sum(map(len, self.times)) * len(self.simulator.observables)
        numbers *= theta.shape[1] if gradient else 1
        parts = self._by_parts(theta, numbers, lambda rows: self._evaluate(rows, gradient))
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _by_parts(self, theta: Array, numbers: int, ask: Callable[[Array], Answer]) -> list[Answer]:
        """The answers for all draws θ (n, p), in order; so many numbers of each are held."""
        if not self.simulator.by_parts:
            return [ask(theta)]
        size = rows_at_once(len(theta), numbers)
        parts = [theta[i : i + size] for i in range(0, max(len(theta), 1), size)]
        return over_threads(ask, parts)

    def _evaluate(self, theta: Array, gradient: bool) -> LikelihoodValues:
        predictions = self.simulator.predict(theta, self.times, gradient)
        values = _filled(predictions)
        if not gradient or predictions.pullback is None:
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
        at = self.times if times is None else times
        numbers = sum(map(len, at)) * len(self.simulator.observables)
        parts = self._by_parts(theta, numbers, lambda rows: self.simulator.predict(rows, at, False))
        return Predictions(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.failed for part in parts]),
            _summed(part.reasons for part in parts),
        )

    def pointwise(self, theta: Array, predictions: Predictions) -> dict[str, Array]:
        """log p of each cell, (n, c) per observable; −inf where the model failed."""
        values, bad = _filled(predictions), predictions.failed[:, None]
        return {s.name: np.where(bad, -np.inf, s.log_prob(theta, values)) for s in self.series}

    def draw(
        self, theta: Array, predictions: Predictions, rng: np.random.Generator
    ) -> dict[str, Array]:
        """Noisy replicates of the data, (n, c) per observable; nan where the model failed."""
        values, bad = _filled(predictions), predictions.failed[:, None]
        return {s.name: np.where(bad, np.nan, s.draw(theta, values, rng)) for s in self.series}


@dataclass(frozen=True)
class DirectLikelihood:
    """A log-likelihood that the user computes."""

    function: PythonLikelihood

    @property
    def differentiable(self) -> bool:
        """Whether gradients can be had."""
        return self.function.differentiable

    @property
    def has_information(self) -> bool:
        """A bare log-likelihood does not tell."""
        return False

    def evaluate(self, theta: Array, gradient: bool) -> LikelihoodValues:
        """log L at θ (n, p). −inf is a likelihood of zero; nan and +inf are failures."""
        values, slope = self.function.evaluate(theta, gradient)
        failed = np.isnan(values) | (values == np.inf)
        reasons = {NOT_A_DENSITY: int(failed.sum())} if failed.any() else {}
        values = np.where(failed, -np.inf, values)
        slope, dropped = _finite_rows(slope, values)
        return LikelihoodValues(values, failed, reasons, slope, dropped=dropped)


Likelihood = DataLikelihood | DirectLikelihood


def _joined(parts: Sequence[LikelihoodValues]) -> LikelihoodValues:
    """All draws of several parts."""

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    reasons = _summed(part.reasons for part in parts)
    names = ("log_likelihood", "failed", "gradient", "information", "dropped")
    return LikelihoodValues(reasons=reasons, **{name: joined(name) for name in names})


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for each in counts:
        total.update(each)
    return dict(total)


def _filled(predictions: Predictions) -> Array:
    """Predictions with a harmless number where the model failed."""
    return np.where(predictions.failed[:, None, None], 1.0, predictions.values)


def _with_failures(total: Array, predictions: Predictions, slope: Array | None) -> LikelihoodValues:
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
    return LikelihoodValues(values, failed, reasons, slope, dropped=dropped)


def _finite_rows(slope: Array | None, values: Array) -> tuple[Array | None, Bools | None]:
    """Zero the gradient of draws whose value or gradient is not finite; which values were."""
    if slope is None:
        return None, None
    known = np.isfinite(slope).all(axis=1)
    good = np.isfinite(values) & known
    return np.where(good[:, None], slope, 0.0), np.isfinite(values) & ~known
