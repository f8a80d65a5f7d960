"""ODE specs with stops, and scipy from stop to stop, which knows their times."""

import itertools

import numpy as np
import yaml
from scipy.integrate import solve_ivp

from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

MODEL = {
    "name": "timed",
    "model": {"kind": "ode", "solver": {"rtol": 1e-10, "atol": 1e-12, "max_steps": 100_000}},
    "data": {"file": "d.csv"},
}
TIMES = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 8.0])


def write(folder, model, priors, **more):
    """A spec whose states are all observed, and its data; returns its path."""
    names = list(model.get("observables", model["states"]))
    rows = [",".join(["t", *names]), *(",".join([str(t), *"1" * len(names)]) for t in TIMES)]
    (folder / "d.csv").write_text("\n".join(rows))
    spec = MODEL | {
        "model": MODEL["model"] | model,
        "parameters": {name: {"prior": {"uniform": [0.01, 20]}} for name in priors.split()},
        "likelihood": {name: {"normal": 1.0} for name in names},
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec | more, sort_keys=False))
    return path


def simulator_of(folder, model, priors, **more):
    """θ → (observables (m, k), their derivatives (m, k, p)) of a spec."""
    problem = build_problem(load_spec(write(folder, model, priors, **more)))

    def simulate(theta):
        rows = np.array([theta])
        simulator, times = problem.likelihood.simulator, problem.likelihood.times
        plain = simulator.predict(rows, times, False)
        sloped = simulator.predict(rows, times, True)
        assert not sloped.failed[0], sloped.reasons
        assert np.array_equal(plain.values, sloped.values)
        return sloped.values[0], sloped.jacobian[0]

    return simulate


def pieces(f, start, stops, theta):
    """scipy from stop to stop: (time, state → state after) in order; states at TIMES, after stops.

    f(t, y, θ, number of stops passed).
    """
    moments = [0.0, *(t for t, _ in stops), TIMES[-1] + 1.0]
    y, found = np.asarray(start, dtype=float), {}
    for i, (a, b) in enumerate(itertools.pairwise(moments)):
        if i:
            y = stops[i - 1][1](y)
        here = [t for t in TIMES if a <= t < b]
        solved = solve_ivp(
            lambda t, x, i=i: f(t, x, theta, i), (a, b), y, "DOP853", [*here, b],
            rtol=1e-13, atol=1e-13,
        )  # fmt: skip
        found |= dict(zip(here, solved.y.T, strict=False))
        y = solved.y[:, -1]
    return np.array([found[t] for t in TIMES])


def differences(truth, theta, step=1e-5):
    """Central differences of fourth order of truth(θ), the last axis by parameter."""
    columns = []
    for j, value in enumerate(theta):
        h = step * max(abs(value), 1.0)
        at = [truth([*theta[:j], value + c * h, *theta[j + 1 :]]) for c in (-2, -1, 1, 2)]
        columns.append((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h))
    return np.stack(columns, axis=-1)


def agree(simulate, truth, theta):
    """Values within 1e-8, and derivatives within 1e-5."""
    values, slopes = simulate(theta)
    np.testing.assert_allclose(values, truth(theta), rtol=1e-8, atol=1e-9)
    expected = differences(truth, list(theta))
    assert np.abs(expected).max(axis=(0, 1)).min() > 1e-3  # each parameter is tested
    np.testing.assert_allclose(slopes, expected, rtol=1e-5, atol=1e-6)
