"""A model that counts between the times it is given is not asked at others without a word."""

import csv
import io

import numpy as np
import pytest
from commands import inside, run
from processes import PYTHON, completed

from nfanneal.results import store

SPEC = """
model: {{kind: python, file: model.py, simulate: f, array: numpy{times}}}
parameters: {{rate: {{prior: {{lognormal: [1, 1]}}}}}}
data: {{table: "t,cases\\n1,3\\n2,2\\n4,6\\n"}}
likelihood: {{cases: poisson}}
anneal: {{draws: 128, steps: 5, max_rounds: 1, walkers: 0}}
output: {{samples: 200}}
"""
COUNTING = """
import numpy as np
def f(p, t):
    return {"cases": p["rate"][:, None] * np.diff(t, prepend=0.0)}
"""
FAILING = """
import numpy as np
def f(p, t):
    if len(t) != 3:
        raise ValueError("three times")
    return {"cases": p["rate"][:, None] * np.array([1.0, 1.0, 2.0])}
"""
PLAIN = """
def f(p, t):
    return {"cases": p["rate"][:, None] * (1.0 + 0.0 * t)}
"""


@pytest.fixture
def made(tmp_path):
    def make(model, times=""):
        (tmp_path / "model.py").write_text(model)
        (tmp_path / "s.yaml").write_text(SPEC.format(times=times))
        words = ("run", tmp_path / "s.yaml", "-o", tmp_path / "s.h5", "--quiet", "--force")
        run(*words, codes=(0, 5))
        return ("predict", tmp_path / "s.h5", "--model", tmp_path / "model.py", "--force")

    return make


def predicted(folder):
    """Times and means without noise."""
    rows = csv.DictReader(io.StringIO((folder / "s.predictions.csv").read_text()))
    return {float(r["time"]): float(r["mean"]) for r in rows if r["noise"] == "without"}


@pytest.mark.parametrize(
    ("model", "times", "told"),
    [(COUNTING, "", "seems to count"), (FAILING, "", "seems to count"),
     (COUNTING, ", times: data", "model.times: data")],
)  # fmt: skip
def test_it_is_predicted_at_the_times_of_its_data(model, times, told, made, tmp_path, capsys):
    predict = made(model, times)
    code, _, err = inside(capsys, *predict)
    assert code == 0
    assert "at the times of the data alone" in err
    assert told in err
    rate = store.read(tmp_path / "s.h5").posterior.mean()
    found = predicted(tmp_path)
    assert list(found) == [1.0, 2.0, 4.0]
    np.testing.assert_allclose(list(found.values()), rate * np.array([1, 1, 2]), rtol=1e-9)


def test_figures_say_that_they_keep_to_the_times_of_the_data(made, tmp_path):
    words = made(COUNTING)[1:4]
    done = completed([*PYTHON, "plot", *words, "trajectories", "-o", tmp_path / "t.png"])
    assert done.returncode == 0
    assert "Note: drawn at the times of the data alone: the model says something" in done.stderr


def test_other_times_are_refused_or_come_with_a_warning(made, tmp_path, capsys):
    code, _, err = inside(capsys, *made(COUNTING), "--times", "0:4:0.5")
    assert (code, "Warning: the model says something else" in err) == (0, True)
    code, _, err = inside(capsys, *made(COUNTING, ", times: data"), "--times", "0:4:0.5")
    assert (code, "--times: the model is asked at the times of its data only" in err) == (2, True)


def test_a_model_that_takes_any_times_is_asked_between(made, tmp_path, capsys):
    code, _, err = inside(capsys, *made(PLAIN))
    assert (code, "alone" in err) == (0, False)
    assert len(predicted(tmp_path)) >= 200
