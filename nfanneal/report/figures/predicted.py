"""What figures show of predictions: where they are taken from, at which times."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.problem import Problem
from nfanneal.report.figures.options import Options
from nfanneal.results.predict import predict, thinned_posterior
from nfanneal.results.rebuild import revived_problem
from nfanneal.results.result import ObservedData, Prediction, Result
from nfanneal.results.summaries import band
from nfanneal.results.times import between_data
from nfanneal.spec.load import spec_from_text

LOGGER = logging.getLogger(__name__)
DRAWS, NOISY = 400, 3200
"""Posterior draws of which bands are made, at most, and data that are drawn at each time."""


@dataclass(frozen=True)
class Bands:
    """Times (m,) and the quantiles (m,) of what would be measured there, by name."""

    times: Array
    quantiles: Mapping[str, Array]


def bands_of(source: str, result: Result, options: Options) -> dict[str, Bands]:
    """The bands of every observable with data.

    Those that `nfanneal predict` stored with the result; otherwise the model's between the data,
    where it can be asked for; otherwise of the replicates at the data's times.
    """
    found = {name: _at_data(data) for name, data in result.observed.items()}
    stored = predictions_of(source, result, options)
    for name, prediction in (stored or {}).items():
        if name in found and prediction.noisy is not None and len(prediction.times) > 1:
            found[name] = Bands(prediction.times, band(prediction.noisy))
    return found


def predictions_of(
    source: str, result: Result, options: Options
) -> Mapping[str, Prediction] | None:
    """Those that are stored with the result, else the model's, if it can be asked; else None."""
    stored = options.predictions.get(source)
    if stored is None and _may_be_asked(result, options):
        return _asked(result, options)
    return stored


def trajectories_of(
    source: str, result: Result, options: Options, draws: int
) -> dict[str, Prediction]:
    """Noise-free trajectories of at most so many posterior draws, of every observable.

    Raises:
        ResultError: the model does not predict, or is a Python file that was not given.
    """
    stored = options.predictions.get(source)
    if stored is not None:
        return {
            name: Prediction(each.times, each.clean[_spread(len(each.clean), draws)], None)
            for name, each in stored.items()
        }
    problem = revived_problem(result, options.model_file, options.workers)
    rng = np.random.default_rng(result.provenance.seed)
    theta = thinned_posterior(result, draws, rng)
    times = _between_data(result, problem, theta)
    return predict(problem, theta, times, rng)


def _spread(n: int, most: int) -> Array:
    """At most so many of n rows, evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _may_be_asked(result: Result, options: Options) -> bool:
    """A model that the result holds; one of the user's only if its file was named.

    A program takes its time for each draw: there are replicates at the data's times.
    """
    model = spec_from_text(result.spec_yaml).spec.model
    return not model.outside and (options.model_file is not None or not model.runs_code)


def _asked(result: Result, options: Options) -> dict[str, Prediction]:
    problem = revived_problem(result, options.model_file, options.workers)
    rng = np.random.default_rng(result.provenance.seed)
    theta = thinned_posterior(result, DRAWS, rng)
    replicates = math.ceil(NOISY / len(theta))
    times = _between_data(result, problem, theta)
    return predict(problem, theta, times, rng, replicates=replicates)


def _between_data(result: Result, problem: Problem, theta: Array) -> dict[str, Array]:
    """Times between the data too, if the model takes them; it is told where it does not."""
    times, why = between_data(result, problem, theta)
    if why:
        LOGGER.info("Note: drawn at the times of the data alone: %s", why)
    return times


def _at_data(data: ObservedData) -> Bands:
    """Of the replicates, at the finite times of the data."""
    order = np.argsort(data.times, kind="stable")
    order = order[np.isfinite(data.times[order])]
    if not len(order):
        return Bands(np.empty(0), {})
    return Bands(data.times[order], band(data.replicates[:, order]))
