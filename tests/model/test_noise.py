"""Noise models against scipy.stats, high-precision derivatives and their own draws."""

import mpmath
import numpy as np
import pytest
import scipy.stats as st

from nfanneal.model.noise import (
    NOISE_MODELS,
    check_support,
    information,
    log_prob,
    log_prob_and_gradient,
    sample,
)

SCIPY = {
    "normal": st.norm.logpdf,
    "lognormal": lambda y, f, s: st.lognorm.logpdf(y, s, scale=f),
    "student_t": lambda y, f, df, s: st.t.logpdf(y, df, f, s),
    "laplace": st.laplace.logpdf,
    "loglaplace": lambda y, f, s: st.loglaplace.logpdf(y, 1.0 / s, scale=f),
    "poisson": st.poisson.logpmf,
    "negative_binomial": lambda y, f, phi: st.nbinom.logpmf(y, phi, phi / (phi + f)),
    "binomial": lambda y, p, trials: st.binom.logpmf(y, trials, p),
}
SPREAD = {
    "normal": lambda f, s: s**2,
    "lognormal": lambda f, s: f**2 * np.exp(s**2) * np.expm1(s**2),
    "student_t": lambda f, df, s: s**2 * df / (df - 2.0),
    "laplace": lambda f, s: 2.0 * s**2,
    "loglaplace": lambda f, s: f**2 * (1.0 / (1.0 - 4.0 * s**2) - 1.0 / (1.0 - s**2) ** 2),
    "poisson": lambda f: f,
    "negative_binomial": lambda f, phi: f + f**2 / phi,
    "binomial": lambda p, trials: trials * p * (1.0 - p),
}
MEAN = {
    "lognormal": lambda f, s: f * np.exp(0.5 * s**2),
    "loglaplace": lambda f, s: f / (1.0 - s**2),
    "binomial": lambda p, trials: trials * p,
}
USUAL = {"student_t": [9.0, 1.5], "loglaplace": [0.1], "binomial": [20.0]}
"""Arguments that have the moments which are compared; 0.6 for the others."""
EXACT = {
    "normal": lambda y, f, s: -(((y - f) / s) ** 2) / 2 - mpmath.log(s),
    "lognormal": lambda y, f, s: -((mpmath.log(y / f) / s) ** 2) / 2 - mpmath.log(s),
    "student_t": lambda y, f, df, s: (
        mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2) - mpmath.log(df) / 2
        - mpmath.log(s) - (df + 1) / 2 * mpmath.log1p(((y - f) / s) ** 2 / df)
    ),
    "laplace": lambda y, f, s: -abs(y - f) / s - mpmath.log(s),
    "loglaplace": lambda y, f, s: -abs(mpmath.log(y / f)) / s - mpmath.log(s),
    "poisson": lambda y, f: y * mpmath.log(f) - f,
    "negative_binomial": lambda y, f, phi: (
        mpmath.loggamma(y + phi) - mpmath.loggamma(phi) + y * mpmath.log(f / (f + phi))
        - phi * mpmath.log1p(f / phi)
    ),
    "binomial": lambda y, p, n: (
        mpmath.loggamma(n + 1) - mpmath.loggamma(n - y + 1) + y * mpmath.log(p)
        + (n - y) * mpmath.log1p(-p)
    ),
}  # fmt: skip
"""log p without the terms of y alone, for numbers of any precision."""

every_model = pytest.mark.parametrize("model", NOISE_MODELS.values(), ids=lambda m: m.name)


def inputs(model, n=40, c=25, seed=0):
    """Data (c,), predictions (n, c), arguments of several shapes."""
    rng = np.random.default_rng(seed)
    shapes = [(n, 1), (1, 1), (n, c)]
    prediction = rng.lognormal(1.0, 1.0, (n, c))
    arguments = [rng.lognormal(0.0, 0.7, shapes[i]) for i in range(len(model.arguments))]
    if model.name == "student_t":
        arguments[0] += 2.5
    if model.name == "binomial":
        prediction = rng.uniform(0.01, 0.99, (n, c))
        arguments = [rng.integers(12, 60, (n, 1)).astype(float)]
        return rng.integers(0, 13, c).astype(float), prediction, arguments
    if model.support.startswith("a count"):
        return rng.negative_binomial(1, 0.1, c).astype(float), prediction, arguments
    return rng.lognormal(1.0, 1.0, c), prediction, arguments


@every_model
def test_density_is_that_of_scipy(model):
    y, prediction, arguments = inputs(model)
    found = log_prob(model, y, prediction, arguments)
    assert found.shape == prediction.shape
    # log-gammas of numbers up to 100 cancel: 1e-16·360
    expected = SCIPY[model.name](y, prediction, *arguments)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@every_model
def test_gradients_are_derivatives_in_high_precision(model):
    y, prediction, arguments = inputs(model, n=6, c=5, seed=1)
    values, by_prediction, by_arguments = log_prob_and_gradient(model, y, prediction, arguments)
    np.testing.assert_array_equal(values, log_prob(model, y, prediction, arguments))
    given = [prediction, *(np.broadcast_to(a, prediction.shape) for a in arguments)]
    mpmath.mp.dps = 40
    for which, slope in enumerate([by_prediction, *by_arguments]):
        assert slope.shape == prediction.shape
        for cell in np.ndindex(prediction.shape):
            at = [mpmath.mpf(float(a[cell])) for a in given]

            def moved(x, at=at, which=which, cell=cell):
                return EXACT[model.name](float(y[cell[1]]), *at[:which], x, *at[which + 1 :])

            expected = float(mpmath.diff(moved, at[which]))
            assert slope[cell] == pytest.approx(expected, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("size", [999.0, 1001.0, 1e5, 1e8, 1e12])
@pytest.mark.parametrize("y", [0.0, 7.0, 5000.0])
def test_large_phi_and_df_keep_their_digits(size, y):
    mpmath.mp.dps = 80
    for name, rest in [("negative_binomial", ()), ("student_t", (0.7,))]:
        data, f = np.array([y]), np.array([[5.3]])
        arguments = [np.array([[size]]), *(np.array([[r]]) for r in rest)]
        value, _, slopes = log_prob_and_gradient(NOISE_MODELS[name], data, f, arguments)

        def exact(x, name=name, rest=rest):
            return EXACT[name](mpmath.mpf(y), mpmath.mpf("5.3"), x, *map(mpmath.mpf, rest))

        expected = float(mpmath.diff(exact, mpmath.mpf(size), h=mpmath.mpf(size) * 1e-20))
        # 5.3 and 0.7 are not exact in binary, and below the switch at 1e3 digammas cancel
        assert slopes[0][0, 0] == pytest.approx(expected, rel=1e-6)
        if y == 7.0:
            constant = mpmath.loggamma(8) if rest == () else mpmath.log(mpmath.pi) / 2
            assert value[0, 0] == pytest.approx(float(exact(size) - constant), rel=1e-11)


def test_limits_are_poisson_and_normal():
    y, f = np.array([0.0, 3.0, 40.0]), np.array([[2.0, 5.0, 30.0]])
    huge, sigma = np.array([[1e13]]), np.array([[2.0]])
    for found, limit in [
        (("negative_binomial", (huge,)), ("poisson", ())),
        (("student_t", (huge, sigma)), ("normal", (sigma,))),
    ]:
        a, by_f, _ = log_prob_and_gradient(NOISE_MODELS[found[0]], y, f, found[1])
        b, by_f_limit, _ = log_prob_and_gradient(NOISE_MODELS[limit[0]], y, f, limit[1])
        np.testing.assert_allclose(a, b, rtol=1e-10)  # they differ by order y²/φ
        np.testing.assert_allclose(by_f, by_f_limit, rtol=1e-10)


def test_binomial_of_many_trials_keeps_its_digits():
    y, p, trials = np.array([3.0]), np.array([[3e-9]]), np.array([[1e9]])
    mpmath.mp.dps = 50
    exact = mpmath.log(mpmath.binomial(10**9, 3)) + 3 * mpmath.log(mpmath.mpf(3e-9))
    exact += (10**9 - 3) * mpmath.log1p(-mpmath.mpf(3e-9))
    found = log_prob(NOISE_MODELS["binomial"], y, p, [trials])
    assert found[0, 0] == pytest.approx(float(exact), rel=1e-12)


def test_edges_of_counts_are_exact():
    cell = np.array([[0.0]])
    poisson, binomial = NOISE_MODELS["poisson"], NOISE_MODELS["binomial"]
    value, slope, _ = log_prob_and_gradient(poisson, np.array([0.0]), cell, [])
    assert (value[0, 0], slope[0, 0]) == (0.0, -1.0)
    assert log_prob(poisson, np.array([2.0]), cell, [])[0, 0] == -np.inf
    nb = log_prob_and_gradient(NOISE_MODELS["negative_binomial"], np.zeros(1), cell, [cell + 3.0])
    assert (nb[0][0, 0], nb[1][0, 0], nb[2][0][0, 0]) == (0.0, -1.0, 0.0)
    trials = cell + 5.0
    for p, possible, slope in [(0.0, 0.0, -5.0), (1.0, 5.0, 5.0)]:
        value, by_p, _ = log_prob_and_gradient(binomial, np.array([possible]), cell + p, [trials])
        assert value[0, 0] == pytest.approx(0.0, abs=1e-14)
        assert by_p[0, 0] == slope
        value, by_p, _ = log_prob_and_gradient(binomial, np.array([2.0]), cell + p, [trials])
        assert (value[0, 0], by_p[0, 0]) == (-np.inf, 0.0)


OUTSIDE = [
    *((name, np.nan, arguments) for name, arguments in [
        ("normal", [1.0]), ("lognormal", [1.0]), ("student_t", [3.0, 1.0]), ("laplace", [1.0]),
        ("loglaplace", [1.0]),
        ("poisson", []), ("negative_binomial", [1.0]), ("binomial", [9.0]),
    ]),
    ("normal", 1.0, [0.0]), ("normal", 1.0, [-1.0]), ("normal", 1.0, [np.nan]),
    ("normal", np.inf, [1.0]), ("lognormal", 0.0, [1.0]), ("lognormal", -1.0, [1.0]),
    ("lognormal", 1.0, [0.0]), ("student_t", 1.0, [0.0, 1.0]), ("student_t", 1.0, [3.0, -1.0]),
    ("laplace", 1.0, [0.0]), ("loglaplace", 0.0, [1.0]), ("loglaplace", -1.0, [1.0]),
    ("loglaplace", 1.0, [0.0]), ("poisson", -1e-9, []), ("negative_binomial", -1.0, [1.0]),
    ("negative_binomial", 1.0, [0.0]), ("binomial", -0.1, [9.0]), ("binomial", 1.1, [9.0]),
    ("binomial", 0.5, [1.0]), ("binomial", 0.5, [9.5]), ("binomial", 0.5, [np.inf]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "prediction", "arguments"), OUTSIDE)
def test_outside_the_domain_is_impossible_and_flat(name, prediction, arguments):
    y, f = np.array([2.0, 2.0]), np.array([[prediction, 0.5]])
    given = [np.array([[a]]) for a in arguments]
    value, by_f, by_arguments = log_prob_and_gradient(NOISE_MODELS[name], y, f, given)
    assert value[0, 0] == -np.inf
    assert by_f[0, 0] == 0.0
    assert all(slope[0, 0] == 0.0 for slope in by_arguments)
    draws = sample(NOISE_MODELS[name], np.random.default_rng(0), f, given)
    if name != "binomial" or arguments != [1.0]:  # one trial can be drawn; two successes cannot
        assert np.isnan(draws[0, 0])


def test_tails_stay_finite():
    y, far = np.array([1e-300, 1e300]), np.array([[1e300, 1e-300]])
    one = np.array([[1.0]])
    for name, base in (("lognormal", st.norm), ("loglaplace", st.laplace)):
        value, by_f, _ = log_prob_and_gradient(NOISE_MODELS[name], y, far, [one])
        assert np.isfinite(value).all()
        assert np.isfinite(by_f).all()
        # scipy's laplace takes the logarithm of a density that underflows
        away = np.abs(np.log(y) - np.log(far))
        expected = base.logpdf(away) if base is st.norm else -away - np.log(2.0)
        np.testing.assert_allclose(value, expected - np.log(y))


@every_model
def test_draws_have_the_right_moments(model):
    """|z| < 5 for the mean and the variance: a false alarm in 1.7 million, for each of 16."""
    rng = np.random.default_rng(3)
    size = 200_000
    arguments = USUAL.get(model.name, [0.6] * len(model.arguments))
    f = 0.3 if model.name == "binomial" else 4.0
    draws = sample(model, rng, np.full((size, 1), f), [np.array([[a]]) for a in arguments])
    mean = MEAN.get(model.name, lambda f, *_: f)(f, *arguments)
    variance = SPREAD[model.name](f, *arguments)
    squares = (draws - mean) ** 2
    assert abs(draws.mean() - mean) < 5 * np.sqrt(variance / size)
    assert abs(squares.mean() - variance) < 5 * squares.std() / np.sqrt(size)


def test_draws_with_huge_means_do_not_fail():
    rng, cell = np.random.default_rng(0), np.array([[1e19]])
    near = pytest.approx(1e19, rel=1e-8)  # three standard deviations are 1e10
    assert sample(NOISE_MODELS["poisson"], rng, cell, [])[0, 0] == near
    assert sample(NOISE_MODELS["negative_binomial"], rng, cell, [cell])[0, 0] == near
    assert sample(NOISE_MODELS["binomial"], rng, cell * 0 + 0.5, [2.0 * cell])[0, 0] == near


@every_model
def test_information_is_the_variance_of_the_score(model):
    """|z| < 5, as above; 0 stands for what has no closed form."""
    arguments = USUAL.get(model.name, [0.6] * len(model.arguments))
    f = np.full((100_000, 1), 0.3 if model.name == "binomial" else 4.0)
    given = [np.array([[a]]) for a in arguments]
    draws = sample(model, np.random.default_rng(4), f, given)
    _, by_f, by_arguments = log_prob_and_gradient(model, draws, f, given)
    found = information(model, f[:1], given)
    assert len(found) == 1 + len(arguments)
    for expected, score in zip(found, [by_f, *by_arguments], strict=True):
        error = (score**2).std() / np.sqrt(len(f))
        if expected[0, 0] != 0.0:
            assert abs((score**2).mean() - expected[0, 0]) < 5 * error + 1e-12


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("poisson", [1.0, -1.0], "poisson noise needs a count 0, 1, 2, …, but the data hold -1"),
        ("poisson", [1.5], "hold 1.5"),
        ("negative_binomial", [0.5], "negative_binomial noise needs a count"),
        ("binomial", [-2.0], "binomial noise needs a count"),
        ("lognormal", [1.0, 0.0], "lognormal noise needs a positive number, but the data hold 0"),
        ("loglaplace", [-1.0], "loglaplace noise needs a positive number"),
        ("normal", [np.inf], "normal noise needs any number, but the data hold inf"),
    ],
)
def test_impossible_data_are_named(name, y, message):
    assert message in check_support(NOISE_MODELS[name], np.array(y))


@every_model
def test_possible_data_are_fine(model):
    assert check_support(model, np.array([1.0, 2.0])) is None
    assert check_support(model, np.array([])) is None


@every_model
def test_no_draws_or_no_data_are_fine(model):
    given = [np.ones((1, 1)) for _ in model.arguments]
    for n, c in [(0, 3), (3, 0)]:
        value, slope, _ = log_prob_and_gradient(model, np.ones(c), np.ones((n, c)), given)
        assert value.shape == slope.shape == (n, c)
