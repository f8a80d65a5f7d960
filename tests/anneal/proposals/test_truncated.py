"""Proposals on one side of a coordinate: densities that integrate to one there, far out too."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from nfanneal.anneal.proposals.base import PriorProposal, log_standard_normal
from nfanneal.anneal.proposals.stored import restored, stored
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.proposals.truncated import Side, Truncated

SIDES = [Side(1, edge, above) for edge in (-30.0, -2.0, 0.3, 2.0, 30.0) for above in (False, True)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def proposal() -> StudentMixture:
    locations = np.array([[0.5, -1.0, 0.0], [-1.0, 2.0, 0.3]])
    return StudentMixture(locations, np.stack([np.eye(3), 0.5 * np.eye(3)]), np.log([0.3, 0.7]), 5)


@pytest.mark.parametrize("side", SIDES)
def test_the_way_out_undoes_the_way_in(side: Side) -> None:
    whole = np.random.default_rng(0).standard_normal((1000, 3))
    z, log_slope = side.into(whole)
    assert side.holds(z).all()
    again, same_slope = side.out_of(z)
    # by the edge, where shares are near one, digits of the way from it are lost
    np.testing.assert_allclose(again, whole, atol=1e-6)
    np.testing.assert_allclose(same_slope, log_slope, atol=1e-5)
    np.testing.assert_array_equal(z[:, [0, 2]], whole[:, [0, 2]])


@pytest.mark.parametrize("side", SIDES)
def test_the_slope_is_that_of_differences(side: Side) -> None:
    whole, step = np.random.default_rng(1).standard_normal((200, 3)), np.array([0.0, 1e-5, 0.0])
    slope = (side.into(whole + step)[0] - side.into(whole - step)[0])[:, 1] / 2e-5
    np.testing.assert_allclose(np.exp(side.into(whole)[1]), slope, rtol=1e-3)


@pytest.mark.parametrize("side", SIDES)
def test_the_prior_comes_to_the_prior_on_that_side(side: Side) -> None:
    part = Truncated(PriorProposal(3), side)
    z = part.draw(1000, generator(2))
    low, high = (side.edge, np.inf) if side.above else (-np.inf, side.edge)
    expected = log_standard_normal(np.delete(z, 1, axis=1))
    expected += stats.truncnorm(low, high).logpdf(z[:, 1])
    np.testing.assert_allclose(part.log_density(z), expected, atol=1e-6)


@pytest.mark.parametrize("edge", [-2.0, 0.3, 2.0])
@pytest.mark.parametrize("above", [False, True])
def test_the_density_integrates_to_one(edge: float, above: bool) -> None:
    locations, factors = np.array([[0.4], [-1.0]]), np.array([[[0.3]], [[0.2]]])
    part = Truncated(
        StudentMixture(locations, factors, np.log([0.3, 0.7]), 5), Side(0, edge, above)
    )
    ends = (edge, 8.0) if above else (-8.0, edge)
    found, _ = integrate.quad(lambda z: np.exp(part.log_density(np.array([[z]])))[0], *ends)
    assert abs(found - 1.0) < 1e-3


@pytest.mark.parametrize("side", SIDES)
def test_draws_are_on_that_side_and_the_density_is_nothing_elsewhere(side: Side) -> None:
    part = Truncated(proposal(), side)
    z = part.draw(50_000, generator(3))
    assert side.holds(z).all()
    assert np.isfinite(part.log_density(z)).all()
    other = 40.0 * np.random.default_rng(4).standard_normal((1000, 3))
    np.testing.assert_array_equal(part.log_density(other) == -np.inf, ~side.holds(other))


def test_a_stored_one_comes_back() -> None:
    part = Truncated(proposal(), Side(2, 0.5, True))
    again = restored(*stored(part))
    z = part.draw(100, generator(7))
    np.testing.assert_array_equal(again.log_density(z), part.log_density(z))
    np.testing.assert_array_equal(again.draw(50, generator(8)), part.draw(50, generator(8)))
