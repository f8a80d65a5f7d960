"""Events whose time the trajectory tells, against closed forms; exact sensitivities across them."""

import re
from importlib import resources

import numpy as np
import pytest
from piecewise import TIMES, differences, simulator_of, write

from nfanneal.errors import SpecError
from nfanneal.model.ode import Status
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

TIGHT = {"rtol": 1e-11, "atol": 1e-13, "max_steps": 100_000}
SIX = {
    "states": {
        "h": "h0", "v": 0, "volt": 0, "temp": "hot", "cell": 1, "gone": 0, "a": 2, "b": "b0",
        "wait": 0,
    },
    "equations": {
        "h": "v", "v": "-g", "volt": "current - volt/tau", "temp": "heat - cool*(temp - 1)",
        "cell": "grow*cell", "gone": 0, "a": "-0.3*a", "b": "0.1*b", "wait": "fill",
    },
    "constants": {"heat": 0, "spikes": 0, "reset": -0.5},
    "events": [
        {"when": "h < 0", "set": {"v": "-e*v"}, "name": "bounce"},
        {"when": "volt > 1", "set": {"volt": "reset", "spikes": "spikes + 1"}},
        {"when": "temp <= low", "set": {"heat": "power"}},
        {"when": "temp >= hot", "set": {"heat": 0}},
        {"when": "cell > size", "set": {"cell": "cell/2", "gone": "gone + cell/2"}},
        {"when": "t >= swap", "set": {"a": "b + t", "b": "a*b0"}},
        {"when": "wait > full", "set": {"wait": "wait - full"}, "delay": "late + 0*wait"},
    ],
    "observables": {
        "h": "h", "volt": "volt", "beats": "spikes", "temp": "temp", "heating": "heat",
        "cell": "cell", "gone": "gone", "a": "a", "b": "b", "wait": "wait",
    },
}  # fmt: skip
NAMES = "h0 g e current tau cool power low hot grow size swap b0 full fill late"
THETA = [6.0, 9.81, 0.9, 1.4, 1.1, 0.7, 2.5, 1.6, 2.9, 0.45, 3.1, 2.3, 0.7, 1.9, 1.2, 0.6]


def ball(t, h0, g, e):
    since = np.sqrt(2 * h0 / g)
    if t < since:
        return h0 - g * t * t / 2
    t, v = t - since, e * g * since
    while t > 2 * v / g:
        t, v = t - 2 * v / g, e * v
    return v * t - g * t * t / 2


def neuron(t, current, tau):
    level, volt, spikes = current * tau, 0.0, 0
    while True:
        period = tau * np.log((level - volt) / (level - 1))
        if t < period:
            return level + (volt - level) * np.exp(-t / tau), spikes
        t, volt, spikes = t - period, -0.5, spikes + 1


def thermostat(t, cool, power, low, hot):
    temp, heat = hot, 0.0
    while True:
        level, goal = 1 + heat / cool, hot if heat else low
        period = np.log((temp - level) / (goal - level)) / cool
        if t < period:
            return level + (temp - level) * np.exp(-cool * t), heat
        t, temp, heat = t - period, goal, 0.0 if heat else power


def division(t, grow, size):
    cell, gone = 1.0, 0.0
    while True:
        period = np.log(size / cell) / grow
        if t < period:
            return cell * np.exp(grow * t), gone
        t, cell, gone = t - period, size / 2, gone + size / 2


def swapped(t, swap, b0):
    a, b = 2 * np.exp(-0.3 * min(t, swap)), b0 * np.exp(0.1 * min(t, swap))
    if t >= swap:
        a, b = (b + swap) * np.exp(-0.3 * (t - swap)), a * b0 * np.exp(0.1 * (t - swap))
    return a, b


def waiting(t, full, fill, late):
    return fill * (t % (full / fill + late))


def truth(theta):
    h0, g, e, current, tau, cool, power, low, hot, grow, size, swap, b0, full, fill, late = theta
    return np.array([
        [
            ball(t, h0, g, e), *neuron(t, current, tau), *thermostat(t, cool, power, low, hot),
            *division(t, grow, size), *swapped(t, swap, b0), waiting(t, full, fill, late),
        ]
        for t in TIMES
    ])  # fmt: skip


@pytest.mark.parametrize("method", ["tsit5", pytest.param("stiff", marks=pytest.mark.long)])
def test_six_closed_forms_and_their_slopes(tmp_path, method):
    """A ball, a neuron, a thermostat, cells that divide, a swap at a time, a delay; in one system.

    Each event cuts the steps of all.
    """
    simulate = simulator_of(tmp_path, SIX | {"solver": TIGHT | {"method": method}}, NAMES)
    values, slopes = simulate(THETA)
    np.testing.assert_allclose(values, truth(THETA), rtol=1e-8, atol=1e-8)
    expected = differences(truth, THETA)
    assert np.abs(expected).max(axis=(0, 1)).min() > 0.1  # each parameter is tested
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-6)
    problem = build_problem(load_spec(tmp_path / "spec.yaml"))
    experiment = problem.likelihood.simulator.experiments[0]
    theta = np.array(THETA) * np.random.default_rng(0).uniform(0.97, 1.03, (40, len(THETA)))
    phi = experiment.parameters.of(theta)
    one, many = (
        experiment.system.solve(phi, TIMES, experiment.settings, sensitivities=True, threads=n)
        for n in (1, 3)
    )
    assert (one.status == Status.OK).all()
    np.testing.assert_array_equal(one.observables, many.observables)
    np.testing.assert_array_equal(one.sensitivities, many.sensitivities)
    for each, found in zip(theta[:5], one.observables, strict=False):
        np.testing.assert_allclose(found, truth(each), rtol=1e-8, atol=1e-8)


STIFF = {
    "states": {"gut": "dose", "blood": 0, "tissue": 0, "given": 0},
    "equations": {
        "gut": "-absorb*gut",
        "blood": "absorb*gut - fast*(blood - tissue)",
        "tissue": "fast*(blood - tissue) - out*tissue",
        "given": 0,
    },
    "constants": {"fast": 2e4},
    "events": [
        {
            "when": "blood + tissue < least and t > 0.1",
            "set": {"gut": "gut + dose", "given": "given + 1"},
            "delay": "wait + 0.1*blood",
        },
    ],
    "observables": {"gut": "gut", "total": "blood + tissue", "given": "given"},
}


@pytest.mark.long
def test_a_trajectory_that_changes_solvers_takes_what_waits_along(tmp_path):
    """The exchange is fast: the explicit solver gives up soon, also while a dose waits."""
    theta, found = [1.5, 2.2, 1.1, 0.5, 0.4], {}
    for method in ("stiff", "auto"):
        solver = {"method": method, "rtol": 1e-9, "atol": 1e-11, "max_steps": 400_000}
        simulate = simulator_of(tmp_path, STIFF | {"solver": solver}, "dose absorb out least wait")
        found[method] = simulate(theta)
        experiment = build_problem(load_spec(tmp_path / "spec.yaml")).likelihood.simulator
        share = experiment.outcomes(np.array([theta]), [TIMES]).stiff[0, 0]
        assert share == 1.0 if method == "stiff" else 0.0 < share < 1.0

    assert found["auto"][0][-1, 2] >= 2.0  # doses
    for one, other in zip(*found.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    slow = differences(lambda each: simulate(each)[0], theta, 1e-4)
    np.testing.assert_allclose(found["auto"][1], slow, rtol=1e-4, atol=1e-4)


ODD = {
    "states": {"h": 1, "v": 0, "x": 0, "a": 0, "n": 0},
    "equations": {"h": "v", "v": "-moves", "x": 1, "a": 0, "n": 0},
    "events": [
        {"when": "h < 0", "set": {"v": "-e*v"}},
        {"when": "t > 1 and a < 1", "set": {"a": 2, "n": "n + 1"}},
        {"when": "a > 1 and back > 1", "set": {"a": 0}},
        {"when": "x > top", "set": {"x": "top - below"}, "delay": "wait"},
    ],
    "observables": {name: name for name in ("h", "x", "a", "n")},
}
FINE = [0.02, 0.5, 0.5, 2.5, 0.5, 1.5]  # moves e back top below wait


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    names = ("moves", "e", "back", "top", "below", "wait")
    priors = {name: {"prior": {"uniform": [-20, 20]}} for name in names}
    solver = {"method": "tsit5", "max_steps": 20_000}
    path = write(folder, ODD | {"solver": solver}, "", parameters=priors)
    return build_problem(load_spec(path)).likelihood.simulator


@pytest.mark.parametrize(
    ("column", "value", "status"),
    [
        (0, 9.81, "TOO_MANY_EVENTS"),  # a ball comes to rest
        (2, 1.5, "TOO_MANY_EVENTS"),  # two events make each other true
        (5, -0.5, "EVENT_DELAY"),
        (4, 1e-9, "TOO_MANY_EVENTS"),  # waits are 1.5: but see below
        (1, 0.5, None),
    ],
)
def test_events_without_end_fail_and_say_so(odd, column, value, status):
    theta = [*FINE]
    theta[column] = value
    if column == 4:  # at once, back to just below the threshold, or to it
        theta[5] = 0.0
    found = odd.predict(np.array([theta, FINE]), [TIMES], True)
    assert found.failed.tolist() == [status is not None, False]
    assert found.reasons == ({status: 1} if status else {})
    if column == 4:
        theta[4] = 0.0
        assert odd.predict(np.array([theta]), [TIMES], True).reasons == {status: 1}
    assert "event" in Status[status or "TOO_MANY_EVENTS"].advice


def test_an_assignment_that_waits_has_its_value_from_before(odd):
    """x = t until 2.5 + 1.5; then 2, which is below 2.5 again."""
    values = odd.predict(np.array([FINE]), [TIMES], False).values[0]
    x = TIMES.copy()
    x[TIMES >= 4.0] = 2.0 + TIMES[TIMES >= 4.0] - 4.0
    x[TIMES >= 6.0] = 2.0 + TIMES[TIMES >= 6.0] - 6.0
    x[TIMES >= 8.0] = 2.0
    np.testing.assert_allclose(values[:, 1], x, rtol=1e-6)
    np.testing.assert_array_equal(values[:, 3], TIMES >= 1.0)  # once: a stays at 2


STARTS = """\
model:
  kind: ode
  start: 1
  states: {x: 5, y: 0, z: 0, u: 1, w: 0, s: 0}
  equations: {x: k - x, y: 0, z: 0, u: 'where(t > 1, rate*u, 0)', w: 0, s: 0}
  constants: {k: 1}
  initial: steady_state
  solver: {method: tsit5, rtol: 1.0e-10, atol: 1.0e-12}
  events:
    - {when: x > 2, set: {y: y + 1}}
    - {when: x < 2, set: {z: z + 1}, at_start: fire}
    - {when: t >= 1, set: {z: z + 10}}
    - {when: t >= 1, set: {z: z + 100}, at_start: fire}
    - {when: t > 1, set: {z: z + 1000}}
    - {when: t >= 2, set: {k: 3, rate: rate + 0.5*u}, name: faster}
    - {when: w > 0.5, set: {s: s + w}}
parameters: {rate: {prior: {uniform: [0, 1]}}}
likelihood: {x: {normal: 1}, y: {normal: 1}, z: {normal: 1}, u: {normal: 1}, s: {normal: 1}}
experiments:
  plain: {data: {file: d.csv}}
  pushed:
    data: {file: d.csv}
    events: {when: t >= 3, set: {w: 1 + rate, x: x + 1}}
"""


@pytest.mark.long
def test_the_start_steady_states_experiments_and_parameters_that_events_set(tmp_path):
    (tmp_path / "d.csv").write_text(
        "t,x,y,z,u,s\n" + "".join(f"{t},1,1,1,1,1\n" for t in (1, 2, 3, 4))
    )
    (tmp_path / "spec.yaml").write_text(STARTS)
    simulator = build_problem(load_spec(tmp_path / "spec.yaml")).likelihood.simulator
    t, r = np.array([1.0, 2.0, 3.0, 4.0]), 0.3
    found = simulator.predict(np.array([[r]]), [t, t], True)
    names = [simulator.observables.index(name) for name in "xyzus"]
    values, slopes = found.values[0][:, names], found.jacobian[0][:, names, 0]
    x = np.where(t < 2, 1.0, 3 - 2 * np.exp(2 - t))
    after = r + 0.5 * np.exp(r)  # the rate from t = 2 on
    u = np.where(t < 2, np.exp(r * (t - 1)), np.exp(r + after * (t - 2)))
    fall = np.where(t < 2, t - 1, 1 + (t - 2) * (1 + 0.5 * np.exp(r))) * u
    one, none = np.ones(4), np.zeros(4)
    # x passes 2 between 2 and 3; z: x < 2 and t >= 1 at the start, t > 1 right after it
    plain = np.stack([x, t > 2.5, 1101 * one, u, none], axis=1)
    np.testing.assert_allclose(values[:4], plain, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slopes[:4, 3], fall, rtol=1e-7, atol=1e-9)
    pushed = plain + np.outer(t >= 3, [0, 0, 0, 0, 1 + after])
    pushed[:, 0] += np.where(t < 3, 0.0, np.exp(3 - t))
    np.testing.assert_allclose(values[4:], pushed, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slopes[4:, 4], (t >= 3) * (1 + 0.5 * np.exp(r)), atol=1e-9)
    again = simulator.precise(100.0).predict(np.array([[r]]), [t, t], False)
    np.testing.assert_allclose(again.values[0][:, names], values, rtol=1e-8, atol=1e-9)


@pytest.mark.long
def test_positive_states_have_events_too(tmp_path):
    model = {
        "states": {"cell": "1", "food": "5"},
        "equations": {"cell": "grow*cell", "food": "-grow*cell/10"},
        "events": [
            {"when": "cell > size", "set": {"cell": "cell/2"}},
            {"when": "food < low", "set": {"food": "food + 3", "grow": "0.9*grow"}},
        ],
    }
    found = [
        simulator_of(tmp_path, model | more, "grow size low")([0.9, 4.0, 4.2])
        for more in ({}, {"positive": True})
    ]
    for plain, logs in zip(*found, strict=True):
        np.testing.assert_allclose(plain, logs, rtol=1e-6, atol=1e-7)
    with pytest.raises(SpecError, match="must be set to what is above 0"):
        model["events"][0]["set"] = {"cell": 0}
        simulator_of(tmp_path, model | {"positive": True}, "grow size low")


@pytest.mark.long
def test_the_example_of_the_guide_runs(tmp_path):
    page = (resources.files("nfanneal") / "guide" / "events.md").read_text()
    (text,) = re.findall(r"```yaml\n(name: feeding.*?)```", page, re.DOTALL)
    (tmp_path / "spec.yaml").write_text(text)
    (tmp_path / "cells.csv").write_text("t,cells,food\n1,1.5,4\n4,3,2\n9,3,3\n")
    simulator = build_problem(load_spec(tmp_path / "spec.yaml")).likelihood.simulator
    theta, times = np.array([[1.1, 1.5, 3.0]]), np.array([1.0, 4.0, 9.0])
    found = simulator.predict(theta, [times], True)
    assert not found.failed.any()
    for j in range(3):
        step = np.eye(3)[j] * 1e-3
        high, low = (simulator.predict(theta + s, [times], False).values for s in (step, -step))
        np.testing.assert_allclose((high - low)[0] / 2e-3, found.jacobian[0, ..., j], atol=1e-2)
