"""Calls of a model: what can be asked of it, and who asks. Every call of a run goes through here.

A question is plain data. An `Executor` puts it to the model at parameters θ: on this process's
threads, or wherever else a copy of the model is; the answer must not depend on where.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from nfanneal.arrays import Array, Bools, concatenated
from nfanneal.errors import ModelError, ModelMemoryError
from nfanneal.model.likelihood import DataLikelihood, Likelihood
from nfanneal.model.simulator import Predictions
from nfanneal.runtime.threads import over_rows
from nfanneal.target import Evaluation

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class Question(Protocol[Answer_co]):
    """Something that a likelihood, or the model in it, can be asked."""

    def of(self, likelihood: Likelihood, theta: Array) -> Answer_co:
        """The answer at θ (n, p): a record with a row for each."""

    def numbers(self, likelihood: Likelihood, columns: int) -> int:
        """How many numbers are held for a row of θ, which has so many columns."""

    def failed(self, likelihood: Likelihood, theta: Array, reason: str) -> Answer_co:
        """What stands for the answer at θ (n, p) where there is none, for a reason."""


class Executor(Protocol):
    """Asks a question at rows of parameters, however it wants to share them out."""

    def __call__(self, likelihood: Likelihood, question: Question[Answer], theta: Array) -> Answer:
        """The answer at θ (n, p), its rows in order."""


@dataclass(frozen=True)
class LogLikelihood:
    """log L of the first `share` of the data in time, and ∂ log L/∂θ if asked for.

    `again`: how often it has been asked before, where the same answer is to be given anew.
    """

    gradient: bool = False
    share: float = 1.0
    again: int = 0

    def of(self, likelihood: Likelihood, theta: Array) -> Evaluation:
        """The evaluation at θ (n, p)."""
        if isinstance(likelihood, DataLikelihood) and self.share < 1.0:
            likelihood = likelihood.opening(self.share)
        return likelihood.evaluate(theta, self.gradient)

    def numbers(self, likelihood: Likelihood, columns: int) -> int:
        """The predictions of a row, and with a gradient their sensitivities."""
        return likelihood.cells * (columns if self.gradient else 1)

    def failed(self, likelihood: Likelihood, theta: Array, reason: str) -> Evaluation:
        """A likelihood of zero."""
        n = len(theta)
        slope = np.zeros(theta.shape) if self.gradient else None
        none = None if slope is None else np.zeros(n, dtype=bool)
        nothing, all_failed = np.full(n, -np.inf), np.ones(n, dtype=bool)
        return Evaluation(nothing, all_failed, slope, dropped=none, reasons={reason: n})


@dataclass(frozen=True)
class Prediction:
    """Observables without noise at the times of each experiment; None: the data's.

    Of the data's times only the first `share` are meant. `again` is as in `LogLikelihood`.
    """

    times: tuple[Array, ...] | None = None
    share: float = 1.0
    again: int = 0

    def of(self, likelihood: Likelihood, theta: Array) -> Predictions:
        """The predictions at θ (n, p).

        Raises:
            ValueError: the likelihood is not one of data.
        """
        if not isinstance(likelihood, DataLikelihood):
            raise ValueError("a log-likelihood predicts nothing")
        if self.share < 1.0:
            likelihood = likelihood.opening(self.share)
        return likelihood.predict(theta, self.times)

    def numbers(self, likelihood: Likelihood, columns: int) -> int:
        """The predictions of a row."""
        if self.times is None or not isinstance(likelihood, DataLikelihood):
            return likelihood.cells
        return sum(map(len, self.times)) * len(likelihood.simulator.observables)

    def failed(self, likelihood: Likelihood, theta: Array, reason: str) -> Predictions:
        """No predictions."""
        assert isinstance(likelihood, DataLikelihood)
        n, times = len(theta), likelihood.times if self.times is None else self.times
        shape = (n, sum(map(len, times)), len(likelihood.simulator.observables))
        return Predictions(np.full(shape, np.nan), np.ones(n, dtype=bool), {reason: n})


@dataclass(frozen=True)
class Durations:
    """Seconds (n,) that log L of each draw took where the model is, and which draws failed (n,)."""

    seconds: Array
    failed: Bools
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Duration:
    """How long log L takes where the model is: the way there and back does not count."""

    again: int = 0

    def of(self, likelihood: Likelihood, theta: Array) -> Durations:
        """What each of the draws θ (n, p) took, asked together."""
        start = time.perf_counter()
        found = LogLikelihood(again=self.again).of(likelihood, theta)
        each = (time.perf_counter() - start) / max(len(theta), 1)
        return Durations(np.full(len(theta), each), found.failed, found.reasons)

    def numbers(self, likelihood: Likelihood, columns: int) -> int:
        """The predictions of a row."""
        return likelihood.cells

    def failed(self, likelihood: Likelihood, theta: Array, reason: str) -> Durations:
        """No time at all."""
        n = len(theta)
        return Durations(np.zeros(n), np.ones(n, dtype=bool), {reason: n})


def on_threads(likelihood: Likelihood, question: Question[Answer], theta: Array) -> Answer:
    """Ask in this process: a few rows to a thread at a time, if the model can be asked so.

    No more sensitivities are there then than those of the rows that the threads are at. Where
    there is no memory for all rows, half of them are asked about at a time.

    Raises:
        ModelError: there is none for a single row.
    """

    def ask(rows: Array) -> Answer:
        if not likelihood.by_parts:
            return question.of(likelihood, rows)
        numbers = question.numbers(likelihood, theta.shape[1])
        parts = over_rows(lambda part: question.of(likelihood, rows[part]), len(rows), numbers)
        return concatenated(parts)

    return concatenated(_by_halves(ask, theta))


def _by_halves(ask: Callable[[Array], Any], theta: Array) -> list[Any]:
    try:
        return [ask(theta)]
    except (MemoryError, ModelMemoryError) as error:
        if len(theta) <= 1:
            raise ModelError("not enough memory to evaluate the model at one draw") from error
    half = len(theta) // 2
    return [*_by_halves(ask, theta[:half]), *_by_halves(ask, theta[half:])]
