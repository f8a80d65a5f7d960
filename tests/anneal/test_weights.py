"""Weights, evidence and tail index: closed forms and invariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nfanneal.anneal import weights as w

log_weights = st.lists(st.floats(-50, 50), min_size=2, max_size=40).map(np.array)


@given(log_weights, st.floats(-1e3, 1e3))
def test_ess_is_invariant_to_shifts(values, shift):
    first = w.effective_sample_size(w.normalized(values))
    assert w.effective_sample_size(w.normalized(values + shift)) == pytest.approx(first, rel=1e-9)


@given(log_weights, st.floats(-1e3, 1e3))
def test_evidence_shifts_with_the_weights(values, shift):
    first, second = w.evidence(values), w.evidence(values + shift)
    assert second.log_evidence == pytest.approx(first.log_evidence + shift, abs=1e-9)
    assert second.error == pytest.approx(first.error, rel=1e-6, abs=1e-7)  # √(1e-16·n)


@given(log_weights)
def test_ess_lies_between_one_and_n_and_truncation_raises_it(values):
    raw = w.effective_sample_size(w.normalized(values))
    assert 1 - 1e-9 <= raw <= len(values) * (1 + 1e-9)
    assert w.effective_sample_size(w.truncated(values)) >= raw * (1 - 1e-9)


def test_draws_of_zero_likelihood_count_in_the_denominator():
    values = np.array([0.0, -np.inf, 0.0, -np.inf])
    assert w.evidence(values).log_evidence == pytest.approx(np.log(0.5))
    assert w.effective_sample_size(w.normalized(values)) == pytest.approx(2)


def test_nothing_but_zeros():
    values = np.full(5, -np.inf)
    assert w.effective_sample_size(w.normalized(values)) == 0
    assert w.evidence(values).log_evidence == -np.inf
    assert w.evidence(values).error == np.inf


def test_evidence_of_a_product_is_the_sum():
    """Independent factors: log Z adds up; 5 standard errors, false alarms under 1e-6."""
    rng = np.random.default_rng(1)
    n = 20_000
    x, y = rng.standard_normal((2, n)) * 1.3
    factors = [stats.norm(0, s).logpdf(v) - stats.norm(0, 1.3).logpdf(v)
               for s, v in ((1.0, x), (1.2, y))]  # fmt: skip
    both = w.evidence(factors[0] + factors[1])
    assert abs(both.log_evidence) < 5 * both.error


def test_the_reported_error_is_the_spread():
    """200 repeats: the mean reported error within 20 % of the sd (its own error is 5 %)."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((200, 2000)) * 1.2
    repeats = [w.evidence(stats.norm.logpdf(row) - stats.norm(0, 1.2).logpdf(row)) for row in x]
    spread = np.std([r.log_evidence for r in repeats])
    assert np.mean([r.error for r in repeats]) == pytest.approx(spread, rel=0.2)


def test_mixture_density_is_the_weighted_sum():
    x = np.linspace(-3, 3, 7)
    parts = [stats.norm(0, 1).logpdf(x), stats.norm(1, 2).logpdf(x)]
    expected = np.log(0.25 * np.exp(parts[0]) + 0.75 * np.exp(parts[1]))
    np.testing.assert_allclose(w.mixture_log_density(parts, [100, 300]), expected)


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.8])
def test_pareto_k_finds_the_tail_of_a_pareto(shape):
    """Estimated from the 3√n largest of 40,000 weights: sd (1+k)/√600, so 4 sd is 0.3."""
    values = stats.genpareto(shape).rvs(40_000, random_state=np.random.default_rng(3))
    assert w.pareto_k(np.log(values)) == pytest.approx(shape, abs=4 * (1 + shape) / 600**0.5)


def test_pareto_k_agrees_with_arviz():
    """The same algorithm up to how the tail is cut: within 0.02."""
    arviz = pytest.importorskip("arviz", exc_type=ImportError)
    values = np.random.default_rng(4).standard_normal(10_000) * 1.5
    _, k = arviz.psislw(values)
    assert w.pareto_k(values) == pytest.approx(float(k), abs=0.02)


@pytest.mark.parametrize("shape", [0.5, 0.7])
def test_mass_beyond_the_largest_weight_is_that_of_the_tail(shape):
    """Weights u^(−k): beyond the quantile 1 − 1/n lies n^(k−1) of the mass; median of 200 fits.

    The fit's shape has a standard error of (1 + k)/√m, m = 3√n, and a median's is smaller still.
    """
    n, rng = 10_000, np.random.default_rng(5)
    found = [w.mass_beyond(-shape * np.log(rng.random(n))) for _ in range(200)]
    assert np.median(found) == pytest.approx(n ** (shape - 1.0), rel=0.25)


def test_no_mass_lies_beyond_even_weights():
    assert w.mass_beyond(np.zeros(1000)) == 0.0
    assert w.mass_beyond(np.zeros(10)) == 0.0
    assert w.mass_beyond(-3.0 * np.log(np.random.default_rng(2).random(1000))) <= 1.0


def test_pareto_k_of_few_or_equal_weights():
    assert np.isnan(w.pareto_k(np.zeros(10)))
    assert w.pareto_k(np.zeros(1000)) == -np.inf


def test_systematic_resampling_keeps_proportions():
    probability = np.array([0.5, 0.25, 0.125, 0.125])
    chosen = w.systematic_resample(probability, 800, np.random.default_rng(5))
    assert list(np.bincount(chosen)) == [400, 200, 100, 100]
