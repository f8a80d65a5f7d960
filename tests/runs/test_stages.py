"""A stage whose draws are too few or too poor: more of them, a patch, and what that takes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import nfanneal
from nfanneal.anneal.bridge import Witness
from nfanneal.anneal.final_draws import LatentDraws
from nfanneal.anneal.progress import GoingOn
from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.anneal.settings import (
    MOST_EFFORT,
    default_anneal_settings,
    default_flow_settings,
)
from nfanneal.runs import stages
from nfanneal.runs.settings import Settings

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
    """What is handed on with each patch, of what followed from points that were met before it."""
    before, after, unseen = [], [], []

    def with_opinion(stage, *others):
        stage = opined(stage, *others)
        before.append(stage.opinion.witness.met)
        after.append(stage.unseen)
        unseen.append(stage.opinion.witness.unseen)
        return stage

    opined = stages.with_opinion
    monkeypatch.setattr(stages, "with_opinion", with_opinion)
    monkeypatch.setattr(stages, "MOST_REFINEMENTS", 0)  # more draws, of which the same is said anew
    _, _, made = estimated(1, "anneal.walkers=256")
    assert len(made) == 1
    assert after[0] == 0.0
    assert after[1] == stages.STILL_UNSEEN * before[0] > 0.0
    assert unseen[1] >= after[1]


@pytest.mark.parametrize(
    ("noise", "drift", "expected"),
    [
        (0.016, 0.0, 0.8),
        (0.015, 0.02, 1.25),  # 1.3 errors: chance, of which more draws leave less
        (0.008, 0.03, 0.0),  # 3.8 errors: it is there, and larger than what is wanted
        (0.004, 0.012, 0.25),  # 3 errors, which leave √(0.02² − 0.012²) to chance
    ],
)
def test_more_draws_are_made_where_chance_is_what_is_too_large(noise, drift, expected):
    found = Witness(0.0, noise, 0.0, 0.0, 0.0, drift, 0.0, 0.0, np.zeros(1))
    for witness in (found, replace(found, drift=-drift)):
        assert stages._roughness(witness, 0.02) == pytest.approx(expected)


LOG_LIKELIHOODS = {"all are": np.zeros(100), "one of 100 is": np.array([0.0, *[-30.0] * 99])}


@pytest.mark.parametrize(
    ("effective", "moves", "effort", "expected"),
    [
        ("all are", 0, 1, 5_000),  # points do not move where calls are dear: an eighth will do
        ("all are", 3, 1, 10_000),
        ("one of 100 is", 3, 1, 10_000),  # 200,000 would be needed: a better proposal is to come
        ("one of 100 is", 3, MOST_EFFORT, 60_000),  # none is: as many as all before
    ],
)
def test_as_many_draws_are_made_as_are_of_use(effective, moves, effort, expected):
    """2,000 effective ones are wanted; the annealing took 40,000 evaluations, a patch 20,000."""
    annealing = default_anneal_settings(2, moves=moves, walkers=0)
    settings = Settings(default_flow_settings(2), annealing, 1_000, 100_000, 2_000, 0.02, seed=1)
    annealed = SimpleNamespace(
        n_evaluations=60_000,
        history=[SimpleNamespace(n_evaluations=40_000)],
        proposal=PriorProposal(2),
        state=SimpleNamespace(effort=effort),
    )
    target = SimpleNamespace(has_information=False, differentiable=False, dimension=2)

    def draw(n):
        log_likelihood = np.resize(LOG_LIKELIHOODS[effective], n)
        return LatentDraws(np.zeros((n, 2)), np.zeros(n), log_likelihood, np.zeros(n, dtype=bool))

    found = stages._enough_draws(target, settings, annealed, 0, draw)
    assert len(found.draws.z) == expected
