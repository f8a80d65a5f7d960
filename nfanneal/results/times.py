"""At which times a model is asked for predictions.

A model of the user's may mind which times it is asked at: one that counts what happens between
them says something else on a finer grid, and it would be a silent mistake to draw that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import ModelError, ResultError
from nfanneal.model.problem import Problem
from nfanneal.results.predict import predict, spans_of
from nfanneal.results.result import Result
from nfanneal.spec.load import spec_from_text

POINTS = 200
"""Times between the first and the last datum."""
FEW = 4
"""Draws that are asked at both kinds of times."""
SAME = 1e-6
"""Relative difference of what a model says of the same times among others."""
DECLARED = "the model is asked at the times of its data only (model.times: data)"
MINDS = (
    "the model says something else of the data's times when it is asked at others, too: it seems "
    "to count what happens between the times it is given. Say so by model.times: data"
)


def between_data(result: Result, problem: Problem, theta: Array) -> tuple[dict[str, Array], str]:
    """Times of each experiment between its data and at them, for a model that takes any.

    Only at them, and why in words, where the spec says so or a few of the draws θ (n, d) tell.

    Raises:
        ResultError: the model gives a log-likelihood, not predictions.
    """
    spans = spans_of(result, problem)
    if only_at_data(result):
        return spans, DECLARED
    dense = {
        name: np.unique(np.concatenate([own, np.linspace(own.min(), own.max(), POINTS)]))
        for name, own in spans.items()
    }
    minds = minds_times(result, problem, theta, dense)
    return (spans, MINDS) if minds else (dense, "")


def only_at_data(result: Result) -> bool:
    """Whether the spec says that the model knows of no other times."""
    return spec_from_text(result.spec_yaml).spec.model.only_at_data


def minds_times(result: Result, problem: Problem, theta: Array, times: Mapping[str, Array]) -> bool:
    """Whether a model of the user's says something else of its data at some more `times`, or fails.

    A few of the draws θ (n, d) are asked.
    """
    if not spec_from_text(result.spec_yaml).spec.model.runs_code:
        return False
    rng, few, spans = np.random.default_rng(0), theta[:FEW], spans_of(result, problem)
    more = {name: np.union1d(own, times[name]) for name, own in spans.items()}
    alone = predict(problem, few, spans, rng)
    try:
        among = predict(problem, few, more, rng)
    except (ModelError, ResultError):
        return True
    for name, each in alone.items():
        there = np.isin(among[name].times, each.times)
        if not np.allclose(among[name].clean[:, there], each.clean, rtol=SAME, equal_nan=True):
            return True
    return False
