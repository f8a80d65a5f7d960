"""Walks without gradients: what they leave as it is, what they cost, and what they are for."""

from dataclasses import replace

import numpy as np
import pytest
from problems import (
    FLOW,
    QUICK,
    N,
    check_moments,
    final_evidence,
    gaussian_target,
    seed,
    tempered_moments,
)

from nfanneal.anneal.loop import anneal
from nfanneal.anneal.metropolis import STEPS, walked
from nfanneal.target import Evaluation, Target


def without_gradient(target: Target) -> Target:
    def evaluate(z, gradient):
        assert not gradient
        found = target.evaluate(z, False)
        return Evaluation(found.log_likelihood, found.failed)

    return replace(target, ask=evaluate, differentiable=False)


def walk(target, start, beta, covariance, transitions, rng):
    def ask(z):
        found = target.evaluate(z, False)
        return found.log_likelihood, found.failed

    factor = np.linalg.cholesky(covariance)
    return walked(ask, start, ask(start)[0], beta, factor, transitions, rng)


@pytest.mark.parametrize("beta", [0.01, 0.3, 1.0])
def test_the_tempered_posterior_is_left_as_it_is(beta):
    target, _ = gaussian_target()
    rng = np.random.default_rng(0)
    mean, covariance = tempered_moments(beta)
    start = rng.multivariate_normal(mean, covariance, N)
    found = walk(target, start, beta, covariance, 5, rng)
    check_moments(found.z, beta)
    assert np.mean((found.z != start).any(axis=1)) > 0.9
    assert (found.n_evaluations, found.n_failed) == (N * 5 * STEPS, 0)


def test_copies_of_few_points_become_independent():
    target, _ = gaussian_target()
    rng = np.random.default_rng(1)
    mean, covariance = tempered_moments(1.0)
    start = np.repeat(rng.multivariate_normal(mean, covariance, 10), N // 10, axis=0)
    found = walk(target, start, 1.0, covariance, 60, rng)
    check_moments(found.z, 1.0)
    assert len(np.unique(found.z, axis=0)) == N


def test_points_change_between_modes():
    """Along differences of points that stand in both: Gaussian steps never get there.

    A tenth of the points begin in the mode that has half of the mass; more are there in the end, by
    more than 5 standard errors of a tenth.
    """

    def evaluate(z, gradient):
        distance = np.minimum(((z - 2.0) ** 2).sum(axis=1), ((z + 2.0) ** 2).sum(axis=1))
        return Evaluation(-0.5 * distance / 0.01, np.zeros(len(z), dtype=bool))

    rng = np.random.default_rng(3)
    centre = np.where(np.arange(N) % 10 == 0, 2.0, -2.0)
    start = centre[:, None] + 0.1 * rng.standard_normal((N, 2))
    found = walk(Target(2, evaluate), start, 1.0, 0.01 * np.eye(2), 40, rng)
    assert np.mean(start[:, 0] > 0) == 0.1
    assert np.mean(found.z[:, 0] > 0) > 0.1 + 5.0 * np.sqrt(0.1 * 0.9 / N)


def test_no_point_enters_where_the_likelihood_is_zero_or_fails():
    def evaluate(z, gradient):
        inside = z[:, 0] > 0.0
        values = np.where(inside, 0.0, np.where(z[:, 1] > 0.0, -np.inf, np.nan))
        return Evaluation(values, np.isnan(values))

    rng = np.random.default_rng(2)
    start = np.abs(rng.standard_normal((500, 2)))
    found = walk(Target(2, evaluate), start, 1.0, np.eye(2), 5, rng)
    assert np.all(found.z[:, 0] > 0.0)
    assert np.any(found.z[:, 1] < 0.0)
    assert found.n_failed > 0


@pytest.mark.parametrize(
    ("change", "walks"),
    [
        ({}, True),
        ({"moves": 0}, False),
        ({"max_evaluations": 6000}, False),
        ({"target_ess": QUICK.target_ess}, False),
    ],
)
def test_walks_are_counted_and_can_be_turned_off_and_the_evidence_is_the_same(change, walks):
    """Within 4 standard errors: a false alarm in 16,000. Flows that do well need no walk."""
    target, exact = gaussian_target()
    settings = replace(QUICK, draws=512, scout="off", **({"target_ess": 1.0} | change))
    result = anneal(without_gradient(target), FLOW, settings, seed())
    found = final_evidence(result, target)
    assert abs(found.log_evidence - exact) < 4.0 * found.error
    assert result.n_gradients == 0
    assert (result.n_evaluations > settings.draws * STEPS * settings.moves > 0) == walks
    assert result.n_evaluations <= (settings.max_evaluations or np.inf)
