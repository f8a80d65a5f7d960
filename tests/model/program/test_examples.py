"""The programs of `configs/programs/`, each in its language, where that is installed."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nfanneal.model.calls import Prediction
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

FOLDER = Path(__file__).parents[3] / "configs" / "programs"
STAY = {
    "python3": "[python3, lines.py]",
    "cc": "[./lines]",
    "Rscript": "[Rscript, lines.R]",
    "octave-cli": "[octave-cli, --quiet, --no-history, lines.m]",
    "julia": "[julia, lines.jl]",
}
CALLED = {
    "awk": [],
    "python3": ['model.command=[python3, call.py, "{times}", "{out}"]'],
    "Rscript": ['model.command=[Rscript, call.R, "{times}", "{out}"]'],
}
THETA = np.array([[0.8, 10.0, 0.5, 0.3], [1.1, 8.0, 1.5, 0.2], [0.4, 3.0, 0.7, 0.1]])


def installed(program, *packages):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    needed = "; ".join(f"library({name})" for name in ("jsonlite", *packages))
    package = {"Rscript": ["Rscript", "-e", needed],
               "julia": ["julia", "-e", "using JSON"]}.get(program)  # fmt: skip
    if package and subprocess.run(package, capture_output=True, check=False).returncode:
        pytest.skip(f"{program} lacks a package: {package[-1]}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy, in which the program in C is compiled."""
    own = tmp_path_factory.mktemp("own")
    copy = own / "configs" / "programs"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("lines", "repressilator"))
    shutil.copy(FOLDER.parent / "repressilator.yaml", copy.parent)
    shutil.copytree(FOLDER.parents[1] / "data", own / "data")
    if shutil.which("cc"):
        subprocess.run(["cc", "-O2", "-o", "lines", "lines.c", "-lm"], cwd=copy, check=True)
    return copy


def logistic(times):
    r, capacity, x0, _ = THETA.T[:, :, None]
    return capacity / (1.0 + (capacity / x0 - 1.0) * np.exp(-r * times))


def check(problem):
    found = problem.ask(Prediction(), THETA)
    assert not found.failed.any(), found.reasons
    np.testing.assert_allclose(found.values[:, :, 0], logistic(problem.data.times[0]), rtol=1e-12)
    wrong = problem.ask(Prediction(), np.array([[0.8, 10.0, -0.5, 0.3]]))
    assert wrong.failed.all()
    assert "x0 must be positive" in "".join(wrong.reasons)


@pytest.mark.parametrize("language", STAY)
def test_programs_that_stay(folder, language):
    installed(language)
    spec = load_spec(folder / "logistic.yaml", [f"model.command={STAY[language]}"])
    problem = build_problem(spec)
    check(problem)
    (program, *_) = problem.likelihood.simulator.programs._waiting
    assert program._echoes  # a line too many is found out


@pytest.mark.parametrize("language", CALLED)
def test_programs_that_are_called(folder, language):
    installed(language)
    changes = CALLED[language] and [*CALLED[language], "model.parameters=params.json"]
    check(build_problem(load_spec(folder / "logistic_call.yaml", changes)))


@pytest.mark.parametrize(
    ("language", "command"),
    [("cc", "[./repressilator]"), ("python3", "[python3, repressilator.py]"),
     ("Rscript", "[Rscript, repressilator.R]")],
)  # fmt: skip
def test_repressilators_are_that_of_the_ode(folder, language, command):
    installed(language, "deSolve")
    if language == "cc":
        compile_it = ["cc", "-O2", "-o", "repressilator", "repressilator.c", "-lm"]
        subprocess.run(compile_it, cwd=folder, check=True)
    spec = load_spec(folder / "repressilator_c.yaml", [f"model.command={command}"])
    problem = build_problem(spec)
    same = build_problem(load_spec(folder.parent / "repressilator.yaml"))
    theta = same.latent.from_latent(np.random.default_rng(1).normal(size=(8, 8)))
    found = problem.ask(Prediction(), theta)
    assert not found.failed.any(), found.reasons
    expected = same.ask(Prediction(), theta).values[:, :, :1]
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-4)
