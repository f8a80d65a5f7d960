"""The accuracy table's ODE models as ones that give no gradients, with the default settings.

Python models of numpy arrays have rows of their own in the table. Two of them also as a program or
a numpy `simulate` would be: predictions without derivatives, by the presets `frugal` and `usual`.

`pytest -m accuracy -rP tests/accuracy/test_without_gradients.py` prints the rows.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cases import CASES, ODE

from nfanneal.model.likelihood import Likelihood
from nfanneal.model.simulator import Predictions, Simulator, Uncharted
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


@dataclass(frozen=True)
class Predicting(Uncharted):
    """A simulator that predicts, and tells nothing else."""

    simulator: Simulator
    differentiable: bool = False
    gradient_causes: str = ""
    by_parts: bool = True

    @property
    def observables(self) -> tuple[str, ...]:
        return self.simulator.observables

    @property
    def starts(self) -> tuple[float, ...]:
        return self.simulator.starts

    def predict(self, theta, times, gradient) -> Predictions:
        assert not gradient
        return self.simulator.predict(theta, times, False)


@dataclass(frozen=True)
class Allowed:
    """What a preset may take: seeds, and calls (the median of them)."""

    seeds: int
    calls: dict[str, int]


ALLOWED = {
    "frugal": Allowed(10, {"repressilator, gene 1": 25_000, "hares and lynxes": 45_000}),
    "usual": Allowed(2, {"repressilator, gene 1": 10**6, "hares and lynxes": 10**6}),
}


@pytest.mark.parametrize("preset", ALLOWED)
@pytest.mark.parametrize("title", ALLOWED["frugal"].calls)
def test_predictions_without_derivatives(title, preset):
    case = next(c for c in CASES if c.title == title)
    set_threads(1)
    found = []
    for seed in range(1, ALLOWED[preset].seeds + 1):
        changes = [*case.overrides, f"anneal.preset={preset}", f"seed={seed}"]
        checked = read_spec(case.spec("ode"), changes)
        problem = build_problem(checked)
        simulator = Predicting(problem.data.simulator)
        problem = replace(problem, likelihood=replace(problem.data, simulator=simulator))
        result = estimate(problem, build_settings(checked, problem))
        d, calls = result.diagnostics, result.counts.n_likelihood_evaluations
        z = (d.log_evidence - case.log_evidence) / d.log_evidence_error
        found.append((calls, d.log_evidence, z))
        print(f"{title}, {preset}, seed {seed}: {d.log_evidence:.4f} ± {d.log_evidence_error:.4f}, "
              f"z {z:+.1f}, {calls:,} calls")  # fmt: skip
    calls, values, z = np.array(found).T
    print(f"{title}, {preset}: sd {values.std(ddof=1):.3f}, mean z {z.mean():+.2f}")
    assert np.median(calls) <= ALLOWED[preset].calls[title]
    assert values.std(ddof=1) <= 0.05
    assert (np.abs(z) < 4.0).all()
