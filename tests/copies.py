"""Models in Python files that workers are asked about: they answer, raise, crash, hang and wait."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from nfanneal.model.executors.choice import Workers
from nfanneal.model.problem import Problem
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

MODEL = """\
import os, pathlib, signal, time
HERE = pathlib.Path(__file__).parent
def once(name):
    try:
        (HERE / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
def until(name):
    while not (HERE / name).exists():
        time.sleep(0.05)
def f(p):
    a, b = p["a"][0], p["b"][0]
{body}
    return -0.5 * p["a"] ** 2 + 0.3 * p["a"] * p["b"] - p["b"] ** 2
"""
SPEC = """\
name: somewhere else
model: {{kind: python, file: m.py, log_likelihood: f, array: numpy{more}}}
parameters:
  a: {{prior: {{normal: [0, 1]}}}}
  b: {{prior: {{normal: [0, 1]}}}}
anneal: {{draws: 256, steps: 5, max_rounds: 1, moves: 0, preset: usual, scout: "off", walkers: 0}}
output: {{samples: 300}}
"""
ODD = 7.0
"""The a of draws that a model treats in a way of its own."""


def written(folder: Path, body: str = "pass", more: str = "") -> Path:
    """A spec beside such a file, whose function does `body` first, of the first draw's a and b."""
    folder.mkdir(exist_ok=True)
    (folder / "m.py").write_text(MODEL.format(body=textwrap.indent(textwrap.dedent(body), "    ")))
    (folder / "s.yaml").write_text(SPEC.format(more=more))
    return folder / "s.yaml"


def problem(
    folder: Path, body: str = "pass", workers: Workers | None = None, more: str = ""
) -> Problem:
    return build_problem(load_spec(written(folder, body, more)), workers=workers)


def draws(n: int, odd: tuple[int, ...] = ()) -> np.ndarray:
    """θ (n, 2), with an odd a in some rows."""
    theta = np.random.default_rng(1).normal(size=(n, 2))
    theta[list(odd), 0] = ODD
    return theta


def exact(theta: np.ndarray) -> np.ndarray:
    a, b = theta.T
    return -0.5 * a**2 + 0.3 * a * b - b**2
