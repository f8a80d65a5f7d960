"""Derivatives by differences, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from problems import gaussian_target, modes_target

from nfanneal.anneal.differences import with_information, with_slope
from nfanneal.target import Evaluation, Target

Z = np.random.default_rng(1).standard_normal((9, 2))
PRECISION = np.linalg.inv(0.01 * np.array([[1.0, 0.8], [0.8, 1.0]]))


def by_values(target):
    def ask(z, gradient):
        assert not gradient
        return target.ask(z, False)

    return Target(target.dimension, ask)


def test_slopes_are_the_models_own_or_differences():
    target, _ = gaussian_target()
    own, spent = with_slope(target, Z)
    assert (spent.gradients, spent.evaluations) == (9, 0)
    found, spent = with_slope(by_values(target), Z)
    assert (spent.gradients, spent.evaluations) == (0, 45)
    np.testing.assert_allclose(found.gradient, own.gradient, rtol=1e-6)


@pytest.mark.parametrize("own", [True, False])
def test_the_information_is_minus_the_second_derivative(own):
    target, _ = gaussian_target()
    found, spent = with_information(target if own else by_values(target), Z)
    # rounding of log L, up to 1e3, over the step's square: 1e-13·1e3/1e-8
    np.testing.assert_allclose(found.information, np.broadcast_to(PRECISION, (9, 2, 2)), atol=0.05)
    np.testing.assert_allclose(found.log_likelihood, target.ask(Z, False).log_likelihood)
    assert spent.gradients == (45 if own else 0)
    assert spent.evaluations == (0 if own else 9 * 6)


def test_a_neighbour_without_likelihood_gives_no_slope():
    def ask(z, gradient):
        value = np.where(z[:, 0] > 0, -z[:, 1], -np.inf)
        return Evaluation(value, np.zeros(len(z), bool))

    found, _ = with_slope(Target(2, ask), np.array([[1e-5, 0.0]]))
    np.testing.assert_allclose(found.gradient, [[0.0, -1.0]], atol=1e-9)
    curved, _ = with_information(Target(2, ask), np.array([[1e-5, 0.0]]))
    assert np.all(np.isfinite(curved.information))


def test_of_no_points_nothing_is_asked():
    target, _ = modes_target()
    assert with_slope(target, np.empty((0, 2)))[0].gradient.shape == (0, 2)
