"""What the prior's draws alone saw is held against a proposal."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from commands import run
from scipy import stats

import nfanneal
from nfanneal.anneal.coverage import MOST_SEEN, hardly_drawn, likeliest, with_error
from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.results.diagnosis import UNCOVERED_LIMIT

MODEL = """
import numpy as np

def balls(p):
    x = p["x"]
    log_l = np.full(len(x), -np.inf)
    log_l[((x - 2.0) ** 2).sum(1) < 1.0] = 0.0
    log_l[((x + 3.0) ** 2).sum(1) < 0.25] = np.log(5.0)
    return log_l
"""
SPEC = """
name: balls
model: {kind: python, file: model.py, log_likelihood: balls, array: numpy}
parameters: {x: {shape: 3, prior: {uniform: [-5, 5]}}}
"""
EXACT = math.log(4.0 / 3.0 * math.pi * (1.0 + 5.0 * 0.5**3) / 1000.0)


def steps(z):
    """A likelihood of 1 where z > 1, of 3 below −2, and of nothing between."""
    value = np.where(z[:, 0] > 1.0, 0.0, -np.inf)
    return np.where(z[:, 0] < -2.0, math.log(3.0), value)


def test_the_mass_that_a_proposal_hardly_draws_is_told():
    """It draws from the right only; the tails are known. Four errors: a false alarm in 15,000."""
    z = PriorProposal(1).draw(20_000, torch.Generator().manual_seed(1))
    seen = likeliest(z, steps(z))
    assert len(seen.z) == MOST_SEEN
    right, left = 0.158655, 3.0 * 0.022750
    narrow = StudentMixture(np.array([[1.5]]), np.array([[[0.3]]]), np.zeros(1), 50)
    log_evidence = math.log(right + left)
    mass, error = with_error(hardly_drawn(seen, narrow, log_evidence).share)
    assert abs(mass - left / (right + left)) < 4.0 * error
    assert error < 0.05
    assert not len(hardly_drawn(seen, PriorProposal(1), log_evidence).share)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 100])
def test_the_lower_bound_is_that_of_a_poisson_count(n):
    """A mean at the bound gives so many or more with a chance of 2.5 %."""
    mass, error = with_error(np.full(n, 1e-4))
    assert mass == pytest.approx(n * 1e-4)
    bound = (mass - 2.0 * error) / 1e-4
    assert stats.poisson(bound).sf(n - 1) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(
    ("shares", "told"),
    [([0.2], True), ([0.1, 0.1], True), ([0.04, 0.04, 0.04], True), ([0.05], False),
     ([1e-3] * 10, False), ([2.0], True)],
)  # fmt: skip
def test_few_draws_of_much_mass_are_told(shares, told):
    mass, error = with_error(np.array(shares))
    assert (mass - 2.0 * error >= UNCOVERED_LIMIT) == told
    assert mass <= 1.0


def test_without_any_likelihood_nothing_was_seen():
    z = np.zeros((10, 1))
    seen = likeliest(z, np.full(10, -np.inf))
    assert with_error(hardly_drawn(seen, PriorProposal(1), 0.0).share) == (0.0, 0.0)


@pytest.mark.parametrize(("seed", "narrow"), [(1, 1), (3, 1), (1, 2), (4, 2)])
def test_plateaus_are_right_or_not_trusted(seed, narrow, tmp_path, monkeypatch):
    """The smaller has two fifths of the mass and 1/1900 of the prior; no slope leads to either.

    With seed 3 a thousand draws of the prior have no likelihood at first. One that is narrower,
    with the same mass, is hit by four draws of the prior or five.
    """
    monkeypatch.chdir(tmp_path)
    model = MODEL.replace("0.25]", f"{(0.5 / narrow) ** 2}]").replace("(5.0)", f"({5 * narrow**3})")
    (tmp_path / "model.py").write_text(model)
    (tmp_path / "balls.yaml").write_text(SPEC)
    run("run", "balls.yaml", "--threads", 1, "--seed", seed, "--quiet", codes=(0, 5))
    d = nfanneal.load("balls.h5").diagnostics
    off = abs(d.log_evidence - EXACT)
    far = off > 4.0 * d.log_evidence_error and off > 0.05
    assert not (far and nfanneal.load("balls.h5").converged)
