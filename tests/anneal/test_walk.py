"""Walks leave the posterior as it is, and get to what a proposal does not draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from problems import N, check_moments, gaussian_target, tempered_moments

from nfanneal.anneal.final_draws import FinalDraws, final_draws
from nfanneal.anneal.proposals.base import PriorProposal, log_standard_normal
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.second_opinion import FEWEST_ROUNDS, Allowance, kept_back, second_opinion
from nfanneal.anneal.tails import Drawn
from nfanneal.anneal.walk import (
    Ways,
    begun,
    most_evaluations,
    round_evaluations,
    walk_apart,
)
from nfanneal.target import Evaluation

ALL = Drawn(lambda: np.ones(2000))
"""All final draws are of what was fitted."""


def student(widths):
    """Around the posterior of `gaussian_target`, so many times as wide."""
    mean, covariance = tempered_moments(1.0)
    factor = np.linalg.cholesky(covariance) @ np.diag(widths)
    return StudentMixture(mean[None], factor[None], np.zeros(1), 5.0)


def walked(target, proposal, by_gradients, seed=0):
    """Exact draws of the posterior after a walk."""
    rng = np.random.default_rng(seed)
    mean, covariance = tempered_moments(1.0)
    z = mean + rng.standard_normal((N, 2)) @ np.linalg.cholesky(covariance).T
    log_ratio = log_standard_normal(z) - proposal.log_density(z)
    start = begun(z, target.ask(z, False).log_likelihood, log_ratio)
    mode = np.zeros(N, dtype=np.int64)
    generator = torch.Generator().manual_seed(seed)
    ways = Ways(target, proposal, mode, by_gradients, rng, generator)
    return walk_apart(start, ways, np.arange(N), np.inf, lambda done, total: None)


@pytest.mark.parametrize("by_gradients", [False, True], ids=["differences", "gradients"])
def test_a_walk_leaves_the_posterior_as_it_is(by_gradients):
    target, _ = gaussian_target()
    end, walk = walked(target, student((1.2, 1.2)), by_gradients)
    check_moments(end.z, 1.0)
    np.testing.assert_array_equal(end.log_likelihood, target.ask(end.z, False).log_likelihood)
    log_ratio = log_standard_normal(end.z) - student((1.2, 1.2)).log_density(end.z)
    np.testing.assert_allclose(end.log_ratio, log_ratio)
    assert walk.spent.evaluations <= N * most_evaluations(by_gradients)
    assert (walk.spent.gradients > 0) == by_gradients


def test_a_narrow_proposal_is_found_out():
    """It is a third as wide as the posterior in one direction: weights miss what lies outside."""
    target, exact = gaussian_target()
    proposal = student((0.1, 1.0))
    generator = torch.Generator().manual_seed(1)
    final = FinalDraws(final_draws(target, proposal, 2000, generator), proposal)
    seed = np.random.SeedSequence(1)
    found = second_opinion(
        replace(target, differentiable=False), final, None, Allowance(2048), seed, ALL
    )
    assert found.witness.uncovered_mass > 0.02
    assert found.spent.evaluations > 0
    good = student((1.2, 1.2))
    final = FinalDraws(final_draws(target, good, 2000, generator), good)
    found = second_opinion(target, final, None, Allowance(2048), seed, ALL)
    assert found.witness.uncovered_mass == 0.0
    # four errors: a false alarm in 15,000
    assert abs(found.witness.log_evidence - exact) < 4.0 * found.witness.error
    assert found.witness.disagreement.max() < 5.0


def test_a_walk_goes_on_for_as_long_as_it_remembers_where_it_began():
    """From one narrow well of many to the next hardly any step leads."""
    target, _ = gaussian_target()
    _, quick = walked(target, student((1.2, 1.2)), False)
    assert quick.spent.evaluations < N * most_evaluations(False)

    def wells(z, gradient):
        return Evaluation(300.0 * np.cos(20.0 * z).sum(axis=1), np.zeros(len(z), dtype=bool))

    elsewhere = student((0.1, 0.1))
    elsewhere = replace(elsewhere, locations=elsewhere.locations + 9.0)
    _, slow = walked(replace(target, ask=wells, differentiable=False), elsewhere, False)
    assert slow.spent.evaluations == N * most_evaluations(False)


def test_a_budget_is_kept():
    target, _ = gaussian_target()
    proposal = PriorProposal(2)
    final = FinalDraws(
        final_draws(target, proposal, 500, torch.Generator().manual_seed(1)), proposal
    )
    seed, most = np.random.SeedSequence(1), most_evaluations(False)
    assert second_opinion(target, final, None, Allowance(2048, 256 * most - 1), seed, ALL) is None
    assert second_opinion(target, final, None, Allowance(0), seed, ALL) is None
    found = second_opinion(target, final, None, Allowance(2048, 300 * most), seed, ALL)
    assert 0 < found.spent.evaluations <= 300 * most
    first = FEWEST_ROUNDS * round_evaluations(False)
    found = second_opinion(target, final, None, Allowance(2048, taken=1000.0), seed, ALL)
    assert found.spent.evaluations == 2048 * first
    assert kept_back(target, 2048, 1000.0) == 500.0
    assert kept_back(target, 2048, 1e9) == 2048 * most
