"""Well-known systems against scipy at its tightest, and on draws from wide priors."""

import numpy as np
import pytest

from nfanneal.bench.solvers.systems import SYSTEMS
from nfanneal.bench.solvers.truth import true_sensitivities
from nfanneal.model.ode import CompiledSystem, SolverSettings, Status

QUICK_TO_COMPILE = ("repressilator", "sir")
CASES = [
    pytest.param(name, marks=[pytest.mark.long] * (name not in QUICK_TO_COMPILE))
    for name in SYSTEMS
]
DRAWS = 100
MANY = 10
"""Errors may be as large as this many tolerances: they add up over the steps."""


@pytest.fixture(scope="module", params=CASES)
def solved(request):
    """A system, its solver (compiled once), and the truth at its mode."""
    known = SYSTEMS[request.param]
    return known, CompiledSystem(known.system), true_sensitivities(known, known.mode)


def test_errors_are_within_ten_tolerances(solved):
    known, compiled, (expected, _) = solved
    found = compiled.solve(known.mode[None], known.times, known.settings, sensitivities=True)
    assert found.status[0] == Status.OK
    allowed = known.atol + known.rtol * np.abs(expected).max(axis=0)
    assert (np.abs(found.observables[0] - expected) <= MANY * allowed).all()


def test_sensitivities_are_those_of_the_solution(solved):
    known, compiled, (_, expected) = solved
    tight = SolverSettings(1e-9, 1e-3 * known.atol, max_steps=100_000)
    found = compiled.solve(known.mode[None], known.times, tight, sensitivities=True)
    scale = np.abs(expected).max(axis=0)  # of each column over time: they cross zero
    # 1e-9 per step, and what the tightest tolerances of scipy leave of slopes that are zero
    assert (np.abs(found.sensitivities[0] - expected) <= 1e-4 * scale + 1e-9).all()


def test_prior_draws_end_with_a_status_or_with_numbers(solved):
    known, compiled, _ = solved
    theta = known.from_prior(DRAWS, np.random.default_rng(1))
    found = compiled.solve(theta, known.times, known.settings, sensitivities=True)
    good = found.status == Status.OK
    assert good.mean() > 0.9
    assert np.isfinite(found.observables[good]).all()
    assert np.isfinite(found.sensitivities[good]).all()
    assert np.isnan(found.observables[~good]).all()
    assert (found.steps <= known.settings.max_steps).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_draws_lie_in_the_prior_and_around_the_mode(name):
    known, rng = SYSTEMS[name], np.random.default_rng(0)
    _, low, high = np.array(list(known.parameters.values())).T
    theta = known.from_prior(1000, rng)
    assert (theta >= low).all()
    assert (theta <= high).all()
    near = known.near_mode(1000, rng)
    np.testing.assert_allclose(near[0], known.mode, rtol=1e-12, atol=1e-12)
    assert (near.std(axis=0) < 0.25 * theta.std(axis=0)).all()
