"""Doses, changes, inputs, switches and steady states against closed forms and scipy in pieces."""

import h5py
import numpy as np
import pytest
from commands import inside, run
from piecewise import TIMES, agree, differences, pieces, simulator_of, write
from scipy.linalg import expm
from specs import complaints, edited
from stopping import begun

from nfanneal.errors import DataError, SpecError
from nfanneal.model.ode import CompiledSystem
from nfanneal.results.identity import run_identity
from nfanneal.runs.remarks import remarks
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec, spec_from_text

ONE = {
    "states": {"gut": "0", "blood": "b0"},
    "equations": {"gut": "-ka*gut", "blood": "ka*gut - k*blood + where(t > t_on, r, 0)"},
    "doses": {
        "gut": {"time": "lag", "amount": "a*a", "every": "gap", "count": 3},
        "blood": [{"time": 3, "amount": 2}],
    },
}


def test_doses_and_an_infusion_have_the_closed_form_of_two_compartments(tmp_path):
    simulate = simulator_of(tmp_path, ONE, "ka k a lag gap b0 t_on r")

    def truth(theta):
        ka, k, a, lag, gap, b0, on, r = theta
        gut, blood = np.zeros_like(TIMES), b0 * np.exp(-k * TIMES)
        for tau in (lag, lag + gap, lag + 2 * gap):
            since, given = np.maximum(TIMES - tau, 0), tau <= TIMES
            gut += given * a**2 * np.exp(-ka * since)
            blood += given * a**2 * ka / (ka - k) * (np.exp(-k * since) - np.exp(-ka * since))
        blood += (TIMES >= 3) * 2 * np.exp(-k * (TIMES - 3))
        blood += (on <= TIMES) * r / k * (1 - np.exp(-k * np.maximum(TIMES - on, 0)))
        return np.column_stack([gut, blood])

    agree(simulate, truth, [1.3, 0.4, 1.5, 0.7, 1.8, 0.8, 2.6, 1.1])


def test_a_draw_whose_doses_have_no_time_between_them_fails_and_check_says_so(tmp_path, capsys):
    names = ["ka", "k", "a", "lag", "gap", "b0", "t_on", "r"]
    priors = {name: {"prior": {"uniform": [0.01, 20]}} for name in names}
    priors["gap"] = {"prior": {"uniform": [-1, 20]}}
    path = write(tmp_path, ONE, "", parameters=priors)
    problem = build_problem(load_spec(path))
    theta = np.array([[1.3, 0.4, 1.5, 0.7, gap, 0.8, 2.6, 1.1] for gap in (0.1, 0.0, -0.1)])
    for gradient in (False, True):
        found = problem.likelihood.evaluate(theta, gradient)
        np.testing.assert_array_equal(found.failed, [False, True, True])
        assert found.reasons == {"DOSE_INTERVAL": 2}
    code, out, told = inside(capsys, "check", path)
    assert code == 0
    assert "the time between doses (every) was not above 0" in out + told


@pytest.mark.parametrize("method", [pytest.param("auto", marks=pytest.mark.long), "stiff"])
def test_the_stiff_solver_stops_there_too(tmp_path, method, monkeypatch):
    """A fast exchange makes it stiff; the sum of both obeys the equation of one."""
    model = {
        "states": {"gut": "0", "blood": "b0", "tissue": "0"},
        "equations": {
            "gut": "-ka*gut",
            "blood": "ka*gut - 2e4*(blood - tissue) + where(t > t_on, r, 0)",
            "tissue": "2e4*(blood - tissue) - k*tissue",
        },
        "doses": {"gut": {"time": "lag", "amount": "a*a"}, "blood": {"time": 3, "amount": 2}},
        "observables": {"gut": "gut", "total": "blood + tissue"},
        "solver": {"method": method, "rtol": 1e-8, "atol": 1e-10, "max_steps": 20_000},
    }
    if method == "stiff":  # the other solver is neither asked nor compiled
        monkeypatch.setattr(CompiledSystem, "_explicit", None)
    simulate = simulator_of(tmp_path, model, "ka k a lag b0 t_on r")

    def truth(theta):
        ka, k, a, lag, b0, on, r = theta
        middle = np.array([[-2e4, 2e4], [2e4, -2e4 - k]])
        system = np.zeros((4, 4))
        system[0, 0], system[1, 0], system[1:3, 1:3] = -ka, ka, middle

        def until(y, time, infused):
            system[1, 3] = r * infused
            return expm(system * time) @ y

        found, stops = [], [(lag, 0, a * a, 0), (on, 0, 0, 1), (3.0, 1, 2, 1)]
        for t in TIMES:
            y, now, infused = np.array([0, b0, 0, 1.0]), 0.0, 0
            for time, state, amount, on_then in sorted(stops):
                if time <= t:
                    y = until(y, time - now, infused)
                    y[state] += amount
                    now, infused = time, max(infused, on_then)
            y = until(y, t - now, infused)
            found.append([y[0], y[1] + y[2]])
        return np.array(found)

    theta = [1.3, 0.4, 1.5, 0.7, 0.8, 2.6, 1.1]
    values, slopes = simulate(theta)
    np.testing.assert_allclose(values, truth(theta), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(slopes, differences(truth, theta, 1e-3), rtol=1e-4, atol=1e-5)


def test_a_datum_at_the_time_of_a_dose_sees_the_state_after_it(tmp_path):
    simulate = simulator_of(tmp_path, ONE, "ka k a lag gap b0 t_on r")
    values, _ = simulate([1.3, 0.4, 1.5, 1.0, 2.5, 0.8, 2.6, 1.1])
    assert values[TIMES == 0.5, 0] == 0.0
    assert values[TIMES == 1.0, 0] == 1.5**2


MANY = {
    "states": {"x": "1", "y": "0.5", "given": "0", "ramp": "0"},
    "equations": {
        "x": "v*y - k*x**2 + light",
        "y": "max(0, 1 - w*t) + drug*x - y*x",
        "given": "0",
        "ramp": "r",
    },
    "constants": {"drug": 0.3},
    "inputs": {
        "light": {"file": "light.csv", "column": "lux", "kind": "step"},
        "heat": {"times": [1, 2.5, 5], "values": [0, 3, 1], "kind": "linear"},
    },
    "changes": {
        "k": [{"time": "tau", "value": "2*k"}, {"time": 5.5, "value": "k/2"}],
        "drug": {"time": "2*tau", "value": "c"},
        "r": [{"time": "late", "value": "2*r"}, {"time": 3, "value": "r + 1"}],
    },
    "doses": {"given": {"time": "lag", "amount": "a", "every": "gap", "count": 4}},
    "observables": {"x": "x", "warm": "y + heat + drug", "given": "given", "ramp": "ramp"},
}
FIVE, DOSED = [0.8, 0.6, 0.23, 1.7, 0.9], [0.6, 1.0, 0.8, 1.5, 3.7]


@pytest.fixture
def many(tmp_path):
    (tmp_path / "light.csv").write_text("t,lux\n0,0.2\n1.5,1\n3.25,0.1\n")
    return simulator_of(tmp_path, MANY, "v k w tau c lag a gap r late")


def test_inputs_changes_and_kinks_are_those_of_scipy_in_pieces(many):
    def simulate(theta):
        values, slopes = many([*theta, *DOSED])
        return values[:, :2], slopes[:, :2, :5]

    edges, lux = [1.5, 3.25], [0.2, 1.0, 0.1]

    def truth(theta):
        v, k, w, tau, c = theta
        stops = sorted([*edges, tau, 2 * tau, 5.5, 1 / w])

        def known(t):
            rate = k / 2 if t >= 5.5 else 2 * k if t >= tau else k
            return lux[sum(e <= t for e in edges)], rate, c if t >= 2 * tau else 0.3

        def f(t, s, theta, passed):
            begin = [0.0, *stops][passed]
            light, rate, drug = known(begin)
            ramp = 1 - w * t if begin < 1 / w else 0.0
            return [v * s[1] - rate * s[0] ** 2 + light, ramp + drug * s[0] - s[1] * s[0]]

        states = pieces(f, [1.0, 0.5], [(t, lambda y: y) for t in stops], theta)
        heat = np.interp(TIMES, [1, 2.5, 5], [0, 3, 1])
        drugs = np.array([known(t)[2] for t in TIMES])
        return np.column_stack([states[:, 0], states[:, 1] + heat + drugs])

    agree(simulate, truth, FIVE)


def test_a_dose_that_misses_a_datum_by_rounding_is_at_it(many):
    assert 0.6 + 3 * 0.8 > 3.0
    values, slopes = many([*FIVE, *DOSED])
    given = np.array([0.0, 0.0, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0])
    np.testing.assert_array_equal(values[:, 2], given)
    np.testing.assert_array_equal(slopes[:, 2, 6], given)


CYCLE = {
    "states": {"a": "a0", "b": "1", "m": "0.1"},
    "equations": {"a": "-on*a + off*b", "b": "on*a - off*b", "m": "s*b + extra - d*m**2"},
    "constants": {"off": 0.5},
    "pre_equilibration": {"on": "0.1*on", "s": 0},
    "doses": {"m": {"time": "tau", "amount": 1}},
    "inputs": {"extra": {"times": [-1, 4], "values": [0.2, 0.6]}},
}


def test_a_steady_state_under_other_constants_keeps_what_is_conserved(
    tmp_path,
):
    simulate = simulator_of(tmp_path, CYCLE, "a0 on s d tau")

    def truth(theta):
        a0, on, s, d, tau = theta
        total, off = a0 + 1.0, 0.5
        b = total * 0.1 * on / (0.1 * on + off)

        def f(t, y, theta, passed):
            flow = on * y[0] - off * y[1]
            extra = 0.6 if passed == 2 else 0.2
            return [-flow, flow, s * y[1] + extra - d * y[2] ** 2]

        stops = [(tau, lambda y: y + np.array([0, 0, 1])), (4.0, lambda y: y)]
        return pieces(f, [total - b, b, np.sqrt(0.2 / d)], stops, theta)

    agree(simulate, truth, [2.0, 0.9, 0.7, 0.4, 1.2])


def test_data_that_are_said_to_be_before_a_dose_see_the_state_before_it(tmp_path, capsys):
    """x' = −k·x: doses at 0, 2 and 4 after the data there, another at 2 before them."""
    model = {
        "states": {"x": "x0"},
        "equations": {"x": "-k*x"},
        "doses": {
            "x": [
                {"time": 0, "amount": "a", "every": 2, "count": 3, "after": "data"},
                {"time": 2, "amount": "b"},
            ]
        },
    }
    simulate = simulator_of(tmp_path, model, "k x0 a b")

    def truth(theta):
        k, x0, a, b = theta
        x = x0 * np.exp(-k * TIMES)
        for tau in (0, 2, 4):
            x += (tau < TIMES) * a * np.exp(-k * (TIMES - tau))
        return (x + (TIMES >= 2) * b * np.exp(-k * (TIMES - 2)))[:, None]

    agree(simulate, truth, [0.4, 1.5, 2.0, 0.7])
    path = write(tmp_path, model, "k x0 a b")
    _, out, _ = inside(capsys, "check", path)
    assert "data at the time of a dose of 'x' (2) see the state after it" in " ".join(out.split())
    assert "model.doses.x: {…, after: data}" in out


def test_doses_at_times_that_a_parameter_decides_on_are_not_pointed_out(tmp_path):
    model = {
        "states": {"x": "x0"},
        "equations": {"x": "-k*x"},
        "doses": {"x": {"time": "lag", "amount": 1}},
    }
    assert remarks(build_problem(load_spec(write(tmp_path, model, "k x0 lag")))) == []


@pytest.mark.long
def test_a_system_without_a_steady_state_fails_and_says_so(tmp_path, capsys):
    model = {"states": {"x": "1"}, "equations": {"x": "k"}, "initial": "steady_state"}
    code, out, told = inside(capsys, "check", write(tmp_path, model, "k"))
    assert code == 4
    assert "no steady state was found" in out + told


POSITIVE = {
    "states": {"u": "2", "v": "v0"},
    "equations": {"u": "a*u - b*u*v", "v": "0.3*u*v - v + 0.01"},
    "doses": {"u": {"time": 2.5, "amount": "a"}},
    "positive": True,
}


@pytest.mark.long
def test_positive_states_solve_the_same_equations(tmp_path):
    simulate = simulator_of(tmp_path, POSITIVE, "a b v0")

    def truth(theta):
        a, b, v0 = theta

        def f(t, y, theta, passed):
            return [a * y[0] - b * y[0] * y[1], 0.3 * y[0] * y[1] - y[1] + 0.01]

        return pieces(f, [2.0, v0], [(2.5, lambda y: [y[0] + a, y[1]])], theta)

    agree(simulate, truth, [0.9, 0.6, 1.2])
    with pytest.raises(Exception, match="initial value of 'u' must be above 0"):
        simulator_of(tmp_path, POSITIVE | {"states": {"u": "0", "v": "v0"}}, "a b v0")


LINEAR = """\
model:
  kind: ode
  states: {y: a}
  equations: {y: b*light}
  constants: {given: 0}
  inputs: {light: {file: light.csv, time: hour}}
  doses: {y: {time: 1.5, amount: c*given}}
parameters:
  a: {prior: {normal: [0, 1]}}
  b: {prior: {normal: [1, 1]}}
  c: {prior: {normal: [0, 1]}}
likelihood: {y: {normal: 0.3}}
experiments:
  none: {data: {file: none.csv}}
  some: {data: {file: some.csv}, constants: {given: 2}}
anneal: {preset: quick, draws: 256, steps: 5, max_rounds: 1, max_levels: 1, scout: off}
output: {samples: 200}
"""


@pytest.fixture
def lit(tmp_path):
    (tmp_path / "light.csv").write_text("hour,light\n0,1\n1,3\n2,0\n")
    (tmp_path / "none.csv").write_text("t,y\n0,0.1\n1,1.2\n2,3.9\n")
    (tmp_path / "some.csv").write_text("t,y\n1,0.9\n1.5,2.4\n3,4.4\n")
    (tmp_path / "lit.yaml").write_text(LINEAR)
    return tmp_path


@pytest.mark.long
def test_experiments_share_inputs_and_doses_and_results_hold_the_tables(lit, capsys):
    problem = build_problem(load_spec(lit / "lit.yaml"))
    design = np.array([[1, 0, 0], [1, 1, 0], [1, 4, 0], [1, 1, 0], [1, 2.5, 2], [1, 4, 2]])
    theta = np.array([[0.3, 0.8, -0.4]])
    data = np.array([0.1, 1.2, 3.9, 0.9, 2.4, 4.4])
    found = problem.likelihood.evaluate(theta, True)
    gradient = design.T @ (data - design @ theta[0]) / 0.3**2
    np.testing.assert_allclose(found.gradient[0], gradient, rtol=1e-6)
    config, output = lit / "lit.yaml", lit / "lit.h5"
    begun(config, output)
    (lit / "light.csv").write_text("hour,light\n0,1\n1,2\n2,0\n")
    code, _, err = inside(capsys, "run", config, "-o", output, "--resume", "--quiet")
    assert code == 3
    assert "model.inputs.light.values" in err
    (lit / "light.csv").write_text("hour,light\n0,1\n1,3\n2,0\n")
    run("run", config, "-o", output, "--resume", "--quiet", codes=(0, 5))
    (lit / "light.csv").unlink()
    run("predict", output, "-o", lit / "predicted.h5", "--times", "0,2,4")
    with h5py.File(lit / "predicted.h5") as file:
        clean = file["predictions/y[some]_clean"][0]
        plain = file["predictions/y[none]_clean"][0]
    rise = clean - plain  # c times the dose, from then on
    np.testing.assert_allclose(rise[:, 0], 0.0, atol=1e-9)
    np.testing.assert_allclose(rise[:, 1], rise[:, 2], rtol=1e-5, atol=1e-9)


OWN = """\
  some:
    data: {file: some.csv}
    constants: {given: 2}
    inputs: {light: {times: [0.5, 2.5], values: [2, 4], kind: linear}}
  more: {data: {file: some.csv}, inputs: {light: {file: other.csv}}}
"""


def test_an_experiment_has_its_own_table_of_an_input(lit):
    """The integrals of three tables: the model's, one on lines, and one from a file."""
    (lit / "other.csv").write_text("hour,light\n1,2\n")
    old = "  some: {data: {file: some.csv}, constants: {given: 2}}\n"
    assert LINEAR.count(old) == 1
    (lit / "lit.yaml").write_text(LINEAR.replace(old, OWN))
    checked = load_spec(lit / "lit.yaml")
    problem = build_problem(checked)
    assert len({id(e.system) for e in problem.likelihood.simulator.experiments}) == 1
    integrals, doses = [0, 1, 4, 2.125, 3.5, 9, 2, 3, 6], [0, 0, 0, 0, 2, 2, 0, 0, 0]
    design = np.column_stack([np.ones(9), integrals, doses])
    theta = np.array([[0.3, 0.8, -0.4]])
    data = np.array([0.1, 1.2, 3.9, *[0.9, 2.4, 4.4] * 2])
    found = problem.likelihood.evaluate(theta, True)
    residuals = (data - design @ theta[0]) / 0.3
    np.testing.assert_allclose(found.gradient[0], residuals / 0.3 @ design, rtol=1e-6)
    plain = problem.likelihood.evaluate(theta, False).log_likelihood
    np.testing.assert_array_equal(plain, found.log_likelihood)
    digest, alone = run_identity(checked, problem).digest, checked.yaml
    (lit / "other.csv").write_text("hour,light\n1,3\n")
    assert run_identity(checked, problem).digest != digest
    again = build_problem(spec_from_text(alone)).likelihood.evaluate(theta, False)
    np.testing.assert_array_equal(again.log_likelihood, plain)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hour}", "hours}", r"6:43: \S+light.csv:1: no column 'hours'.*\n.*did you"),
        ("file: light.csv, time: hour", "file: light.csv", r"6:19: \S+light.csv:1: no column 't'"),
        ("hour}", "hour, column: lux}", r"6:57: \S+light.csv:1: no column 'lux'"),
        ("none.csv}", "none.csv}, inputs: {light: {column: lux}}", r"14:59: \S+: no column 'lux'"),
        ("1,3", "1,x", r"6:19: \S+light.csv:3: not a number in column 'light': 'x'"),
        ("1,3", "1,", r"6:19: \S+light.csv:3: no value in column 'light'\n  hint: fill the cell"),
        ("1,3", "NA,3", r"6:43: \S+light.csv:3: no value in column 'hour'\n  hint: fill the cell"),
        ("1,3", "3,3", r"6:43: \S+light.csv: the times of input 'light' must increase"),
    ],
)
def test_what_is_wrong_with_an_inputs_file_is_told_with_its_place(lit, old, new, words):
    for file in (lit / "lit.yaml", lit / "light.csv"):
        file.write_text(file.read_text().replace(old, new))
    with pytest.raises(DataError, match=f"lit.yaml:{words}"):
        build_problem(load_spec(lit / "lit.yaml"))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("doses: {z: {time: 1, amount: 2}}", "spec:5:11: there is no state 'z'"),
        ("doses: {x: {time: -1, amount: 2}}", "spec:5:21: a dose at -1, before model.start = 0"),
        ("doses: {x: {time: -x0, amount: 2}}", "spec:5:21: a dose at -2, before model.start = 0"),
        ("constants: {c: 3}\n  doses: {x: {time: 1-c, amount: k}}", "spec:6:21: a dose at -2"),
        ("doses: {x: {time: 1, amount: 2, every: 3}}", "several doses need both every and count"),
        ("doses: {x: {time: 1, amount: 2, every: -x0, count: 2}}", "5:42: the time between doses"),
        ("doses: {x: {time: 1, amount: 2, every: 0, count: 2}}", "doses is 0, not above 0"),
        ("doses: {x: {time: 1, amount: 2, every: 1, count: 0}}", "count must be at least 1, not"),
        ("doses: {x: {tine: 1, amount: 2}}", "unknown key 'tine' in model.doses.x"),
        ("doses: {x: [{time: 1, amount: q}]}", "model.doses.x.0.amount: unknown name 'q'"),
        ("doses: {x: 5}", "5:14: model.doses.x must be {time: …, amount: …}, or a list of such"),
        ("doses: {x: }", "model.doses.x must be {time: …, amount: …}, or a list of such"),
        ("doses: {x: [5]}", "5:14: model.doses.x must be {time: …, amount: …}, or a list of such"),
        ("changes: {k: 5}", "5:16: model.changes.k must be {time: …, value: …}, or a list of such"),
        ("changes: {kk: {time: 1, value: 2}}", "there is no constant or parameter 'kk'"),
        ("changes: {k: [{time: 2, value: 2}, {time: 1, value: 1}]}", "must increase"),
        ("pre_equilibration: {x: 1}", "there is no constant or parameter 'x'"),
        ("inputs: {u: {times: [1, 2], values: [1]}}", "2 times, but 1 values"),
        ("inputs: {u: {times: [2, 1], values: [1, 1]}}", "the times of an input must increase"),
        ("inputs: {u: {kind: step}}", "the input 'u' needs one table"),
        ("inputs: {u: {times: [1], values: [1], kind: stairs}}", "must be 'step' or 'linear'"),
        ("inputs: {k: {times: [1], values: [1]}}", "'k' is already a parameter"),
        ("initial: steady", "did you mean 'steady_state'?"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(section, words):
    text = edited(("  equations:", f"  states: {{x: x0, y: 0}}\n  {section}\n  equations:"))
    text = text.replace("  states: {x: x0, y: 0}\n", "", 1)
    assert any(words in complaint for complaint in complaints(text)), complaints(text)


def test_the_latest_change_holds_whatever_their_order(many):
    """y' = r, with r + 1 from 3 on and 2r from τ = 3.7 on, the later one first in the list."""
    y, slopes = many([*FIVE, *DOSED])
    r, tau, t = 1.5, 3.7, TIMES
    first, second = np.clip(t, 0, 3), np.clip(t, 3, tau) - 3
    last = np.clip(t, tau, None) - tau
    np.testing.assert_allclose(y[:, 3], r * first + (r + 1) * second + 2 * r * last, rtol=1e-8)
    np.testing.assert_allclose(slopes[:, 3, 8], first + second + 2 * last, rtol=1e-8)
    np.testing.assert_allclose(slopes[:, 3, 9], (t > tau) * (1 - r), rtol=1e-8, atol=1e-9)


def test_logarithms_do_not_start_from_a_steady_state(tmp_path):
    model = {"states": {"x": 1}, "equations": {"x": "k - x"}, "positive": True}
    path = write(tmp_path, model | {"initial": "steady_state"}, "k")
    with pytest.raises(SpecError, match=r"spec.yaml:\d+:\d+: positive: true cannot start"):
        build_problem(load_spec(path))
