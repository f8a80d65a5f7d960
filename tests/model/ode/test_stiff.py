"""The stiff solver against order conditions, scipy's Radau and differences of it."""

import functools

import numpy as np
import pytest
from odes import EDGES, build
from scipy.integrate import solve_ivp

from nfanneal.model.expressions import compile_numpy
from nfanneal.model.ode import CompiledSystem, SolverSettings, Status
from nfanneal.model.ode.solver import rodas5p


def test_the_coefficients_satisfy_the_order_conditions():
    """In the form of Hairer & Wanner, section IV.7: β = α + Γ, up to order four and more."""
    gamma, a, c = rodas5p.GAMMA, rodas5p.A, np.pad(rodas5p.C, ((0, 0), (0, 1)))
    big = np.linalg.inv(np.eye(8) / gamma - c)  # Γ
    alpha, weights = a @ big, np.append(a[7, :7], 1.0) @ big
    beta = alpha + big
    one = np.ones(8)
    nodes = alpha @ one
    np.testing.assert_allclose(nodes, rodas5p.NODES, atol=1e-12)
    np.testing.assert_allclose(big @ one, rodas5p.DRIFTS, atol=1e-12)
    conditions = [
        (weights @ one, 1), (weights @ beta @ one, 1 / 2), (weights @ nodes**2, 1 / 3),
        (weights @ beta @ beta @ one, 1 / 6), (weights @ nodes**3, 1 / 4),
        (weights @ (nodes * (alpha @ beta @ one)), 1 / 8), (weights @ beta @ nodes**2, 1 / 12),
        (weights @ beta @ beta @ beta @ one, 1 / 24), (weights @ nodes**4, 1 / 5),
        (weights @ (nodes**2 * (alpha @ beta @ one)), 1 / 10),
        (weights @ beta @ nodes**3, 1 / 20), (weights @ beta @ beta @ nodes**2, 1 / 60),
        (weights @ beta @ beta @ beta @ beta @ one, 1 / 120),
    ]  # fmt: skip
    for found, expected in conditions:
        assert abs(found - expected) < 1e-12


ROBERTSON = (
    build(
        "x y z",
        ["-a*x + b*y*z", "a*x - b*y*z - c*y**2", "c*y**2"],
        "a b c",
        ["1", "0", "0"],
    ),
    [0.04, 1e4, 3e7],
    np.array([0.4, 40.0, 4e3, 4e5]),
)
FORCED = (
    build("x y", ["-k*(x - cos(w*t)*y**h)", "-hill(x, 0.5, h)*y"], "k w h", ["0.3", "1.5"]),
    [1e4, 1.3, 2.2],
    np.array([0.5, 1.0, 3.0]),
)
SYSTEMS = {"robertson": ROBERTSON, "forced": FORCED}


@pytest.fixture(scope="module")
def compiled():
    """Each solver is compiled when it is first needed."""
    return {name: CompiledSystem(system) for name, (system, _, _) in SYSTEMS.items()}


def by_radau(system, rows, times):
    """Trajectories (n, m, k) of n rows of θ, solved as one system."""
    columns = np.array(rows).T
    n, k = len(rows), len(system.states)
    rhs = compile_numpy(system.equations, [system.time, *system.states, *system.parameters])
    start = compile_numpy(system.initial, system.parameters)(*columns)

    def together(values):
        return np.stack([np.broadcast_to(v, n) for v in values]).ravel()

    def slope(t, y):
        return together(rhs(t, *y.reshape(k, n), *columns))

    found = solve_ivp(
        slope, (0.0, times[-1]), together(start), t_eval=times, method="Radau",
        rtol=1e-11, atol=1e-14,
    )  # fmt: skip
    return np.moveaxis(found.y.reshape(k, n, len(times)), 0, 2)


@pytest.fixture(scope="module")
def radau():
    """Its values and their central differences by each parameter, found once for all methods."""

    @functools.cache
    def found(name):
        system, theta, times = SYSTEMS[name]
        steps = 1e-4 * np.diag(theta)
        rows = np.vstack([theta, theta + steps, theta - steps])
        value, *near = by_radau(system, rows, times)
        up, down = np.array(near).reshape(2, len(theta), *value.shape)
        return value, (up - down) / (2 * np.diag(steps)[:, None, None])

    return found


@pytest.mark.parametrize("method", ["auto", "stiff"])
@pytest.mark.parametrize("name", ["robertson", pytest.param("forced", marks=pytest.mark.long)])
def test_stiff_systems_are_those_of_radau(name, method, compiled, radau):
    _, theta, times = SYSTEMS[name]
    settings = SolverSettings(1e-8, 1e-12, method=method)
    value, both = (
        compiled[name].solve(np.array([theta]), times, settings, sensitivities=s)
        for s in (False, True)
    )
    assert value.status[0] == Status.OK
    assert value.steps[0] < 1000
    assert value.stiff[0] > 0.5
    assert value.reached[0] == times[-1]
    np.testing.assert_array_equal(value.observables, both.observables)
    np.testing.assert_array_equal(value.steps, both.steps)
    expected, differences = radau(name)
    # ten times the tolerance
    np.testing.assert_allclose(value.observables[0], expected, rtol=1e-7, atol=1e-11)
    for q, difference in enumerate(differences):
        scale = np.abs(difference).max(axis=0)
        # differences of values with errors of 1e-11 over a relative 1e-4
        assert (np.abs(both.sensitivities[0, :, :, q] - difference) < 1e-4 * scale).all()


@pytest.mark.parametrize("tolerance", [1e-6, 1e-8, 1e-10])
def test_sensitivities_are_as_good_as_the_tolerance_asks(tolerance):
    """x' = −k·x², x = x₀/(1 + k·x₀·t): from the first step on, of which there are few here."""
    (k, x0), times = (0.7, 1.0), np.array([0.01, 0.5, 5.0])
    settings = SolverSettings(tolerance, 1e-2 * tolerance, method="stiff")
    theta = np.array([[-k, 2.0, x0, 0.0, 0.0]])
    found = CompiledSystem(EDGES).solve(theta, times, settings, sensitivities=True)
    grown = 1.0 + k * x0 * times
    expected = np.stack([x0**2 * times, np.ones(3)], axis=1) / grown[:, None] ** 2
    np.testing.assert_allclose(
        found.sensitivities[0, :, 0, [0, 2]].T, expected, rtol=10 * tolerance
    )


def test_stiffness_is_seen_at_tight_tolerances():
    """Near the stability bound fast modes hardly fade, and their error limits the steps, too."""
    binding = "100*(d*r - 1.7*b)"
    equations = [f"-k*d - {binding}", f"1.8*(4.5 - r) - {binding}", f"{binding} - 0.3*b"]
    system = CompiledSystem(build("d r b", equations, "k", ["100", "4.5", "0"]))
    auto, stiff = (
        system.solve(
            np.array([[0.53]]),
            np.array([28.0]),
            SolverSettings(1e-8, 1e-10, method=method),
            sensitivities=False,
        )
        for method in ("auto", "stiff")
    )
    assert auto.status[0] == stiff.status[0] == Status.OK
    assert auto.stiff[0] > 0.5
    assert auto.steps[0] < 2 * stiff.steps[0]
    np.testing.assert_allclose(auto.observables, stiff.observables, rtol=1e-6)


def test_the_error_falls_with_the_tolerance(compiled):
    system, theta, times = FORCED
    expected = by_radau(system, [theta], times)[0]
    errors = []
    for tolerance in (1e-4, 1e-6, 1e-8):
        settings = SolverSettings(tolerance, tolerance, method="stiff")
        found = compiled["forced"].solve(np.array([theta]), times, settings, sensitivities=False)
        errors.append(np.abs(found.observables[0] - expected).max())
        assert errors[-1] < 10 * tolerance
    assert errors[2] < 1e-3 * errors[0]


def test_random_draws_neither_hang_nor_hide_failures(compiled):
    _, theta, times = ROBERTSON
    rng = np.random.default_rng(0)
    draws = np.array(theta) * 10.0 ** rng.uniform(-3, 3, (40, 3))
    settings = SolverSettings()
    found = compiled["robertson"].solve(draws, times, settings, sensitivities=True)
    assert (found.steps <= settings.max_steps).all()
    good = found.status == Status.OK
    assert good.mean() > 0.9
    assert np.isfinite(found.observables[good]).all()
    np.testing.assert_allclose(found.observables[good].sum(axis=2), 1.0, rtol=1e-6)


def test_a_chain_at_rest_keeps_its_sensitivities():
    """Explicit steps must not ride on the edge of stability, where y is held and s is not."""
    n = 12
    states = " ".join(f"x{i}" for i in range(n))
    equations = ["k*(1 - 2*x0 + x1)"]
    equations += [f"k*(x{i - 1} - 2*x{i} + x{i + 1})" for i in range(1, n - 1)]
    equations += [f"k*(x{n - 2} - 2*x{n - 1}) - d*x{n - 1}"]
    system = build(states, equations, "k d", ["0"] * n)
    settings = SolverSettings(1e-6, 1e-6, max_steps=100_000, method="tsit5")
    times = np.array([20.0, 60.0, 200.0])
    found = CompiledSystem(system).solve(
        np.array([[50.0, 5.0]]), times, settings, sensitivities=True
    )
    assert found.status[0] == Status.OK
    # at rest x_i = 1 − (i + 1)·s with k·s = (k + d)·x_last, x_last = 1 − n·s: no flux is lost
    k, d, i = 50.0, 5.0, np.arange(1, n + 1)
    slope = (k + d) / (k + n * (k + d))
    np.testing.assert_allclose(found.observables[0, -1], 1.0 - i * slope, rtol=1e-5)
    by_d = -i * k / (k + n * (k + d)) ** 2
    np.testing.assert_allclose(found.sensitivities[0, -1, :, 1], by_d, rtol=1e-4)
