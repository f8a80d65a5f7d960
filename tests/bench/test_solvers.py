"""`nfanneal bench engine`: costs and errors of ODE solvers, peers that are there or not."""

import json

import numpy as np
import pytest
from commands import inside

from nfanneal.bench.solvers import engine, solvers
from nfanneal.bench.solvers.solvers import SOLVERS, Batch, Solver
from nfanneal.bench.solvers.systems import SYSTEMS
from nfanneal.bench.solvers.truth import true_sensitivities, true_values


@pytest.fixture(scope="module", autouse=True)
def few_rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "OWN_ROWS", 32)
        yield


def test_costs_errors_and_missing_peers(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SOLVERS, "absent", Solver("no_such_module", "nosuch", 1, None))
    monkeypatch.setitem(SOLVERS, "broken", Solver("scipy", "scipy", 1, lambda *_: 1 / 0))
    output = tmp_path / "engine.json"
    options = ("--only", "sir", "--against", "scipy,absent,broken", "-o", output)
    code, out, err = inside(capsys, "bench", "engine", *options)
    assert code == 0
    assert "CPU time per trajectory" in out
    assert "[bold]" not in out
    assert "absent: not installed: pip install nosuch" in out
    assert "broken: failed: ZeroDivisionError" in out
    assert f"written to {output}" in err
    found = json.loads(output.read_text())
    own, scipy, absent, _ = found["costs"]
    for cost in (own, scipy):
        assert cost["outcome"] == "done"
        assert cost["error"] < 100
        assert cost["gradient_error"] < 1e-4
        assert cost["value"] > 0
        assert cost["gradient"] > 0
    assert own["times_value"] == 1.0
    assert scipy["times_value"] == pytest.approx(scipy["value"] / own["value"])
    assert absent["value"] is None
    (through,) = found["throughput"]
    assert through["failed"] == 0.0
    assert through["prior"] > 0
    assert through["speedup"] > 0


def test_no_explicit_method_is_tried_on_a_stiff_system(monkeypatch):
    """Its gradient would fill the memory: the others' rows are to be seen, too."""
    sizes = len(SYSTEMS["robertson"].times), 3, 3
    truth = np.ones(sizes[:2]), np.ones(sizes)
    monkeypatch.setattr(engine, "true_sensitivities", lambda *_: truth)
    monkeypatch.setattr(engine, "own_batch", lambda *_: 1 / 0)
    for name, explicit in (("explicit", True), ("implicit", False)):
        monkeypatch.setitem(SOLVERS, name, Solver("scipy", "scipy", 1, lambda *_: 1 / 0, explicit))
    _, first, second = engine.costs(["robertson"], ["explicit", "implicit"], 1)
    assert (first.outcome, first.message) == ("not suited", "its method is explicit")
    assert second.outcome == "failed"


def test_wrong_results_are_seen(capsys, monkeypatch):
    known = SYSTEMS["sir"]
    wrong = np.broadcast_to(true_values(known, known.mode), (1, 14, 2)) + 1.0
    batch = Batch(lambda _: wrong, None)
    monkeypatch.setitem(SOLVERS, "wrong", Solver("scipy", "scipy", 1, lambda *_: batch))
    options = ("--only", "sir", "--against", "wrong", "--json")
    _, out, _ = inside(capsys, "bench", "engine", *options)
    cost = json.loads(out)["costs"][1]
    assert cost["error"] == pytest.approx(1.0 / (1e-6 + 1e-6 * 290.47), rel=1e-3)
    assert cost["gradient"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--only", "lorenz"), "--only: no 'lorenz'"),
        (("--against", "matlab"), "--against: no 'matlab'"),
        (("--only", "none", "--against", "none"), "nothing to solve"),
    ],
)
def test_wrong_words_are_refused(options, message, capsys):
    code, _, err = inside(capsys, "bench", "engine", *options)
    assert code == 2
    assert message in err


def test_help_has_an_example_and_an_old_file_is_kept(tmp_path, capsys):
    code, out, _ = inside(capsys, "bench", "engine", "--help")
    assert code == 0
    assert "nfanneal bench engine" in out.split("Example:")[1]
    (tmp_path / "engine.json").touch()
    code, _, err = inside(capsys, "bench", "engine", "-o", tmp_path / "engine.json")
    assert code == 3
    assert "engine.json" in err


@pytest.mark.parametrize("name", ["casadi", "diffrax", "torchode", "roadrunner"])
@pytest.mark.parametrize("system", ["sir", "repressilator", "goodwin"])
def test_peers_solve_the_same_problem(name, system):
    solver, known = solvers.SOLVERS[name], SYSTEMS[system]
    if not solver.installed:
        pytest.skip(f"{solver.distribution} is not installed")
    values, slopes = true_sensitivities(known, known.mode)
    weights = np.ones_like(values)
    batch = solver.prepare(known, weights, 1)
    theta = known.near_mode(4, np.random.default_rng(0))
    np.testing.assert_allclose(batch.values(theta)[0], values, rtol=1e-3, atol=1e-4)
    if batch.gradient:
        expected = np.einsum("mk,mkp->p", weights, slopes)
        found = batch.gradient(theta)[0]
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())
