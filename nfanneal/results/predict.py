"""Predictions of a result's model, and where they can be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import ResultError
from nfanneal.model import calls
from nfanneal.model.counting import Counted, between
from nfanneal.model.likelihood import DataLikelihood
from nfanneal.model.problem import Problem
from nfanneal.results.result import Prediction, Result
from nfanneal.spec.experiments import within
from nfanneal.spec.load import spec_from_text


def predict(
    problem: Problem,
    theta: Array,
    times: Mapping[str, Array],
    rng: np.random.Generator,
    *,
    replicates: int = 1,
    counts_at_data: bool = True,
) -> dict[str, Prediction]:
    """Predictive trajectories of every observable at θ (n, d) and increasing times.

    `times` are those of each experiment, as `times_of` gives them. The noise is drawn as often as
    there are `replicates` for each θ: those with noise are (n·replicates, m) then. Observables that
    are counted are so at the times of their own data, or else from one of the times to the next.

    Raises:
        ResultError: the model gives a log-likelihood, not predictions.
    """
    likelihood = predicting(problem)
    counted = likelihood.simulator.counted or ((),) * len(times)
    with_data = [_with_data(*each) for each in zip(times.values(), counted, strict=True)]
    found = problem.ask_all(calls.Prediction(tuple(with_data)), theta)
    bad = found.failed[:, None]
    filled = np.where(bad[:, :, None], 1.0, found.values)
    noises = {series.name: series for series in likelihood.series}
    predictions, first = {}, 0
    for asked, own, here in zip(times.items(), with_data, counted, strict=True):
        values = filled[:, first : first + len(own)]
        first += len(own)
        for k, observable in enumerate(likelihood.simulator.observables):
            name, noisy = within(observable, asked[0]), None
            rows, at_rows = np.searchsorted(own, asked[1]), values
            count = next((c for c in here if c.observable == k and len(c.times)), None)
            if count is not None and counts_at_data:
                rows = np.searchsorted(own, count.times)
            elif count is not None:
                at_rows = values.copy()
                at_rows[:, rows, k] = between(count, own, values[:, :, k], rows)
            if name in noises:
                everywhere = replace(noises[name], time_index=rows, values=np.zeros(len(rows)))
                drawn = [everywhere.draw(theta, at_rows, rng) for _ in range(replicates)]
                noisy = np.concatenate([np.where(bad, np.nan, each) for each in drawn])
            clean = np.where(bad, np.nan, at_rows[:, rows, k])
            predictions[name] = Prediction(own[rows], clean, noisy)
    return predictions


def _with_data(times: Array, counted: Sequence[Counted]) -> Array:
    """Increasing times, and those of the data of what is counted, from which its counts begin."""
    return np.unique(np.concatenate([times, *(each.times for each in counted)]))


def predicting(problem: Problem) -> DataLikelihood:
    """The likelihood of a problem whose model predicts.

    Raises:
        ResultError: it gives a log-likelihood, not predictions.
    """
    if problem.data is None:
        raise ResultError("the model gives a log-likelihood only; there is nothing to predict")
    return problem.data


def times_of(result: Result, problem: Problem) -> dict[str, Array]:
    """The times of the data of each experiment, whose name is '' where the spec names none.

    Raises:
        ResultError: the model gives a log-likelihood, not predictions.
    """
    names = spec_from_text(result.spec_yaml).data
    return dict(zip(names, predicting(problem).times, strict=True))


def spans_of(result: Result, problem: Problem) -> dict[str, Array]:
    """The finite times of the data of each experiment; where there are none, that of its start.

    Raises:
        ResultError: the model gives a log-likelihood, not predictions.
    """
    starts = starts_of(result, problem)
    finite = {name: own[np.isfinite(own)] for name, own in times_of(result, problem).items()}
    return {name: own if len(own) else np.array([starts[name]]) for name, own in finite.items()}


def at_rest(result: Result, problem: Problem) -> list[str]:
    """The experiments with data at time infinity, '' if the spec names none.

    Raises:
        ResultError: the model gives a log-likelihood, not predictions.
    """
    return [name for name, own in times_of(result, problem).items() if own[-1] == np.inf]


def starts_of(result: Result, problem: Problem) -> dict[str, float]:
    """The time before which the model predicts nothing, by experiment; −inf if there is none."""
    starts = predicting(problem).simulator.starts
    return dict(zip(times_of(result, problem), starts, strict=True))


def prior_draws(problem: Problem, n: int, rng: np.random.Generator) -> Array:
    """θ (n, d) from the prior."""
    return problem.latent.from_latent(rng.standard_normal((n, problem.latent.dimension)))


def thinned_posterior(result: Result, n: int, rng: np.random.Generator) -> Array:
    """At most n of the posterior draws θ (n, d)."""
    chosen = rng.permutation(len(result.posterior))[:n]
    return result.posterior[np.sort(chosen)]
