"""Priors against scipy, and the laws of the latent map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import EXAMPLES
from scipy import integrate, special, stats

from nfanneal.model.latent import LatentMap, Parameter
from nfanneal.model.priors import PRIORS, make_prior

REFERENCE = {
    "uniform": stats.uniform(-2, 7),
    "loguniform": stats.loguniform(0.1, 1000),
    "normal": stats.norm(1, 2),
    "lognormal": stats.lognorm(0.7, scale=np.exp(0.5)),
    "halfnormal": stats.halfnorm(scale=0.3),
    "truncnormal": stats.truncnorm(-1, np.inf, 0.05, 0.05),
    "exponential": stats.expon(scale=0.5),
    "gamma": stats.gamma(0.5, scale=0.5),
    "inversegamma": stats.invgamma(3, scale=1),
    "beta": stats.beta(0.5, 2),
    "studentt": stats.t(3, 1, 2),
    "cauchy": stats.cauchy(1, 2),
    "halfcauchy": stats.halfcauchy(scale=1.5),
    "laplace": stats.laplace(1, 0.5),
    "loglaplace": stats.loglaplace(1 / 0.4, scale=np.exp(0.5)),
    "rayleigh": stats.rayleigh(scale=1.5),
    "chisquare": stats.chi2(3),
}
each_prior = pytest.mark.parametrize("name", list(PRIORS))


def test_every_prior_has_an_example():
    assert set(EXAMPLES) == set(PRIORS) == set(REFERENCE)


@each_prior
def test_density_is_that_of_scipy(name):
    theta = REFERENCE[name].ppf(np.linspace(0.01, 0.99, 41))
    expected = REFERENCE[name].logpdf(theta)
    np.testing.assert_allclose(make_prior(name, EXAMPLES[name]).log_density(theta), expected)


@each_prior
def test_quantiles_are_those_of_scipy_where_it_is_accurate(name):
    z = np.linspace(-3, 3, 61)
    expected = REFERENCE[name].ppf(special.ndtr(z))
    np.testing.assert_allclose(
        make_prior(name, EXAMPLES[name]).from_latent(z), expected, rtol=1e-9, atol=1e-12
    )


@each_prior
@settings(max_examples=50, deadline=None)
@given(z=st.floats(-5, 5))
def test_the_latent_map_inverts(name, z):
    prior = make_prior(name, EXAMPLES[name])
    theta = prior.from_latent(np.array([z]))
    # bounded supports lose digits next to a bound other than 0: 1e-16/p(bound) in theta
    np.testing.assert_allclose(prior.to_latent(theta), z, atol=2e-6)


@each_prior
def test_upper_tail_probability_is_exact_far_out(name):
    """P(θ > θ(z)) = Φ(−z) to 1e-8 relative for unbounded supports, however small."""
    prior = make_prior(name, EXAMPLES[name])
    if np.isfinite(prior.distribution.support()[1]):
        pytest.skip("bounded above: θ itself cannot resolve the bound")
    for z in (4.0, 8.0, 12.0):
        theta = float(prior.from_latent(np.array([z]))[0])
        # log-survival by integrating the density: no cancellation
        low = np.log(theta) if theta > 0 else theta
        if name in ("studentt", "cauchy", "halfcauchy", "loglaplace"):  # too heavy for quadrature
            expected = REFERENCE[name].logsf(theta)
        else:
            scale = np.exp(prior.log_density(np.array([theta]))[0])
            tail, _ = integrate.quad(
                lambda x, s=scale: np.exp(prior.log_density(np.array([x]))[0]) / s,
                theta,
                theta + 200 * abs(1 / prior_decay(prior, theta)),
                epsabs=0,
                epsrel=1e-9,
                limit=500,
            )
            expected = np.log(tail) + np.log(scale)
        assert np.isfinite(low)
        np.testing.assert_allclose(special.log_ndtr(-z), expected, rtol=1e-6)


def prior_decay(prior, theta):
    """−d log p/dθ at θ, the tail's rate."""
    h = 1e-6 * max(abs(theta), 1.0)
    up, down = prior.log_density(np.array([theta + h, theta - h]))
    return (up - down) / (2 * h)


@each_prior
@settings(max_examples=30, deadline=None)
@given(z=st.floats(-4, 4).filter(lambda z: abs(z) > 1e-3))  # Laplace's density has a kink
def test_slope_is_the_derivative_of_the_map(name, z):
    prior = make_prior(name, EXAMPLES[name])
    h = 1e-4
    points = np.array([z - 2 * h, z - h, z, z + h, z + 2 * h])
    t = prior.from_latent(points)
    difference = (8 * (t[3] - t[1]) - (t[4] - t[0])) / (12 * h)  # error O(h⁴) + 1e-16/h·|θ|
    slope = prior.latent_slope(points[2:3], t[2:3])[0]
    assert slope == pytest.approx(difference, rel=1e-5, abs=1e-10 * (1 + abs(t[2])))


@each_prior
@settings(max_examples=30, deadline=None)
@given(z=st.floats(-3, 3).filter(lambda z: abs(z) > 1e-2))  # Laplace's density has a kink
def test_score_is_the_derivative_of_the_log_density(name, z):
    prior = make_prior(name, EXAMPLES[name])
    points = np.array([z])
    theta = prior.from_latent(points)
    h = 1e-3 * prior.latent_slope(points, theta)
    at = [prior.log_density(theta + k * h)[0] for k in (-2, -1, 1, 2)]
    difference = (8 * (at[2] - at[1]) - (at[3] - at[0])) / (12 * h[0])
    # in units of the step; θ + h is rounded by 1e-16 of θ
    room = 1e-11 + 1e-15 * abs(theta[0] / h[0])
    assert (prior.score(theta)[0] - difference) * h[0] == pytest.approx(0.0, abs=room)


@each_prior
def test_there_is_no_score_outside_the_support(name):
    prior = make_prior(name, EXAMPLES[name])
    low, high = prior.support
    beyond = np.array([low - 1.0, high + 1.0])
    assert np.isnan(prior.score(beyond[np.isfinite(beyond)])).all()
    inside = np.array([low, 0.7, high]) if name == "uniform" else np.array([0.7])
    assert np.isfinite(prior.score(inside)).all()


@each_prior
def test_extreme_latents_give_no_nan(name):
    z = np.array([-1e3, -40.0, -37.0, 37.0, 40.0, 1e3])
    prior = make_prior(name, EXAMPLES[name])
    with np.errstate(all="ignore"):
        theta = prior.from_latent(z)
        slope = prior.latent_slope(z, theta)
    assert not np.isnan(theta).any()
    assert np.isfinite(slope[1:-1]).all()


def test_loglaplace_is_exact_where_densities_and_tails_underflow():
    """log P(below θ) = (log θ − μ)/s − log 2 far below the median, and alike above."""
    mu, scale, far = 0.5, 3.0, np.array([1e-300, 1e-200, 1e200, 1e300])
    prior = make_prior("loglaplace", [mu, scale])
    away = np.abs(np.log(far) - mu) / scale
    expected = -away - np.log(2.0 * scale) - np.log(far)
    np.testing.assert_allclose(prior.log_density(far), expected, rtol=1e-13)
    tail = -away - np.log(2.0)
    z = np.where(far < 1.0, 1.0, -1.0) * special.ndtri_exp(tail)
    np.testing.assert_allclose(prior.to_latent(far), z, rtol=1e-13)
    np.testing.assert_allclose(prior.from_latent(z), far, rtol=1e-11)  # 1e-16·z² in the exponent
    nowhere = np.array([0.0, -1.0])
    assert (prior.log_density(nowhere) == -np.inf).all()
    assert (prior.to_latent(nowhere) == -np.inf).all()


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("uniform", [-1e308, 1e308], "too far apart"),
        ("uniform", [5, -2], "low must be below high"),
        ("uniform", [1], "expected uniform: \\[low, high\\]"),
        ("normal", [0, -1], "sd must be positive"),
        ("loguniform", [0, 1], "low must be positive"),
        ("gamma", {"shape": 1, "scale": 2}, "not the names shape, scale"),
        ("normal", [float("nan"), 1], "mean must be finite"),
        ("uniform", [0, float("inf")], "high must be finite"),
        ("gauss", [0, 1], "unknown prior 'gauss'"),
    ],
)
def test_bad_arguments_are_named(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        make_prior(name, arguments)


def test_arguments_by_name_and_by_place_agree():
    assert make_prior("gamma", [2, 3]) == make_prior("gamma", {"rate": 3, "shape": 2})
    assert make_prior("halfnormal", 2) == make_prior("halfnormal", [2])


def test_joint_map_keeps_columns_apart():
    latent = LatentMap(
        (
            Parameter("a", make_prior("normal", [0, 2])),
            Parameter("k", make_prior("uniform", [0, 1]), size=3),
            Parameter("b", make_prior("exponential", 1)),
        )
    )
    assert latent.dimension == 5
    assert latent.column_names == ("a", "k[0]", "k[1]", "k[2]", "b")
    z = np.random.default_rng(0).standard_normal((100, 5))
    theta = latent.from_latent(z)
    np.testing.assert_allclose(theta[:, 0], 2 * z[:, 0])
    np.testing.assert_allclose(theta[:, 1:4], special.ndtr(z[:, 1:4]))
    np.testing.assert_allclose(latent.to_latent(theta), z, atol=1e-9)
    expected = stats.norm(0, 2).logpdf(theta[:, 0]) - theta[:, 4]
    np.testing.assert_allclose(latent.log_density(theta), expected)
