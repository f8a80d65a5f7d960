"""The problems of the accuracy table are the same as models of torch, of numpy and as ODEs."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES

from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import read_spec


def log_likelihood(case, kind):
    """At draws of the prior that do not depend on the kind, (n,)."""
    target = build_problem(read_spec(case.spec(kind), case.changes(kind))).target
    z = np.random.default_rng(1).standard_normal((32, target.dimension))
    return target.evaluate(z, False).log_likelihood


def ids(case):
    return case.title


@pytest.mark.parametrize("case", [c for c in CASES if "numpy" in c.kinds], ids=ids)
def test_torch_and_numpy_are_the_same(case):
    torch = log_likelihood(case, "torch")
    assert np.isfinite(torch).all()
    np.testing.assert_allclose(log_likelihood(case, "numpy"), torch, rtol=1e-9, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("case", [c for c in CASES if c.kinds[-1:] == ("ode",) != c.kinds], ids=ids)
def test_odes_are_the_same(case):
    np.testing.assert_allclose(
        log_likelihood(case, "ode"), log_likelihood(case, "torch"), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("case", [c for c in CASES if c.kinds == ("ode",)], ids=ids)
def test_specs_of_odes_can_be_read(case):
    assert read_spec(case.spec("ode"), case.overrides).spec.parameters
