"""Annealing: schedules against closed forms, and evidences that are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from problems import FLOW, QUICK, Array, final_evidence, gaussian_target, modes_target, seed
from scipy.stats import norm

from nfanneal.anneal.final_mixture import (
    DEFENSIVE_SHARES,
    PREMIUM,
    defensive_share,
    final_mixture,
    mixture_shares,
)
from nfanneal.anneal.loop import anneal
from nfanneal.anneal.pool import Pool, make_generation
from nfanneal.anneal.progress import LevelInfo
from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.schedule import SCHEDULES, LevelView, largest_beta
from nfanneal.anneal.settings import AnnealSettings, default_anneal_settings
from nfanneal.anneal.weights import tempered
from nfanneal.errors import ModelError
from nfanneal.target import Evaluation, Target


@pytest.mark.parametrize(
    ("objective", "levels"),
    [("forward_kl", 3), ("reverse_kl", 3), ("reverse_kl", 1), ("hybrid", 3)],
)
def test_objectives_reach_the_evidence_of_a_correlated_gaussian(
    objective: str, levels: int
) -> None:
    target, exact = gaussian_target()
    settings = replace(QUICK, objective=objective, keep_levels=levels)
    result = anneal(target, FLOW, settings, seed())
    found = final_evidence(result, target)
    assert result.reached == 1.0
    assert abs(found.log_evidence - exact) < 4.0 * found.error + 0.003
    assert found.error < 0.05


def test_all_modes_are_found() -> None:
    target, exact = modes_target()
    result = anneal(target, FLOW, replace(QUICK, draws=4096), seed(1))
    found = final_evidence(result, target)
    assert abs(found.log_evidence - exact) < 4.0 * found.error + 0.003
    assert found.error < 0.1


def test_the_same_seed_gives_the_same_arrays() -> None:
    target, _ = gaussian_target()
    quick = replace(QUICK, steps=15, max_rounds=1)
    one, same, other = (anneal(target, FLOW, quick, seed(s)) for s in (3, 3, 4))
    z = [r.path[-1].z for r in (one, same, other)]
    np.testing.assert_array_equal(z[0], z[1])
    assert not np.array_equal(z[0], z[2])


@pytest.mark.parametrize("objective", ["forward_kl", "hybrid"])
def test_wild_likelihoods_never_make_the_flow_nan(objective: str) -> None:
    good, _ = gaussian_target()

    def evaluate(z: Array, gradient: bool) -> Evaluation:
        found = good.evaluate(z, gradient)
        failed = z[:, 0] < 0.0
        value = np.where(failed, -np.inf, found.log_likelihood)
        if found.gradient is None:
            return Evaluation(value, failed)
        wild = np.where(z[:, 1:] > 0.3, np.nan, np.where(z[:, 1:] > 0.0, 1e30, found.gradient))
        return Evaluation(value, failed, wild)

    target = Target(2, evaluate, differentiable=True)
    result = anneal(target, FLOW, replace(QUICK, objective=objective, steps=15), seed())
    z = result.proposal.draw(1000, torch.Generator().manual_seed(0))
    assert np.all(np.isfinite(z))
    assert np.all(np.isfinite(result.proposal.log_density(z)))


def test_a_likelihood_of_zero_everywhere_is_an_error() -> None:
    nowhere = Target(2, lambda z, g: Evaluation(np.full(len(z), -np.inf), np.ones(len(z), bool)))
    with pytest.raises(ModelError, match="zero at all 2048 draws from the prior"):
        anneal(nowhere, FLOW, QUICK, seed())


@pytest.mark.parametrize("budget", [6500, 9000, 20_000])
def test_the_budget_of_evaluations_is_kept(budget: int) -> None:
    target, _ = modes_target()
    seen: list[LevelInfo] = []
    quick = replace(QUICK, steps=10, max_evaluations=budget)
    result = anneal(
        target, FLOW, quick, seed(), lambda e: seen.append(e) if isinstance(e, LevelInfo) else None
    )
    assert result.n_evaluations <= budget
    assert tuple(seen) == result.history


def view_of(log_likelihood: Array, beta: float, **more: object) -> LevelView:
    n = len(log_likelihood)
    given = {"level": 0, "log_base_weights": np.zeros(n), "dimension": 1, **more}
    return LevelView(beta=beta, log_likelihood=log_likelihood, **given)  # type: ignore[arg-type]


def test_a_step_leaves_no_more_points_than_are_enough() -> None:
    log_likelihood = -0.5 * 1e3 * np.random.default_rng(0).standard_normal(20_000) ** 2
    far = SCHEDULES["ess"](view_of(log_likelihood, 0.0, enough=2000.0), QUICK)
    near = SCHEDULES["ess"](view_of(log_likelihood, 0.0), QUICK)
    assert far > near
    view = view_of(log_likelihood, 0.0)
    assert view.truncated_ess(far) * 20_000 == pytest.approx(2000.0, rel=1e-3)


@pytest.mark.parametrize("target", [0.9, 0.5, 0.1])
def test_largest_beta_inverts_the_ess_of_a_gaussian(target: float) -> None:
    """ESS of N(0, 1) against the likelihood exp(−a·z²/2) at β: √(1 + 2aβ)/(1 + aβ)."""

    def ess(beta: float, a: float = 1e4) -> float:
        return math.sqrt(1.0 + 2.0 * a * beta) / (1.0 + a * beta)

    beta = largest_beta(ess, target, 0.0)
    assert ess(beta) == pytest.approx(target, rel=1e-6)


def test_largest_beta_stays_or_finishes() -> None:
    assert largest_beta(lambda beta: 0.5, 0.4, 0.1) == 1.0
    assert largest_beta(lambda beta: 0.3, 0.4, 0.1) == 0.1


def test_ess_step_matches_the_closed_form() -> None:
    z = np.random.default_rng(0).standard_normal(200_000)
    a = 1e4
    beta = SCHEDULES["ess"](view_of(-0.5 * a * z**2, 0.0), replace(QUICK, relative_ess=0.3))
    reached = math.sqrt(1.0 + 2.0 * a * beta) / (1.0 + a * beta)
    assert reached == pytest.approx(0.3, abs=0.01)


def test_ess_step_stands_still_only_while_patient() -> None:
    log_likelihood = np.full(1000, -1e6)
    log_likelihood[:3] = 0.0
    still = SCHEDULES["ess"](view_of(log_likelihood, 0.01), QUICK)
    moved = SCHEDULES["ess"](view_of(log_likelihood, 0.01, patient=False), QUICK)
    assert still == 0.01
    assert moved > 0.01


def test_adaann_step_is_tolerance_over_the_spread() -> None:
    log_likelihood = np.random.default_rng(1).standard_normal(100_000) * 5.0
    beta = SCHEDULES["adaann"](view_of(log_likelihood, 0.0), replace(QUICK, tolerance=0.5))
    assert beta == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("name", ["linear", "geometric"])
def test_fixed_schedules_rise_to_one_in_k_levels(name: str) -> None:
    settings = replace(QUICK, levels=7)
    betas = [SCHEDULES[name](view_of(np.zeros(5), 0.0, level=k), settings) for k in range(7)]
    assert betas[-1] == 1.0
    assert np.all(np.diff(betas) > 0)


def generation_pool(counts: tuple[int, ...], scale: Callable[[int], float]) -> Pool:
    pool = Pool()
    for level, n in enumerate(counts):
        proposal = PriorProposal(2)
        z = proposal.draw(n, torch.Generator().manual_seed(level))
        pool = pool.added(make_generation(level, proposal, z, scale(level) * z[:, 0]))
    return pool


def test_pool_of_the_prior_alone_has_even_weights() -> None:
    pool = generation_pool((100, 50), lambda level: 1.0)
    np.testing.assert_allclose(pool.log_base_weights(), 0.0, atol=1e-12)
    assert len(pool.since(1).z) == 50


def test_a_likelihood_of_zero_has_weight_only_at_the_prior() -> None:
    log_likelihood = np.array([0.0, -np.inf])
    assert tempered(np.zeros(2), log_likelihood, 0.0).tolist() == [0.0, 0.0]
    assert tempered(np.zeros(2), log_likelihood, 0.5).tolist() == [0.0, -np.inf]


def test_mixture_shares_find_the_true_ones() -> None:
    rng = np.random.default_rng(2)
    z = np.where(rng.random(50_000) < 0.3, rng.normal(-2, 1, 50_000), rng.normal(2, 0.5, 50_000))
    log_q = np.stack([norm(-2, 1).logpdf(z), norm(2, 0.5).logpdf(z), norm(9, 1).logpdf(z)])
    shares = mixture_shares(log_q, np.full(len(z), 1.0 / len(z)))
    np.testing.assert_allclose(shares, [0.3, 0.7, 0.0], atol=0.01)


def test_a_proposal_that_draws_again_keeps_one_density() -> None:
    """Densities of a pool are each proposal's own at all points, however often it drew."""
    prior, narrow = PriorProposal(2), student(0.0)
    pool = Pool()
    for level, proposal in enumerate((prior, narrow, prior)):
        z = proposal.draw(40, torch.Generator().manual_seed(level))
        pool = pool.added(make_generation(level, proposal, z, np.zeros(40)))
    for i, generation in enumerate(pool.generations):
        for j, other in enumerate(pool.generations):
            expected = other.proposal.log_density(generation.z)
            np.testing.assert_array_equal(pool.densities[i][j], expected)
    expected = np.log(2.0 * np.exp(prior.log_density(pool.z)) / 3.0
                      + np.exp(narrow.log_density(pool.z)) / 3.0)  # fmt: skip
    np.testing.assert_allclose(prior.log_density(pool.z) - pool.log_base_weights(), expected)


def student(centre: float) -> StudentMixture:
    return StudentMixture(np.full((1, 2), centre), 0.5 * np.eye(2)[None], np.zeros(1), 5.0)


def test_the_final_mixture_fits_the_newest_points_and_keeps_a_defence() -> None:
    """Points of N(0, I) under a good and a misplaced proposal, each drawn at a level of its own."""
    hot, good, bad = student(0.5), student(0.0), student(4.0)
    pool = Pool()
    for level, proposal in ((1, hot), (2, bad), (3, good), (3, hot)):
        z = proposal.draw(2000, torch.Generator().manual_seed(level))
        pool = pool.added(make_generation(level, proposal, z, -1.5 * (z**2).sum(axis=1)))
    final = final_mixture(pool, 1.0, 2, (hot,))
    assert final.components == (bad, good, hot, PriorProposal(2))
    assert sum(final.weights) == pytest.approx(1.0)
    assert final.weights[2] == final.weights[3]
    share = 2 * final.weights[2]
    assert DEFENSIVE_SHARES[0] <= share <= DEFENSIVE_SHARES[-1]
    assert final.weights[1] > 0.95 * (1.0 - share)
    assert len(final_mixture(pool, 1.0, 1, (hot,)).components) == 3
    without = final_mixture(pool, 1.0, 2, (PriorProposal(2),))
    assert without.components == (bad, good, hot, PriorProposal(2))


@pytest.mark.parametrize("width", [0.3, 0.5, 1.0])
def test_a_defence_costs_few_effective_draws_and_is_large_where_it_is_needed(width) -> None:
    """Against quadrature: the target is N(0, 1), fitted by N(0, w²), the defence is N(0, 25)."""
    x = np.linspace(-30.0, 30.0, 8001)
    target, fitted, wide = (norm(0, s).logpdf(x) for s in (1.0, width, 5.0))
    share = defensive_share(fitted, wide, target, target)

    def square(share: float) -> float:
        mixed = np.logaddexp(fitted + np.log1p(-share), wide + np.log(share))
        return float(np.exp(2.0 * target - mixed).sum())

    squares = {s: square(s) for s in DEFENSIVE_SHARES}
    cheap = [s for s in DEFENSIVE_SHARES if squares[s] <= PREMIUM * min(squares.values())]
    assert share == max(cheap)
    assert share < 0.3 if width == 1.0 else share >= 0.4


def test_points_without_likelihood_ask_for_the_largest_defence() -> None:
    nothing = np.full(5, -np.inf)
    assert defensive_share(np.zeros(5), np.zeros(5), nothing, nothing) == DEFENSIVE_SHARES[-1]


def test_settings_given_as_none_are_defaults() -> None:
    settings = default_anneal_settings(8, draws=None, steps=17)
    assert isinstance(settings, AnnealSettings)
    assert (settings.draws, settings.steps) == (default_anneal_settings(8).draws, 17)
