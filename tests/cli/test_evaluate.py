"""`nfanneal evaluate` against closed forms and finite differences, for every kind of model."""

import json
import math
import sys

import decay
import numpy as np
import programs
import pytest
import yaml
from commands import inside
from scipy import stats

import nfanneal
from nfanneal.errors import PointError

TIMES, Y = (0.0, 1.0, 2.0, 2.0), (1.05, 0.66, 0.4, 0.35)
AT = {"n0": 1.2, "k[0]": 0.5, "k[1]": 0.3, "sigma": 0.2}
BOUND = 0.05
"""The least sigma."""


@pytest.fixture
def ode(tmp_path):
    """n = n0·exp(−k₀t), observed with a noise that grows with it."""
    rows = [f"{t},{y}" for t, y in zip(TIMES, Y, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["t,n", *rows]))
    spec = {
        "model": {**decay.MODEL, "solver": {"rtol": 1e-10, "atol": 1e-12}},
        "parameters": {
            "n0": {"prior": {"lognormal": [0, 1]}},
            "k": {"prior": {"halfnormal": 1}, "shape": 2},
            "sigma": {"prior": {"exponential": 2}, "bounds": [BOUND, math.inf]},
        },
        "data": {"file": "d.csv"},
        "likelihood": {"n": {"normal": "sigma*(1 + n)"}},
    }
    return written(tmp_path / "ode.yaml", spec)


def written(path, spec):
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def words(at):
    return ",".join(f"{name}={value!r}" for name, value in at.items())


def found(capsys, *arguments, code=0):
    got, out, err = inside(capsys, "evaluate", *arguments, "--json")
    assert got == code, err
    return json.loads(out)


def parts(at):
    """Predictions and log densities of the data, in closed form."""
    predicted = at["n0"] * np.exp(-at["k[0]"] * np.array(TIMES))
    return predicted, stats.norm.logpdf(Y, predicted, at["sigma"] * (1 + predicted))


def log_prior(at):
    rate = stats.expon(scale=0.5)
    total = stats.lognorm.logpdf(at["n0"], 1.0)
    total += stats.halfnorm.logpdf([at["k[0]"], at["k[1]"]]).sum()
    return total + rate.logpdf(at["sigma"]) - rate.logsf(BOUND)


def slopes(function, at):
    """Central differences of five points: an error of h⁴ and of 1e-16/h."""
    total = {}
    for name, value in at.items():
        h = 1e-3 * value
        f = [function({**at, name: value + k * h}) for k in (-2, -1, 1, 2)]
        total[name] = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * h)
    return total


def test_an_ode_at_a_point_is_its_closed_form(ode, capsys):
    told = found(capsys, ode, "--at", words(AT), "--gradient", "--pointwise")
    predicted, each = parts(AT)
    assert list(told) == ["parameters", "log_likelihood", "log_prior", "log_posterior", "gradient",
                          "pointwise", "failed", "warnings"]  # fmt: skip
    assert told["parameters"] == AT
    assert (told["failed"], told["warnings"]) == (None, [])
    assert told["log_likelihood"] == pytest.approx(each.sum(), abs=1e-8)  # rtol 1e-10, over sigma²
    assert told["log_prior"] == pytest.approx(log_prior(AT), abs=1e-12)
    assert told["log_posterior"] == told["log_likelihood"] + told["log_prior"]
    by_likelihood = slopes(lambda at: parts(at)[1].sum(), AT)
    by_posterior = slopes(lambda at: parts(at)[1].sum() + log_prior(at), AT)
    assert told["gradient"]["by"] == "model"
    assert told["gradient"]["log_likelihood"] == pytest.approx(by_likelihood, abs=1e-6)
    assert told["gradient"]["log_posterior"] == pytest.approx(by_posterior, abs=1e-6)
    rows = told["pointwise"]
    assert [(r["experiment"], r["observable"], r["time"], r["value"]) for r in rows] == [
        ("", "n", t, y) for t, y in zip(TIMES, Y, strict=True)
    ]
    np.testing.assert_allclose([r["prediction"] for r in rows], predicted, rtol=1e-8)
    np.testing.assert_allclose([r["log_density"] for r in rows], each, atol=1e-8)


def test_without_a_point_it_is_at_the_medians_of_the_priors(ode, capsys):
    told = found(capsys, ode)
    # above the bound half of the exponential's rest: sigma = bound + log 2/2
    medians = {"n0": 1.0, "k[0]": stats.halfnorm.median(), "k[1]": stats.halfnorm.median(),
               "sigma": BOUND + 0.5 * math.log(2.0)}  # fmt: skip
    assert told["parameters"] == pytest.approx(medians, rel=1e-12)
    assert (told["gradient"], told["pointwise"]) == (None, None)
    assert told["log_prior"] == pytest.approx(log_prior(medians), abs=1e-12)


def test_a_point_comes_from_files_and_words_and_later_ones_win(ode, capsys, tmp_path):
    listed = {"n0": 9, "k": [0.5, 0.3], "sigma": 0.2}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(listed))
    expected = found(capsys, ode, "--at", words(AT))
    assert found(capsys, ode, "--at", tmp_path / "p.yaml", "--at", " n0 = 1.2 ") == expected
    (tmp_path / "p.json").write_text(json.dumps(expected))  # what it has printed itself
    assert found(capsys, ode, "--at", tmp_path / "p.json") == expected
    one_by_one = [word for name, value in AT.items() for word in ("--at", f"{name}={value}")]
    assert found(capsys, ode, "--at", "n0=5", *one_by_one) == expected


def test_text_says_the_same(ode, capsys):
    code, out, err = inside(capsys, "evaluate", ode, "--at", words(AT), "--gradient", "--pointwise")
    assert (code, err) == (0, "")
    told = found(capsys, ode, "--at", words(AT), "--gradient")
    for key in ("log_likelihood", "log_prior", "log_posterior"):
        assert f"{key.replace('_', '-')} " in out
        assert f"{told[key]:.10g}" in out
    assert all(name in out for name in AT)
    assert f"{told['gradient']['log_posterior']['n0']:.10g}" in out
    assert "slopes are the model's own" in out
    assert out.count("│ n ") == len(Y)


SAYS = [
    (("--at", "n0=1,kk[0]=1"), 2, "no parameter 'kk[0]'\n  hint: did you mean 'k[0]'?"),
    (("--at", "n0=1,k=1"), 2, "'k' is not one number; write k[0], k[1]"),
    (("--at", "n0=1"), 2, "no value is given for k[0], k[1], sigma"),
    (("--at", "n0=x"), 2, "--at n0=x: 'x' is not a number"),
    (("--at", "n0=1,k[0]"), 2, "'k[0]' is not of the form NAME=VALUE"),
    (("--at", "nowhere.yaml"), 2, "--at nowhere.yaml: neither NAME=VALUE nor a file"),
    (("--at", words({**AT, "n0": math.inf})), 2, "n0 must be finite, not inf"),
    (("--at", "text.yaml"), 2, "n0: 'a' is not a number"),
    (("--at", "broken.yaml"), 3, "broken.yaml:1:"),
    (("--set", "parameters.n0=1", "--at", "n0=2"), 2, "'n0' is fixed: the spec sets it to 1\n"
     "  hint: change it with --set parameters.n0=2"),
    (("--set", "parameters.n0.prior.lognormal=[0, -1]"), 3, "sigma must be positive"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "said"), SAYS)
def test_what_is_no_point_is_told(arguments, code, said, ode, capsys, monkeypatch):
    monkeypatch.chdir(ode.parent)
    (ode.parent / "text.yaml").write_text("{n0: a, k: [1, 2], sigma: 1}")
    (ode.parent / "broken.yaml").write_text("n0: [1")
    got, out, err = inside(capsys, "evaluate", ode, *arguments)
    assert (got, out) == (code, "")
    assert said in err


def test_a_point_outside_of_a_priors_support_is_told(ode, capsys):
    at = {**AT, "sigma": 0.01, "k[1]": -1.0}
    told = found(capsys, ode, "--at", words(at), "--gradient")
    assert told["log_likelihood"] == pytest.approx(parts(at)[1].sum(), rel=1e-9)
    assert (told["log_prior"], told["log_posterior"], told["failed"]) == (None, None, None)
    assert told["warnings"] == [
        "k[1] = -1 is outside of its prior's support [0, inf]",
        "sigma = 0.01 is outside of its prior's support [0.05, inf]",
    ]
    assert told["gradient"]["log_posterior"]["sigma"] is None
    assert told["gradient"]["log_posterior"]["n0"] is not None
    code, out, _ = inside(capsys, "evaluate", ode, "--at", words(at))
    assert code == 0
    assert "Warning: sigma = 0.01 is outside" in out


def test_a_solver_that_is_too_rough_for_the_data_is_told(ode, capsys):
    point = ["--at", "n0=1.2,k[0]=0.5,k[1]=0.3,sigma=0.2", "--json"]
    fine = json.loads(inside(capsys, "evaluate", ode, *point)[1])
    assert fine["warnings"] == []
    precise = ["--set", "likelihood.n.normal=1e-7", "--set", "model.solver.rtol=1e-5"]
    rough = json.loads(inside(capsys, "evaluate", ode, *point, *precise)[1])
    (told,) = rough["warnings"]
    residuals = [y - 1.2 * math.exp(-0.5 * t) for t, y in zip(TIMES, Y, strict=True)]
    exact = sum(stats.norm(0, 1e-7).logpdf(r) for r in residuals)
    finer = float(told.split("says ")[1].split(":")[0])
    assert abs(finer - exact) < 0.1 * abs(rough["log_likelihood"] - exact)


def test_experiments_have_names_of_their_own(ode, capsys, tmp_path):
    spec = yaml.safe_load(ode.read_text())
    spec["parameters"]["n0"]["per"] = "experiment"
    data = spec.pop("data")
    spec["experiments"] = {"control": {"data": data}, "treated": {"data": data}}
    path = written(tmp_path / "several.yaml", spec)
    at = {name: value for name, value in AT.items() if name != "n0"}
    own = {"n0[control]": 1.2, "n0[treated]": 0.9}
    told = found(capsys, path, "--at", words(at | own), "--pointwise", "--gradient")
    each = [parts({**AT, "n0": n0})[1] for n0 in own.values()]
    assert told["log_likelihood"] == pytest.approx(np.sum(each), abs=1e-8)
    assert set(told["gradient"]["log_likelihood"]) == set(told["parameters"])
    rows = told["pointwise"]
    assert [r["experiment"] for r in rows] == ["control"] * 4 + ["treated"] * 4
    assert {r["observable"] for r in rows} == {"n"}
    np.testing.assert_allclose([r["log_density"] for r in rows], np.ravel(each), atol=1e-8)
    (tmp_path / "p.yaml").write_text(
        "{n0: {control: 1.2, treated: 0.9}, k: [0.5, 0.3], sigma: 0.2}"
    )
    assert found(capsys, path, "--at", tmp_path / "p.yaml", "--pointwise", "--gradient") == told


def test_where_an_ode_fails_it_says_why(tmp_path, capsys):
    (tmp_path / "d.csv").write_text("t,y\n1,1\n")
    path = tmp_path / "blows.yaml"
    path.write_text("""
model: {kind: ode, states: {y: 1}, equations: {y: a*y**2}}
parameters: {a: {prior: {normal: [0, 3]}}}
data: {file: d.csv, time: t}
likelihood: {y: {normal: 1.0}}
""")
    told = found(capsys, path, "--at", "a=4", "--gradient", "--pointwise", code=4)
    assert "the solution blows up" in told["failed"]
    assert "(at the time 0.25)" in told["failed"]
    nothing = ("log_likelihood", "log_posterior", "gradient", "pointwise")
    assert all(told[key] is None for key in nothing)
    assert told["log_prior"] == pytest.approx(stats.norm.logpdf(4, 0, 3))
    code, out, _ = inside(capsys, "evaluate", path, "--at", "a=4")
    assert code == 4
    assert "The model failed here: " in out
    assert "log-likelihood" not in out


PYTHON = """\
import numpy, torch
def line(p, times):
    return {"y": p["a"][:, None] + p["b"][:, :1] * times}
def density(p):
    return -0.5 * ((p["a"] - 1) / 0.1) ** 2 - (p["b"] ** 4).sum(1)
def nowhere(p):
    return 0.0 * p["a"] - float("inf")
def raises(p):
    raise ValueError("no such thing")
def nan(p):
    return p["a"] * float("nan")
"""


def python(tmp_path, array, **keys):
    """A Python model of a number and a vector."""
    (tmp_path / "m.py").write_text(PYTHON)
    (tmp_path / "d.csv").write_text("t,y\n0,1\n1,3\n2,4\n")
    spec = {
        "model": {"kind": "python", "file": "m.py", "array": array, **keys},
        "parameters": {"a": {"prior": {"normal": [0, 1]}},
                       "b": {"prior": {"cauchy": [0, 1]}, "shape": 2}},
    }  # fmt: skip
    if "simulate" in keys:
        spec |= {"data": {"file": "d.csv"}, "likelihood": {"y": {"normal": 0.5}}}
    return written(tmp_path / "m.yaml", spec)


@pytest.mark.parametrize("array", ["torch", "numpy"])
def test_python_models_with_their_gradient_or_differences(array, tmp_path, capsys):
    at = "a=1.5,b[0]=-0.7,b[1]=0"
    prior = stats.norm.logpdf(1.5) + stats.cauchy.logpdf([-0.7, 0.0]).sum()
    by_prior = {"a": -1.5, "b[0]": 1.4 / 1.49, "b[1]": 0.0}
    rest = np.array([1.0, 3.0, 4.0]) - (1.5 - 0.7 * np.arange(3))
    cases = {
        "simulate": ("line", stats.norm.logpdf(rest, 0, 0.5).sum(),
                     {"a": rest.sum() / 0.25, "b[0]": rest @ np.arange(3) / 0.25, "b[1]": 0.0}),
        "log_likelihood": ("density", -12.5 - 0.7**4,
                           {"a": -50.0, "b[0]": 4 * 0.7**3, "b[1]": 0.0}),
    }  # fmt: skip
    for key, (function, value, slope) in cases.items():
        path = python(tmp_path, array, **{key: function})
        told = found(capsys, path, "--at", at, "--gradient")
        assert told["log_likelihood"] == pytest.approx(value, rel=1e-12)
        assert told["log_prior"] == pytest.approx(prior, rel=1e-12)
        assert told["gradient"]["by"] == ("model" if array == "torch" else "differences")
        assert told["gradient"]["log_likelihood"] == pytest.approx(slope, rel=1e-8, abs=1e-8)
        both = {name: slope[name] + by_prior[name] for name in slope}
        assert told["gradient"]["log_posterior"] == pytest.approx(both, rel=1e-8, abs=1e-8)
        assert told["warnings"] == []


def test_a_python_function_that_gives_nothing_is_told(tmp_path, capsys):
    path = python(tmp_path, "torch", log_likelihood="nowhere")
    told = found(capsys, path, "--gradient")  # zero is an answer, no failure
    assert (told["log_likelihood"], told["failed"]) == (None, None)
    assert told["warnings"] == ["the likelihood is zero here"]
    assert set(told["gradient"]["log_likelihood"].values()) == {None}
    told = found(capsys, python(tmp_path, "numpy", log_likelihood="nan"), code=4)
    assert "came out as nan" in told["failed"]
    code, out, err = inside(capsys, "evaluate", python(tmp_path, "torch", log_likelihood="raises"))
    assert (code, out) == (4, "")
    assert "raised ValueError: no such thing" in err
    code, out, err = inside(capsys, "evaluate", path, "--pointwise")
    assert (code, out) == (2, "")
    assert "the model gives its log-likelihood itself" in err


def test_a_program_is_asked_too(tmp_path, capsys):
    path = programs.written(tmp_path, programs.staying(), more="protocol: lines")
    told = found(capsys, path, "--at", "a=1,b=-0.5", "--gradient", "--pointwise")
    times = np.array(programs.TIMES)
    rest = (1.5 - 0.3 * times) - (1 - 0.5 * times)
    each = stats.norm.logpdf(rest, 0, 0.1)
    assert told["log_likelihood"] == pytest.approx(each.sum(), rel=1e-12)
    slope = {"a": rest.sum() / 0.01, "b": rest @ times / 0.01}
    assert told["gradient"]["by"] == "differences"
    assert told["gradient"]["log_likelihood"] == pytest.approx(slope, rel=1e-8)
    np.testing.assert_allclose([r["log_density"] for r in told["pointwise"]], each, rtol=1e-12)


def test_a_program_that_fails_says_why(tmp_path, capsys):
    script = "import sys\nprint('out of beans', file=sys.stderr)\nsys.exit(3)\n"
    command = f"command: [{sys.executable}, p.py, '{{a}}']\nanswer: number"
    path = programs.written(tmp_path, script, more=command, number=True)
    told = found(capsys, path, "--at", "a=1,b=2", code=4)
    assert "out of beans" in told["failed"]
    assert "p.py" in told["failed"]


def test_a_gradient_by_differences_beside_an_edge_is_none_and_told(tmp_path, capsys):
    (tmp_path / "m.py").write_text(
        "import numpy as np\ndef f(p):\n    return np.where(p['a'] > 1, 3 * p['a'], -np.inf)\n"
    )
    spec = {
        "model": {"kind": "python", "file": "m.py", "log_likelihood": "f", "array": "numpy"},
        "parameters": {"a": {"prior": {"normal": [0, 1]}}},
    }
    path = written(tmp_path / "edge.yaml", spec)
    told = found(capsys, path, "--at", "a=1.00001", "--gradient")
    assert told["gradient"]["log_likelihood"] == {"a": None}
    assert told["warnings"] == ["no gradient by a: the likelihood is zero next to this point"]
    told = found(capsys, path, "--at", "a=1.5", "--gradient")
    assert told["gradient"]["log_likelihood"]["a"] == pytest.approx(3.0, rel=1e-8)


def test_from_python_it_is_the_same(ode, capsys):
    told = found(capsys, ode, "--at", words(AT), "--gradient", "--pointwise")
    at = {"n0": 1.2, "k": np.array([0.5, 0.3]), "sigma": 0.2}
    same = nfanneal.evaluate(ode, at, gradient=True, pointwise=True, threads=1)
    assert same.log_posterior == told["log_posterior"]
    assert same.gradient.log_posterior == told["gradient"]["log_posterior"]
    assert [vars(datum) for datum in same.pointwise] == told["pointwise"]
    with pytest.raises(PointError, match="no parameter 'n'"):
        nfanneal.evaluate(ode, {**at, "n": 1}, threads=1)
