"""Absolute tolerances by the states' own sizes: the same answer in every unit."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from nfanneal.model.ode_model import UNSCALED
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

TIMES = np.linspace(0.5, 10.0, 12)
K1, K2 = 0.8, 0.3


def exact(unit):
    return unit * K1 / (K2 - K1) * (np.exp(-K1 * TIMES) - np.exp(-K2 * TIMES))


def problem(folder, unit, **solver):
    """A → B → nothing from about `unit` of A, a parameter: one kernel serves all units."""
    rows = ["t,B", *(f"{t:.17g},{b:.17g}" for t, b in zip(TIMES, exact(unit), strict=True))]
    (folder / "b.csv").write_text("\n".join(rows))
    prior = {"prior": {"lognormal": [-0.7, 0.5]}}
    about = {"prior": {"uniform": [0.999 * unit, 1.001 * unit]}}
    spec = {
        "name": "chain",
        "model": {
            "kind": "ode",
            "states": {"A": "a0", "B": 0},
            "equations": {"A": "-k1*A", "B": "k1*A - k2*B"},
            "solver": solver,
        },
        "parameters": {"k1": prior, "k2": prior, "a0": about},
        "data": {"file": "b.csv"},
        "likelihood": {"B": {"normal": {"sigma": 0.01 * unit}}},
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return build_problem(load_spec(folder / "spec.yaml"))


def predicted(found, unit):
    simulator, times = found.likelihood.simulator, found.likelihood.times
    return simulator.predict(np.array([[K1, K2, unit]]), times, False).values[0, :, 1]  # B


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1.0, 1e6])
def test_a_model_has_the_same_digits_in_every_unit(unit, tmp_path):
    np.testing.assert_allclose(predicted(problem(tmp_path, unit), unit), exact(unit), rtol=3e-6)


def test_tolerances_are_in_proportion_to_each_state(tmp_path):
    (experiment,) = problem(tmp_path, 1e-9).likelihood.simulator.experiments
    sizes = np.array(experiment.settings.atol) / UNSCALED
    assert sizes[0] == pytest.approx(1e-9, rel=1e-2)  # A falls from there
    assert 0.3e-9 < sizes[1] < 0.9e-9


def test_a_tolerance_that_is_given_stands(tmp_path):
    found = problem(tmp_path, 1e-9, atol=1e-8, rtol=1e-4)
    (experiment,) = found.likelihood.simulator.experiments
    assert experiment.settings.atol == 1e-8
    assert np.abs(predicted(found, 1e-9) / exact(1e-9) - 1.0).max() > 1e-3  # as asked for


def test_tightening_divides_all_tolerances(tmp_path):
    found = problem(tmp_path, 1.0)
    (loose,) = found.likelihood.simulator.experiments
    (tight,) = found.tightened(100.0).likelihood.simulator.experiments
    assert tight.settings.rtol == pytest.approx(loose.settings.rtol / 100.0)
    np.testing.assert_allclose(tight.settings.atol, np.array(loose.settings.atol) / 100.0)
    assert found.tightened(100.0).tightened(10.0).tightening == 1000.0
    assert tight.settings.max_steps > loose.settings.max_steps
    (twice,) = found.tightened(10.0).tightened(10.0).likelihood.simulator.experiments
    assert twice.settings.max_steps == pytest.approx(tight.settings.max_steps, abs=2)
    assert twice.settings.rtol == pytest.approx(tight.settings.rtol)
