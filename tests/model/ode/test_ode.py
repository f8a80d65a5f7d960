"""Compiled trajectories against scipy, closed forms and finite differences."""

import itertools
import pickle

import numpy as np
import pytest
from odes import EDGES, build
from scipy import stats
from scipy.integrate import solve_ivp

from nfanneal.bench.solvers.systems import SYSTEMS as KNOWN
from nfanneal.errors import ModelError
from nfanneal.model.expressions import compile_numpy
from nfanneal.model.ode import SolverSettings, Status, compile_system

TIGHT = SolverSettings(rtol=1e-9, atol=1e-9, max_steps=100_000)
FINEST = SolverSettings(rtol=1e-12, atol=1e-12, max_steps=100_000)
TIMES = np.linspace(0.0, 8.0, 21)
ALWAYS = "where(k**2 >= 0, k, 1)"


SYSTEMS = {
    "lotka_volterra": (KNOWN["lotka_volterra"].system, KNOWN["lotka_volterra"].mode),
    "sir": (KNOWN["sir"].system, KNOWN["sir"].mode),
    "repressilator": (KNOWN["repressilator"].system, [2.3, 2.3, 2.3, 0.0, 0.0, 3.0, 3.0, 3.0]),
    "switched": (
        build(
            "x y z",
            [
                "where(t > 3, k, 2*k)*(1 + 0.3*sin(w*t)) - x",
                "k*hill(z, 1.5, h) - y**h",
                "1 - z",
            ],
            "k w h scale",
            ["0.1", "0", "0"],
            ["x", "scale*y", "z/763"],
        ),
        [0.9, 2.5, 2.3, 0.8],
    ),
}
"""The first three are those of test_systems.py; of the last one two states begin at zero."""
CASES = [
    pytest.param(name, marks=[pytest.mark.long] * (name == "lotka_volterra")) for name in SYSTEMS
]


@pytest.fixture(scope="module")
def compiled():
    known = {}

    def get(name):
        if name not in known:
            known[name] = compile_system(SYSTEMS[name][0])
        return known[name], np.array([SYSTEMS[name][1]])

    return get


@pytest.fixture(scope="module")
def ring_batch(compiled):
    """The repressilator and 150 draws of a wide prior, many of them stiff."""
    rng = np.random.default_rng(0)
    wide = np.hstack([rng.uniform(-5, 5, (150, 5)), rng.uniform(0, 10, (150, 3))])
    return compiled("repressilator")[0], wide


@pytest.fixture(scope="module")
def decay():
    """x' = −k·x, x(0) = x₀, with observables that use a parameter of their own."""
    return compile_system(
        build("x", ["-k*x"], "c k x0", ["x0"], ["x", "c*x**2 + t", "c*k"])
    )  # fmt: skip


@pytest.fixture(scope="module")
def separate():
    """x' = −x^2.5, y' = y^(−a), and z' = −k·z by a condition that always holds."""
    equations = ["-x**2.5", "y**(-a)", f"-z*{ALWAYS}"]
    observables = ["x", "y", "z", f"z*z*{ALWAYS}"]
    return compile_system(build("x y z", equations, "a k", ["2", "1", ALWAYS], observables))


@pytest.fixture(scope="module")
def edges():
    return compile_system(EDGES)


def solve(system, theta, times=TIMES, settings=TIGHT, sensitivities=False, **more):
    return system.solve(np.atleast_2d(theta), times, settings, sensitivities=sensitivities, **more)


def powers(theta):
    """Rows (k, n, x0) of x' = k·x^n, with the other two states of `edges` at rest."""
    return np.pad(np.array(theta), ((0, 0), (0, 2)))


def by_scipy(system, theta, times):
    arguments = [system.time, *system.states, *system.parameters]
    rhs = compile_numpy(system.equations, arguments)
    observe = compile_numpy(system.observables, arguments)
    y = np.array([float(v) for v in compile_numpy(system.initial, system.parameters)(*theta)])
    pieces = sorted({times[0], 3.0, times[-1]})  # 3 is where the switched system jumps
    found = [y[:, None]]
    for start, stop in itertools.pairwise(pieces):
        inside = times[(times > start) & (times <= stop)]
        done = solve_ivp(
            # the switch is approached from the left, and left to the right
            lambda t, x, stop=stop: np.array(
                rhs(min(t, np.nextafter(stop, 0)), *x, *theta), dtype=float
            ).ravel(),
            (np.nextafter(start, stop), stop),
            found[-1][:, -1],
            t_eval=np.unique([*inside, stop]),
            method="DOP853",
            rtol=1e-12,
            atol=1e-13,
        )
        assert stop in times
        found.append(done.y)
    states = np.concatenate(found, axis=1)
    columns = [np.broadcast_to(o, len(times)) for o in observe(times, *states, *np.array(theta))]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", CASES)
def test_trajectories_are_those_of_scipy(name, compiled):
    system, theta = compiled(name)
    times = np.unique([*TIMES, 3.0])
    found = solve(system, theta, times)
    assert found.status[0] == Status.OK
    expected = by_scipy(system.system, theta[0], times)
    # rtol = atol = 1e-9 per step, over up to 200 steps
    np.testing.assert_allclose(found.observables[0], expected, rtol=3e-7, atol=3e-7)


def differences(system, theta, times):
    """Central differences of fourth order, (m, k, p)."""
    columns = []
    for q, value in enumerate(theta):
        h = 2e-4 * max(abs(value), 0.1)
        rows = np.tile(theta, (4, 1))
        rows[:, q] += h * np.array([-2, -1, 1, 2])
        f = solve(system, rows, times, FINEST).observables
        columns.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h))
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("name", CASES)
def test_sensitivities_are_derivatives(name, compiled):
    system, theta = compiled(name)
    found = solve(system, theta, sensitivities=True).sensitivities[0]
    expected = differences(system, theta[0], TIMES)
    scale = np.abs(expected).max(axis=0)  # of each column over time: they cross zero
    # differences over 2e-5 or more of values with errors of 1e-12 are uncertain by 1e-7 at most
    assert (np.abs(found - expected) <= 1e-5 * scale + 1e-7).all()


def test_decay_is_exact_with_parameters_in_initial_values_and_observables(decay):
    c, k, x0 = 1.3, 0.7, 2.0
    found = solve(decay, [c, k, x0], sensitivities=True)
    x, zero = x0 * np.exp(-k * TIMES), np.zeros_like(TIMES)
    values = np.stack([x, c * x**2 + TIMES, c * k + zero], axis=1)
    x_k, x_x0 = -TIMES * x, x / x0
    slopes = np.stack(
        [
            np.stack([zero, x_k, x_x0], axis=1),
            np.stack([x**2, 2 * c * x * x_k, 2 * c * x * x_x0], axis=1),
            np.stack([k + zero, c + zero, zero], axis=1),
        ],
        axis=1,
    )
    np.testing.assert_allclose(found.observables[0], values, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.sensitivities[0], slopes, rtol=1e-7, atol=1e-7)


def test_conditions_that_always_hold_are_no_obstacle(separate):
    """Where they stand twice, sympy finds out that they hold as late as when they are printed."""
    found = solve(separate, [1.3, 0.7], sensitivities=True)
    z = 0.7 * np.exp(-0.7 * TIMES)
    z_k = (1.0 / 0.7 - TIMES) * z
    values, slopes = np.stack([z, 0.7 * z**2], 1), np.stack([z_k, z**2 + 1.4 * z * z_k], 1)
    np.testing.assert_allclose(found.observables[0, :, 2:], values, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.sensitivities[0, :, 2:, 1], slopes, rtol=1e-6, atol=1e-7)


def test_powers_that_are_no_whole_numbers_are_exact(separate):
    """By separation of variables."""
    a, times = 1.3, TIMES
    found = solve(separate, [a, 0.7], sensitivities=True)
    x, inside = (2.0**-1.5 + 1.5 * times) ** (-1 / 1.5), 1.0 + (a + 1.0) * times
    y, zero = inside ** (1.0 / (a + 1.0)), np.zeros_like(times)
    y_a = y * (times / ((a + 1.0) * inside) - np.log(inside) / (a + 1.0) ** 2)
    np.testing.assert_allclose(found.observables[0, :, :2], np.stack([x, y], 1), rtol=1e-7)
    slopes = np.stack([zero, y_a], 1)
    np.testing.assert_allclose(found.sensitivities[0, :, :2, 0], slopes, rtol=1e-6, atol=1e-8)


def test_error_falls_with_the_tolerance(decay):
    exact = 2.0 * np.exp(-0.7 * TIMES)
    errors = []
    for tolerance in (1e-4, 1e-6, 1e-8, 1e-10):
        found = solve(decay, [1.0, 0.7, 2.0], settings=SolverSettings(tolerance, tolerance))
        errors.append(np.abs(found.observables[0, :, 0] - exact).max())
    slope = np.polyfit(np.log([1e-4, 1e-6, 1e-8, 1e-10]), np.log(errors), 1)[0]
    assert 0.8 < slope < 1.2
    assert errors[1] < 2e-5


def test_step_count_shows_order_five(decay):
    """Local error h⁵ of the embedded order 4: steps grow as tolerance^(−1/5)."""
    counts = [
        solve(decay, [1.0, 0.7, 2.0], settings=SolverSettings(tol, 1e-14)).steps[0]
        for tol in (1e-6, 1e-11)
    ]
    assert 7.0 < counts[1] / counts[0] < 14.0


def test_many_outputs_cost_no_steps_and_are_as_accurate(decay):
    few, many = np.array([8.0]), np.linspace(0.0, 8.0, 1001)
    a, b = (solve(decay, [1.0, 0.7, 2.0], times, sensitivities=True) for times in (few, many))
    assert a.steps[0] == b.steps[0]
    exact = 2.0 * np.exp(-0.7 * many)
    np.testing.assert_allclose(b.observables[0, :, 0], exact, atol=1e-8)
    np.testing.assert_allclose(b.sensitivities[0, :, 0, 1], -many * exact, atol=1e-7)


def test_values_steps_and_status_are_the_same_with_sensitivities(ring_batch):
    system, theta = ring_batch
    loose = SolverSettings(1e-6, 1e-6, max_steps=100)  # some run out of steps
    without, having = (solve(system, theta, settings=loose, sensitivities=s) for s in (False, True))
    assert len(np.unique(without.status)) > 1
    np.testing.assert_array_equal(without.observables, having.observables)
    np.testing.assert_array_equal(without.status, having.status)
    np.testing.assert_array_equal(without.steps, having.steps)


@pytest.mark.parametrize("sensitivities", [False, True])
def test_rows_do_not_depend_on_each_other_or_on_threads(ring_batch, sensitivities):
    system, theta = ring_batch
    runs = [
        solve(system, theta, sensitivities=sensitivities, threads=1),
        solve(system, theta, sensitivities=sensitivities, threads=2),
        solve(system, theta[::-1].copy(), sensitivities=sensitivities),
    ]
    single = [solve(system, row, sensitivities=sensitivities) for row in theta[:20]]
    for field in ["observables", "status", "steps"] + ["sensitivities"] * sensitivities:
        first, second, backwards = (getattr(run, field) for run in runs)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, backwards[::-1])
        one_by_one = np.concatenate([getattr(run, field) for run in single])
        np.testing.assert_array_equal(first[:20], one_by_one)


FATES = {
    "grows": ([0.3, 1.0, 1.0], Status.OK),
    "pole": ([1.0, 2.0, 1.0], Status.STEP_TOO_SMALL),  # x = 1/(1 − t)
    "overflow": ([1.0, 1.0, 1e301], Status.NON_FINITE),
    "domain": ([-1.0, 0.5, -1.0], Status.NON_FINITE),  # root of a negative number
    "nan": ([np.nan, 1.0, 1.0], Status.NON_FINITE),
    "stiff": ([-1e7, 1.0, 1.0], Status.TOO_STIFF),
}


@pytest.mark.parametrize("sensitivities", [False, True])
def test_every_fate_has_its_status_and_spares_its_neighbours(edges, sensitivities):
    theta = powers([theta for theta, _ in FATES.values()])
    settings = SolverSettings(method="tsit5")
    found = solve(edges, theta, settings=settings, sensitivities=sensitivities)
    for row, (name, (_, expected)) in enumerate(FATES.items()):
        assert Status(found.status[row]) == expected, name
    failed = found.status != Status.OK
    assert np.isnan(found.observables[failed]).all()
    np.testing.assert_allclose(found.observables[0, :, 0], np.exp(0.3 * TIMES), rtol=1e-5)
    assert (found.steps <= 10_000).all()
    if sensitivities:
        assert np.isnan(found.sensitivities[failed]).all()
        assert np.isfinite(found.sensitivities[0]).all()


@pytest.mark.parametrize("sensitivities", [False, True])
def test_nothing_is_left_of_a_failed_row_for_the_next_in_its_lane(edges, sensitivities):
    settings = SolverSettings(method="tsit5")
    fine = [[rate, 1.0, 1.0] for rate in np.linspace(-2.0, 0.5, 40)]
    failing = [theta for theta, _ in FATES.values()] * 8
    mixed = [row for pair in zip(failing, fine, strict=False) for row in pair]
    among = solve(edges, powers(mixed), settings=settings, sensitivities=sensitivities)
    alone = solve(edges, powers(fine), settings=settings, sensitivities=sensitivities)
    np.testing.assert_array_equal(among.observables[1::2], alone.observables)
    np.testing.assert_array_equal(among.steps[1::2], alone.steps)


def test_every_status_gives_advice():
    assert len({status.advice for status in Status}) == len(Status)


def test_a_step_out_of_the_domain_is_retried_smaller(edges):
    found = solve(edges, [0.0, 1.0, 1.0, 1.0, 0.0], np.array([0.9, 2.5]), SolverSettings())
    assert found.status[0] == Status.OK
    # at rest where u = −log u; rtol = 1e-6 per step
    np.testing.assert_allclose(found.observables[0, :, 2], [5.0, 0.5671432904], rtol=1e-5)


def test_steps_out_of_the_domain_leave_nothing_for_the_next_try(edges):
    theta = [[0.0, 1.0, 1.0, 0.0, b] for b in (50.0, 300.0)]
    settings = SolverSettings(method="tsit5")
    found = solve(edges, theta, np.array([0.9, 2.0]), settings, sensitivities=False)
    assert (found.status == Status.OK).all()
    np.testing.assert_allclose(found.observables[:, :, 3], 0.5, rtol=1e-5)


def test_sensitivities_that_overflow_leave_the_value(edges):
    theta, times = powers([[683.0, 1.0, 1.0], [0.3, 1.0, 1.0]]), np.array([0.5, 1.0])
    loose = SolverSettings()
    value, both = (solve(edges, theta, times, loose, sensitivities=s) for s in (False, True))
    assert (both.status == Status.OK).all()
    assert np.isfinite(both.observables).all()
    np.testing.assert_array_equal(value.observables, both.observables)
    assert (both.sensitivities[0] == 0.0).all()
    assert (both.sensitivities[1, :, 0] != 0.0).any()
    assert list(both.overflowed) == [True, False]
    assert not value.overflowed.any()


def test_sensitivities_from_zero_are_finite(compiled):
    system, theta = compiled("switched")
    found = solve(system, theta, sensitivities=True)
    assert np.isfinite(found.sensitivities).all()


def test_slopes_that_depend_on_nothing_leave_those_of_initial_values_and_observables():
    system = compile_system(build("x", ["1 + t"], "x0 a", ["x0"], ["a*x"]))
    found = solve(system, [0.5, 3.0], sensitivities=True)
    x = 0.5 + TIMES + 0.5 * TIMES**2
    np.testing.assert_allclose(found.observables[0, :, 0], 3.0 * x, rtol=1e-8)
    np.testing.assert_allclose(found.sensitivities[0, :, 0, 0], 3.0, rtol=1e-12)
    np.testing.assert_allclose(found.sensitivities[0, :, 0, 1], x, rtol=1e-8)


def test_start_shifts_time_and_an_output_there_is_the_initial_value(decay):
    settings = SolverSettings(1e-9, 1e-9, start=2.0)
    found = solve(decay, [1.0, 0.7, 2.0], TIMES + 2.0, settings, sensitivities=True)
    np.testing.assert_allclose(found.observables[0, :, 0], 2.0 * np.exp(-0.7 * TIMES), atol=1e-8)
    np.testing.assert_array_equal(found.sensitivities[0, 0, 0], [0.0, 0.0, 1.0])
    only = solve(decay, [1.0, 0.7, 2.0], np.array([2.0]), settings)
    assert (only.observables[0, 0, 0], only.status[0], only.steps[0]) == (2.0, Status.OK, 0)


def test_no_rows_and_no_times_are_fine(decay):
    for n, m in [(0, 3), (2, 0), (0, 0)]:
        found = solve(decay, np.ones((n, 3)), np.arange(m) + 1.0, sensitivities=True)
        assert found.observables.shape == (n, m, 3)
        assert found.sensitivities.shape == (n, m, 3, 3)
        assert (found.status == Status.OK).all()


@pytest.mark.parametrize(
    ("theta", "times", "message"),
    [
        (np.ones((2, 2)), [1.0], r"theta must have shape \(n, 3\), not \(2, 2\)"),
        (np.ones(3), [1.0], r"theta must have shape \(n, 3\)"),
        (np.ones((1, 3)), [2.0, 1.0], "increase strictly"),
        (np.ones((1, 3)), [1.0, 1.0], "increase strictly"),
        (np.ones((1, 3)), [1.0, np.nan], "must be finite"),
        (np.ones((1, 3)), [[1.0]], r"shape \(m,\)"),
        (np.ones((1, 3)), [-1.0, 1.0], "-1 lies before the start 0; set model.start"),
    ],
)
def test_wrong_inputs_are_refused(decay, theta, times, message):
    with pytest.raises(ModelError, match=message):
        decay.solve(theta, np.array(times), TIGHT, sensitivities=False)


def test_arrays_of_any_layout_are_accepted(decay):
    theta = np.asfortranarray(np.random.default_rng(0).uniform(0.5, 2.0, (7, 3)))
    a = solve(decay, theta, TIMES[::2])
    b = solve(decay, np.ascontiguousarray(theta), np.ascontiguousarray(TIMES[::2]))
    np.testing.assert_array_equal(a.observables, b.observables)


def test_a_pickled_system_solves(decay):
    copy = pickle.loads(pickle.dumps(decay))
    np.testing.assert_array_equal(
        solve(copy, [1.0, 0.7, 2.0]).observables, solve(decay, [1.0, 0.7, 2.0]).observables
    )


@pytest.mark.long
def test_observables_of_many_states_are_states_and_expressions_in_any_order():
    """A chain of decays with equal rates is a Poisson process: x_i = x0·(kt)^i·exp(−kt)/i!."""
    n = 26
    states = " ".join(f"x{i}" for i in range(n))
    equations = ["-k*x0", *(f"k*(x{i - 1} - x{i})" for i in range(1, n))]
    observables = ["x5", "scale*x1 + x3", "x0", "k*t", "x25"]
    system = build(states, equations, "k a scale", ["a", *["0"] * (n - 1)], observables)
    theta, times = np.array([[1.3, 2.0, 0.7]]), np.array([0.0, 0.5, 4.0])
    found = compile_system(system).solve(theta, times, FINEST, sensitivities=True)
    (a, scale), u = theta[0, 1:], theta[0, 0] * times

    def state(i):
        return a * stats.poisson.pmf(i, u)

    def by_k(i):  # d/du of the probability is that of one less, minus its own
        return times * ((state(i - 1) if i else 0.0) - state(i))

    zero = np.zeros(3)
    values = [state(5), scale * state(1) + state(3), state(0), u, state(25)]
    slopes = [
        [by_k(5), state(5) / a, zero],
        [scale * by_k(1) + by_k(3), (scale * state(1) + state(3)) / a, state(1)],
        [by_k(0), state(0) / a, zero],
        [times, zero, zero],
        [by_k(25), state(25) / a, zero],
    ]
    np.testing.assert_allclose(found.observables[0].T, values, rtol=1e-8, atol=1e-10)
    expected = np.moveaxis(np.array(slopes), 2, 0)
    np.testing.assert_allclose(found.sensitivities[0], expected, rtol=1e-7, atol=1e-9)


def test_sensitivities_of_a_ring_are_right_and_the_same_alone():
    """More states than a column keeps in registers; every lane is for itself, bit for bit."""
    states = " ".join(f"x{i}" for i in range(12))
    equations = [f"a*x{(i - 1) % 12}/(1 + x{(i + 3) % 12}) - b*x{i} + c" for i in range(12)]
    system = compile_system(build(states, equations, "a b c", ["1"] * 11 + ["c"]))
    theta, times = np.random.default_rng(0).uniform(0.5, 2, (11, 3)), np.linspace(0.5, 4, 7)
    found = system.solve(theta, times, FINEST, sensitivities=True).sensitivities
    for q, step in enumerate(1e-5 * np.eye(3)):
        up, down = (
            system.solve(theta + sign * step, times, FINEST, sensitivities=False).observables
            for sign in (1, -1)
        )
        # differences of second order: 1e-10, and rounding of 1e-12 over 2e-5
        np.testing.assert_allclose(found[..., q], (up - down) / 2e-5, rtol=1e-6, atol=1e-6)
    for row, expected in zip(theta, found, strict=True):
        alone = system.solve(row[None], times, FINEST, sensitivities=True).sensitivities
        np.testing.assert_array_equal(alone[0], expected)
