"""The data beside posterior draws: pointwise log-likelihood and replicates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nfanneal.anneal.journal import Journal, Values
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.arrays import Array
from nfanneal.model.likelihood import DataLikelihood
from nfanneal.model.problem import Problem, by_halves
from nfanneal.model.simulator import Predictions
from nfanneal.results.result import ObservedData


def observed_at(
    problem: Problem,
    posterior: Array,
    rng: np.random.Generator,
    observe: Observer = lambda event: None,
    *,
    journal: Journal | None = None,
) -> Mapping[str, ObservedData]:
    """Data, pointwise log-likelihood and posterior predictive replicates per observable."""
    likelihood = problem.likelihood
    if not isinstance(likelihood, DataLikelihood):
        return {}
    predictions = _predictions(problem, likelihood, posterior, observe, journal or Journal())
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
    likelihood: DataLikelihood,
    posterior: Array,
    observe: Observer,
    journal: Journal,
) -> Predictions:
    """Predictions at the posterior draws θ (n, d), a chunk at a time, by way of the journal."""
    parts: list[Values] = []
    for start in range(0, len(posterior), problem.chunk):
        theta = posterior[start : start + problem.chunk]

        def ask(theta: Array = theta) -> Values:
            found = by_halves(likelihood.predict, theta)
            return {
                "values": np.concatenate([part.values for part in found]),
                "failed": np.concatenate([part.failed for part in found]),
            }

        parts.append(journal.answer(theta, "predictions", ask))
        observe(Activity("predicting the data", start + len(theta), len(posterior)))
    values = np.concatenate([part["values"] for part in parts])
    return Predictions(values, np.concatenate([part["failed"] for part in parts]), {})
