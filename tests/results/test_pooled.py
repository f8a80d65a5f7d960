"""What a combination says of the model: the worst that any of its runs said."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from nfanneal.results import store
from nfanneal.results.combine import combine


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_combination_has_the_worst_that_its_runs_said_of_the_model(folder, order):
    runs = [store.read(folder / name) for name in ("ode.h5", "ode2.h5")]
    said = [
        {"solver_change": math.nan, "tightening": 1.0, "failing_mass": 0.0, "whim": ""},
        {"solver_change": -0.05, "tightening": 10.0, "failing_mass": 0.3, "failing_column": 0.0,
         "failing_above": 1.0, "failing_near": 2.0, "failing_why": "so", "whim": "it is none"},
    ]  # fmt: skip
    runs = [
        replace(run, diagnostics=replace(run.diagnostics, **words))
        for run, words in zip(runs, said, strict=True)
    ]
    found = combine([runs[i] for i in order], ["a.h5", "b.h5"])
    d = found.diagnostics
    assert (d.solver_change, d.tightening) == (-0.05, 10.0)
    assert (d.failing_mass, d.failing_why, d.whim) == (0.3, "so", "it is none")
    assert not found.converged
    assert len(found.warnings) >= 3
