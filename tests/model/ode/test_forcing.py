"""Steps that miss nothing of what the time itself does to the equations."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from odes import build
from scipy.integrate import quad

from nfanneal.model.expressions import parse, symbol
from nfanneal.model.ode import SolverSettings, compile_system
from nfanneal.model.ode.events import Timetable, with_switches
from nfanneal.model.ode.forcing import COARSE, SHORTEST, forcing_terms, longest_step

NAMES = dict.fromkeys(["t", "x", "c", "w", "k"])
T, X, C, W = map(symbol, "txcw")


def step_for(term, theta=(0.3, 0.2), end=60.0):
    system = build("x", [f"{term} - 0.1*x"], "c w", ["0"])
    return longest_step(system, np.array([theta, theta]), 0.0, end)


@pytest.mark.parametrize(
    "term",
    ["c", "c*x", "0.5*t*c", "where(t > c, w, 0)", "where(abs(t - c) < w, 1, 0)", "sin(x + c)"],
)
def test_what_does_not_turn_fast_in_time_limits_no_step(term):
    assert step_for(term) == np.inf


@pytest.mark.parametrize("width", [0.05, 0.3, 1.0])
def test_a_narrow_peak_wherever_it_is_holds_steps_to_its_width(width):
    for centre in (7.0, 31.4159, 59.0):
        step = step_for("exp(-(t - c)**2/(2*w**2))", (centre, width))
        assert width / 4 <= step <= 2.5 * width


def test_terms_are_looked_at_one_by_one():
    """A peak is not lost beside a large slow wave."""
    step = step_for("1000*sin(t/10) + exp(-(t - 31.4159)**2/(2*w**2))", (0.0, 0.1))
    assert step < 0.25


def test_a_peak_counts_by_its_height_also_within_a_wide_wave():
    """Its area is 2 % of what the wave deviates from its mean."""
    step = step_for("exp(sin(t/5) + 5*exp(-((t - 31.4159)/0.05)**2))")
    assert step < 0.1


@pytest.mark.parametrize(
    "term",
    [
        "where(t > c and cos(2*pi*(t - 31.4159)/60) > 0.99999, 500, 0)",
        "where(tanh(abs(t - 31.4159)/0.1) < 0.5, 500, 0)",
        "500*exp(-abs(t - 31.4159)/0.05)",
        "where(t > c, exp(-((t - 31.4159)/0.05)**2), 0)",
        "where(t > c or x > 1, where(cos(2*pi*(t - 31.4159)/60) > 0.99999, 500, 0), 0)",
    ],
)
def test_conditions_that_are_solved_for_do_not_hide_others(term):
    assert step_for(term) < 0.3


@pytest.mark.parametrize("pulse", ["abs(t - 31.4159) < 0.01", "t > 31.41 and t < 31.42"])
def test_pulses_that_the_solver_stops_at_need_no_short_steps(pulse):
    assert step_for(f"where({pulse}, 500, 0)") == np.inf
    assert step_for(f"cos(t/25)*where({pulse}, 500*t, 0)") > 1.0


def test_a_jump_alone_is_no_peak():
    assert step_for("where(sin(t/25) > 0.5, c, 0)") > 1.0


@pytest.mark.parametrize(
    "term", ["exp(-1e4*t)", "1/(1 + exp(-(t - c)*1e3))", "tanh(1e3*t)", "1 - exp(-t/1e-3) + t/60"]
)
def test_what_only_rises_or_falls_needs_no_short_steps_however_fast_it_is(term):
    """Its ends tell of it: the first steps see a decay, a step's error sees a jump."""
    assert step_for(term, (30.3, 1.0)) == np.inf


def test_a_forcing_that_decays_at_once_is_integrated_with_free_steps():
    """∫ c·exp(−c·t) dt = 1, however short the time in which it comes; so is a jump of 1/c."""
    settings, end = SolverSettings(1e-6, 1e-9, span=60.0), np.array([60.0])
    rates = np.array([[1e2, 1.0], [1e4, 1.0], [1e6, 1.0]])
    decaying = compile_system(build("x", ["c*exp(-c*t)"], "c w", ["0"]))
    found = decaying.solve(rates, end, settings, sensitivities=False).observables[:, 0, 0]
    np.testing.assert_allclose(found, 1.0, rtol=1e-4)
    jumping = compile_system(build("x", ["w/(1 + exp(-(t - 30.3)*c))"], "c w", ["0"]))
    found = jumping.solve(rates[:2], end, settings, sensitivities=False).observables[:, 0, 0]
    np.testing.assert_allclose(found, 60.0 - 30.3, rtol=1e-4)


def test_steps_are_not_held_below_a_share_of_the_span():
    assert step_for("exp(-(t - c)**2/(2*w**2))", (30.0, 0.01)) >= 60.0 / 2**SHORTEST
    assert step_for("sin(t/40)") == np.inf  # a quarter of the span and more
    assert 2**COARSE == 4


def test_one_draw_may_be_anywhere():
    system = build("x", ["exp(-(t - c)**2/(2*w**2)) - 0.1*x"], "c w", ["0"])
    wide, narrow = [30.0, 20.0], [30.0, 0.02]
    alone = longest_step(system, np.array([wide, wide]), 0.0, 60.0)
    assert longest_step(system, np.array([wide, wide, narrow]), 0.0, 60.0) == alone > 1.0
    assert longest_step(system, np.array([wide, narrow, narrow]), 0.0, 60.0) < 0.1


def test_the_largest_parts_without_states_are_found():
    system = build("x", ["x*exp(-t**2)*c + sin(t*w)/(1 + t) + t*x"], "c w", ["0"])
    found = set(forcing_terms(system))
    assert parse("sin(t*w)/(1 + t)", NAMES) in found
    assert all(X not in term.free_symbols for term in found)


CONDITIONS = [
    "abs(t - 5) < 2", "abs(t - c) > w", "abs(abs(t - c) - 2) < w", "(t - c)**2 < w",
    "(t - c)*(t - w) > 0", "(c - t)*(t - w) >= 0", "min(t - c, w - t) > 0", "max(c - t, t - w) < 0",
    "1 < abs(t - c) < 3", "t**2 + c > 0", "-t**2 > c + 1", "min(abs(t - c), w) < 0.5",
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_in_time_become_switches_that_say_the_same(condition):
    """At 400 times and 20 draws, of which some have no real roots."""
    equation = parse(f"where({condition}, 1, 0)", NAMES)
    (switched,), switches = with_switches((equation,), T, (X,), Timetable())
    assert T not in switched.free_symbols
    rng = np.random.default_rng(1)
    plain = sympy.lambdify((T, C, W), equation, NUMPY)
    later = sympy.lambdify((C, W, *(s.symbol for s in switches)), switched, NUMPY)
    moments = [sympy.lambdify((C, W), s.time, NUMPY) for s in switches]
    for c, w in rng.uniform(0.0, 8.0, (20, 2)):
        times = [float(moment(c, w)) for moment in moments]
        for t in rng.uniform(-3.0, 13.0, 400):
            on = [float(t >= time) for time in times]
            assert later(c, w, *on) == plain(t, c, w), (c, w, t, times)


NUMPY = [
    {
        "Where": lambda condition, yes, no: yes if condition else no,
        "Magnitude": abs,
        "Least": min,
    },
    "numpy",
]


def test_a_narrow_pulse_of_any_form_is_solved_with_its_exact_gradient():
    """x' = a·[|t − c| < w] − x/10: closed form of x(60) and of its slopes by a, c, w."""
    times = np.array([10.0, 60.0])
    theta = np.array([[12.0, 30.0, 0.2]])
    rise = 10.0 * (np.exp(-(60.0 - 30.2) / 10.0) - np.exp(-(60.0 - 29.8) / 10.0))
    down, up = np.exp(-(60.0 - 30.2) / 10.0), np.exp(-(60.0 - 29.8) / 10.0)
    slopes = [rise, 12.0 * (down - up), 12.0 * (down + up)]
    for condition in ("abs(t - c) < w", "(t - c)**2 < w**2"):
        system = build("x", [f"where({condition}, a, 0) - 0.1*x"], "a c w", ["0"])
        found = compile_system(system).solve(
            theta, times, SolverSettings(1e-9, 1e-12), sensitivities=True
        )
        assert found.observables[0, :, 0] == pytest.approx([0.0, 12.0 * rise], rel=1e-8)
        np.testing.assert_allclose(found.sensitivities[0, 1, 0], slopes, rtol=1e-7)


def test_a_peak_that_a_free_step_misses_is_seen_with_the_longest_one():
    """∫ of a peak 0.1 wide in 60 whose form does not tell its middle, against quadrature.

    Without the longest step the solver sees nothing.
    """
    system = build("x", ["a*exp(-200*sin((t - c)/20)**2/w**2) - 0.1*x"], "a c w", ["0"])
    theta, compiled = np.array([[12.0, 31.4159, 0.1]]), compile_system(system)
    end = np.array([60.0])
    most = longest_step(system, theta, 0.0, 60.0)
    settings = SolverSettings(1e-8, 1e-10, span=60.0)
    free = compiled.solve(theta, end, settings, sensitivities=False).observables[0, 0, 0]
    held = compiled.solve(theta, end, settings.with_steps_of(most), sensitivities=False)
    exact, _ = quad(
        lambda t: 12 * np.exp(-2e4 * np.sin((t - 31.4159) / 20) ** 2 - (60 - t) / 10), 30, 33,
        epsabs=1e-13, points=[31.4159],
    )  # fmt: skip
    assert abs(free) < 1e-3 * exact
    assert held.observables[0, 0, 0] == pytest.approx(exact, rel=1e-6)
