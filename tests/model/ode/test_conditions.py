"""Conditions in equations (`where`) against scipy from switch to switch."""

import numpy as np
import pytest
from piecewise import differences, pieces, simulator_of


def test_conditions_on_an_input_turn_where_it_crosses(tmp_path):
    """No stop is made there, so that values are as the steps find them, and gradients are not."""
    model = {
        "states": {"x": "1"},
        "equations": {"x": "where(u > c, 1, 0) - k*x"},
        "inputs": {"u": {"times": [0, 2, 5], "values": [0, 3, 0], "kind": "linear"}},
    }
    values, _ = simulator_of(tmp_path, model, "k c")([0.7, 1.3])

    def f(t, y, theta, passed):
        return [(passed == 1) - 0.7 * y[0]]

    stops = [(2 * 1.3 / 3, lambda y: y), (5 - 1.3, lambda y: y)]
    np.testing.assert_allclose(values, pieces(f, [1.0], stops, None), rtol=1e-7)


TURNED = {
    "states": {"x": "1", "y": "1"},
    "equations": {"x": "where(v*t < c, 1, 0) - k*x", "y": "1 - where(c < v*t, 1, 0) - k*y"},
}


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
    np.testing.assert_allclose(values, truth([0.7, 1.3]), rtol=1e-8)
    expected = differences(truth, [0.7, 1.3])
    np.testing.assert_allclose(slopes[:, :, :2], expected, rtol=1e-5, atol=1e-6)


LATER = {
    "states": {"x": "0", "y": "1"},
    "equations": {"x": "where(t > max(2*c, 1), 1, 0) - k*x", "y": "1 + where(t > c, 1, 0) - k*y"},
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

    simulate = simulator_of(tmp_path, LATER, "k c")
    values, slopes = simulate([0.7, c])
    np.testing.assert_allclose(values, truth([0.7, c]), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slopes, differences(truth, [0.7, c]), rtol=1e-5, atol=1e-6)
