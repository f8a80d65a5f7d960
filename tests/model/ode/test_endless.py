"""Data at time infinity are of the steady state that a trajectory comes to in the end."""

import csv
import json

import h5py
import numpy as np
import pytest
import yaml
from commands import inside, run
from piecewise import differences
from scipy import stats
from scipy.integrate import solve_ivp

from nfanneal.errors import DataError, ModelError, SpecError
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import spec_from_text

MODEL = {
    "kind": "ode",
    "states": {"a": "a0", "b": "1", "m": "0.1"},
    "equations": {"a": "-on*a + off*b", "b": "on*a - off*b", "m": "s*b + light - d*m**2"},
    "constants": {"off": 0.5},
    "doses": {"a": {"time": "3 + tau", "amount": "a0*d"}},
    "changes": {"on": {"time": 9, "value": "on/3"}},
    "inputs": {"light": {"times": [2, 12], "values": [0.2, 0.6], "kind": "linear"}},
    "observables": {"a": "a", "m": "m", "late": "where(t > 5, m, 0) + light"},
    "solver": {"rtol": 1e-10, "atol": 1e-12, "max_steps": 100_000},
}
NAMES = ["a0", "on", "s", "d", "tau"]
MIXED = "t,a,m,late\n0,1,1,1\n{},1,1,1\n1,1,1,1\ninf,1,1,1\n"


def text_of(model, tables, names=NAMES, **more):
    """A spec with an experiment for each table."""
    prior = {"prior": {"uniform": [0.01, 20]}}
    header = next(iter(tables.values())).split("\n")[0].split(",")
    spec = {
        "model": model,
        "parameters": dict.fromkeys(names, prior),
        "likelihood": {name: {"normal": 1.0} for name in header[1:]},
        "experiments": {e: {"data": {"table": table}} for e, table in tables.items()},
    }
    return yaml.safe_dump(spec | more, sort_keys=False)


def in_the_end(theta):
    a0, on, s, d, _ = theta
    total, on = a0 + 1 + a0 * d, on / 3
    b = total * on / (on + 0.5)
    m = np.sqrt((s * b + 0.6) / d)
    return [total - b, m, m + 0.6]


def soon(theta):
    a0, on, s, d, _ = theta

    def f(t, y):
        flow = on * y[0] - 0.5 * y[1]
        return [-flow, flow, s * y[1] + 0.2 - d * y[2] ** 2]

    y = solve_ivp(f, (0, 1), [a0, 1, 0.1], "DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    return [[a0, 0.1, 0.2], [y[0], y[2], 0.2]]


@pytest.mark.parametrize("method", ["auto", pytest.param("stiff", marks=pytest.mark.long)])
def test_they_are_those_after_all_that_happens_at_finite_times(method):
    """A dose after the last datum, a change, and an input on lines until 12."""
    tables = {
        "mixed": MIXED.format(".inf"),
        "end": "t,a,m,late\nInfinity,1,1,1\n+inf,2,,1\n",
        "soon": "t,a,m,late\n0,1,1,1\n1,1,1,1\n",
    }
    model = MODEL | {"solver": MODEL["solver"] | {"method": method}}
    problem = build_problem(spec_from_text(text_of(model, tables)))
    simulator, times = problem.likelihood.simulator, problem.likelihood.times
    assert len({id(e.system) for e in simulator.experiments}) == 1
    assert [list(own) for own in times] == [[0, 1, np.inf], [np.inf], [0, 1]]
    theta = [2.0, 0.9, 0.7, 0.4, 1.2]

    def truth(theta):
        return np.array([*soon(theta), in_the_end(theta), in_the_end(theta), *soon(theta)])

    for chosen in (theta, [0.5, 3.0, 1.0, 2.0, 15.0]):
        plain = simulator.predict(np.array([chosen]), times, False)
        sloped = simulator.predict(np.array([chosen]), times, True)
        assert not plain.failed[0], plain.reasons
        np.testing.assert_array_equal(plain.values, sloped.values)
        np.testing.assert_allclose(plain.values[0], truth(chosen), rtol=1e-8, atol=1e-9)
        expected = differences(truth, chosen)
        np.testing.assert_allclose(sloped.jacobian[0], expected, rtol=1e-6, atol=1e-7)
    opening = problem.likelihood.opening(0.5)
    assert [list(own) for own in opening.times] == [[0, 1], [np.inf], [0]]
    assert np.isfinite(opening.evaluate(np.array([theta]), True).gradient).all()


def test_a_system_that_ends_has_no_outputs_at_infinity():
    problem = build_problem(spec_from_text(text_of(LINEAR, {"one": "t,x\n1,1\n"}, ["k", "d"])))
    with pytest.raises(ModelError, match="must be finite"):
        problem.likelihood.predict(np.ones((1, 2)), (np.array([1, np.inf]),))


LINEAR = {"kind": "ode", "states": {"x": 0}, "equations": {"x": "k - d*x"}, "constants": {"c": 0}}


@pytest.mark.long
def test_growth_has_no_end_and_the_draw_fails(tmp_path, capsys):
    model = LINEAR | {"equations": {"x": "k + (1 - d)*x"}}
    path = tmp_path / "spec.yaml"
    path.write_text(text_of(model, {"one": "t,x\n1,1\ninf,1\n"}, ["k", "d"]))
    problem = build_problem(spec_from_text(path.read_text()))
    found = problem.likelihood.evaluate(np.array([[1.0, 0.5], [1.0, 1.5]]), True)
    assert list(found.failed) == [True, False]
    assert found.reasons == {"NO_STEADY_STATE": 1}
    code, out, err = inside(capsys, "check", path)
    assert code == 0
    assert "data at time inf ask for one" in " ".join((out + err).split())


@pytest.mark.parametrize(
    ("more", "table", "error", "words"),
    [
        ({"equations": {"x": "k*cos(d*t)"}}, "t,x\ninf,1\n", SpecError, "time goes on in the equ"),
        ({"equations": {"x": "k - d*t*x"}}, "t,x\ninf,1\n", SpecError, "experiment one? at time"),
        ({"observables": {"x": "x*t"}}, "t,x\n0,1\ninf,1\n", SpecError, "no value at time inf"),
        ({"positive": True}, "t,x\n0,1\ninf,1\n", SpecError, "positive: true has no steady"),
        ({}, "t,x\n-inf,1\n", DataError, "not a finite number in column 't': '-inf'"),
        ({}, "t,x\n1e310,1\n", DataError, "too large a number in column 't': '1e310'"),
        ({}, "t,x\n1,inf\n", DataError, ":2: not a finite number in column 'x': 'inf'"),
    ],
)
def test_what_has_no_end_is_told(more, table, error, words):
    text = text_of(LINEAR | more, {"one": table}, ["k", "d"])
    with pytest.raises(error, match=words.replace("experiment one?", "the data of one")):
        build_problem(spec_from_text(text))


def test_other_models_have_no_end(tmp_path):
    (tmp_path / "m.py").write_text("def f(p, t):\n    return {'x': p['k'][:, None] + 0*t}\n")
    model = {"kind": "python", "file": "m.py", "simulate": "f"}
    text = text_of(model, {"one": "t,x\n1,1\n\ninf,1\n"}, ["k", "d"])
    with pytest.raises(DataError, match=r":4: the model is a Python file: it has no steady state"):
        build_problem(spec_from_text(text, tmp_path))


def test_the_commands_know_what_to_do_with_infinity(tmp_path, capsys):
    """x(∞) = k is measured, and that x is on its way to it."""
    spec = {
        "model": {"kind": "ode", "states": {"x": 0}, "equations": {"x": "3*(k - x)"}},
        "parameters": {"k": {"prior": {"normal": [0, 2]}}},
        "likelihood": {"x": {"normal": 0.3}},
        "experiments": {
            "both": {"data": {"table": "t,x\n0.2,0.5\ninf,1.2\ninf,0.9\n"}},
            "end": {"data": {"table": "t,x\ninf,1.4\n"}},
        },
        "anneal": {"preset": "quick", "draws": 512, "steps": 20, "max_rounds": 1},
        "output": {"samples": 2000},
    }
    path, result = tmp_path / "spec.yaml", tmp_path / "result.h5"
    path.write_text(yaml.safe_dump(spec))
    code, out, _ = inside(capsys, "check", path, "--json")
    assert code == 0
    assert json.loads(out)["failed_fraction"] == 0
    run("run", path, "-o", result, "--quiet", codes=(0, 5))
    _, out, _ = inside(capsys, "summary", result, "--json")
    found = json.loads(out)
    design, data = np.array([1 - np.exp(-0.6), 1, 1, 1]), np.array([0.5, 1.2, 0.9, 1.4])
    spread = 4 * np.outer(design, design) + 0.09 * np.eye(4)
    exact = stats.multivariate_normal(np.zeros(4), spread).logpdf(data)
    error = 4.0 * found["log_evidence_error"]  # a false alarm in 16,000
    assert found["log_evidence"] == pytest.approx(exact, abs=error)
    with h5py.File(result) as file:
        np.testing.assert_array_equal(file["constant_data/x[both]_time"], [0.2, np.inf, np.inf])
        np.testing.assert_array_equal(file["constant_data/x[end]_time"], [np.inf])
    code, _, err = inside(capsys, "predict", result, "-n", "20")
    assert code == 0
    assert "data at time inf: no trajectory gets there" in err
    with (tmp_path / "result.predictions.csv").open() as file:
        times = {float(row["time"]) for row in csv.DictReader(file)}
    assert times == {0.0, 0.2}  # the start, and the only finite time
    for kind in ("predictive", "trajectories"):
        figure = tmp_path / f"{kind}.svg"
        code, _, err = inside(capsys, "plot", result, kind, "-o", figure)
        assert code == 0, err
        assert "at time ∞: not shown" in figure.read_text()
