"""Searches for optima: exact ends on linear models, and data that come one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from nfanneal.anneal.journal import Journal
from nfanneal.anneal.local import LocalPoints
from nfanneal.anneal.scout import STAGES, minimize, scout
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import spec_from_text
from nfanneal.target import Evaluation, Target

RNG = np.random.default_rng(0)
SLOPES, DATA = RNG.normal(size=(5, 3)), RNG.normal(size=5)
SPEC = """\
model:
  kind: ode
  states: {x: x0}
  equations: {x: -k*x}
parameters: {x0: {prior: {normal: [2, 1]}}, k: {prior: {uniform: [0, 1]}}}
likelihood: {x: {normal: 0.3}}
experiments:
  fast: {data: {file: fast.csv}, observed: [x]}
  slow: {data: {file: slow.csv}, parameters: {k: k/2}}
"""
FAST = ["0,2.1", "1,1.5", "1,1.4", "2,1.2", "3,0.6"]
SLOW = ["0,1.9", "2,1.7", "9,0.4"]


def linear(z, share=1.0):
    """The first of the data y ~ N(Az, 1) at latent points z (n, 3)."""
    kept = int(np.ceil(share * len(DATA)))
    slopes, data = SLOPES[:kept], DATA[:kept]
    away = data - z @ slopes.T
    information = np.broadcast_to(slopes.T @ slopes, (len(z), 3, 3)).copy()
    log_likelihood = -0.5 * (away**2).sum(axis=1)
    return Evaluation(log_likelihood, np.zeros(len(z), bool), away @ slopes, information)


def test_a_search_ends_where_the_penalised_squares_are_least():
    """(I + AᵀA)⁻¹(anchor + Aᵀy), each start with its own anchor."""
    anchors, starts = RNG.normal(size=(2, 20, 3))
    found, spent = minimize(linear, starts, anchors)
    exact = np.linalg.solve(np.eye(3) + SLOPES.T @ SLOPES, (anchors + DATA @ SLOPES).T).T
    # a search ends when a step gains less than 0.01: it is within √0.02 sd of the end by then
    assert np.abs(found.z - exact).max() < 0.15
    np.testing.assert_allclose(found.log_likelihood, linear(found.z).log_likelihood)
    assert spent.gradients >= 40


def test_searches_in_the_order_of_time_follow_where_few_find_the_best_place():
    shares = []

    def evaluate(z, gradient):
        """The gradient leads astray: every search ends where it began, and no place is found."""
        slope = np.zeros_like(z)
        slope[:, 0] = 1e3 * np.sign(z[:, 0])
        value = -1e3 * np.abs(z[:, 0])
        return Evaluation(value, np.zeros(len(z), bool), slope, np.zeros((len(z), 3, 3)))

    def opening(z, share):
        shares.append(share)
        return linear(z, share)

    z = np.random.default_rng(1).standard_normal((2048, 3))
    target = Target(3, evaluate, True, True, ask_opening=opening)
    ends, spent = scout(target, z, evaluate(z, False).log_likelihood)
    assert sorted(set(shares)) == [k / STAGES for k in range(1, STAGES + 1)]
    assert shares == sorted(shares)
    assert len(ends.z) == 256 + 512
    # with the posterior's covariance C, ends of draws from the prior have the covariance C²; the
    # draws that searches begin with are the better ones, and spread less
    posterior = np.linalg.inv(np.eye(3) + SLOPES.T @ SLOPES)
    spread = np.linalg.eigvalsh(np.cov(ends.z[256:].T))
    assert np.all(spread > 0.1 * np.linalg.eigvalsh(posterior) ** 2)
    assert spent.gradients > 2048 + 512 * STAGES


def test_without_a_likelihood_there_is_no_search():
    def evaluate(z, gradient):
        return Evaluation(np.full(len(z), -np.inf), np.ones(len(z), bool))

    assert scout(Target(3, evaluate), np.zeros((9, 3)), np.full(9, -np.inf))[0] is None


def test_what_is_far_below_the_best_is_no_centre():
    points = LocalPoints(np.zeros((3, 2)), np.array([0.0, -15.0, -50.0]), np.zeros((3, 2, 2)))
    chosen = points.chosen(1.0, 100, np.random.default_rng(0)).log_likelihood
    assert sorted(set(chosen)) == [-15.0, 0.0]
    assert -50.0 in points.chosen(0.1, 100, np.random.default_rng(0)).log_likelihood


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
    found = of_rows(5, 3).target.evaluate_opening(z, share)
    expected = of_rows(fast, slow).target.evaluate(z, True)
    for name in ("log_likelihood", "gradient", "information"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)


def test_what_a_share_was_asked_is_written_down_apart():
    """Another share of the same points is another question."""
    asked = []

    def opening(z, share):
        asked.append(share)
        return linear(z, share)

    target = Target(3, lambda z, gradient: linear(z), True, True, ask_opening=opening)
    z = np.zeros((4, 3))
    journal = Journal()
    recorded = journal.recorded(target)
    for share in (0.2, 0.6):
        expected = linear(z, share).log_likelihood
        np.testing.assert_array_equal(recorded.evaluate_opening(z, share).log_likelihood, expected)
    first, second = journal._answers
    assert first.question != second.question
    assert asked == [0.2, 0.6]
