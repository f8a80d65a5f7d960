"""Searches for optima: exact ends on linear models, and data that come one after the other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from nfanneal.anneal import searches
from nfanneal.anneal.archive import as_found
from nfanneal.anneal.contest import untrained
from nfanneal.anneal.journal import Journal
from nfanneal.anneal.local import LocalPoints
from nfanneal.anneal.pool import Pool, make_generation
from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.anneal.scout import (
    OPENINGS,
    ROUNDS_IN_VAIN,
    STAGES,
    found_often,
    in_order_of_time,
    minimize,
    nothing_found,
    pool_starts,
    searched,
)
from nfanneal.anneal.searches import OFTEN, scout_prior
from nfanneal.anneal.settings import default_anneal_settings, default_flow_settings
from nfanneal.anneal.state import Means, State
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import spec_from_text
from nfanneal.target import Evaluation, Spent, Target

RNG = np.random.default_rng(0)
SLOPES, DATA = RNG.normal(size=(5, 3)), RNG.normal(size=5)
SPEC = """\
model:
  kind: ode
  states: {x: x0}
  equations: {x: -k*x}
  solver: {atol: 1e-8}
parameters: {x0: {prior: {normal: [2, 1]}}, k: {prior: {uniform: [0, 1]}}}
likelihood: {x: {normal: 0.3}}
experiments:
  fast: {data: {file: fast.csv}, observed: [x]}
  slow: {data: {file: slow.csv}, parameters: {k: k/2}}
"""
FAST = ["0,2.1", "1,1.5", "1,1.4", "2,1.2", "3,0.6"]
SLOW = ["0,1.9", "2,1.7", "9,0.4"]


def scouted(target, n, seed, **settings):
    """What searches from n draws of the prior come to, and from more where it takes more."""
    d = target.dimension
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    prior = PriorProposal(d)
    z = prior.draw(n, generator)
    pool = Pool().added(make_generation(0, prior, z, target.evaluate(z, False).log_likelihood))
    flows = untrained(d, default_flow_settings(d), 1)
    state = State(0, 0.0, 0, flows, prior, pool, (), 0, 0, np.empty((0, d)), 0, ((0.0, prior),))
    annealing = default_anneal_settings(d, draws=n, **settings)
    train_seed = np.random.SeedSequence(seed)
    means = Means(target, annealing, generator, rng, train_seed, lambda event: None)
    return scout_prior(state, means)


def linear(z, share=1.0):
    """The first of the data y ~ N(Az, 1) at latent points z (n, 3)."""
    kept = int(np.ceil(share * len(DATA)))
    slopes, data = SLOPES[:kept], DATA[:kept]
    away = data - z @ slopes.T
    information = np.broadcast_to(slopes.T @ slopes, (len(z), 3, 3)).copy()
    log_likelihood = -0.5 * (away**2).sum(axis=1)
    return Evaluation(log_likelihood, np.zeros(len(z), bool), away @ slopes, information)


def linear_target(z, gradient):
    return linear(z)


def curvature(z, share=1.0):
    found = linear(z, share)
    return found, found.spent


def test_a_search_ends_where_the_penalised_squares_are_least():
    """(I + AᵀA)⁻¹(anchor + Aᵀy), each start with its own anchor."""
    anchors, starts = RNG.normal(size=(2, 20, 3))
    found, spent = minimize(curvature, starts, anchors)
    exact = np.linalg.solve(np.eye(3) + SLOPES.T @ SLOPES, (anchors + DATA @ SLOPES).T).T
    # a search ends when a step gains less than 0.01: it is within √0.02 sd of the end by then
    assert np.abs(found.z - exact).max() < 0.15
    np.testing.assert_allclose(found.log_likelihood, linear(found.z).log_likelihood)
    assert spent.gradients >= 40


def test_searches_in_the_order_of_time_follow_where_few_find_the_best_place(monkeypatch):
    """No way to any place leads straight up."""

    def nowhere(target, archive, z, log_likelihood):
        return np.full(len(z), -1), Spent()

    monkeypatch.setattr(searches, "uphill", nowhere)
    shares = []

    def evaluate(z, gradient):
        """The gradient leads astray: every search ends where it began, and no place is found."""
        slope = np.zeros_like(z)
        slope[:, 0] = 1e4 * np.sign(z[:, 0])
        value = -1e4 * np.abs(z[:, 0])
        return Evaluation(value, np.zeros(len(z), bool), slope, np.zeros((len(z), 3, 3)))

    def ask_curvature(z, share):
        if share == 1.0 and len(shares) < STAGES:
            return evaluate(z, True)
        shares.append(share)
        return linear(z, share)

    target = Target(3, evaluate, True, True, ask_curvature=ask_curvature)
    found = scouted(target, 2048, 1)
    assert sorted(set(shares)) == [k / STAGES for k in range(1, STAGES + 1)]
    assert shares == sorted(shares)
    # the ends of the searches in the order of time lie about the exact optimum, 3 of whose
    # standard deviations hold all but 3 % of a Gaussian's draws in three dimensions
    precision = np.eye(3) + SLOPES.T @ SLOPES
    away = found.archive.points.z - np.linalg.solve(precision, SLOPES.T @ DATA)
    near = np.einsum("ni,ij,nj->n", away, precision, away) < 9.0
    assert found.archive.found[near].sum() > 256
    assert found.n_gradients > 2048 + 512 * STAGES


def test_searches_in_the_order_of_time_go_on_until_many_found_the_best_place():
    opened = []

    def of_linear(z, share):
        if share == 1.0 / STAGES:
            opened.append(len(z))
        return linear(z, share)

    def lonely(z, share, better):
        """Every search ends where it began, the best far above the others, and above former."""
        found, flat = of_linear(z, share), np.zeros((len(z), 3))
        height = -1e5 * np.abs(z[:, 0]) + better * len(opened)
        return replace(
            found,
            log_likelihood=height,
            gradient=flat,
            information=flat[:, :, None] * flat[:, None],
        )

    z = RNG.normal(size=(5 * OPENINGS, 3))
    for ask, openings in (
        (of_linear, OPENINGS),
        (partial(lonely, better=1e6), len(z)),
        (partial(lonely, better=-1e6), (1 + ROUNDS_IN_VAIN) * OPENINGS),
    ):
        opened.clear()
        target = Target(3, linear_target, True, True, ask_curvature=ask)
        archive, _ = in_order_of_time(target, z, nothing_found(3))
        assert found_often(archive) == (ask is of_linear)
        assert sum(n for n in opened if n > OPENINGS // 4) == openings


def test_without_a_likelihood_there_is_no_search():
    def evaluate(z, gradient):
        return Evaluation(np.full(len(z), -np.inf), np.ones(len(z), bool))

    assert len(scouted(Target(3, evaluate), 64, 1).archive) == 0


def two_modes(kind):
    """Gaussians of masses 0.8, 0.2 and sd 0.5, 0.02 in three dimensions, as each kind of model."""
    centres, sds = np.array([[1.0, 0.0, -1.0], [-1.0, 1.0, 0.5]]), np.array([0.5, 0.02])

    def ask(z, gradient):
        away = z[:, None] - centres
        parts = np.log([0.8, 0.2]) - 0.5 * (away**2).sum(axis=2) / sds**2 - 3.0 * np.log(sds)
        total = logsumexp(parts, axis=1)
        slope = np.einsum("nk,nkd->nd", np.exp(parts - total[:, None]), -away / sds[:, None] ** 2)
        slope = slope if gradient else None
        return Evaluation(total, np.zeros(len(z), bool), slope)

    return Target(3, ask, differentiable=kind == "gradients"), centres


@pytest.mark.parametrize("kind", ["gradients", "values"])
def test_a_mode_of_a_millionth_of_the_volume_is_found(kind):
    target, centres = two_modes(kind)
    found = scouted(target, 8192, 2)
    archive = found.archive
    assert list(archive.modes(centres)) == [0, 1] or list(archive.modes(centres)) == [1, 0]
    nearest = np.abs(archive.points.z[:, None] - centres).max(axis=2).min(axis=0)
    assert np.all(nearest < [0.21, 2e-3])  # the prior moves the optima, the first by a fifth
    assert (found.n_gradients > 0) == (kind == "gradients")
    assert found.n_evaluations < 2**17


def test_searches_end_where_all_modes_are_found_often():
    """One mode: the first of them are enough. Several: they go on for the rarest of them."""
    one = scouted(Target(3, linear_target, True), 2048, 1)
    assert OFTEN <= one.archive.found.sum() < 100
    target, _ = two_modes("gradients")
    several = scouted(target, 8192, 2)
    assert several.archive.found.min() < OFTEN  # so rare is the narrow one
    assert several.n_evaluations > 1.5 * one.n_evaluations


def test_searches_keep_to_their_part_of_a_budget():
    target, _ = two_modes("values")
    bounded = scouted(target, 2048, 1, max_evaluations=100_000)
    assert 0 < bounded.n_evaluations <= 25_000


def test_what_is_found_again_is_not_new():
    target, centres = two_modes("gradients")
    first = searched(target, centres[:1] + 0.01, nothing_found(3))
    again = searched(target, centres[:1] - 0.02, first.archive)
    both = searched(target, centres + 0.01, first.archive)
    assert (first.news, again.news, both.news) == (True, False, True)
    assert list(again.archive.found) == [2]
    assert sorted(both.archive.found) == [1, 2]


def test_searches_from_a_pool_leave_out_what_is_known():
    target, centres = two_modes("gradients")
    known = searched(target, centres[:1], nothing_found(3)).archive
    rng = np.random.default_rng(3)
    z = np.concatenate([centres[0] + 0.3 * rng.standard_normal((500, 3)),
                        centres[1] + 0.02 * rng.standard_normal((50, 3))])  # fmt: skip
    log_l = target.evaluate(z, False).log_likelihood
    starts = pool_starts(z, np.zeros(550), log_l, 64, known)
    assert 32 <= len(starts) <= 64
    assert np.abs(starts - centres[1]).max() < 0.2


def test_what_is_far_below_the_best_is_no_centre():
    points = LocalPoints(np.zeros((3, 2)), np.array([0.0, -15.0, -50.0]), np.zeros((3, 2, 2)))
    archive = as_found(points, np.ones(3, dtype=np.int64))
    chosen = archive.chosen(1.0, 100, np.random.default_rng(0)).log_likelihood
    assert sorted(set(chosen)) == [-15.0, 0.0]
    assert -50.0 in archive.chosen(0.1, 100, np.random.default_rng(0)).log_likelihood


@pytest.fixture(scope="module")
def of_rows(tmp_path_factory):
    """The problem with the first rows of its two tables."""
    folder = tmp_path_factory.mktemp("opening")

    def build(fast, slow):
        (folder / "fast.csv").write_text("\n".join(["t,x", *FAST[:fast], ""]))
        (folder / "slow.csv").write_text("\n".join(["t,x", *SLOW[:slow], ""]))
        return build_problem(spec_from_text(SPEC, folder))

    return build


@pytest.mark.parametrize(
    ("share", "fast", "slow"), [(0.01, 1, 1), (0.5, 3, 2), (0.75, 4, 3), (1.0, 5, 3)]
)
def test_the_first_share_of_the_times_is_that_of_the_first_rows(of_rows, share, fast, slow):
    """Replicates belong to one time; each experiment has its own times."""
    z = np.random.default_rng(2).standard_normal((7, 2))
    found = of_rows(5, 3).target.curvature(z, share)[0]
    expected = of_rows(fast, slow).target.evaluate(z, True)
    for name in ("log_likelihood", "gradient", "information"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)


def test_what_a_share_was_asked_is_written_down_apart():
    """Another share of the same points is another question."""
    asked = []

    def opening(z, share):
        asked.append(share)
        return linear(z, share)

    target = Target(3, lambda z, gradient: linear(z), True, True, ask_curvature=opening)
    z = np.zeros((4, 3))
    journal = Journal()
    recorded = journal.recorded(target)
    for share in (0.2, 0.6):
        expected = linear(z, share).log_likelihood
        np.testing.assert_array_equal(recorded.curvature(z, share)[0].log_likelihood, expected)
    first, second = journal._answers
    assert first.question != second.question
    assert asked == [0.2, 0.6]
