"""The cases of PEtab's own test suite, as far as its package holds them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from petab_tables import solution

from nfanneal.errors import InputError
from nfanneal.model.calls import LogLikelihood, Prediction
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

pytest.importorskip("petab", reason="nfanneal[petab] is not installed")
FOUND = importlib.util.find_spec("petabtests")
CASES = Path(FOUND.origin).parent / "cases" if FOUND and FOUND.origin else Path("none")
FIRST = sorted(CASES.glob("v1.0.0/sbml/*/_*_solution.yaml"))
DRAFTS = sorted(CASES.glob("v2.0.0/sbml/*/_*_solution.yaml"))
FEW = ("0006", "0010", "0017")
"""Those that `make test` has time for: overrides at some times, starts after an equilibrium."""


def _marked(path):
    name = path.parent.name
    return pytest.param(path.parent, id=name, marks=() if name in FEW else pytest.mark.long)


@pytest.mark.skipif(not FIRST, reason="petabtests is not installed")
@pytest.mark.parametrize("folder", [*map(_marked, FIRST)])
def test_the_first_version(folder):
    expected = solution(folder)
    checked = load_spec(folder / f"_{folder.name}.yaml")
    problem = build_problem(checked)
    nominal = checked.document.nominal
    theta = np.array([[nominal[name] for name in problem.latent.column_names]])
    found = problem.ask(LogLikelihood(gradient=True), theta)
    assert found.log_likelihood[0] == pytest.approx(expected["llh"], abs=1e-4)
    assert chi_squared(problem, theta) == pytest.approx(expected["chi2"], abs=1e-3)
    predicted = np.sort(np.concatenate(list(simulated(problem, theta))))
    np.testing.assert_allclose(predicted, simulations(folder, expected), atol=1e-4)
    steps = 1e-4 * np.maximum(np.abs(theta), 0.1) * np.eye(theta.shape[1])
    around = [problem.ask(LogLikelihood(), theta + s * steps).log_likelihood for s in (1, -1)]
    slope = (around[0] - around[1]) / (2.0 * np.diag(steps))
    np.testing.assert_allclose(found.gradient[0], slope, rtol=1e-3, atol=1e-3)


def simulated(problem, theta):
    """The prediction of each datum."""
    predictions = problem.ask(Prediction(), theta).values
    for series in problem.likelihood.series:
        yield predictions[0, series.time_index, series.observable]


def simulations(folder, expected):
    """Those of the case, in ascending order."""
    (file,) = expected["simulation_files"]
    header, *rows = [line.split("\t") for line in (folder / file).read_text().splitlines()]
    return np.sort([float(row[header.index("simulation")]) for row in rows])


def chi_squared(problem, theta):
    """Squares of residuals over noise; on the logarithmic scale where the noise is."""
    predictions = problem.ask(Prediction(), theta).values
    total = 0.0
    for series in problem.likelihood.series:
        at_cells = predictions[:, series.time_index, :]
        f = at_cells[:, :, series.observable]
        (scale,) = series.arguments.values(theta, at_cells)
        log = series.noise.name.startswith("log")
        apart = np.log(series.values) - np.log(f) if log else series.values - f
        total += float(((apart / scale) ** 2).sum())
    return total


@pytest.mark.skipif(not DRAFTS, reason="petabtests is not installed")
def test_the_draft_of_the_second_version_is_refused_with_its_reason():
    """The package holds a draft, whose tables are not those of the final format."""
    for path in DRAFTS:
        with pytest.raises(InputError, match="a draft of version 2"):
            load_spec(path.parent / f"_{path.parent.name}.yaml")
