"""The fast transform of a joint prior: closed forms against the latent map."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import EXAMPLES
from scipy.special import ndtr

from nfanneal.model.latent import LatentMap, Parameter, transform_of
from nfanneal.model.priors import make_prior

TRUNCATED = [[0, 1, 3, 9], [0, 1, -9, -3], [0, 1, -1, 2], [1, 2, -math.inf, math.inf]]
CASES = [*EXAMPLES.items(), *(("truncnormal", arguments) for arguments in TRUNCATED)]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_closed_forms_are_the_latent_map(name, arguments):
    latent = LatentMap((Parameter("a", make_prior(name, arguments), size=2),))
    z = np.random.default_rng(0).standard_normal((500, 2)) * 2.0
    exact, transform = latent.from_latent(z), transform_of(latent)
    np.testing.assert_allclose(transform.from_latent(z), exact, rtol=1e-9)
    # 1 − Φ(z) cannot be told from Φ(z) in the cube: the upper tail has fewer digits
    inside_cube = z < 5.0
    np.testing.assert_allclose(
        transform.from_cube(ndtr(z))[inside_cube], exact[inside_cube], rtol=1e-8
    )


def test_joint_transform_keeps_columns_apart_and_takes_single_points():
    parameters = [Parameter(n, make_prior(n, a)) for n, a in EXAMPLES.items()]
    parameters += [Parameter("more", make_prior("normal", [5, 0.1]), size=3)]
    latent = LatentMap(tuple(parameters))
    z = np.random.default_rng(1).standard_normal((20, latent.dimension))
    transform = transform_of(latent)
    np.testing.assert_allclose(transform.from_latent(z), latent.from_latent(z), rtol=1e-9)
    one = transform.from_cube(ndtr(z[0]))
    assert one.shape == (latent.dimension,)
    np.testing.assert_allclose(one, latent.from_latent(z[:1])[0], rtol=1e-9)


def test_the_faces_of_the_cube_are_finite():
    transform = transform_of(
        LatentMap(tuple(Parameter(n, make_prior(n, a)) for n, a in EXAMPLES.items()))
    )
    d = transform.dimension
    assert np.isfinite(transform.from_cube(np.array([np.zeros(d), np.ones(d)]))).all()
