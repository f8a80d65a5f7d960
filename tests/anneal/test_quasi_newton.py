"""Quasi-Newton searches end at the minima of functions that are known."""

from __future__ import annotations

import numpy as np

from nfanneal.anneal.quasi_newton import descended

RNG = np.random.default_rng(0)


def quadratic(d):
    root = RNG.normal(size=(d, d))
    hessian, centre = root @ root.T + np.eye(d), RNG.normal(size=d)

    def function(x):
        slope = (x - centre) @ hessian
        return 0.5 * np.einsum("ni,ni->n", x - centre, slope), slope

    return function, centre, hessian


def test_a_quadratic_is_minimised():
    function, centre, hessian = quadratic(6)
    ends = descended(function, 3.0 * RNG.normal(size=(40, 6)), 200)
    assert ends.converged.all()
    # a search ends where a Newton step gains less than 1e-6 by its own matrix
    away = ends.z - centre
    assert np.einsum("ni,ij,nj->n", away, hessian, away).max() < 1e-4
    assert np.linalg.eigvalsh(ends.inverse).min() > 0


def test_each_start_goes_down_a_bent_valley_by_itself():
    """Rosenbrock's function: the only minimum is at (1, 1)."""

    def rosenbrock(x):
        a, b = 1.0 - x[:, 0], x[:, 1] - x[:, 0] ** 2
        slope = np.stack([-2.0 * a - 400.0 * x[:, 0] * b, 200.0 * b], axis=1)
        return a**2 + 100.0 * b**2, slope

    ends = descended(rosenbrock, RNG.uniform(-2.0, 2.0, (50, 2)), 300)
    assert ends.converged.all()
    assert np.abs(ends.z - 1.0).max() < 0.05
    alone = descended(rosenbrock, np.array([[-1.2, 1.0]]), 300)
    together = descended(rosenbrock, np.array([[-1.2, 1.0], [2.0, 2.0]]), 300)
    np.testing.assert_array_equal(alone.z[0], together.z[0])


def test_a_value_that_is_infinite_stops_no_other_search():
    def function(x):
        value = np.where(x[:, 0] > 0, 0.5 * (x[:, 0] - 1.0) ** 2, np.inf)
        return value, np.where(x > 0, x - 1.0, 0.0)

    ends = descended(function, np.array([[-1.0], [0.5], [3.0]]), 50)
    assert list(ends.converged) == [False, True, True]
    assert ends.z[0, 0] == -1.0
    np.testing.assert_allclose(ends.z[1:, 0], 1.0, atol=1e-2)


def test_without_a_minimum_a_search_ends_after_its_iterations():
    ends = descended(lambda x: (-x[:, 0], -np.ones_like(x)), np.zeros((3, 1)), 20)
    assert not ends.converged.any()
    assert np.all(ends.z > 0)
