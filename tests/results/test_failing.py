"""The part of a posterior that may lie where the model fails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from nfanneal.results.failing import failing


def draws(n=4000, d=2, seed=1):
    """Draws of N(0, 1.2²), for a posterior N(0, 1): all are weighted."""
    z = 1.2 * np.random.default_rng(seed).standard_normal((n, d))
    log_ratio = 0.5 * (z**2).sum(1) * (1 / 1.44 - 1.0) + d * np.log(1.2)
    return z, log_ratio


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize(("cut", "beyond"), [(0.0, 0.5), (1.0, 0.1587), (2.0, 0.02275)])
def test_a_posterior_that_is_cut_by_failures(cut, beyond, d):
    """log L = 0, so that the posterior is the prior, of which `beyond` lies above the cut."""
    z, log_ratio = draws(d=d)
    found = failing(z, z, log_ratio, np.zeros(len(z)), z[:, d - 1] > cut)
    assert beyond / 2.0 < found.mass < 2.0 * beyond
    assert found.column == d - 1
    assert found.above == 1.0
    assert found.near > cut
    assert (z[found.rows, d - 1] > cut).all()


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_proposal_that_hardly_leaks_beyond_is_enough(d):
    """Nine in ten of the failed draws are not there: their own weights say so."""
    z, log_ratio = draws(20_000, d)
    failed = z[:, 0] > 0.0
    kept = ~failed | (np.random.default_rng(2).random(len(z)) < 0.1)
    log_ratio = np.where(failed, log_ratio + np.log(10.0), log_ratio)
    z, log_ratio, failed = z[kept], log_ratio[kept], failed[kept]
    assert 0.04 < failing(z, z, log_ratio, np.zeros(len(z)), failed).mass < 0.8


@pytest.mark.parametrize("d", [1, 2, 4])
@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
def test_few_failed_draws_along_a_flat_boundary_are_enough(share, d):
    """Draws of a proposal that ends near the boundary, and one in ten of the prior."""
    rng = np.random.default_rng(6)
    cut = norm.ppf(share)
    end = norm.ppf(share / 2.0)
    z = rng.standard_normal((4000, d))
    inside = np.arange(len(z)) % 10 > 0
    z[inside, 0] = norm.isf(rng.random(inside.sum()) * norm.sf(end))
    density = 0.1 + 0.9 * (z[:, 0] > end) / norm.sf(end)
    failed = z[:, 0] < cut
    found = failing(z, z, -np.log(density), np.zeros(len(z)), failed)
    assert share / 3.0 < found.mass < 3.0 * share


def test_a_band_lies_on_no_side():
    z, log_ratio = draws(d=3)
    found = failing(z, z, log_ratio, np.zeros(len(z)), np.abs(z[:, 1] - 0.1) < 0.4)
    assert (found.column, found.above) == (1, 0.5)
    assert found.near == pytest.approx(0.1, abs=0.3)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_failure_here_and_there_hides_nothing(d):
    z, log_ratio = draws(d=d)
    failed = np.random.default_rng(3).random(len(z)) < 1e-3
    assert failing(z, z, log_ratio, np.zeros(len(z)), failed).mass < 0.01


@pytest.mark.parametrize("d", [1, 2, 5])
def test_failures_four_sd_away_are_no_matter(d):
    """Draws of N(0, 3²): 9 % of them fail."""
    z = 3.0 * np.random.default_rng(4).standard_normal((6000, d))
    log_ratio = d * np.log(3.0) - 0.5 * (z**2).sum(1) * (1.0 - 1.0 / 9.0)
    assert failing(z, z, log_ratio, np.zeros(len(z)), z[:, 0] > 4.0).mass < 0.01


def test_failures_where_the_likelihood_has_fallen_off_weigh_nothing():
    z, log_ratio = draws()
    found = failing(z, z, log_ratio, -20.0 * z[:, 0] ** 2 * (z[:, 0] > 0), z[:, 0] > 1.5)
    assert found.mass < 1e-3


def test_failures_far_from_all_others_are_not_judged_by_them():
    """A block of failures beyond an empty gap."""
    z, log_ratio = draws()
    z = np.where(z[:, :1] > 1.0, z + 30.0, z)
    found = failing(z, z, log_ratio, np.zeros(len(z)), z[:, 0] > 10.0)
    assert found.mass < 1e-3


def test_without_failures_or_with_nothing_else_there_is_nothing_to_say():
    z, log_ratio = draws(100)
    for failed in (np.zeros(100, dtype=bool), np.ones(100, dtype=bool)):
        assert failing(z, z, log_ratio, np.zeros(100), failed).mass == 0.0


def test_a_bound_of_a_prior_reached_by_rounding_is_left_out():
    z, log_ratio = draws()
    z[0] = np.inf
    failed = z[:, 1] > 0.0
    assert 0.05 < failing(z, z, log_ratio, np.zeros(len(z)), failed).mass < 0.6
