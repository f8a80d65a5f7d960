"""The accuracy table's ODE models as ones that give no gradients, with the default settings.

Python models of numpy arrays have rows of their own in the table.

`pytest -m accuracy -rP tests/accuracy/test_without_gradients.py` prints the rows.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cases import CASES, ODE

from nfanneal.model.likelihood import Likelihood
from nfanneal.runs.estimate import estimate
from nfanneal.runs.settings import build_settings
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import read_spec
from nfanneal.target import Evaluation

pytestmark = pytest.mark.accuracy


@dataclass(frozen=True)
class WithoutGradients:
    """A likelihood that tells nothing but its values."""

    likelihood: Likelihood
    differentiable: bool = False
    has_information: bool = False

    @property
    def by_parts(self) -> bool:
        return self.likelihood.by_parts

    @property
    def cells(self) -> int:
        return self.likelihood.cells

    def evaluate(self, theta: np.ndarray, gradient: bool) -> Evaluation:
        assert not gradient
        return self.likelihood.evaluate(theta, False)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.kinds == ODE and "six periods" not in case.title],
    ids=lambda case: case.title,
)
def test_evidence_without_gradients(case):
    set_threads(1)
    checked = read_spec(case.spec("ode"), case.overrides)
    problem = build_problem(checked)
    problem = replace(problem, likelihood=WithoutGradients(problem.likelihood))
    result = estimate(problem, build_settings(checked, problem))
    d, evaluations = result.diagnostics, result.counts.n_likelihood_evaluations
    print(
        f"{case.title}: {d.log_evidence:.4f} ± {d.log_evidence_error:.4f} for "
        f"{case.log_evidence:.4f}, {d.ess:,.0f} of {d.n_samples:,} draws effective, "
        f"{evaluations / 1000:.0f}k evaluations"
    )
    assert result.counts.n_gradient_evaluations == 0
    assert abs(d.log_evidence - case.log_evidence) <= case.within
