"""How many final draws a run makes."""

import subprocess
import sys

import numpy as np
import pytest
from commands import run

import nfanneal
from nfanneal.assembly import ENOUGH_ESS

MODEL = """\
def f(p):
    return -0.5 * ((p["x"] - 1.0) ** 2).sum(1) / {width}**2
"""
STRIPES = """\
import torch

def f(p):
    inside = torch.sin(400 * p["x"][:, 0]) > 0.9995
    return torch.where(inside, -0.5 * (p["x"] ** 2).sum(1), -torch.inf)
"""


@pytest.fixture
def estimated(tmp_path, monkeypatch):
    """Runs with so many levels of a two-dimensional Gaussian of this width, or another model."""
    monkeypatch.chdir(tmp_path)

    def run(width, levels, *overrides, model=MODEL):
        (tmp_path / "model.py").write_text(model.replace("{width}", str(width)))
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
    assert d.ess < ENOUGH_ESS
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


def test_a_last_batch_without_likelihood_is_no_failure(estimated):
    """One draw in a hundred has a likelihood above zero, and the last batch is one draw."""
    poor = estimated(1.0, 2, model=STRIPES)
    annealed = poor.n_likelihood_evaluations - poor.diagnostics.n_samples
    budget = f"anneal.max_evaluations={annealed + 10_001}"
    found = estimated(1.0, 2, budget, model=STRIPES)
    assert found.diagnostics.n_samples == 10_001
    assert not np.isfinite(found.draws.log_likelihood[-1])


def test_rounds_that_are_added_make_more_draws_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(STRIPES)
    (tmp_path / "x.yaml").write_text(
        "name: x\nmodel: {kind: python, file: model.py, log_likelihood: f}\n"
        "parameters: {x: {prior: {normal: [0, 1]}, shape: 2}}\n"
        "anneal: {draws: 4096, steps: 20, max_rounds: 1, moves: 0}\n"
    )
    quiet = ("--quiet", "--threads", "1")
    run("run", "x.yaml", "-o", "x.h5", *quiet, codes=(0, 5))
    run("run", "x.yaml", "-o", "x.h5", "--resume", "--more-rounds", 1, *quiet, codes=(0, 5))
    assert nfanneal.load("x.h5").diagnostics.n_samples > 10_000


def test_a_run_does_not_import_the_compiler_of_torch(tmp_path):
    """That takes a second."""
    (tmp_path / "model.py").write_text(MODEL.replace("{width}", "0.5"))
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
