"""Smooth densities: their mass, bounds, truth, peaks, and how smooth few draws make them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from nfanneal.report.figures.density import (
    Draws,
    density,
    density_of_two,
    levels_of,
    local_covariance,
    peaks,
)

N = 4000
LAWS = {
    "normal": (stats.norm(2.0, 0.5), (-np.inf, np.inf)),
    "uniform": (stats.uniform(0.0, 1.0), (0.0, 1.0)),
    "exponential": (stats.expon(), (0.0, np.inf)),
    "beta": (stats.beta(1.0, 3.0), (0.0, 1.0)),
    "halfnormal": (stats.halfnorm(), (0.0, np.inf)),
}


def equal(x):
    return Draws(x if x.ndim == 2 else x[:, None], np.full(len(x), 1.0 / len(x)))


@pytest.mark.parametrize("name", LAWS)
def test_a_density_is_that_of_the_law_and_ends_at_its_bounds(name):
    law, bounds = LAWS[name]
    draws = equal(law.rvs(N, random_state=1))
    at = np.linspace(law.ppf(1e-4) - 0.5, law.ppf(1 - 1e-4) + 0.5, 2001)
    found = density(draws, at, bounds)
    assert integrate.trapezoid(found, at) == pytest.approx(1.0, abs=3e-3)
    assert (found[(at < bounds[0]) | (at > bounds[1])] == 0.0).all()
    # half of ∫|f − f̂|: some 3 % for 4,000 draws and Scott's width
    missed = 0.5 * integrate.trapezoid(np.abs(found - law.pdf(at)), at)
    assert missed < 0.05
    for bound in bounds:
        if np.isfinite(bound):  # without reflection it would be half of this
            inside = np.array([bound + 1e-6, bound - 1e-6])
            inside = inside[(inside > bounds[0]) & (inside < bounds[1])]
            fine = density(draws, np.linspace(inside[0] - 0.01, inside[0] + 0.01, 5), bounds)
            assert fine.max() == pytest.approx(law.pdf(inside)[0], rel=0.15, abs=0.05)


def test_weights_count_as_draws_do():
    rng = np.random.default_rng(0)
    x = rng.normal(0.0, 2.0, 4 * N)
    weights = stats.norm.pdf(x) / stats.norm.pdf(x, scale=2.0)
    at = np.linspace(-4, 4, 801)
    found = density(Draws(x[:, None], weights / weights.sum()), at)
    assert 0.5 * integrate.trapezoid(np.abs(found - stats.norm.pdf(at)), at) < 0.05


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_local_covariance_of_a_gaussian_is_its_own(d):
    rng = np.random.default_rng(d)
    root = np.tril(rng.normal(size=(d, d))) + 2.0 * np.eye(d)
    draws = equal(rng.normal(size=(N, d)) @ root.T)
    found = local_covariance(draws.x, draws.weights)
    np.testing.assert_allclose(found, root @ root.T, rtol=0.15, atol=0.15 * np.abs(root).max() ** 2)


def test_peaks_far_apart_are_not_smeared_into_each_other():
    rng = np.random.default_rng(0)
    x = rng.normal(size=N) + 100.0 * (rng.random(N) < 0.5)
    found = local_covariance(x[:, None], np.full(N, 1.0 / N))[0, 0]
    assert found < 3.0**2  # that of all draws is 50²
    at = np.linspace(-5.0, 5.0, 1001)
    assert density(equal(x), at).max() == pytest.approx(0.5 * stats.norm.pdf(0.0), rel=0.15)


def test_peaks_are_counted_where_they_are():
    rng = np.random.default_rng(3)
    ends = (-np.inf, np.inf)
    one = rng.normal(size=N)
    two = one + 5.0 * (rng.random(N) < 0.3)
    assert len(peaks(equal(one), -4.0, 4.0, ends)) == 1
    np.testing.assert_allclose(peaks(equal(two), -4.0, 9.0, ends), [0.0, 5.0], atol=0.3)
    cut = equal(rng.exponential(size=N))
    np.testing.assert_allclose(peaks(cut, 0.0, 6.0, (0.0, np.inf)), [0.0], atol=0.15)


@pytest.mark.parametrize("law", ["normal", "uniform", "exponential"])
def test_noise_makes_no_peaks(law):
    """Of 40 densities of 300 draws, none has a second peak but by a chance of some 4 sd."""
    frozen, bounds = LAWS[law]
    low, high = frozen.ppf(0.002), frozen.ppf(0.998)
    counts = [
        len(peaks(equal(frozen.rvs(300, random_state=i)), low, high, bounds)) for i in range(40)
    ]
    assert sum(count != 1 for count in counts) <= 1


def test_a_heavy_draw_makes_all_smoother_and_is_no_needle():
    """One of 4,000 draws with a fifth of all weight is worth 25 effective draws."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    x[0] = 3.0
    weights = np.full(N, 0.8 / (N - 1))
    weights[0] = 0.2
    at = np.linspace(-4.0, 5.0, 901)
    with_it, without = density(Draws(x[:, None], weights), at), density(equal(x), at)
    # its own peak is no higher than a fifth of a normal density of half the sd of the others
    assert with_it[np.abs(at - 3.0) < 0.5].max() < 0.2 * stats.norm.pdf(0.0, scale=0.45)
    # second differences: how rough a curve is
    rough = [np.abs(np.diff(each[at < 1.5], 2)).sum() for each in (with_it, without)]
    assert rough[0] < 0.7 * rough[1]


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
def test_contours_of_a_gaussian_hold_their_masses(correlation):
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0.0], [correlation, np.sqrt(1.0 - correlation**2)]])
    draws = equal(rng.normal(size=(8000, 2)) @ root.T)
    free = ((-np.inf, np.inf),) * 2
    x, y, found = density_of_two(draws, ((-4.0, 4.0), (-4.0, 4.0)), free)
    cell = (x[1] - x[0]) * (y[1] - y[0])
    assert found.sum() * cell == pytest.approx(1.0, abs=2e-3)
    levels = levels_of(found, (0.393, 0.865))
    assert levels == sorted(levels)
    # the share of the true law within the contours: wider by the kernel, a few per cent
    precise = np.linalg.inv(root @ root.T)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    true = np.exp(-0.5 * np.einsum("...i,ij,...j", grid, precise, grid))
    for level, mass in zip(levels, (0.865, 0.393), strict=True):
        held = true[found >= level].sum() / true.sum()
        assert held == pytest.approx(mass, abs=0.05)


def test_two_coordinates_end_at_their_bounds():
    """Uniform in a square: without reflection, a corner would have a quarter of the density."""
    draws = equal(np.random.default_rng(0).random((8000, 2)))
    _, _, found = density_of_two(draws, ((0.0, 1.0), (0.0, 1.0)), ((0.0, 1.0), (0.0, 1.0)))
    assert found.mean() == pytest.approx(1.0, abs=1e-3)
    corners = found[np.ix_([0, -1], [0, -1])]
    np.testing.assert_allclose(corners, 1.0, atol=0.35)


def test_draws_at_one_place_have_a_density_too():
    draws = Draws(np.array([[1.0], [1.0], [1.5]]), np.array([0.5, 0.5, 0.0]))
    at = np.linspace(-9.0, 11.0, 400)
    assert integrate.trapezoid(density(draws, at), at) == pytest.approx(1.0, abs=1e-3)
