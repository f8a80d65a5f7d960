"""The transform of a joint prior: closed forms against the quantiles of scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import EXAMPLES
from scipy.special import ndtr

from nfanneal.model.latent import LatentMap, Parameter
from nfanneal.model.priors import make_prior

TRUNCATED = [[0, 1, 3, 9], [0, 1, -9, -3], [0, 1, -1, 2], [1, 2, -math.inf, math.inf]]
CASES = [*EXAMPLES.items(), *(("truncnormal", arguments) for arguments in TRUNCATED)]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_closed_forms_are_scipys_quantiles_where_these_are_accurate(name, arguments):
    prior = make_prior(name, arguments)
    transform = LatentMap((Parameter("a", prior, size=2),)).transform
    z = np.random.default_rng(0).uniform(-3.0, 3.0, (500, 2))
    of, logarithmic = prior.distribution, name == "loglaplace"
    exact = np.exp(of.base.ppf(ndtr(z))) if logarithmic else of.ppf(ndtr(z))
    np.testing.assert_allclose(transform.from_latent(z), exact, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(transform.from_cube(ndtr(z)), exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("arguments", TRUNCATED)
def test_a_truncated_normal_has_exact_tails_at_both_ends(arguments):
    mean, sd, low, high = arguments
    z = -np.linspace(0.1, 8.0, 80)[:, None]
    for sign, ends in ((1.0, arguments), (-1.0, [-mean, sd, -high, -low])):
        latent = LatentMap((Parameter("a", make_prior("truncnormal", ends)),))
        exact = sign * make_prior("truncnormal", arguments).distribution.ppf(ndtr(z))
        np.testing.assert_allclose(latent.from_latent(sign * z), exact, rtol=1e-9, atol=1e-12)


def test_joint_transform_keeps_columns_apart_and_takes_single_points():
    parameters = [Parameter(n, make_prior(n, a)) for n, a in EXAMPLES.items()]
    parameters += [Parameter("more", make_prior("normal", [5, 0.1]), size=3)]
    parameters += [Parameter("last", make_prior("normal", [-2, 3]))]
    latent = LatentMap(tuple(parameters))
    z = np.random.default_rng(1).standard_normal((20, latent.dimension))
    priors = [p.prior for p in parameters for _ in range(p.columns)]
    expected = np.stack([p.from_latent(c) for p, c in zip(priors, z.T, strict=True)], axis=1)
    np.testing.assert_allclose(latent.from_latent(z), expected, rtol=1e-12)
    one = latent.transform.from_cube(ndtr(z[0]))
    assert one.shape == (latent.dimension,)
    np.testing.assert_allclose(one, expected[0], rtol=1e-9)


def test_the_faces_of_the_cube_are_finite():
    latent = LatentMap(tuple(Parameter(n, make_prior(n, a)) for n, a in EXAMPLES.items()))
    transform = latent.transform
    d = transform.dimension
    assert np.isfinite(transform.from_cube(np.array([np.zeros(d), np.ones(d)]))).all()
