"""Conditions in equations (`where`) against scipy from switch to switch."""

import numpy as np
import pytest
from piecewise import TIMES, differences, pieces, simulator_of

from nfanneal.model.expressions import parse, symbol
from nfanneal.model.ode.events import Timetable, with_switches

TURNED = {
    "states": {"x": "1", "y": "1", "z": "1"},
    "equations": {
        "x": "where(v*t < c, 1, 0) - k*x",
        "y": "1 - where(c < v*t, 1, 0) - k*y",
        "z": "where(u > c, 1, 0) - k*z",
    },
    "inputs": {"u": {"times": [0, 2, 5], "values": [0, 3, 0], "kind": "linear"}},
}


def test_conditions_on_an_input_turn_where_it_crosses(tmp_path):
    """No stop is made there, so that values are as the steps find them, and gradients are not."""
    values, _ = simulator_of(tmp_path, TURNED, "k c v")([0.7, 1.3, 0.8])

    def f(t, y, theta, passed):
        return [(passed == 1) - 0.7 * y[0]]

    stops = [(2 * 1.3 / 3, lambda y: y), (5 - 1.3, lambda y: y)]
    np.testing.assert_allclose(values[:, 2:], pieces(f, [1.0], stops, None), rtol=1e-7)


@pytest.mark.parametrize("v", [0.8, 0.0])
def test_a_condition_whose_rate_is_zero_is_what_it_is_at_all_times(tmp_path, v):
    """However it is written: both states have the same trajectory."""
    simulate = simulator_of(tmp_path, TURNED, "k c v")

    def truth(theta):
        k, c = theta

        def f(t, y, theta, passed):
            return (passed == 0) - k * y

        return pieces(f, [1.0, 1.0], [(c / v, lambda y: y)] if v else [], None)

    values, slopes = simulate([0.7, 1.3, v])
    np.testing.assert_allclose(values[:, :2], truth([0.7, 1.3]), rtol=1e-8)
    expected = differences(truth, [0.7, 1.3])
    np.testing.assert_allclose(slopes[:, :2, :2], expected, rtol=1e-5, atol=1e-6)


LATER = {
    "states": {"x": "0", "y": "1", "q": "1", "r": "1", "s": "1"},
    "equations": {
        "x": "where(t > max(2*c, 1), 1, 0) - k*x",
        "y": "1 + where(t > c, 1, 0) - k*y",
        "q": "a*where(t >= 0, 3, 1) - k*q",
        "r": "a*u - k*r",
        "s": "a*v - k*s",
    },
    "constants": {"u": 1},
    "changes": {"u": {"time": 0, "value": 3}},
    "inputs": {"v": {"times": [-1, 0], "values": [1, 3]}},
    "initial": "steady_state",
    "pre_equilibration": {"c": 100},
}


@pytest.mark.parametrize("c", [0.3, 1.7])
def test_times_of_conditions_may_be_conditional_and_differ_before_the_start(tmp_path, c):
    def truth(theta):
        k, c = theta
        first, second = sorted([(max(2 * c, 1), 0), (c, 1)])

        def f(t, y, theta, passed):
            on = [i for _, i in (first, second)[:passed]]
            return [(0 in on) - k * y[0], 1 + (1 in on) - k * y[1]]

        stops = [(first[0], lambda y: y), (second[0], lambda y: y)]
        return pieces(f, [0.0, 1 / k], stops, None)

    values, slopes = simulator_of(tmp_path, LATER, "k c a")([0.7, c, 0.5])
    np.testing.assert_allclose(values[:, :2], truth([0.7, c]), rtol=1e-8, atol=1e-9)
    expected = differences(truth, [0.7, c])
    np.testing.assert_allclose(slopes[:, :2, :2], expected, rtol=1e-5, atol=1e-6)


def test_a_step_at_the_start_comes_after_the_steady_state(tmp_path):
    """A condition, a change and an input that step from 1 to 3: all three do the same."""

    def truth(theta):
        k, _, a = theta
        return np.tile(a / k * (3 - 2 * np.exp(-k * TIMES)), (3, 1)).T

    theta = [0.7, 1.7, 0.5]
    values, slopes = simulator_of(tmp_path, LATER, "k c a")(theta)
    np.testing.assert_allclose(values[:, 2:], truth(theta), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slopes[:, 2:], differences(truth, theta), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("condition", "turns"),
    [
        ("log(t) > log(30.407) and log(t) < log(30.4072)", [30.407, 30.4072]),
        ("exp(-k*t) > 0.5", [np.log(2.0) / 0.7]),
        ("1 - 2*exp(-k*t) < 0.9", [np.log(20.0) / 0.7]),
        ("abs(log(t/c)) < k", [3.0, 3.0 * np.exp(0.7), 3.0 * np.exp(-0.7)]),
        ("2 - 3*log10(t) > k", [10.0 ** (1.3 / 3.0)]),
        ("exp(k*t) > c", []),
        ("log(t) + t > c", []),
    ],
)
def test_logarithms_and_exponentials_turn_where_what_they_are_of_does(condition, turns):
    """An exponential that is compared with a parameter may turn nowhere: it stays as it is."""
    names = dict.fromkeys(("t", "k", "c"))
    expression = parse(f"where({condition}, 1, 0)", names)
    (found,), switches = with_switches((expression,), symbol("t"), (), Timetable())
    at = {symbol("k"): 0.7, symbol("c"): 3.0}
    assert [float(s.time.subs(at)) for s in switches] == pytest.approx(turns)
    for time in (0.5, 1.2, 1.9, 4.4, 30.4071, 100.0):
        held = {s.symbol: float(float(s.time.subs(at)) <= time) for s in switches}
        plain = expression.subs(at | {symbol("t"): time})
        assert found.subs(at | held | {symbol("t"): time}) == plain
