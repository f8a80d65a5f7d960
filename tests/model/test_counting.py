"""Observables that count since the datum before, against closed forms and differences."""

import csv
import math

import numpy as np
import pytest
import yaml
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nfanneal import load
from nfanneal.errors import SpecError
from nfanneal.model.counting import Counted, Counting, between
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

RATE = """
model:
  kind: ode
  states: {x: x0}
  equations: {x: -k*x}
  observables:
    left: x
    lost: {since_last: scale*k*x}
  constants: {scale: 2}
parameters:
  k: {prior: {uniform: [0.1, 1]}}
  x0: {prior: {uniform: [50, 150]}}
data: {file: d.csv}
likelihood: {left: {normal: 1}, lost: poisson}
"""
LEFT = {0.5: 80.0, 2.0: 40.0, 3.5: 20.0}
LOST = {1.0: 70, 2.0: 50, 4.0: 40}


@pytest.fixture
def spec(tmp_path):
    times = sorted({*LEFT, *LOST})
    rows = [f"{t},{LEFT.get(t, '')},{LOST.get(t, '')}" for t in times]
    (tmp_path / "d.csv").write_text("\n".join(["t,left,lost", *rows, ""]))
    (tmp_path / "spec.yaml").write_text(RATE)
    return tmp_path / "spec.yaml"


def sums(k, x0, t):
    """2·∫ k·x dt from 0 to t."""
    return 2.0 * x0 * (1.0 - math.exp(-k * t))


def test_counts_are_those_between_an_observables_own_data(spec):
    problem = build_problem(load_spec(spec))
    theta = np.array([[0.4, 100.0], [0.7, 90.0]])
    found = problem.likelihood.evaluate(theta, False).log_likelihood
    for (k, x0), log_likelihood in zip(theta, found, strict=True):
        left = [stats.norm(x0 * math.exp(-k * t), 1.0).logpdf(y) for t, y in LEFT.items()]
        times = [0.0, *LOST]
        lost = [
            stats.poisson(sums(k, x0, after) - sums(k, x0, before)).logpmf(y)
            for before, after, y in zip(times, times[1:], LOST.values(), strict=False)
        ]
        assert log_likelihood == pytest.approx(sum(left) + sum(lost), abs=1e-3)


def test_their_gradient_is_that_of_differences(spec):
    problem = build_problem(load_spec(spec)).tightened(1e4)
    theta, step = np.array([[0.4, 100.0]]), np.array([1e-5, 1e-3])
    slope = problem.likelihood.evaluate(theta, True).gradient[0]
    for i in range(2):
        moved = np.repeat(theta, 2, axis=0)
        moved[:, i] += [step[i], -step[i]]
        up, down = problem.likelihood.evaluate(moved, False).log_likelihood
        assert slope[i] == pytest.approx((up - down) / (2.0 * step[i]), rel=1e-5)


def test_each_experiment_counts_by_its_own_data(tmp_path):
    (tmp_path / "a.csv").write_text("t,lost\n1,70\n3,60\n")
    (tmp_path / "b.csv").write_text("t,lost\n2,90\n")
    text = RATE.replace("data: {file: d.csv}\n", "").replace("left: {normal: 1}, ", "")
    both = "experiments: {a: {data: {file: a.csv}}, b: {data: {file: b.csv}}}\n"
    (tmp_path / "spec.yaml").write_text(text + both)
    problem = build_problem(load_spec(tmp_path / "spec.yaml"))
    values = problem.likelihood.predict(np.array([[0.5, 100.0]])).values[0, :, 1]
    expected = [
        sums(0.5, 100.0, 1.0),
        sums(0.5, 100.0, 3.0) - sums(0.5, 100.0, 1.0),
        sums(0.5, 100.0, 2.0),
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


increasing = st.sets(st.integers(0, 20), min_size=1, max_size=8).map(
    lambda values: np.array(sorted(values), dtype=float)
)


@given(increasing, increasing)
@settings(deadline=None)
def test_what_is_counted_began_at_the_datum_before(asked, own):
    counted = Counted(1, own)
    counting = Counting(asked, (counted,))
    found = counting.of(np.stack([counting.solved, counting.solved**2], axis=1)[None])
    np.testing.assert_array_equal(found[0, :, 0], asked)
    for time, count in zip(asked, found[0, :, 1], strict=True):
        earlier = own[own < time]
        assert count == time**2 - (earlier[-1] ** 2 if len(earlier) else 0.0)


@given(increasing, increasing)
@settings(deadline=None)
def test_counts_from_one_time_to_the_next_are_differences_of_sums(asked, own):
    counted, times = Counted(0, own), np.union1d(asked, own)
    since_data = Counting(times, (counted,)).of((times**2)[None, :, None])[:, :, 0]
    found = between(counted, times, since_data, np.searchsorted(times, asked))
    np.testing.assert_allclose(found[0, 1:], np.diff(asked**2))
    earlier = own[own < asked[0]]
    assert found[0, 0] == asked[0] ** 2 - (earlier[-1] ** 2 if len(earlier) else 0.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"initial": "steady_state"}, "counts since the last datum, which has no steady state"),
        ({"observables": {"lost": {"since_last": "2*y"}}}, "unknown name 'y'"),
        ({"observables": {"x": {"since_last": "k*x"}}}, "'x' is a state"),
        ({"observables": {"lost": {"since": "x"}}}, "since"),
        ({"observables": {"lost": {}}}, "since_last"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_its_place(spec, change, told):
    given_spec = yaml.safe_load(RATE)
    given_spec["model"] |= change
    if "observables" in change:
        given_spec["likelihood"] = dict.fromkeys(change["observables"], "poisson")
    spec.write_text(yaml.safe_dump(given_spec, sort_keys=False))
    with pytest.raises(SpecError) as error:
        build_problem(load_spec(spec))
    assert told in str(error.value)
    assert "spec.yaml:" in str(error.value)


def test_nothing_is_counted_at_the_start(spec):
    (spec.parent / "d.csv").write_text("t,left,lost\n0,100,7\n1,80,70\n")
    with pytest.raises(SpecError, match="at the model's start, 0, where nothing has been counted"):
        build_problem(load_spec(spec))


def test_counts_do_not_go_with_data_at_infinity(spec):
    (spec.parent / "d.csv").write_text("t,left,lost\n1,80,70\ninf,0,\n")
    with pytest.raises(SpecError, match="with data at time inf it has no end"):
        build_problem(load_spec(spec))


def test_a_run_predicts_at_its_data_and_from_one_time_to_the_next(spec, monkeypatch, capsys):
    monkeypatch.chdir(spec.parent)
    run("run", "spec.yaml", "-o", "r.h5", "--quiet", "--threads", "1")
    run("predict", "r.h5", "-o", "at_data.h5", "--threads", "1")
    run("predict", "r.h5", "-o", "asked.h5", "--times", "1.5,3,4,6,7", "--threads", "1")
    run("predict", "r.h5", "-o", "asked.csv", codes=(2,))
    draws, predicted = load("r.h5").posterior, {}
    for name in ("at_data", "asked"):
        rows = csv.DictReader((spec.parent / f"{name}.csv").read_text().splitlines())
        for row in rows:
            if row["noise"] == "without":
                own = predicted.setdefault((name, row["observable"]), {})
                own[float(row["time"])] = float(row["mean"])
    assert len(predicted["at_data", "left"]) > 100
    expected = {
        "at_data": [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0)],
        "asked": [(1.0, 1.5), (1.5, 3.0), (3.0, 4.0), (4.0, 6.0), (6.0, 7.0)],
    }
    for name, intervals in expected.items():
        assert [*predicted[name, "lost"]] == [end for _, end in intervals]
        for begin, end in intervals:
            exact = np.mean([sums(k, x0, end) - sums(k, x0, begin) for k, x0 in draws])
            assert predicted[name, "lost"][end] == pytest.approx(exact, rel=0.02)
