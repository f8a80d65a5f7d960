"""Hamiltonian moves: what they leave invariant, and that a flow may be trained on their points."""

from __future__ import annotations

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

from nfanneal.anneal import explore
from nfanneal.anneal.hmc import LEAPS, moved
from nfanneal.anneal.loop import anneal
from nfanneal.errors import ModelError
from nfanneal.target import Evaluation, Target


@pytest.mark.parametrize("beta", [0.01, 0.3, 1.0])
def test_the_tempered_posterior_is_left_as_it_is(beta):
    target, _ = gaussian_target()
    rng = np.random.default_rng(0)
    mean, covariance = tempered_moments(beta)
    start = rng.multivariate_normal(mean, covariance, N)
    end, spent = moved(target, start, beta, np.linalg.cholesky(covariance), 5, rng)
    check_moments(end, beta)
    assert np.mean((end != start).any(axis=1)) > 0.9
    assert spent.gradients == N * (1 + 5 * LEAPS)


def test_copies_of_few_points_become_independent():
    target, _ = gaussian_target()
    rng = np.random.default_rng(1)
    mean, covariance = tempered_moments(1.0)
    start = np.repeat(rng.multivariate_normal(mean, covariance, 10), N // 10, axis=0)
    end, _ = moved(target, start, 1.0, np.linalg.cholesky(covariance), 60, rng)
    check_moments(end, 1.0)
    assert len(np.unique(end, axis=0)) == N


def test_no_point_enters_where_the_likelihood_is_zero_or_fails():
    def evaluate(z, gradient):
        inside = z[:, 0] > 0.0
        values = np.where(inside, 0.0, np.where(z[:, 1] > 0.0, -np.inf, np.nan))
        return Evaluation(values, np.isnan(values), np.zeros_like(z) if gradient else None)

    rng = np.random.default_rng(2)
    start = np.abs(rng.standard_normal((500, 2)))
    end, _ = moved(Target(2, evaluate, differentiable=True), start, 1.0, np.eye(2), 5, rng)
    assert np.all(end[:, 0] > 0.0)
    assert np.any(end[:, 1] < 0.0)


def test_targets_without_a_gradient_are_refused():
    def evaluate(z, gradient):
        return Evaluation(np.zeros(len(z)), np.zeros(len(z), dtype=bool))

    rng = np.random.default_rng(0)
    with pytest.raises(ModelError, match="no gradient"):
        moved(Target(2, evaluate), np.zeros((3, 2)), 1.0, np.eye(2), 1, rng)


@pytest.mark.parametrize(
    ("change", "spends"),
    [({}, True), ({"moves": 0}, False), ({"target_ess": QUICK.target_ess}, False)],
)
def test_moves_can_be_turned_off_and_the_evidence_is_the_same(monkeypatch, change, spends):
    """Within 4 standard errors: a false alarm in 16,000. Flows that do well need no moves."""
    monkeypatch.setattr(explore, "FEW_DIMENSIONS", 0)  # two would go without gradients
    target, exact = gaussian_target()
    settings = replace(QUICK, draws=512, effort=2, scout="off", **({"target_ess": 1.0} | change))
    result = anneal(target, FLOW, settings, seed())
    found = final_evidence(result, target)
    assert abs(found.log_evidence - exact) < 4.0 * found.error
    assert (result.n_gradients > 0) == spends
