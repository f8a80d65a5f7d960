"""Priors of PEtab's tables have the densities that petab gives them."""

import math

import numpy as np
import pytest

from nfanneal.model.bounded import bounded
from nfanneal.model.priors import make_prior
from nfanneal.spec.petab.priors import named_prior, scaled_prior

petab = pytest.importorskip("petab.v1.priors", reason="nfanneal[petab] is not installed")
BOUNDS = (0.05, 40.0)
POINTS = np.array([0.06, 0.3, 1.0, 3.0, 39.0])
ON_SCALE = {"parameterScaleUniform": (-0.5, 1.2), "parameterScaleNormal": (0.2, 0.7),
            "parameterScaleLaplace": (0.1, 0.4)}  # fmt: skip
ON_ITS_OWN = {"uniform": (0.01, 30.0), "normal": (2.0, 3.0), "laplace": (1.0, 2.0),
              "logNormal": (0.3, 0.9), "logLaplace": (0.2, 0.5)}  # fmt: skip


def log_density(parts, at=POINTS):
    (((family, arguments),), cut) = parts[0].items(), parts[1]
    prior = make_prior(family, arguments)
    return (prior if cut is None else bounded(prior, *cut)).log_density(at)


@pytest.mark.parametrize("scale", ["lin", "log", "log10"])
@pytest.mark.parametrize(("kind", "numbers"), [*ON_SCALE.items(), *ON_ITS_OWN.items()])
def test_of_the_first_version(kind, numbers, scale):
    theirs = petab.Prior(kind, numbers, bounds=BOUNDS, transformation=scale)
    found = np.exp(log_density(scaled_prior(kind, numbers, scale, BOUNDS)))
    np.testing.assert_allclose(found, theirs.pdf(POINTS), rtol=1e-9)


@pytest.mark.parametrize("scale", ["lin", "log", "log10"])
def test_without_a_prior_it_is_uniform_on_the_scale(scale):
    found = log_density(scaled_prior("parameterScaleUniform", None, scale, BOUNDS))
    low, high = BOUNDS
    flat, logarithmic = -math.log(high - low), -np.log(POINTS * math.log(high / low))
    np.testing.assert_allclose(found, flat if scale == "lin" else logarithmic, rtol=1e-12)


def test_of_the_second_version():
    core = pytest.importorskip("petab.v2.core")
    numbers = {"cauchy": [1.0, 2.0], "chisquare": [3.0], "exponential": [2.0], "gamma": [2.0, 3.0],
               "laplace": [1.0, 2.0], "log-laplace": [0.2, 0.5], "log-normal": [0.3, 0.9],
               "log-uniform": [0.1, 20.0], "normal": [2.0, 3.0], "rayleigh": [2.0],
               "uniform": [0.1, 20.0]}  # fmt: skip
    assert set(numbers) == {kind.value for kind in core.PriorDistribution}
    for kind, given in numbers.items():
        row = core.Parameter(id="k", lb=BOUNDS[0], ub=BOUNDS[1], nominal_value=1.0, estimate=True,
                             prior_distribution=kind, prior_parameters=given)  # fmt: skip
        expected = row.prior_dist.pdf(POINTS)
        found = np.exp(log_density(named_prior(kind, given, BOUNDS)))
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=kind)


@pytest.mark.parametrize(
    ("kind", "numbers", "scale", "bounds", "message"),
    [
        ("parameterScaleUniform", None, "lin", (0.0, math.inf), "without finite bounds"),
        ("parameterScaleUniform", None, "log10", (0.0, 1.0), "bounds above 0, not 0"),
        ("uniform", (2.0, 3.0), "lin", (5.0, 6.0), "nothing lies between 5 and 3"),
        ("normal", None, "lin", (0.0, 1.0), "needs two numbers"),
        ("gamma", (1.0, 1.0), "lin", (0.0, 1.0), "unknown prior 'gamma'"),
    ],
)
def test_what_is_no_prior_is_told(kind, numbers, scale, bounds, message):
    with pytest.raises(ValueError, match=message):
        scaled_prior(kind, numbers, scale, bounds)
