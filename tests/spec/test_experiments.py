"""Several experiments in one spec: a linear model, whose posterior and evidence are exact."""

import csv
import json
import shutil

import h5py
import numpy as np
import pytest
from commands import inside, run
from scipy import stats
from specs import complaints
from stopping import begun

import nfanneal
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec, spec_from_text

SPEC = """\
name: ramps
model:
  kind: ode
  states: {y: a}
  equations: {y: b*slope}
  constants: {slope: 1, jump: 0, when: 1.5}
  doses: {y: [{time: when, amount: jump*c}]}
  observables: {y: y, z: y + c}
parameters:
  a: {per: experiment, prior: {normal: [0, 2]}, label: $a$}
  b: {prior: {normal: [1, 1]}}
  c: {prior: {normal: [0, 1]}}
likelihood:
  y: {normal: 0.3}
  z: {normal: 0.4}
experiments:
  one:
    data: {file: one.csv, columns: {z: shifted}}
    constants: {jump: 2}
  two:
    data: {file: two.csv}
    constants: {slope: 2, jump: 1, when: 2}
    start: 1
    observed: [y]
  three:
    data: {file: three.csv}
    states: {y: a + c}
    parameters: {a: 0.5, b: 3*b}
    observed: [z]
    likelihood: {z: {normal: {sigma: 0.1*slope + 0.4}}}
anneal: {preset: quick, draws: 512, steps: 20, max_rounds: 1}
output: {samples: 3000}
"""
ONE = "t,y,shifted\n0,0.4,0.9\n1,1.1,\n2,2.3,2.6\n"
TWO = "t,y\n1,-0.6\n2,1.5\n2,1.9\n3,3.6\n"
THREE = "t,z\n0.5,2.6\n1,4.4\n"
COLUMNS = ["a[one]", "a[two]", "b", "c"]
ROWS = [  # of the design matrix, the known part, the datum, its noise
    *[([1, 0, t, 2 * (t > 1.5)], 0.0, y, 0.3) for t, y in ((0, 0.4), (1, 1.1), (2, 2.3))],
    *[([1, 0, t, 1 + 2 * (t > 1.5)], 0.0, y, 0.4) for t, y in ((0, 0.9), (2, 2.6))],
    *[  # a datum at the time of a dose is one of the state after it
        ([0, 1, 2 * (t - 1), t >= 2], 0.0, y, 0.3)
        for t, y in ((1, -0.6), (2, 1.5), (2, 1.9), (3, 3.6))
    ],
    *[([0, 0, 3 * t, 2], 0.5, y, 0.5) for t, y in ((0.5, 2.6), (1, 4.4))],
]
DESIGN = np.array([row for row, _, _, _ in ROWS], dtype=float)
DATA = np.array([y - known for _, known, y, _ in ROWS])
NOISE = np.array([sigma for *_, sigma in ROWS])
QUICK = ("--quiet", "--set", "anneal.max_levels=1", "--set", "anneal.scout=off")
PRIOR_MEAN, PRIOR_SD = np.array([0.0, 0.0, 1.0, 0.0]), np.array([2.0, 2.0, 1.0, 1.0])


def exact_evidence():
    spread = np.diag(NOISE**2) + (DESIGN * PRIOR_SD**2) @ DESIGN.T
    return stats.multivariate_normal(DESIGN @ PRIOR_MEAN, spread).logpdf(DATA)


def exact_posterior():
    """Mean and standard deviation of each column."""
    precision = np.diag(PRIOR_SD**-2.0) + (DESIGN.T / NOISE**2) @ DESIGN
    covariance = np.linalg.inv(precision)
    mean = covariance @ (PRIOR_MEAN / PRIOR_SD**2 + DESIGN.T @ (DATA / NOISE**2))
    return mean, np.sqrt(np.diag(covariance))


@pytest.fixture(scope="module")
def ramps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ramps")
    for name, text in (("one", ONE), ("two", TWO), ("three", THREE)):
        (folder / f"{name}.csv").write_text(text)
    (folder / "ramps.yaml").write_text(SPEC)
    run("run", folder / "ramps.yaml", "-o", folder / "ramps.h5", "--quiet", "--threads", "2")
    return folder


@pytest.fixture
def folder(ramps, tmp_path):
    shutil.copytree(ramps, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_evidence_and_posterior_are_exact(ramps, capsys):
    code, out, _ = inside(capsys, "summary", ramps / "ramps.h5", "--json")
    assert code == 0
    found = json.loads(out)
    # 4 standard errors: a false alarm in 16,000
    error = 4.0 * found["log_evidence_error"]
    assert found["log_evidence"] == pytest.approx(exact_evidence(), abs=error)
    assert list(found["parameters"]) == COLUMNS
    mean, sd = exact_posterior()
    for i, name in enumerate(COLUMNS):
        error = 4.0 * sd[i] / np.sqrt(found["ess"])
        assert found["parameters"][name]["mean"] == pytest.approx(mean[i], abs=error)
        assert found["parameters"][name]["sd"] == pytest.approx(sd[i], abs=error)


def test_value_gradient_and_information_are_the_closed_forms(ramps):
    problem = build_problem(load_spec(ramps / "ramps.yaml"))
    assert problem.latent.column_names == tuple(COLUMNS)
    simulator = problem.likelihood.simulator
    assert len({id(e.system) for e in simulator.experiments}) == 1
    theta = np.random.default_rng(0).normal(size=(200, 4))  # more than a task has
    found = problem.likelihood.evaluate(theta, True)
    residuals = (DATA - theta @ DESIGN.T) / NOISE
    exact = stats.norm.logpdf(residuals).sum(axis=1) - np.log(NOISE).sum()
    np.testing.assert_allclose(found.log_likelihood, exact, rtol=1e-9)
    np.testing.assert_array_equal(
        problem.likelihood.evaluate(theta, False).log_likelihood, found.log_likelihood
    )
    np.testing.assert_allclose(found.gradient, residuals / NOISE @ DESIGN, rtol=1e-7, atol=1e-9)
    information = (DESIGN.T / NOISE**2) @ DESIGN
    np.testing.assert_allclose(found.information, [information] * 200, rtol=1e-9, atol=1e-9)


def test_the_result_keeps_each_experiments_data(ramps):
    result = nfanneal.load(ramps / "ramps.h5")
    assert list(result.observed) == ["y[one]", "z[one]", "y[two]", "z[three]"]
    np.testing.assert_array_equal(result.observed["z[one]"].times, [0, 2])
    np.testing.assert_array_equal(result.observed["y[two]"].values, [-0.6, 1.5, 1.9, 3.6])
    pointwise = np.concatenate([o.pointwise for o in result.observed.values()], axis=1)
    order = [*range(9), 9, 10]
    exact = stats.norm.logpdf(DATA, result.posterior @ DESIGN.T, NOISE)[:, order]
    np.testing.assert_allclose(pointwise, exact, rtol=1e-7)
    assert {p.name: p.label for p in result.columns.parameters}["a[two]"].startswith("$a")


def test_check_and_the_other_commands_understand_experiments(folder, capsys):
    result = folder / "ramps.h5"
    code, out, _ = inside(capsys, "check", folder / "ramps.yaml", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["parameters"] == COLUMNS
    assert found["n_data"] == len(DATA)
    assert found["warnings"] == []
    for words in (("prune",), ("sample", "-n", "500"), ("export", "--to", "getdist")):
        assert inside(capsys, words[0], result, *words[1:])[0] == 0
    code, out, _ = inside(capsys, "sample", result, "-n", 2000, "--json", "--force")
    assert code == 0
    # 4 standard errors: a false alarm in 16,000
    error = 4.0 * json.loads(out)["log_evidence_error"]
    assert json.loads(out)["log_evidence"] == pytest.approx(exact_evidence(), abs=error)
    figure = ("-o", folder / "figure.png")
    assert inside(capsys, "plot", result, "corner", "predictive", "trajectories", *figure)[0] == 0


def test_results_of_other_data_are_not_compared(folder, capsys):
    code, _, _ = inside(capsys, "compare", folder / "ramps.h5", folder / "ramps.h5")
    assert code == 3  # twice the same
    shutil.copy(folder / "ramps.h5", folder / "again.h5")
    (folder / "two.csv").write_text(TWO.replace("3.6", "3.7"))
    run("run", folder / "ramps.yaml", "-o", folder / "other.h5", *QUICK, codes=(0, 5))
    assert inside(capsys, "compare", folder / "ramps.h5", folder / "again.h5")[0] == 0
    code, _, err = inside(capsys, "compare", folder / "ramps.h5", folder / "other.h5")
    assert code == 3
    assert "not the data of" in err


def test_predictions_of_each_experiment(folder, capsys):
    result = folder / "ramps.h5"
    code, _, err = inside(capsys, "predict", result, "--times", "0:3:1")
    assert code == 2
    assert "0 lies before 1, where the model of two starts" in err
    assert inside(capsys, "predict", result, "--times", "1,3", "--observables", "z")[0] == 0
    with (folder / "ramps.predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["noise"] == "without"]
    mean = exact_posterior()[0]
    exact = {
        "z[one]": [[1, 0, 1, 1], [1, 0, 3, 3]],
        "z[two]": [[0, 1, 0, 1], [0, 1, 4, 2]],  # not measured there, but predicted
        "z[three]": [[0, 0, 3, 2], [0, 0, 9, 2]],
    }
    known = {"z[three]": 0.5}
    assert [row["observable"] for row in rows] == [name for name in exact for _ in range(2)]
    for row in rows:
        design = exact[row["observable"]][int(row["time"] == "3.0")]
        middle = np.dot(design, mean) + known.get(row["observable"], 0.0)
        # 4 standard errors of the mean of 1,000 draws
        assert float(row["mean"]) == pytest.approx(middle, abs=4 * float(row["sd"]) / 1000**0.5)
    with h5py.File(folder / "ramps.predictions.h5") as file:
        assert "z[two]" not in file["predictions"]  # it has no noise
        assert file["predictions/z[two]_clean"].shape == (1, 1000, 2)


def test_predictions_begin_at_an_experiments_own_start(folder, capsys):
    result = folder / "ramps.h5"
    asked = ("--observables", "y[one],y[two]", "--force")
    assert inside(capsys, "predict", result, "--times", "0,2", *asked)[0] == 2  # two starts at 1
    asked = ("--observables", "y[two]", "--force")
    assert inside(capsys, "predict", result, "--times", "0,2", *asked)[0] == 2
    assert inside(capsys, "predict", result, "--times", "1:3:1", *asked)[0] == 0
    with h5py.File(folder / "ramps.predictions.h5") as file:
        found = file["predictions/y[two]_clean"][0]
        np.testing.assert_array_equal(file["predictions/y[two]_at"][:], [1, 2, 3])
    design = np.array([[0, 1, 0, 0], [0, 1, 2, 1], [0, 1, 4, 1]])  # the dose is there at 2
    # 4 standard errors of the mean of 1,000 draws
    error = 4 * found.std(axis=0).max() / 1000**0.5
    np.testing.assert_allclose(found.mean(axis=0), design @ exact_posterior()[0], atol=error)
    first_alone = ("--times", "0,2", "--observables", "y[one]", "--force")
    assert inside(capsys, "predict", result, *first_alone)[0] == 0


def test_a_result_of_experiments_takes_more_rounds(folder, capsys):
    result = folder / "ramps.h5"
    before = nfanneal.load(result)
    fewer = ("--set", "anneal.draws=256", "--set", "anneal.steps=5", "--quiet", "--threads", "1")
    more = ("run", folder / "ramps.yaml", "-o", result, "--resume", "--more-rounds", 1, *fewer)
    code, _, err = inside(capsys, *more)
    assert code == 0, err
    after = nfanneal.load(result)
    assert len(after.history.seconds) == len(before.history.seconds) + 2  # old flow, and new one
    assert list(after.observed) == list(before.observed)
    d = after.diagnostics
    assert d.log_evidence != before.diagnostics.log_evidence
    # 4 standard errors: a false alarm in 16,000
    assert d.log_evidence == pytest.approx(exact_evidence(), abs=4 * d.log_evidence_error)


def test_a_run_resumed_with_another_experiment_is_refused(folder, capsys):
    config, output = folder / "ramps.yaml", folder / "resumed.h5"
    begun(config, output)
    other = ("--set", "experiments.two.constants.slope=3")
    code, _, err = inside(capsys, "run", config, "-o", output, "--resume", "--quiet", *other)
    assert code == 3
    assert "experiments.two.constants.slope" in err
    run("run", config, "-o", output, "--resume", *QUICK, codes=(0, 5))
    with h5py.File(output) as file:
        assert file["log_likelihood/z[three]"].shape[2] == 2


def test_a_draw_fails_where_one_experiment_does(ramps):
    checked = load_spec(ramps / "ramps.yaml", ["experiments.three.parameters.a=log(b)"])
    problem = build_problem(checked)
    theta = np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, -1.0, 0.0]])
    found = problem.likelihood.evaluate(theta, True)
    np.testing.assert_array_equal(found.failed, [False, True])
    assert found.reasons == {"NON_FINITE": 1}
    np.testing.assert_array_equal(found.gradient[1], np.zeros(4))
    assert np.isfinite(found.gradient[0]).all()


PYTHON = """\
model: {kind: python, file: model.py, simulate: simulate}
parameters:
  a: {per: experiment, prior: {normal: [0, 2]}}
  b: {prior: {normal: [1, 1]}}
  slope: 1
likelihood: {y: {normal: 0.3}}
experiments:
  one: {data: {file: one.csv}}
  two: {data: {file: two.csv}, parameters: {slope: 2}}
"""


def test_a_python_model_of_several_experiments(folder):
    (folder / "model.py").write_text(
        "def simulate(p, t):\n"
        "    return {'y': p['a'][:, None] + p['b'][:, None] * p['slope'][:, None] * t}\n"
    )
    checked = spec_from_text(PYTHON, folder)
    problem = build_problem(spec_from_text(checked.yaml))  # what a result holds is a spec, too
    assert problem.latent.column_names == ("a[one]", "a[two]", "b")
    theta = np.array([[0.1, -0.2, 1.1], [0.3, 0.2, 0.7]])
    found = problem.likelihood.evaluate(theta, True)
    design = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 2], [0, 1, 2], [0, 1, 4], [0, 1, 4], [0, 1, 6]])
    residuals = (np.array([0.4, 1.1, 2.3, -0.6, 1.5, 1.9, 3.6]) - theta @ design.T) / 0.3
    exact = stats.norm.logpdf(residuals).sum(axis=1) - 7 * np.log(0.3)
    np.testing.assert_allclose(found.log_likelihood, exact, rtol=1e-12)
    np.testing.assert_allclose(found.gradient, residuals / 0.3 @ design, rtol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{slope: 2", "{slop: 2", "22:17: the model has no constant 'slop'\n  hint: did you mean"),
        ("{y: a + c}", "{y: a + d}", "27:21: experiments.three.states.y: unknown name 'd'"),
        ("{a: 0.5, b", "{aa: 0.5, b", "28:18: the model has no parameter 'aa'"),
        ("[z]", "[x]", "29:16: 'x' is not in the likelihood section"),
        ("{z: shifted}", "{x: shifted}", "18:37: 'x' has a column but no likelihood"),
        ("start: 1", "begin: 1", "23:5: unknown key 'begin' in experiments.two\n  hint: known"),
        ("likelihood: {z", "likelihood: {x", "30:18: no observable 'x'"),
        ("when: 2}", "when: 0.5}", "7:22: in experiment two, a dose at 0.5, before"),
        ("observed: [z]", "start: 2\n    constants: {jump: 1}", "experiment three, a dose at 1.5"),
        ("c}]}", "c, every: jump, count: 2}]}", "experiment three, the time between doses is 0"),
        ("start: 1", "inputs: {lux: {kind: step}}", "23:14: the model has no input 'lux'"),
        ("start: 1", "inputs: {lux: {knd: step}}", "key 'knd' in experiments.two.inputs.lux"),
        ("    data: {file: two.csv}\n", "", "20:3: experiments.two needs the key 'data'"),
        ("experiments:\n  one", "data: {file: one.csv}\nexperiments:\n  one", "with experiments"),
        ("  two:", "  2nd:", "'2nd' is not a name"),
    ],
)
def test_what_is_wrong_with_an_experiment_is_told_at_its_place(old, new, words):
    assert SPEC.count(old) == 1
    assert any(words in text for text in complaints(SPEC.replace(old, new)))


def test_a_dose_of_nothing_or_at_a_free_time_may_come_before_the_start():
    for old, new in (("jump: 1, when: 2", "jump: 0, when: 0.5"), ("time: when", "time: when*c")):
        assert SPEC.count(old) == 1
        spec_from_text(SPEC.replace(old, new))


def test_own_parameters_take_experiments():
    start = SPEC.index("experiments:\n  one")
    plain = SPEC[:start] + "data: {file: one.csv}\n"
    assert any("a: there are no experiments" in text for text in complaints(plain))
    vector = SPEC.replace("{per: experiment, prior", "{shape: 2, prior").replace(
        ": a\n", ": a[0]\n"
    )
    assert any("'a' is a vector" in text for text in complaints(vector))


def test_a_parameter_that_something_else_stands_for_everywhere_is_told():
    text = SPEC.replace("observed: [y]", "parameters: {a: 1}").replace(
        "  one:\n", "  one:\n    parameters: {a: 0}\n"
    )
    checked = spec_from_text(text)
    assert [p.name for p in checked.meaning.free] == ["b", "c"]
    assert checked.warnings == ("parameter 'a' is not used anywhere",)


def test_what_stands_for_a_parameter_cannot_use_one_that_is_not_there():
    text = """
    model: {kind: ode, states: {x: 1}, equations: {x: -k*x + m}}
    parameters:
      k: {prior: {uniform: [0, 4]}}
      m: {per: experiment, prior: {uniform: [0, 4]}}
    experiments:
      a: {data: {file: a.csv}}
      b: {data: {file: b.csv}, parameters: {m: k**2, k: m*2}}
    likelihood: {x: {normal: 1}}
    """
    assert any("8:57: 'm' has no value of its own here" in line for line in complaints(text))
