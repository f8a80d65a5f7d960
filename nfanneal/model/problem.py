"""The problem: prior × likelihood over the latent space, where the prior is N(0, I)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.calls import (
    Answer,
    Executor,
    LogLikelihood,
    Prediction,
    Question,
    on_threads,
)
from nfanneal.model.differences import difference_points, with_differences
from nfanneal.model.executors import Pooled
from nfanneal.model.latent import LatentMap
from nfanneal.model.likelihood import DataLikelihood, Likelihood
from nfanneal.model.ode import in_words
from nfanneal.model.program import ProgramDensity, ProgramSimulator
from nfanneal.model.simulator import Predictions
from nfanneal.target import EVALUATION_CHUNK, Evaluation, Target, in_batches, no_points

LARGEST = 1e100
"""A gradient or information beyond this says nothing of a direction, and its powers overflow."""


@dataclass(frozen=True)
class Problem:
    """Priors and a likelihood of θ (n, d), whose columns the latent map names.

    The model is called with `chunk` draws at once, which bounds the memory of sensitivities, by
    the `executor`: all that is asked of it goes there. The solver's tolerances have been tightened
    by `tightening`. `command` is what a program is called by, for messages.
    """

    name: str
    latent: LatentMap
    likelihood: Likelihood
    chunk: int = EVALUATION_CHUNK
    executor: Executor = on_threads
    tightening: float = 1.0
    command: str = ""

    @property
    def data(self) -> DataLikelihood | None:
        """The likelihood, if it is one of data under a model's predictions."""
        return self.likelihood if isinstance(self.likelihood, DataLikelihood) else None

    @property
    def goes_by_steps(self) -> bool:
        """Whether trajectories are solved, to tolerances that can be tightened."""
        return self.data is not None and self.data.simulator.by_steps

    def tightened(self, factor: float) -> Problem:
        """The same problem with a solver's tolerances so many times smaller."""
        data = self.data
        if data is None or factor == 1.0:
            return self
        tight = replace(data, simulator=data.simulator.tightened(factor))
        return replace(self, likelihood=tight, tightening=factor * self.tightening)

    def precise(self, factor: float) -> Problem:
        """Likewise, with a solver that steps over nothing: to compare with."""
        data = self.data
        if data is None:
            return self
        return replace(self, likelihood=replace(data, simulator=data.simulator.precise(factor)))

    @property
    def target(self) -> Target:
        """The problem as a sampler sees it."""
        likelihood, free = self.likelihood, self.likelihood.has_information
        d = self.latent.dimension
        return Target(
            d,
            self._at_latent,
            differentiable=likelihood.differentiable,
            has_information=free,
            ask_curvature=None if self.data is None else self._curvature,
            curvature_cost=0 if free else difference_points(d),
            in_words=self.latent.in_words,
            why_failed=self.why_failed,
            chunk=self.chunk,
            exchangeable=self.latent.exchangeable,
            vectors=self.latent.vectors,
        )

    def evaluate(self, z: Array, gradient: bool) -> Evaluation:
        """log L at latent z (n, d), and its gradient ∂ log L/∂z = ∂ log L/∂θ · dθ/dz."""
        return self.target.evaluate(z, gradient)

    def why_failed(self, z: Array) -> str:
        """Why the model gives nothing at a latent point z (d,), in words."""
        found = self.ask(LogLikelihood(), self.latent.from_latent(z[None]))
        command = f"\n  the command: {self.command}" if self.command else ""
        return "; ".join(map(in_words, found.reasons)) + command

    @property
    def one_by_one(self) -> bool:
        """Whether each draw is asked about alone."""
        return isinstance(self.executor, Pooled) and self.executor.parcel == 1

    @property
    def speaks_unasked(self) -> bool:
        """Whether a program that stays says lines that nobody has asked for."""
        asked = self.likelihood
        source = asked.simulator if isinstance(asked, DataLikelihood) else asked.function
        if not isinstance(source, ProgramSimulator | ProgramDensity):
            return False
        return source.programs.speak_unasked()

    def said_again(self, z: Array, again: int) -> Evaluation:
        """log L at latent z (n, d), asked anew: the answer is not taken from a memory."""
        theta = self.latent.from_latent(z)
        return self.ask_all(LogLikelihood(again=again), theta)

    def ask(self, question: Question[Answer], theta: Array) -> Answer:
        """The answer to a question at θ (n, d), n at most `chunk`."""
        return self.executor(self.likelihood, question, theta)

    def ask_all(
        self,
        question: Question[Answer],
        theta: Array,
        told: Callable[[int], None] = lambda done: None,
    ) -> Answer:
        """The same at any number of θ (n, d); `told` after every batch how many are done."""
        return in_batches(lambda rows: self.ask(question, rows), theta, self.chunk, told)

    def _curvature(self, z: Array, share: float) -> Evaluation:
        """With derivatives as they come for free, or else by differences of predictions."""
        likelihood = self.data
        if likelihood is None:
            raise ValueError("a log-likelihood predicts nothing")
        if likelihood.has_information:
            return self._at_latent(z, True, share)
        if not len(z):
            return no_points()
        opening = likelihood.opening(share) if share < 1.0 else likelihood

        def predict(theta: Array) -> Predictions:
            return self.executor(likelihood, Prediction(share=share), theta)

        theta = self.latent.from_latent(z)
        predictions = with_differences(predict, self.latent.from_latent, z)
        return self._of_latent(z, theta, opening.of_predictions(theta, predictions))

    def _at_latent(self, z: Array, gradient: bool, share: float = 1.0) -> Evaluation:
        if not len(z):
            return no_points()
        theta = self.latent.from_latent(z)
        return self._of_latent(z, theta, self.ask(LogLikelihood(gradient, share), theta))

    def _of_latent(self, z: Array, theta: Array, found: Evaluation) -> Evaluation:
        """What was found at θ (n, d), with derivatives by z (n, d) instead of by θ."""
        if found.gradient is None:
            return found
        latent_slope = self.latent.latent_slope(z, theta)
        with np.errstate(over="ignore", invalid="ignore"):
            slope = found.gradient * latent_slope
            good = np.asarray((np.abs(slope) < LARGEST).all(axis=1))
        slope = np.where(good[:, None], slope, 0.0)
        dropped = ~good & np.isfinite(found.log_likelihood)
        if found.dropped is not None:
            dropped |= found.dropped
        found = replace(found, gradient=slope, dropped=dropped)
        if found.information is None:
            return found
        with np.errstate(over="ignore", invalid="ignore"):
            metric = found.information * latent_slope[:, :, None] * latent_slope[:, None, :]
            usable = (np.abs(metric) < LARGEST).all(axis=(1, 2), keepdims=True)
        return replace(found, information=np.where(usable, metric, 0.0))
