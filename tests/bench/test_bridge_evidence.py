"""The bridge from a Gaussian to chains of draws, and the time in which these forget."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_t, norm

from nfanneal.bench.samplers.bridge import autocorrelation_time, bridge_evidence


def test_bridge_finds_a_known_evidence_within_its_error():
    """Fifty Student-t targets with log Z = 3: pulls of mean 0 and standard deviation 1."""
    rng = np.random.default_rng(0)
    covariance = np.array([[4.0, 2.4], [2.4, 4.0]])
    target = multivariate_t(np.zeros(2), covariance, df=5)

    def log_target(z):
        return target.logpdf(z) + 3.0

    pulls = []
    for _ in range(50):
        draws = target.rvs(1600, random_state=rng).reshape(200, 8, 2)
        chains = np.repeat(draws, 3, axis=0)  # as a chain that moves every third step
        found = bridge_evidence(chains, log_target(chains), log_target, rng)
        pulls.append((found.log_evidence - 3.0) / found.error)
    assert np.max(np.abs(pulls)) < 4.0
    assert abs(np.mean(pulls)) < 4.0 / math.sqrt(50)
    assert 0.7 < np.std(pulls) < 1.3


def test_bridge_of_a_gaussian_with_a_bound():
    """A density that is zero on one side: half of the Gaussian's draws have no weight."""
    rng = np.random.default_rng(2)
    exact = math.log(0.5)
    z = rng.standard_normal((1000, 8, 1))
    z = np.abs(z)

    def log_target(z):
        return np.where(z[..., 0] > 0, norm.logpdf(z[..., 0]), -np.inf)

    found = bridge_evidence(z, log_target(z), log_target, rng)
    assert abs(found.log_evidence - exact) < 4.0 * found.error
    assert found.error < 0.05


def test_bridge_without_overlap_says_that_it_knows_nothing():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((100, 4, 2))
    found = bridge_evidence(z, np.zeros((100, 4)), lambda z: np.full(len(z), -np.inf), rng)
    assert math.isnan(found.log_evidence)
    assert found.error == math.inf


def test_autocorrelation_time_of_an_autoregression():
    """x' = a·x + noise has τ = (1 + a)/(1 − a)."""
    rng = np.random.default_rng(4)
    a, x = 0.8, np.zeros((4000, 10))
    for t in range(1, len(x)):
        x[t] = a * x[t - 1] + rng.standard_normal(10)
    assert autocorrelation_time(x) == pytest.approx(9.0, rel=0.1)
    assert autocorrelation_time(np.ones((50, 2))) == 1.0


# ------------------------------------------------------------------------------- figures of merit
