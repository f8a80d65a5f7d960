"""Posterior predictive checks: what they are, and that they are uniform where the model is true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nfanneal.results.predictive_checks import STATISTICS, predictive_checks
from nfanneal.results.result import ObservedData


def data(values, replicates, times=None):
    times = np.arange(len(values), dtype=float) if times is None else times
    return ObservedData(times, values, np.empty((len(replicates), len(values))), replicates)


def test_data_like_the_replicates_have_uniform_p_values():
    rng = np.random.default_rng(0)
    mean, sd = np.linspace(0.0, 3.0, 20), np.linspace(0.5, 2.0, 20)
    replicates = mean + sd * rng.standard_normal((2000, 20))
    found = [
        predictive_checks(data(mean + sd * rng.standard_normal(20), replicates)) for _ in range(300)
    ]
    for name in STATISTICS:
        p = [each[name].p_value for each in found]
        assert stats.kstest(p, "uniform").pvalue > 1e-4, name


@pytest.mark.parametrize(
    ("change", "name", "large"),
    [
        (lambda y: y + 2.0, "mean", False),
        (lambda y: 3.0 * y, "sd", False),
        (lambda y: 3.0 * y, "chi2", False),
        (lambda y: 0.1 * y, "chi2", True),
        (lambda y: np.append(y[:-1], 9.0), "max", False),
        (lambda y: np.append(y[:-1], -9.0), "min", True),
        (np.sort, "lag-1", False),
    ],
)
def test_other_data_are_seen_by_their_statistic(change, name, large):
    rng = np.random.default_rng(1)
    found = predictive_checks(data(change(rng.standard_normal(40)), rng.normal(size=(1000, 40))))
    assert found[name].p_value == pytest.approx(1.0 if large else 0.0, abs=0.01)


def test_values_are_those_of_numpy_in_the_order_of_time():
    rng = np.random.default_rng(2)
    values, replicates = rng.normal(size=9), rng.normal(size=(500, 9))
    found = predictive_checks(data(values, replicates))
    assert found["sd"].observed == values.std()
    np.testing.assert_array_equal(found["max"].simulated, replicates.max(axis=1))
    z = (values - replicates.mean(axis=0)) / replicates.std(axis=0)
    assert found["chi2"].observed == pytest.approx((z**2).sum())
    order = rng.permutation(9)
    mixed = predictive_checks(data(values[order], replicates[:, order], order.astype(float)))
    assert mixed["lag-1"].observed == pytest.approx(found["lag-1"].observed)


def test_ties_count_half_and_failed_replicates_not_at_all():
    replicates = np.array([[1.0, 1.0], [1.0, 1.0], [np.nan, 1.0]])
    found = predictive_checks(data(np.array([1.0, 1.0]), replicates))
    assert found["mean"].p_value == 0.5
    nothing = predictive_checks(data(np.ones(2), np.full((2, 2), np.nan)))
    assert np.isnan(nothing["mean"].p_value)
