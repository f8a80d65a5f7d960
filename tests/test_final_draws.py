"""How many final draws a run makes."""

import subprocess
import sys

import pytest

import nfanneal
from nfanneal.estimate import POOR

MODEL = """\
def f(p):
    return -0.5 * ((p["x"] - 1.0) ** 2).sum(1) / {width}**2
"""


@pytest.fixture
def estimated(tmp_path, monkeypatch):
    """Runs with so many levels of a two-dimensional Gaussian of this width under the prior."""
    monkeypatch.chdir(tmp_path)

    def run(width, levels, *overrides):
        (tmp_path / "model.py").write_text(MODEL.format(width=width))
        spec = {
            "name": "gaussian",
            "model": {"kind": "python", "file": "model.py", "log_likelihood": "f"},
            "parameters": {"x": {"prior": {"normal": [0, 1]}, "shape": 2}},
            "anneal": {"draws": 8192, "steps": 40, "moves": 0, "max_levels": levels},
        }
        return nfanneal.run(spec, overrides=overrides, threads=1)

    return run


def test_poor_draws_become_more(estimated):
    """One level only: the final proposal is hardly narrower than the prior."""
    poor = estimated(0.02, 2)
    d = poor.diagnostics
    assert 10_000 < d.n_samples < 100_000
    assert d.ess < POOR * 10_000
    # not more than the annealing itself, if that is less than ten times as many
    assert d.n_samples == poor.n_likelihood_evaluations - d.n_samples
    assert len(poor.draws.log_weight) == d.n_samples


def test_good_draws_are_enough(estimated):
    assert estimated(0.5, 200).diagnostics.n_samples == 10_000


def test_a_number_of_draws_that_was_asked_for_is_made(estimated):
    assert estimated(0.02, 2, "output.samples=500").diagnostics.n_samples == 500


def test_the_budget_is_that_of_all_draws(estimated):
    poor = estimated(0.02, 2, "anneal.max_evaluations=40000")
    assert poor.diagnostics.n_samples > 10_000
    assert poor.n_likelihood_evaluations <= 40_000


def test_a_run_does_not_import_the_compiler_of_torch(tmp_path):
    """That takes a second."""
    (tmp_path / "model.py").write_text(MODEL.format(width=0.5))
    spec = (
        "name: x\nmodel: {kind: python, file: model.py, log_likelihood: f}\n"
        "parameters: {x: {prior: {normal: [0, 1]}, shape: 2}}\n"
        "anneal: {draws: 512, steps: 20, max_rounds: 1}\noutput: {samples: 500}\n"
    )
    (tmp_path / "x.yaml").write_text(spec)
    code = (
        "import sys, nfanneal\nnfanneal.run('x.yaml', threads=1)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == 0
