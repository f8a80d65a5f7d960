"""Modes that a tempered path alone would lose, through the command line, of every kind of model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from commands import run

import nfanneal
from nfanneal.anneal.weights import normalized
from nfanneal.report.summary import summary_json

MODEL = """
import math
import torch

CENTRES = torch.tensor([[4.0, -3.0, 1.0], [-5.0, 2.0, 6.0]], dtype=torch.float64)
SDS = torch.tensor([1.5, 0.1], dtype=torch.float64)

def with_torch(p):
    square = ((p["x"][:, None] - CENTRES) ** 2).sum(2) / SDS**2
    return torch.logsumexp(-0.5 * square - 3.0 * torch.log(SDS) - math.log(2.0), 1)

def with_numpy(p):
    return with_torch({"x": torch.from_numpy(p["x"])}).numpy()
"""
SPEC = """
name: two
model: {{kind: python, file: model.py, log_likelihood: with_{array}, array: {array}}}
parameters: {{x: {{shape: 3, prior: {{uniform: [-10, 10]}}}}}}
anneal: {{preset: quick}}
"""
EXACT = 1.5 * math.log(2.0 * math.pi) - 3.0 * math.log(20.0)


@pytest.mark.parametrize("array", ["torch", "numpy"])
def test_two_equal_modes_one_fifteen_times_as_narrow(array, tmp_path, monkeypatch, capsys):
    """The narrow one has a millionth of the volume; four errors are a false alarm in 15,000."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "two.yaml").write_text(SPEC.format(array=array))
    run("run", "two.yaml", "--threads", 1)
    result = nfanneal.load("two.h5")
    d = result.diagnostics
    assert abs(d.log_evidence - EXACT) < 4.0 * d.log_evidence_error
    assert d.log_evidence_error < 0.03
    narrow = normalized(result.draws.log_weight) @ (result.draws.theta[:, 2] > 5.5)
    assert narrow == pytest.approx(0.5, abs=0.05)
    found = summary_json(result)["modes"]
    narrow_first = sorted(found, key=lambda mode: -mode["means"]["x[2]"])
    assert len(found) == 2
    assert abs(narrow_first[0]["mass"] - 0.5) < 4.0 * narrow_first[0]["mass_error"]
    assert narrow_first[0]["means"]["x[2]"] == pytest.approx(6.0, abs=0.02)
    assert f"{found[0]['mass']:.3f} ± {found[0]['mass_error']:.3f}" in capsys.readouterr().out
    assert d.witnessed
    assert np.isfinite(d.weighted_log_evidence)
