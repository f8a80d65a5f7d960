"""What a run is said to take before it begins."""

import time

import numpy as np
import pytest
from commands import inside

from nfanneal.anneal.progress import Expected
from nfanneal.runs import forecast
from nfanneal.runs.forecast import PRESETS, Speed, expected, speed_of
from nfanneal.runs.from_spec import run_checked
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import spec_from_text

SPEC = """
model: {kind: python, file: model.py, log_likelihood: f, array: numpy}
parameters: {x: {shape: 3, prior: {normal: [0, 1]}}}
anneal: {draws: 64, steps: 2, max_rounds: 1, walkers: 0}
output: {samples: 100}
"""
MODEL = "def f(p):\n    return -p['x'].sum(-1) ** 2\n"


@pytest.fixture
def checked(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    return spec_from_text(SPEC, tmp_path)


def test_time_is_that_of_the_calls_where_these_are_dear_and_of_flows_where_they_are_not(checked):
    problem = build_problem(checked)
    for preset in PRESETS:
        dear, cheap, slow = (
            expected(problem, preset, Speed(evaluations, step))
            for evaluations, step in ((0.1, 1e-9), (1e12, 5e-3), (1e12, 1e-2))
        )
        assert dear.seconds == pytest.approx(10.0 * dear.evaluations)
        assert slow.seconds == pytest.approx(2.0 * cheap.seconds)
    presets = ["frugal", "quick", "usual", "thorough"]
    counts = [expected(problem, p, Speed(1.0, 1.0)).evaluations for p in presets]
    assert counts == sorted(counts)


def test_a_slow_model_is_measured(tmp_path):
    (tmp_path / "model.py").write_text(
        f"import time\n{MODEL}".replace("    r", "    time.sleep(.2)\n    r")
    )
    problem = build_problem(spec_from_text(SPEC, tmp_path))
    assert speed_of(problem).evaluations < 512 / 0.2


def test_what_a_first_call_takes_is_no_rate(checked, monkeypatch):
    """By a clock of its own: 5 s for what is compiled at first, then a millisecond a draw."""
    problem, now, first = build_problem(checked), [0.0], [5.0]

    def evaluate(self, z, gradient):
        now[0] += 1e-3 * len(z) + (first.pop() if first else 0.0)

    monkeypatch.setattr(type(problem), "evaluate", evaluate)
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])
    assert speed_of(problem).evaluations == pytest.approx(1000.0)


def test_a_run_says_it_first(checked):
    seen = []
    run_checked(checked, threads=1, observe=seen.append)
    told = [event for event in seen if isinstance(event, Expected)]
    assert len(told) == 1
    assert seen.index(told[0]) == 0
    assert np.isfinite(told[0].seconds)


def test_check_says_it_for_every_preset_and_its_rates_are_the_best_of_several(
    checked, tmp_path, capsys, monkeypatch
):
    """The first of the timed batches is slow, as a busy machine makes some of them."""
    (tmp_path / "s.yaml").write_text(SPEC)
    clock, slept = time.perf_counter, [0]

    def perf_counter():
        slept[0] += 1
        return clock() + (1000.0 if slept[0] >= 4 else 0.0)

    monkeypatch.setattr("nfanneal.runs.check.time.perf_counter", perf_counter)
    code, out, _ = inside(capsys, "check", tmp_path / "s.yaml")
    assert code == 0
    assert all(f"\n{preset} " in out for preset in PRESETS)
    rate = out.split("evaluations per second")[1].split()[0]
    assert float(rate.replace(",", "")) > 1000


def test_a_log_file_has_what_is_shown_run_after_run(checked, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(SPEC)
    words = ("run", tmp_path / "s.yaml", "-o", tmp_path / "s.h5", "--log", tmp_path / "log")
    code, _, _ = inside(capsys, *words)
    assert code in (0, 5)
    first = (tmp_path / "log").read_text()
    assert "level   0  beta 0.000e+00" in first
    assert "log-evidence" in first
    assert str(tmp_path / "s.h5") in first
    assert inside(capsys, *words, "--force", "--quiet")[:2] == (code, "")
    both = (tmp_path / "log").read_text()
    assert both.startswith(first)
    assert both.count("level   0  beta") == 2
    code, _, err = inside(capsys, *words[:-1], tmp_path / "nowhere" / "log", "--force")
    assert (code, "--log" in err) == (3, True)
