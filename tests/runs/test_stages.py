"""A stage whose proposal is poor: patched, and what that takes is told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import nfanneal
from nfanneal.anneal.progress import GoingOn
from nfanneal.runs import stages

MODEL = """
def f(p):
    x = p["x"]
    with open("calls", "a") as calls:
        calls.write(f"{len(x)}\\n")
    return -0.5 * ((x - 1.0) ** 2).sum(1) / 0.02**2
"""
SPEC = {
    "name": "narrow",
    "model": {"kind": "python", "file": "model.py", "log_likelihood": "f", "array": "numpy"},
    "parameters": {"x": {"prior": {"normal": [0, 1]}, "shape": 2}},
    "anneal": {"draws": 1024, "effort": 8, "steps": 1, "moves": 0, "max_levels": 2,
               "scout": "off", "walkers": 0},
}  # fmt: skip
EXACT = 2.0 * (stats.norm.logpdf(1.0, 0.0, np.hypot(1.0, 0.02)) + np.log(0.02 * np.sqrt(2 * np.pi)))


@pytest.fixture
def estimated(tmp_path, monkeypatch):
    """A run, how many evaluations were asked for past those that it tells, and its patches."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    calls = tmp_path / "calls"

    def run(patches, *overrides):
        monkeypatch.setattr(stages, "MOST_PATCHES", patches)
        calls.write_text("")
        heard = []
        result = nfanneal.run(SPEC, overrides=overrides, threads=1, observe=heard.append)
        asked = sum(map(int, calls.read_text().split()))
        made = [event for event in heard if isinstance(event, GoingOn) and event.patch]
        return result, asked - result.counts.n_likelihood_evaluations, made

    return run


def test_a_poor_proposal_is_patched_and_every_evaluation_is_told(estimated):
    """One level trained for one step: hardly narrower than the prior. 4 errors: once in 16,000."""
    poor, more, none = estimated(0)
    patched, as_much_more, made = estimated(4)
    assert not none
    assert made
    assert patched.diagnostics.ess > 2.0 * poor.diagnostics.ess
    d = patched.diagnostics
    assert abs(d.log_evidence - EXACT) < 4.0 * d.log_evidence_error
    assert d.log_evidence_error < poor.diagnostics.log_evidence_error
    assert as_much_more == more  # to see whether the model is a function, and the like


def test_a_budget_has_no_room_for_a_patch(estimated):
    poor, _, _ = estimated(0)
    budget = poor.counts.n_likelihood_evaluations + poor.diagnostics.n_samples
    found, _, made = estimated(4, f"anneal.max_evaluations={budget}")
    assert not made
    assert found.counts.n_likelihood_evaluations <= budget


def test_a_patch_leaves_half_unseen_of_what_nobody_had_seen(estimated, monkeypatch):
    """What is handed on with each patch, of what the walk said before it."""
    before, after = [], []

    def with_opinion(stage, *others):
        stage = opined(stage, *others)
        before.append(stage.opinion.witness.unseen)
        after.append(stage.unseen)
        return stage

    opined = stages.with_opinion
    monkeypatch.setattr(stages, "with_opinion", with_opinion)
    monkeypatch.setattr(stages, "MOST_REFINEMENTS", 0)  # more draws, of which the same is said anew
    _, _, made = estimated(1, "anneal.walkers=256")
    assert len(made) == 1
    assert after[0] == 0.0
    assert after[1] == stages.STILL_UNSEEN * before[0] > 0.0
    assert before[1] >= after[1]
