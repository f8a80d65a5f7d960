"""Pruning: what it gains, what it costs, and when it must warn."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto, multivariate_normal

from nfanneal.anneal.weights import (
    effective_sample_size,
    evidence,
    normalized,
    pareto_k,
    pareto_smoothed,
)
from nfanneal.results.prune import METHODS, drop_by_ess, is_cluster, suspects

D = 4


def narrow(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Draws and log-weights of N(0, I) under a proposal with 0.62 of its sd: infinite variance."""
    sd = 0.62
    z = sd * np.random.default_rng(seed).standard_normal((n, D))
    target = multivariate_normal(np.zeros(D)).logpdf(z)
    return z, target - multivariate_normal(np.zeros(D), sd**2 * np.eye(D)).logpdf(z)


def evidence_and_ess(log_weight: np.ndarray) -> tuple[float, float, float]:
    found = evidence(log_weight)
    return found.log_evidence, found.error, effective_sample_size(normalized(log_weight))


@pytest.mark.parametrize("limit", [None, math.inf])
def test_on_a_too_narrow_proposal_ess_rises_error_falls_and_the_bias_is_what_it_says(limit):
    runs = [narrow(seed)[1] for seed in range(50)]
    before = np.array([evidence_and_ess(run) for run in runs])
    after = np.array([evidence_and_ess(drop_by_ess(run, limit).log_weight) for run in runs])
    bound = before[:, 0] - after[:, 0]
    assert (after[:, 2] >= before[:, 2]).all()
    assert np.median(after[:, 2] / before[:, 2]) > 1.3
    assert (after[:, 1] <= before[:, 1]).all()
    assert np.median(after[:, 1]) < 0.8 * np.median(before[:, 1])
    # the exact log-evidence is 0; 3 standard errors of its unpruned mean: a false alarm in 370
    assert abs(after[:, 0].mean()) < bound.mean() + 3.0 * before[:, 0].std() / math.sqrt(50)
    if limit is None:
        assert (bound <= before[:, 1]).all()
    else:  # the spread over seeds falls too, at the price of a bias that dwarfs it
        assert after[:, 0].std() < 0.5 * before[:, 0].std()


def test_smoothing_lowers_the_true_error_of_the_evidence():
    """The root mean square error over 50 seeds, of raw and of smoothed weights (exact: 0)."""
    runs = [narrow(seed)[1] for seed in range(50)]
    raw = np.array([evidence(run).log_evidence for run in runs])
    smoothed = np.array([evidence(pareto_smoothed(run)).log_evidence for run in runs])
    assert np.sqrt(np.mean(smoothed**2)) < np.sqrt(np.mean(raw**2))


def test_tail_outliers_of_a_narrow_proposal_are_no_cluster():
    alarms = 0
    for seed in range(20):
        z, log_weight = narrow(seed)
        alarms += is_cluster(z, log_weight, suspects(log_weight))
    assert alarms == 0


def two_modes(seed: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """An even mixture of two Gaussians, whose second mode has `share` of the draws."""
    rng = np.random.default_rng(seed)
    n = 10_000
    centre = np.array([4.0, 0.0, 0.0])
    second = rng.random(n) < share
    z = rng.standard_normal((n, 3)) + np.where(second[:, None], centre, -centre)
    modes = [multivariate_normal(c).logpdf(z) for c in (centre, -centre)]
    target = np.logaddexp(*modes) - math.log(2.0)
    proposal = np.logaddexp(modes[0] + math.log(share), modes[1] + math.log1p(-share))
    return z, target - proposal


@pytest.mark.parametrize("seed", range(5))
def test_an_under_covered_mode_raises_the_alarm(seed):
    z, log_weight = two_modes(seed, 0.01)
    dropped = drop_by_ess(log_weight, math.inf).changed
    assert len(dropped) > 20
    assert (z[dropped, 0] > 0).all()
    assert is_cluster(z, log_weight, suspects(log_weight))


def test_by_default_no_more_bias_than_the_error():
    _, log_weight = two_modes(0, 0.01)
    pruned = drop_by_ess(log_weight)
    gap = evidence(log_weight).log_evidence - evidence(pruned.log_weight).log_evidence
    assert 0.0 <= gap <= evidence(log_weight).error


def test_even_weights_are_left_alone():
    assert not len(drop_by_ess(np.zeros(100), math.inf).changed)
    assert not len(drop_by_ess(np.full(100, -np.inf), math.inf).changed)


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=200),
    st.floats(0.0, 2.0),
    st.floats(-50, 50),
)
@settings(deadline=None)
def test_ess_never_falls_bias_stays_within_its_limit_and_shifts_change_nothing(
    numbers, limit, shift
):
    log_weight = np.array(numbers)
    pruned = drop_by_ess(log_weight, limit)
    before, after = normalized(log_weight), normalized(pruned.log_weight)
    assert effective_sample_size(after) >= effective_sample_size(before) * (1 - 1e-9)
    assert -math.log(1.0 - before[pruned.changed].sum()) <= limit + 1e-9
    kept = np.setdiff1d(np.arange(len(numbers)), pruned.changed)
    np.testing.assert_array_equal(pruned.log_weight[kept], log_weight[kept])
    assert evidence(log_weight + shift).log_evidence == pytest.approx(
        evidence(log_weight).log_evidence + shift
    )


@pytest.mark.parametrize("method", METHODS)
def test_no_method_reorders_or_raises_the_largest_weight(method):
    _, log_weight = narrow(3)
    new = METHODS[method](log_weight, None).log_weight
    assert new.max() <= log_weight.max() + 1e-12
    if method != "ess":
        order = np.argsort(log_weight)
        assert (np.diff(new[order]) >= -1e-12).all()


def test_pareto_smoothing_keeps_the_mean_of_a_pareto_tail():
    rng = np.random.default_rng(1)
    means = []
    for _ in range(30):
        log_weight = np.log(genpareto(0.4).rvs(4000, random_state=rng))
        smoothed = pareto_smoothed(log_weight)
        assert 0 <= math.ceil(3.0 * math.sqrt(4000)) - (smoothed != log_weight).sum() <= 1
        means.append(math.exp(evidence(smoothed).log_evidence))
        assert pareto_k(smoothed) == pytest.approx(pareto_k(log_weight), abs=0.05)
    # the mean of this density is 1/(1 - 0.4); 3 standard errors
    assert np.mean(means) == pytest.approx(1 / 0.6, abs=3 * np.std(means) / math.sqrt(30))


def test_the_table_of_the_guide():
    """Bias, sd and root mean square error of every method, as the guide states them."""
    page = resources.files("nfanneal").joinpath("guide", "afterwards.md").read_text("utf-8")
    methods = {
        "raw": lambda log_weight: log_weight,
        "`ess`, default": lambda log_weight: drop_by_ess(log_weight).log_weight,
        "`ess`, `--max-bias inf`": lambda log_weight: drop_by_ess(log_weight, math.inf).log_weight,
        "`psis`": pareto_smoothed,
        "`truncate`": lambda log_weight: METHODS["truncate"](log_weight, None).log_weight,
    }
    runs = []
    for seed in range(100):
        z = 0.7 * np.random.default_rng(seed).standard_normal((4000, 8))
        target = multivariate_normal(np.zeros(8)).logpdf(z)
        runs.append(target - multivariate_normal(np.zeros(8), 0.49 * np.eye(8)).logpdf(z))
    for name, method in methods.items():
        found = np.array([evidence(method(run)).log_evidence for run in runs])
        bias, spread, error = found.mean(), found.std(), np.sqrt(np.mean(found**2))
        row = f"| {name} | {bias:.2f} | {spread:.2f} | {error:.2f} |".replace("| -", "| −")
        assert row in page
