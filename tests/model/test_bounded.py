"""Priors cut to an interval: the laws of every one of them, against 50 digits and quadrature."""

import math

import mpmath
import numpy as np
import pytest
from problems import EXAMPLES
from scipy import integrate, stats
from scipy.special import ndtr, ndtri_exp

from nfanneal.model.bounded import BoundedPrior, bounded
from nfanneal.model.latent import LatentMap, Parameter
from nfanneal.model.priors import make_prior

INF = math.inf
CUTS = [(-1.6, -0.3), (0.3, 1.6), (-1.3, 1.2), (-INF, -0.5), (0.5, INF), (-2.0, INF), (-INF, 2.0),
        (-INF, -7.0), (7.0, INF), (-8.0, -6.0), (6.0, 8.0)]  # fmt: skip
"""Latent z at the bounds: in the middle, open, and far out in either tail."""
Z = np.linspace(-4.0, 4.0, 33)


def cut(name, ends):
    """The prior of an example, cut where its latent z is at the ends; and itself."""
    whole = make_prior(name, EXAMPLES[name])
    low, high = (float(whole.from_latent(np.array([z]))[0]) if abs(z) < INF else z for z in ends)
    return whole, low, high


def resolvable(name, ends):
    """Whether both bounds are numbers that can be told apart from an end of the support."""
    whole, low, high = cut(name, ends)
    back = whole.to_latent(np.array([low if abs(low) < INF else 0.0, high]))
    finite = [(z, b) for z, b in zip(ends, back, strict=True) if abs(z) < INF]
    return low < high and all(abs(z - b) < 1e-9 for z, b in finite)


CASES = [(n, ends) for n in EXAMPLES for ends in CUTS if resolvable(n, ends)]
each_case = pytest.mark.parametrize(("name", "ends"), CASES)


def phi(z):
    """Φ(z) in 50 digits."""
    return mpmath.ncdf(mpmath.mpf(z)) if abs(z) < INF else mpmath.mpf(z > 0)


def inverse(p):
    """Φ⁻¹(p) of a probability in 50 digits, by the tail that is at most ½."""
    side = 1 if p <= 0.5 else -1
    tail = mpmath.log(p if side > 0 else 1 - p)
    near = float(ndtri_exp(float(tail)))
    return side * float(mpmath.findroot(lambda z: mpmath.log(mpmath.ncdf(z)) - tail, near))


def shares(ends):
    """Φ at both ends, and log of their difference."""
    low, high = map(phi, ends)
    return low, high, float(mpmath.log(high - low))


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(50):
        yield


def test_most_cuts_of_every_prior_are_looked_at():
    assert all(sum(name == n for n, _ in CASES) >= 7 for name in EXAMPLES)


@each_case
def test_the_density_is_the_priors_over_its_mass_between(name, ends):
    whole, low, high = cut(name, ends)
    prior = bounded(whole, low, high)
    theta = prior.from_latent(Z)
    expected = whole.log_density(theta) - shares(ends)[2]
    # a bound is a number of 53 bits, in F 1e-16·θ·p(θ)/F of it: 6e-15 of log M at z = 8
    np.testing.assert_allclose(prior.log_density(theta), expected, rtol=1e-11, atol=1e-11)
    beyond = np.array([low - 1e-3 * (1.0 + abs(low)), high + 1e-3 * (1.0 + abs(high))])
    outside = beyond[np.isfinite(beyond)]
    assert len(outside) == sum(abs(z) < INF for z in ends)
    assert (prior.log_density(outside) == -np.inf).all()
    assert np.isnan(prior.score(outside)).all()
    np.testing.assert_array_equal(prior.score(theta), whole.score(theta))


@each_case
def test_quantiles_are_the_priors_between_both_probabilities(name, ends):
    """θ(z) is the uncut prior's at z′, Φ(z′) = Φ(a) + Φ(z)·(Φ(b) − Φ(a)), to 50 digits."""
    whole, low, high = cut(name, ends)
    first, last, _ = shares(ends)
    inner = [first + phi(z) * (last - first) for z in Z[::4]]
    z = [inverse(p) for p in inner]
    found = bounded(whole, low, high).from_latent(Z[::4])
    expected = whole.from_latent(np.array(z))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    assert ((found >= low) & (found <= high)).all()


@each_case
def test_it_integrates_to_one(name, ends):
    """Over latent z, where a density of θ is that of the uncut prior's z: no tail is too long."""
    whole, low, high = cut(name, ends)
    prior = bounded(whole, low, high)

    def mass(z):
        at = np.array([z])
        theta = whole.from_latent(at)
        return (np.exp(prior.log_density(theta)) * whole.latent_slope(at, theta))[0]

    span = max(ends[0], -12.0) + 1e-9, min(ends[1], 12.0) - 1e-9
    total, _ = integrate.quad(mass, *span, epsabs=1e-10, epsrel=1e-10, limit=200)
    assert total == pytest.approx(1.0, abs=1e-7)  # 1e-9·p/M is left out at each end


@each_case
def test_the_latent_map_inverts_and_its_slope_is_its_derivative(name, ends):
    whole, low, high = cut(name, ends)
    prior = bounded(whole, low, high)
    theta = prior.from_latent(Z)
    # what θ is rounded by, 1e-16 of it, is divided by the slope at it: bounds other than 0 take it
    slope = prior.latent_slope(Z, theta)
    with np.errstate(divide="ignore"):
        blur = 1e-15 * np.abs(theta) / slope
    told = blur < 1e-7
    assert told[np.abs(Z) < 2].all()
    np.testing.assert_allclose(prior.to_latent(theta)[told], Z[told], atol=1e-6)
    h, some = 1e-4, Z[(np.abs(Z) < 2.1) & (np.abs(Z) > 1e-3)] + 0.01
    t = [prior.from_latent(some + k * h) for k in (-2, -1, 1, 2)]
    difference = (8 * (t[2] - t[1]) - (t[3] - t[0])) / (12 * h)
    found = prior.latent_slope(some, prior.from_latent(some))
    room = 2e-12 * (np.abs(t[0]) + 1e-3 * np.abs(found)) / np.abs(found)
    kink = name in ("laplace", "loglaplace") and ends[0] < 0 < ends[1]
    if not kink:
        np.testing.assert_allclose(difference / found, 1.0, atol=(1e-6 + room).max())


@each_case
def test_columns_together_are_what_each_is(name, ends):
    whole, low, high = cut(name, ends)
    prior = bounded(whole, low, high)
    latent = LatentMap((Parameter("a", prior, size=2), Parameter("b", whole)))
    z = np.random.default_rng(0).standard_normal((200, 3)) * 2.0
    transform = latent.transform
    exact = np.column_stack([prior.from_latent(z[:, :2]), whole.from_latent(z[:, 2:])])
    np.testing.assert_allclose(transform.from_latent(z), exact, rtol=1e-9, atol=1e-13)
    inside_cube = np.abs(z) < 5.0
    np.testing.assert_allclose(
        transform.from_cube(ndtr(z))[inside_cube], exact[inside_cube], rtol=1e-8, atol=1e-12
    )
    d = transform.dimension
    assert np.isfinite(transform.from_cube(np.array([np.zeros(d), np.ones(d)]))).all()


@each_case
def test_extreme_latents_give_no_nan(name, ends):
    whole, low, high = cut(name, ends)
    prior = bounded(whole, low, high)
    z = np.array([-1e3, -40.0, -37.0, 37.0, 40.0, 1e3])
    with np.errstate(all="ignore"):
        theta = prior.from_latent(z)
        slope = prior.latent_slope(z, theta)
    assert not np.isnan(theta).any()
    assert ((theta >= low) & (theta <= high)).all()
    assert np.isfinite(slope[1:-1]).all()


@pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("at", [-5.0, -0.5, 0.0, 0.7, 6.0])
def test_a_narrow_interval_keeps_the_digits_of_its_mass(at, width):
    """Where differences of Φ would lose them; around 0, too, Laplace's kink among it."""
    low, high = at - 0.3 * width, at + 0.7 * width
    exact = mpmath.ncdf(high) - mpmath.ncdf(low)
    found = bounded(make_prior("normal", [0, 1]), low, high)
    assert found.log_mass == pytest.approx(float(mpmath.log(exact)), abs=1e-12)
    low, high = mpmath.mpf(low), mpmath.mpf(high)
    whole = make_prior("laplace", [0, 1])
    parts = [mpmath.exp(-abs(low)), mpmath.exp(-abs(high))]
    both = 2 - parts[0] - parts[1] if low < 0 < high else abs(parts[0] - parts[1])
    found = bounded(whole, float(low), float(high))
    assert found.log_mass == pytest.approx(float(mpmath.log(both / 2)), abs=1e-12)


def test_a_cut_normal_is_a_truncated_one_and_a_cut_uniform_a_narrower_one():
    theta = np.linspace(-3.0, 4.0, 29)
    normal = bounded(make_prior("normal", [1, 2]), 0.5, INF)
    truncated = make_prior("truncnormal", [1, 2, 0.5, INF])
    uniform, narrow = bounded(make_prior("uniform", [-2, 5]), 0, 1), make_prior("uniform", [0, 1])
    for found, expected in ((normal, truncated), (uniform, narrow)):
        np.testing.assert_allclose(
            found.log_density(theta), expected.log_density(theta), atol=1e-14
        )
        np.testing.assert_allclose(
            found.from_latent(Z), expected.from_latent(Z), rtol=1e-12, atol=1e-15
        )


def test_bounds_that_cut_nothing_off_change_nothing():
    normal, gamma = make_prior("normal", [0, 1]), make_prior("gamma", [2, 1])
    assert bounded(normal, -INF, INF) is normal
    assert bounded(gamma, -1.0, INF) is gamma
    assert isinstance(bounded(gamma, -1.0, 1e9), BoundedPrior)


def test_equal_bounds_make_columns_exchangeable_and_others_do_not():
    normal = make_prior("normal", [0, 1])
    priors = [normal, bounded(normal, 0, 2), bounded(normal, 0, 3), bounded(normal, 0, 2)]
    latent = LatentMap(tuple(Parameter(f"p{i}", p) for i, p in enumerate(priors)))
    assert latent.exchangeable == ((1, 3),)
    assert priors[1] == priors[3] != priors[2]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1.0, 1.0, r"the first must be below the second, not \[1, 1\]"),
        (2.0, 1.0, r"not \[2, 1\]"),
        (math.nan, 1.0, r"not \[nan, 1\]"),
        (6.0, 7.0, r"bounds: uniform has nothing within \[6, 7\], its support is \[-2, 5\]"),
        (-9.0, -2.0, "has nothing within"),
    ],
)
def test_bounds_that_hold_nothing_are_refused(low, high, words):
    with pytest.raises(ValueError, match=words):
        bounded(make_prior("uniform", [-2, 5]), low, high)


def test_bounds_hold_something_as_far_as_quantiles_reach():
    normal = make_prior("normal", [0, 1])
    far = bounded(normal, 25.0, 30.0)
    expected = stats.truncnorm(25.0, 30.0)
    np.testing.assert_allclose(far.from_latent(Z), expected.ppf(ndtr(Z)), rtol=1e-9)
    with pytest.raises(ValueError, match=r"nothing within \[40, 50\]: less than 1e-200 of it$"):
        bounded(normal, 40.0, 50.0)
