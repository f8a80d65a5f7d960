"""The bridge: log-evidences of Gaussians, their errors, and what it sees that weights do not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from nfanneal.anneal.bridge import UNSEEN, Walked, bridge, witness
from nfanneal.anneal.final_draws import LatentDraws
from nfanneal.anneal.second_opinion import Opinion
from nfanneal.anneal.tails import Drawn
from nfanneal.anneal.weights import evidence, mass_beyond, normalized
from nfanneal.target import Spent

LOG_Z = 1.5


def drawn(rng, n, m, q, shift=0.0):
    """Log p/q at n draws of q and at m of p = e^LOG_Z·N(0, 1)."""
    at_q, at_p = q.rvs(n, random_state=rng), rng.standard_normal(m) + shift
    return tuple(LOG_Z + norm.logpdf(x) - q.logpdf(x) for x in (at_q, at_p))


@pytest.mark.parametrize("q", [norm(0.5, 1.2), norm(0.0, 0.6)], ids=["wide", "narrow"])
def test_log_evidence_and_its_error_are_right(q):
    """400 estimates: their mean within 4 errors, their spread 0.85 to 1.15 of what is reported.

    The chance of a false alarm is 1 in 15,000 for the mean, and below it for the spread, whose own
    error is 3.5 %. Of the narrow proposal weights have an infinite variance: no matter here.
    """
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        of_draws, of_points = drawn(rng, 1000, 500, q)
        found.append(bridge(of_draws, of_points, np.arange(500)))
    values = np.array([e.log_evidence for e in found])
    errors = np.array([e.error for e in found])
    assert abs(values.mean() - LOG_Z) < 4.0 * values.std() / 20.0
    assert 0.85 < values.std() / np.sqrt(np.mean(errors**2)) < 1.15


def test_related_points_count_as_one():
    """Each of 100 points four times: the error is that of 100."""
    rng = np.random.default_rng(4)
    of_draws, of_points = drawn(rng, 100_000, 100, norm(0.0, 1.5))
    once = bridge(of_draws, of_points, np.arange(100))
    four = bridge(of_draws, np.tile(of_points, 4), np.tile(np.arange(100), 4))
    assert four.log_evidence == pytest.approx(once.log_evidence, abs=1e-9)
    assert four.error == pytest.approx(once.error, rel=1e-9)


def test_a_flat_ratio_has_no_error():
    found = bridge(np.full(50, 2.0), np.full(20, 2.0), np.arange(20))
    assert found.log_evidence == pytest.approx(2.0)
    assert found.error == 0.0


def test_points_where_the_proposal_hardly_draws_are_seen():
    """A proposal that lacks a mode of mass 0.3, to which points have walked."""
    rng = np.random.default_rng(5)
    of_draws = np.full(2000, np.log(0.7))
    of_points = np.where(rng.random(2000) < 0.3, 10.0, np.log(0.7))
    walked = Walked(np.zeros((2000, 1)), of_points, np.zeros(2000), of_points, np.arange(2000))
    found = witness(np.zeros((2000, 1)), of_draws, walked)
    assert found.uncovered_mass == pytest.approx(0.3, abs=4.0 * np.sqrt(0.21 / 2000))
    assert found.uncovered_error == pytest.approx(np.sqrt(0.21 / 2000), rel=0.1)
    assert abs(found.log_evidence) < 0.1
    assert evidence(of_draws).log_evidence == pytest.approx(np.log(0.7))


def test_what_moved_on_the_way_is_part_of_the_error():
    ratio = np.zeros(500)
    halfway = np.where(np.arange(500) < 250, 0.0, -1.0)
    z = np.zeros((500, 1))
    found = witness(z, ratio, Walked(z, ratio, ratio, halfway, np.arange(500)))
    assert found.drift != 0.0
    assert found.error >= abs(found.drift)


def test_what_is_hardly_drawn_counts_in_the_error_whoever_knows_of_it():
    """Few of 10,000 draws have much of all weight: as much may be where none of them is."""
    rng, z = np.random.default_rng(7), np.zeros((512, 1))
    flat, ancestor = np.zeros(512), np.arange(512)
    errors = []
    for high in (1.0, 60.0):
        log_weight = np.log(np.where(np.arange(10_000) < 50, high, 1.0))
        share = 50.0 * high / (50.0 * high + 9950.0)
        walked = log_weight[rng.choice(10_000, 512, p=normalized(log_weight))]
        found = witness(
            np.zeros((10_000, 1)), log_weight, Walked(z, walked, flat, walked, ancestor)
        )
        errors.append(found.error)
    assert errors[0] < 1e-6
    assert errors[1] >= UNSEEN * share > 0.1


@pytest.mark.parametrize("who", ["walked points", "draws", "a tail beyond all draws"])
def test_how_well_that_is_known_is_that_of_whoever_says_most(who):
    """A count of m points of their own has an error of √(p(1 − p)/m); a fitted tail tells none."""
    flat, share, m = np.zeros(512), 51 / 512, 512
    of_points, of_draws = np.zeros(m), np.zeros(10_000)
    if who == "walked points":
        of_points[:51] = math.log(60.0)
        expected = UNSEEN * math.sqrt(share * (1.0 - share) / m)
    elif who == "draws":
        of_draws[:50] = math.log(60.0)
        heavy = 60.0 / (50 * 60.0 + 9950)
        known = 50 * heavy
        expected = UNSEEN * heavy * math.sqrt(50) * (1.0 - known)
        assert mass_beyond(of_draws) < UNSEEN * known
    else:
        of_draws = -1.5 * np.log1p(-(np.arange(10_000) + 0.5) / 10_000)
        expected = 0.0
    walked = Walked(np.zeros((m, 1)), of_points, flat, of_points, np.arange(m))
    found = witness(np.zeros((10_000, 1)), of_draws, walked)
    assert found.unseen > 0.0
    assert found.unseen_error == pytest.approx(expected, rel=0.05)


def test_a_column_in_which_draws_and_walked_points_differ_is_named():
    """Columns agree within 5 errors, but once in 400,000 times; the second is moved by 0.3."""
    rng = np.random.default_rng(6)
    of_draws, of_points = rng.standard_normal((4000, 3)), rng.standard_normal((2000, 3))
    of_points[:, 1] += 0.3
    flat = np.zeros(2000)
    found = witness(of_draws, np.zeros(4000), Walked(of_points, flat, flat, flat, np.arange(2000)))
    assert found.disagreement[1] > 8.0
    assert np.all(np.delete(found.disagreement, 1) < 5.0)


@pytest.mark.parametrize(("m", "above", "least"), [(256, 2, 2.9), (2048, 0, 9.5)])
def test_few_points_beyond_a_quantile_tell_no_more_than_a_count_does(m, above, least):
    """2 points for 12.8: 3.0 errors of a share of 5 %, not 7.7 of one of 2/256; 0 for 102: 10."""
    of_draws = norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    within = norm.ppf(0.95 * (np.arange(m - above) + 0.5) / (m - above))
    of_points = np.concatenate([within, np.full(above, norm.ppf(0.975))])[:, None]
    flat = np.zeros(m)
    walked = Walked(of_points, flat, flat, flat, np.arange(m))
    found = witness(of_draws, np.zeros(20_000), walked).disagreement[0]
    assert least < found < 1.1 * least


def test_a_walk_that_remembers_its_start_has_yet_to_go():
    """Decaying exponentially, 0.36 of a distance of 1 is left after 0.6 halfway: 1.5 times 0.24."""
    ratio, z = np.zeros(500), np.zeros((500, 1))
    halfway = np.where(np.arange(500) < 250, 0.0, -1.0)
    walked = Walked(z, ratio, ratio, halfway, np.arange(500))
    first = witness(z, ratio, walked)
    assert witness(z, ratio, replace(walked, memory=0.2)).drift == first.drift
    assert witness(z, ratio, replace(walked, memory=0.36)).drift == pytest.approx(1.5 * first.drift)
    assert np.isfinite(witness(z, ratio, replace(walked, memory=1.0)).drift)


def test_what_was_unseen_before_a_patch_is_in_the_error_after_it():
    """Draws and walked points agree to the last bit: nothing else speaks for an error."""
    flat, z = np.zeros(512), np.zeros((512, 1))
    draws = LatentDraws(z, flat, flat, np.zeros(512, dtype=bool))
    walked = Walked(z, flat, flat, flat, np.arange(512))
    opinion = Opinion(witness(z, flat, walked), Spent(), 0, walked)
    for unseen in (0.0, 0.3):
        said = opinion.of(draws, Drawn(lambda: np.ones(512), unseen=unseen)).witness
        assert (said.unseen, said.unseen_error) == (unseen, 0.0)
        assert said.error == pytest.approx(unseen)


def test_a_draw_on_a_bound_is_told_apart_by_no_infinity():
    """Rounding puts a stored draw on a bound of its prior, whose latent coordinate is infinite."""
    rng = np.random.default_rng(8)
    z, points = rng.standard_normal((4000, 2)), rng.standard_normal((500, 2))
    z[:3, 0] = np.inf, -np.inf, np.inf
    flat = np.zeros(500)
    draws = LatentDraws(z, np.zeros(4000), np.zeros(4000), np.zeros(4000, dtype=bool))
    walked = Walked(points, flat, flat, flat, np.arange(500))
    first = witness(draws.finite_z, draws.log_weight, walked)
    said = Opinion(first, Spent(), 0, walked).of(draws, Drawn(lambda: np.ones(4000))).witness
    assert np.isfinite(draws.finite_z).all()
    np.testing.assert_array_equal(norm.cdf(draws.finite_z[:3, 0]), [1.0, 0.0, 1.0])  # still on it
    assert np.isfinite(said.disagreement).all()
    assert said.disagreement.max() < 5.0
