"""exp, log and powers by arithmetic alone, against numpy."""

import ast
from collections import Counter

import numpy as np
import pytest
from numba import njit

from nfanneal.bench.solvers.systems import SYSTEMS
from nfanneal.model.ode.codegen.explicit import explicit_source
from nfanneal.model.ode.codegen.stiff import stiff_source
from nfanneal.model.ode.solver.elementary import exp_abreast, log_abreast, power_abreast
from nfanneal.model.ode.system import with_stops

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 2.5, -2.0, np.inf, -np.inf, np.nan, 5e-324, 1e-310, 1e308]
)


@njit(error_model="numpy")
def exps(x, out):
    for i in range(len(x)):
        out[i] = exp_abreast(x[i])


@njit(error_model="numpy")
def logs(x, out):
    for i in range(len(x)):
        out[i] = log_abreast(x[i])


@njit(error_model="numpy")
def powers(x, n, out):
    for i in range(len(x)):
        out[i] = power_abreast(x[i], n[i])


def of(function, *arguments):
    out = np.empty(len(arguments[0]))
    function(*arguments, out)
    return out


def ulps(found, exact):
    return (np.abs(found - exact) / np.spacing(np.abs(exact))).max()


@pytest.mark.parametrize("size", [1e-6, 1.0, 30.0, 700.0])
def test_exp_and_log_are_right_to_two_units_in_the_last_place(size):
    x = np.random.default_rng(0).uniform(-size, size, 100_000)
    assert ulps(of(exps, x), np.exp(x)) <= 2.0
    assert ulps(of(logs, np.exp(x)), np.log(np.exp(x))) <= 2.0


def test_powers_lose_what_their_logarithm_is_large():
    rng = np.random.default_rng(1)
    x, n = np.exp(rng.uniform(-20.0, 20.0, 100_000)), rng.uniform(-10.0, 10.0, 100_000)
    allowed = 4.0 + 2.0 * np.abs(n * np.log(x))
    exact = x**n
    assert (np.abs(of(powers, x, n) - exact) <= allowed * np.spacing(exact)).all()


@np.errstate(all="ignore")
def test_what_is_special_is_as_in_numpy():
    np.testing.assert_allclose(of(exps, SPECIAL), np.exp(SPECIAL), rtol=1e-15)
    np.testing.assert_allclose(of(logs, SPECIAL), np.log(SPECIAL), rtol=1e-15)
    x, n = (
        grid.ravel()
        for grid in np.meshgrid(SPECIAL[[0, *range(2, 9)]], [0.0, 1.0, 2.0, -1.0, 3.0, 0.5, -2.5])
    )
    infinite = (np.isinf(x) & (x < 0.0)) | np.isnan(x)
    np.testing.assert_allclose(of(powers, x, n)[~infinite], (x**n)[~infinite], rtol=1e-14)


def test_exp_is_zero_or_infinite_beyond_its_range():
    x = np.array([709.39, 709.5, 800.0, -707.9, -708.5, -1e300, 1e300])
    found = of(exps, x)
    assert np.isfinite(found[0])
    assert (found[[1, 2, 6]] == np.inf).all()
    assert found[3] > 0.0
    assert (found[[4, 5]] == 0.0).all()


@pytest.mark.parametrize("name", ["lotka_volterra", "goodwin", "chain"])
@pytest.mark.parametrize("source", [explicit_source, stiff_source])
def test_the_parts_of_the_solver_share_no_name(name, source):
    """They are put into one module: a second definition would replace the first without a word."""
    defined: Counter[str] = Counter()
    for node in ast.parse(source(with_stops(SYSTEMS[name].system))).body:
        if isinstance(node, ast.FunctionDef):
            defined[node.name] += 1
        targets = node.targets if isinstance(node, ast.Assign) else []
        defined.update(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
    assert not [known for known, count in defined.items() if count > 1]
