"""The data beside posterior draws: pointwise log-likelihood and replicates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nfanneal.anneal.journal import Journal, Values
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.arrays import Array
from nfanneal.model.calls import Prediction
from nfanneal.model.problem import Problem
from nfanneal.model.simulator import Predictions
from nfanneal.results.result import ObservedData
from nfanneal.target import in_batches


def observed_at(
    problem: Problem,
    posterior: Array,
    rng: np.random.Generator,
    observe: Observer = lambda event: None,
    *,
    journal: Journal | None = None,
) -> Mapping[str, ObservedData]:
    """Data, pointwise log-likelihood and posterior predictive replicates per observable."""
    likelihood = problem.data
    if likelihood is None:
        return {}
    predictions = _predictions(problem, posterior, observe, journal or Journal())
    pointwise = likelihood.pointwise(posterior, predictions)
    replicates = likelihood.draw(posterior, predictions, rng)
    return {
        series.name: ObservedData(
            times=likelihood.all_times[series.time_index],
            values=series.values,
            pointwise=pointwise[series.name],
            replicates=replicates[series.name],
        )
        for series in likelihood.series
    }


def _predictions(
    problem: Problem,
    posterior: Array,
    observe: Observer,
    journal: Journal,
) -> Predictions:
    """Predictions at the posterior draws θ (n, d), by way of the journal."""

    def told(done: int) -> None:
        observe(Activity("predicting the data", done, len(posterior)))

    def ask(theta: Array) -> Predictions:
        answer = journal.answer(theta, "predictions", lambda: _values(problem, theta))
        return Predictions(answer["values"], answer["failed"], {})

    return in_batches(ask, posterior, problem.chunk, told)


def _values(problem: Problem, theta: Array) -> Values:
    found = problem.ask(Prediction(), theta)
    return {"values": found.values, "failed": found.failed}
