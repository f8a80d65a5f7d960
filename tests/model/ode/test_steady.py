"""Steady states of hard systems: stiff, with conserved totals, slow, singular, one of several."""

import numpy as np
import pytest
import yaml
from piecewise import differences
from scipy.integrate import solve_ivp

from nfanneal.model.expressions import parse
from nfanneal.model.ode.codegen.steady import conserved
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import spec_from_text


def problem_of(states, equations, parameters, **more):
    """A problem whose data are the states at the start, which is a steady state."""
    table = ",".join(["t", *states]) + "\n" + ",".join(["0"] + ["1"] * len(states)) + "\n"
    model = {"kind": "ode", "states": states, "equations": equations, "initial": "steady_state"}
    spec = {
        "model": model | {"solver": {"rtol": 1e-9, "atol": 1e-12}} | more,
        "parameters": {name: {"prior": {"uniform": [0, 1e9]}} for name in parameters},
        "likelihood": {name: {"normal": 1.0} for name in states},
        "data": {"table": table},
    }
    return build_problem(spec_from_text(yaml.safe_dump(spec, sort_keys=False)))


def steady(problem, thetas):
    """Steady states (n, k) and their derivatives (n, k, p)."""
    simulator, times = problem.likelihood.simulator, problem.likelihood.times
    rows = np.array(thetas)
    plain = simulator.predict(rows, times, False)
    sloped = simulator.predict(rows, times, True)
    assert not sloped.failed.any(), sloped.reasons
    np.testing.assert_array_equal(plain.values, sloped.values)
    return sloped.values[:, 0], sloped.jacobian[:, 0]


MOIETIES = {  # R + L ⇌ C within microseconds, C → P → R + L slowly; a chain that is fed slowly
    "R": "-kon*R*L + koff*C + kr*P",
    "L": "-kon*R*L + koff*C + kr*P",
    "C": "kon*R*L - koff*C - kp*C",
    "P": "kp*C - kr*P",
    "fast": "1e4*(slow - fast)",
    "slow": "1e4*(fast - slow) + eps*(C - slow)",
    "E": "-kp*E*S + 2*ES",
    "S": "-kp*E*S + ES",
    "ES": "kp*E*S - 2*ES",
    "made": "ES",
}


def test_conserved_totals_from_zero_states_with_rates_from_1e8_to_1e_3():
    """R + C + P and L + C + P are kept; an enzyme turns over all of its substrate."""
    names = ["kon", "koff", "kp", "kr", "eps", "R0", "L0"]
    zero = dict.fromkeys(MOIETIES, 0)
    states = zero | {"R": "R0", "L": "L0", "E": "0.3*R0", "S": "L0**2"}
    problem = problem_of(states, MOIETIES, names)

    def truth(theta):
        kon, koff, kp, kr, _, r, bound = theta
        ratio = (koff + kp) / kon  # R·L = ratio·C, P = kp/kr·C
        m = 1 + kp / kr
        half = (r + bound) * m + ratio
        c = 2 * r * bound / (half + np.sqrt(half**2 - 4 * m * m * r * bound))
        free = r - m * c, bound - m * c
        return np.array([*free, c, kp / kr * c, c, c, 0.3 * r, 0.0, 0.0, bound**2])

    thetas = [[1e8, 3e2, 2e-3, 5e-3, 1e-3, 1.3, 0.8], [3.0, 0.5, 0.7, 0.2, 1e-2, 0.5, 2.0]]
    values, slopes = steady(problem, thetas)
    for i, theta in enumerate(thetas):
        np.testing.assert_allclose(values[i], truth(theta), rtol=1e-8, atol=1e-10)
        expected = differences(lambda th: truth(th)[:, None], theta)[:, 0]
        scale = np.array(theta)  # derivatives by logarithms: rates have many sizes
        np.testing.assert_allclose(slopes[i] * scale, expected * scale, rtol=1e-6, atol=1e-8)


def test_what_is_left_depends_on_rates_where_no_total_is_conserved():
    """x → y and x → ∅; z is eaten by x before that is gone; w rests nowhere alone."""
    equations = {
        "x": "-(k1 + k2)*x",
        "y": "k2*x",
        "z": "-k*x*z",
        "v": "k*x*z - c*v",
        "w": "x - c*w",
        "still": "0",
    }
    states = {"x": "x0", "y": "0.2", "z": "1", "v": "0", "w": "0", "still": "x0*k"}
    names = ["k1", "k2", "k", "c", "x0"]
    problem = problem_of(states, equations, names)

    def truth(theta):
        k1, k2, k, _, x0 = theta
        z = np.exp(-k * x0 / (k1 + k2))
        return np.array([0, 0.2 + x0 * k2 / (k1 + k2), z, 0, 0, x0 * k])

    for theta in ([0.3, 0.9, 0.7, 0.4, 1.5], [40.0, 2.0, 30.0, 1e-3, 2.0]):
        values, slopes = steady(problem, [theta])
        np.testing.assert_allclose(values[0], truth(theta), rtol=1e-7, atol=1e-9)
        expected = differences(lambda th: truth(th)[:, None], theta)[:, 0]
        np.testing.assert_allclose(slopes[0], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.long
def test_the_steady_state_is_that_which_the_trajectory_comes_to():
    """A switch of two genes, from beside the line between their two basins; a limit cycle fails."""
    equations = {"u": "a/(1 + v**4) - u", "v": "a/(1 + u**4) - v"}
    problem = problem_of({"u": "u0", "v": "v0"}, equations, ["a", "u0", "v0"])
    rng = np.random.default_rng(5)
    starts = rng.uniform(0.0, 3.0, 40)
    beside = np.tile([-1e-2, 1e-3, -1e-3, 0.3], 10)
    thetas = [[2.5, u, u + d] for u, d in zip(starts, beside, strict=True)]

    def long(theta):
        def f(t, y):
            return [2.5 / (1 + y[1] ** 4) - y[0], 2.5 / (1 + y[0] ** 4) - y[1]]

        return solve_ivp(f, (0, 400), theta[1:], "LSODA", rtol=1e-11, atol=1e-13).y[:, -1]

    values, slopes = steady(problem, thetas)
    np.testing.assert_allclose(values, [long(theta) for theta in thetas], rtol=1e-7)
    np.testing.assert_allclose(slopes[:, :, 1:], 0.0, atol=1e-8)  # only a decides, in a basin


@pytest.mark.long
def test_a_limit_cycle_has_no_steady_state():
    equations = {"x": "mu*(x - x**3/3 - y)", "y": "x/mu"}
    problem = problem_of({"x": "2", "y": "0"}, equations, ["mu"])
    found = problem.likelihood.evaluate(np.array([[1.5]]), False)
    assert found.reasons == {"NO_STEADY_STATE": 1}


@pytest.mark.parametrize(
    ("equations", "rank", "kept"),
    [
        (["-k*a + 0.3*b", "k*a - 0.3*b", "0"], 2, [[1, 1, 0], [0, 0, 1]]),
        (["2.5*k*a*b", "-1*k*a*b", "k*a*b + c"], 1, [[1, 2.5, 0]]),
        (["k*a/0.3", "-k*a/0.7 + b*c", "-b*c"], 1, [[0.3, 0.7, 0.7]]),
        (["k*a", "c*a", "b"], 0, []),
        (["1 - a", "a - 1", "k"], 1, [[1, 1, 0]]),
    ],
)
def test_laws_are_all_that_terms_cancel_in(equations, rank, kept):
    names = dict.fromkeys("abck")
    states, laws = conserved([parse(text, names) for text in equations])
    assert len(states) == len(laws) == rank
    found = np.array(laws).reshape(rank, 3)
    np.testing.assert_array_equal(found[:, states], np.eye(rank))
    stacked = np.vstack([found, np.array(kept).reshape(-1, 3)])
    assert np.linalg.matrix_rank(stacked, tol=1e-12) == rank
