"""Predictions at the edge of their noise: rounding is none, and what is beyond is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import sympy
from scipy import stats

from nfanneal.model.edges import within_edges
from nfanneal.model.likelihood import DataLikelihood
from nfanneal.model.noise import NOISE_MODELS
from nfanneal.model.series import NoiseArguments, ObservedSeries
from nfanneal.model.simulator import Predictions

TIMES = (np.array([0.0, 1.0, 2.0]), np.array([5.0]))
ARGUMENTS = {"sigma": 1.0, "df": 4.0, "scale": 1.0, "phi": 3.0, "trials": 5.0}


@dataclass(frozen=True)
class Resolved:
    """What edges ask of a simulator: 1e-3 of the largest value, or of a size that is known."""

    sizes: tuple[float, float] = (0.0, 0.0)
    resolution: float = 1e-3

    def size(self, experiment, observable):
        return self.sizes[experiment]


def series(noise, index=(0, 1, 2), values=(1.0, 0.0, 0.0)):
    model = NOISE_MODELS[noise]
    arguments = tuple(sympy.Float(ARGUMENTS[name]) for name in model.arguments)
    index = np.array(index)
    return ObservedSeries("y", 0, index, np.array(values), model, NoiseArguments(arguments, {}, {}))


def predictions(*rows):
    values = np.array(rows)[:, :, None]
    return Predictions(values, np.zeros(len(values), dtype=bool), {})


def within(given, *all_series, simulator=Resolved()):
    theta = np.zeros((len(given.values), 1))
    return within_edges(theta, given, all_series, TIMES, simulator)


def noisy(sigma):
    """The observable with normal noise of θ, as an expression."""
    k = sympy.Symbol("k")
    arguments = NoiseArguments((sympy.sympify(sigma, {"k": k}),), {k: 0}, {})
    index = np.arange(3)
    return ObservedSeries("y", 0, index, np.zeros(3), NOISE_MODELS["normal"], arguments)


@pytest.mark.parametrize(
    ("sigma", "says"),
    [("sqrt(k)", "'sigma' of the noise of 'y' is not a number"), ("k", "is negative")],
)
def test_noise_that_is_no_number_or_negative_is_a_failure(sigma, says):
    """So that it is counted and told, where it cuts a posterior."""
    likelihood = DataLikelihood(Resolved(), TIMES, [noisy(sigma)])
    row = [1.0, 1.0, 1.0, 1.0]
    found = likelihood.of_predictions(np.array([[1.0], [-1.0]]), predictions(row, row))
    np.testing.assert_array_equal(found.failed, [False, True])
    (reason,) = found.reasons
    assert says in reason
    assert "at the time 0" in reason


def test_an_observable_that_is_no_number_is_a_failure():
    given = predictions([1.0, np.nan, 1.0, 1.0], [1.0, 1.0, 1.0, np.nan], [1.0, 1.0, 1.0, 1.0])
    found = within(given, series("normal"))
    np.testing.assert_array_equal(found.failed, [True, False, False])  # no datum, no failure
    assert found.reasons == {"'y' is not a number at the time 1": 1}


@pytest.mark.parametrize("noise", sorted(NOISE_MODELS))
def test_law_of_every_noise_model(noise):
    """A value within the resolution of an edge is at it; beyond, the draw fails; else nothing."""
    low, high = NOISE_MODELS[noise].edges
    inside = 0.5 if np.isfinite(high) else 2.0
    row = np.full(4, inside)
    kept = within(predictions(row), series(noise))
    np.testing.assert_array_equal(kept.values[0, :, 0], row)
    assert not kept.failed.any()
    for edge, sign in ((low, -1.0), (high, 1.0)):
        if not np.isfinite(edge):
            continue
        near, far = row.copy(), row.copy()
        near[1] = edge + sign * 0.9e-3 * inside
        far[1] = edge + sign * 3e-3
        found = within(predictions(near, far, row), series(noise))
        assert found.values[0, 1, 0] == edge
        np.testing.assert_array_equal(found.failed, [False, True, False])
        (reason,) = found.reasons
        assert f"'y' is {'below' if sign < 0 else 'above'} {edge:g} at the time 1" in reason
        assert found.reasons[reason] == 1


def test_the_density_at_an_edge_is_its_limit():
    """A mean of a rounding error below zero: P(0) = 1, and P(1) = 0."""
    likelihood = DataLikelihood(Resolved(), TIMES, [series("poisson", values=(2.0, 0.0, 0.0))])
    theta = np.zeros((1, 1))
    found = likelihood.of_predictions(theta, predictions([2.0, -1e-9, -1e-9, 0.0]))
    assert found.log_likelihood[0] == pytest.approx(stats.poisson.logpmf(2, 2.0))
    assert not found.failed[0]
    likelihood = DataLikelihood(Resolved(), TIMES, [series("poisson", values=(2.0, 1.0, 0.0))])
    found = likelihood.of_predictions(theta, predictions([2.0, -1e-9, -1e-9, 0.0]))
    assert found.log_likelihood[0] == -np.inf
    assert not found.failed[0]  # a likelihood of zero is no failure


def test_the_size_of_what_an_observable_is_the_sum_of_counts():
    """A difference of large states is off by as much as these are."""
    row = [0.01, -0.02, 0.0, 0.0]
    assert within(predictions(row), series("poisson")).failed[0]
    known = Resolved(sizes=(100.0, 0.0))
    assert not within(predictions(row), series("poisson"), simulator=known).failed[0]


def test_each_experiment_has_its_own_size():
    """That of the other one, in which the values are large, does not count."""
    row = [1e6, 1e6, 1e6, -1e-2]
    assert within(predictions(row), series("poisson", index=(3,), values=(0.0,))).failed[0]


def test_predictions_without_an_edge_or_of_failed_draws_are_left_alone():
    given = predictions([-5.0, -1.0, 3.0, 0.0])
    np.testing.assert_array_equal(within(given, series("normal")).values, given.values)
    failed = Predictions(np.full((1, 4, 1), np.nan), np.array([True]), {"why": 1})
    found = within(failed, series("poisson"))
    assert found.failed[0]
    assert found.reasons == {"why": 1}
    assert np.isfinite(found.values).all()
