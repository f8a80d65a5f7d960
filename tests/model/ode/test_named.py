"""Systems whose parts have names, against the same written out, and against differences."""

from dataclasses import replace

import numpy as np
import pytest
from odes import build
from scipy.integrate import solve_ivp

from nfanneal.model.expressions import compile_numpy, parse, symbol
from nfanneal.model.ode import CompiledSystem, SolverSettings, Status
from nfanneal.model.ode.codegen import layout
from nfanneal.model.ode.system import jumps, with_stops

NAMES = dict.fromkeys(["x", "y", "z", "k", "K", "n", "v", "w", "pulse", "t"])
NAMED = tuple(
    (symbol(name), parse(text, NAMES))
    for name, text in {
        "w": "x*y/(K + x)",
        "v": "w*hill(z, K, n) + exp(-w) + where(t > 1.25, x*y, 0)",
        "pulse": "v**2/(1 + v)",
    }.items()
)
SYSTEM = replace(
    build("x y z v w pulse", ["-k*w", "w - v/3", "pulse - k*z", "0", "0", "0"], "k K n",
          ["1", "K", "0.2", "0", "0", "0"], ["x", "x*v", "z"]),
    named=NAMED,
)  # fmt: skip
SYSTEM = replace(
    SYSTEM,
    states=SYSTEM.states[:3],
    initial=SYSTEM.initial[:3],
    equations=SYSTEM.equations[:3],
)
THETA = np.array([[0.8, 0.6, 2.3]])
TIMES = np.array([0.5, 1.0, 2.5])


@pytest.fixture(scope="module")
def compiled():
    return CompiledSystem(SYSTEM)


def by_scipy(theta):
    system = SYSTEM.written_out
    arguments = [system.time, *system.states, *system.parameters]
    f, h = compile_numpy(system.equations, arguments), compile_numpy(system.observables, arguments)
    start = np.array(compile_numpy(system.initial, system.parameters)(*theta), dtype=float)
    rows = []
    for begin, end in ((0.0, 1.25), (1.25, 2.5)):  # f jumps in between
        inside = TIMES[(begin < TIMES) & (end >= TIMES)]
        middle = (begin + end) / 2
        found = solve_ivp(
            lambda t, y, late=middle: np.array(f(t if abs(t - 1.25) > 1e-12 else late, *y, *theta)),
            (begin, end), start, t_eval=np.unique([*inside, end]), method="DOP853", rtol=1e-12,
            atol=1e-13,
        )  # fmt: skip
        rows += [h(t, *y, *theta) for t, y in zip(found.t, found.y.T, strict=True) if t in inside]
        start = found.y[:, -1]
    return np.array(rows)


@pytest.mark.parametrize("method", ["tsit5", "stiff"])
def test_trajectories_and_slopes_are_those_of_what_is_written_out(compiled, method):
    settings = SolverSettings(1e-9, 1e-11, method=method)
    found = compiled.solve(THETA, TIMES, settings, sensitivities=True)
    assert found.status[0] == Status.OK
    # ten times the tolerance, of numbers about 1
    np.testing.assert_allclose(found.observables[0], by_scipy(THETA[0]), rtol=1e-8, atol=1e-8)
    for q in range(3):
        step = 1e-5 * np.eye(3)[q]
        difference = (by_scipy(THETA[0] + step) - by_scipy(THETA[0] - step)) / 2e-5
        # differences of values with errors of 1e-12 over 1e-5
        np.testing.assert_allclose(
            found.sensitivities[0, :, :, q], difference, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("method", ["tsit5", pytest.param("stiff", marks=pytest.mark.long)])
def test_pieces_of_a_function_come_to_the_same_bits(compiled, method, monkeypatch):
    settings = SolverSettings(1e-6, 1e-8, method=method)
    whole = compiled.solve(THETA, TIMES, settings, sensitivities=True)
    monkeypatch.setattr(layout, "OPERATIONS", 0)
    monkeypatch.setattr(layout, "IN_A_PIECE", 9)
    pieces = CompiledSystem(SYSTEM).solve(THETA, TIMES, settings, sensitivities=True)
    np.testing.assert_array_equal(whole.observables, pieces.observables)
    np.testing.assert_array_equal(whole.steps, pieces.steps)
    np.testing.assert_allclose(whole.sensitivities, pieces.sensitivities, rtol=1e-9, atol=1e-12)


def test_conditions_in_time_within_a_named_expression_are_stops():
    stopping = with_stops(SYSTEM)
    assert [switch.time for switch in stopping.timetable.switches] == [1.25]
    assert not jumps(SYSTEM)
    hidden = replace(
        SYSTEM, named=(*NAMED[:2], (symbol("pulse"), parse("where(v > 1, v, 1)", NAMES)))
    )
    assert jumps(hidden)
    assert len(with_stops(hidden).timetable.switches) == 1
