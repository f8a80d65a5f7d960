"""Models that are no functions of their parameters: told by check, and never trusted."""

from __future__ import annotations

import json

import pytest
from commands import inside

MODEL = """
import numpy as np

rng = np.random.default_rng(1)

def noisy(p):
    return -0.5*p["x"]**2 + 0.01*rng.standard_normal(len(p["x"]))

def company(p):
    return -0.5*(p["x"] - p["x"].mean())**2

def crowd(p):
    log_l = -0.5*p["x"]**2
    return log_l - log_l.max() + 1.0 if len(log_l) > 8 else log_l

calls = 0

def drifting(p):
    global calls
    calls += 1
    return -0.5*p["x"]**2 + (0.5 if calls > 12 else 0.0)

def lonely(p):
    return -0.5*p["x"]**2 + 0.1*(len(p["x"]) == 1)

def precisely(p):
    return (-3e6 - 0.5*p["x"]**2).astype(np.float32)

def sorted_(p):
    return np.sort(-0.5*p["x"]**2)

def single(p):
    return (-0.5*p["x"]**2).astype(np.float32)

def sound(p):
    return -0.5*p["x"]**2

def steps(p):
    return -np.floor(np.abs(p["x"]))
"""
SPEC = """
name: odd
model: {{kind: python, file: model.py, log_likelihood: {function}, array: numpy}}
parameters: {{x: {{prior: {{normal: [0, 1]}}}}}}
anneal: {{draws: 512, steps: 10, max_rounds: 1, scout: "off", walkers: 0}}
output: {{samples: 500}}
"""
ODD = {
    "drifting": "not a function of its parameters",
    "noisy": "not a function of its parameters",
    "company": "depends on the others beside it",
    "crowd": "depends on the others beside it",
    "lonely": "depends on the others beside it",
    "sorted_": "mixes up its draws",
}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)

    def write(function):
        path = tmp_path / f"{function}.yaml"
        path.write_text(SPEC.format(function=function))
        return path

    return write


@pytest.mark.parametrize("function", ODD)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_no_function_is_told_and_not_trusted(function, spec, capsys):
    path = spec(function)
    report = json.loads(inside(capsys, "check", path, "--json")[1])
    assert any(ODD[function] in text for text in report["warnings"])
    code, out, _ = inside(capsys, "run", path, "--threads", 1)
    assert code == 5
    assert ODD[function] in out
    again = inside(capsys, "summary", path.with_suffix(".h5"))
    assert again[0] == 5
    assert ODD[function] in again[1]


@pytest.mark.parametrize("function", ["sound", "steps"])
def test_functions_are_not_suspected(function, spec, capsys):
    report = json.loads(inside(capsys, "check", spec(function), "--json")[1])
    assert report["warnings"] == []
    assert report["notes"] == []


def test_single_precision_is_pointed_out(spec, capsys):
    path = spec("single")
    assert "float32" in json.loads(inside(capsys, "check", path, "--json")[1])["notes"][0]
    code, _, err = inside(capsys, "run", path, "--threads", 1)
    assert code == 0
    assert "Note: the model returns numbers of single precision" in err


def test_single_precision_that_the_data_do_not_bear_is_not_trusted(spec, tmp_path, capsys):
    code, out, _ = inside(capsys, "run", spec("precisely"), "--threads", 1)
    assert code == 5
    assert "single precision (float32), whose rounding alone moves log L by" in out
    for sigma, expected in ((1e-1, 0), (1e-7, 5)):
        (tmp_path / "d.csv").write_text("t,y\n0,1.5\n1,1.6\n2,1.7\n")
        (tmp_path / "line.py").write_text(
            "import numpy as np\n"
            "def f(p, t):\n"
            "    y = p['x'][:, None] + 0.1 * t\n"
            "    return {'y': y.astype(np.float32)}\n"
        )
        (tmp_path / "line.yaml").write_text(
            "model: {kind: python, file: line.py, simulate: f, array: numpy}\n"
            "parameters: {x: {prior: {uniform: [1, 2]}}}\n"
            f"data: {{file: d.csv}}\nlikelihood: {{y: {{normal: {sigma}}}}}\n"
        )
        code, out, _ = inside(capsys, "run", "line.yaml", "--threads", 1, "--force")
        assert code == expected
        assert ("whose rounding alone" in out) == (expected == 5)
