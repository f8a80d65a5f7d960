"""What is shown of a run: about how long it still takes, and that it goes on."""

from __future__ import annotations

import io
import math
import re
import threading
import time

import pytest
from rich.console import Console

from nfanneal.anneal.progress import Activity, Expected, GoingOn, LevelInfo, seconds_left
from nfanneal.report.progress import LiveProgress, PlainProgress, roughly


def level(number, beta, seconds):
    return LevelInfo(number, beta, 1.0, 1.0, 1.0, 0.1, -1.0, 100, 0, 0, seconds)


def test_time_left_goes_by_how_fast_beta_grows():
    """A tenfold step takes two seconds: two more of them, and three levels more at the end."""
    path = [level(0, 0.0, 1.0), *(level(i, 10.0 ** (i - 5), 2.0 * i) for i in range(1, 4))]
    assert seconds_left(path) == pytest.approx(2.0 * (2 + 3))
    assert math.isnan(seconds_left(path[:2]))
    assert math.isnan(seconds_left([*path, *(level(4 + i, 0.01, 8.0 + i) for i in range(4))]))
    assert seconds_left([*path, level(4, 1.0, 9.0)]) == pytest.approx(3.0 * (9.0 - 2.0) / 3.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 s left"), (17.0, "about 20 s left"), (119.0, "about 100 s left"),
     (260.0, "about 4 min left"), (9000.0, "about 2 h left")],
)  # fmt: skip
def test_a_time_is_told_to_one_digit(seconds, words):
    assert roughly(seconds) == words


def test_a_log_says_that_more_effort_is_made_and_why():
    out = io.StringIO()
    shown = PlainProgress(Console(file=out, width=200))
    for event in (level(0, 0.0, 1.0), Activity("drawing", 0, 1), level(1, 0.1, 2.0),
                  level(2, 1.0, 3.0), GoingOn(2, "900 effective draws of 2,000"),
                  GoingOn(2, "a tail rests on 3 draws", part=True),
                  GoingOn(2, "an error of 0.03, not 0.02", patch=True)):  # fmt: skip
        shown(event)
    lines = out.getvalue().splitlines()
    assert len(lines) == 6
    assert "left" not in lines[0]
    assert "about 3 s left" in lines[2]
    assert lines[3] == (
        "not enough yet: 900 effective draws of 2,000; going on with 2 times the first effort"
    )
    assert lines[4] == "not enough yet: a tail rests on 3 draws; annealing a thin tail by itself"
    assert lines[5] == (
        "not enough yet: an error of 0.03, not 0.02; drawing anew where the flow hardly draws, too"
    )


def test_a_log_hears_once_a_minute_of_a_level_that_takes_long(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("nfanneal.report.progress.time.monotonic", lambda: now[0])
    out = io.StringIO()
    shown = PlainProgress(Console(file=out, width=200))
    for second in range(0, 200, 10):
        now[0] = float(second)
        shown(Activity("evaluating the model", second, 400))
    assert out.getvalue().splitlines() == [
        f"  evaluating the model, {second} of 400, {second} s" for second in (60, 120, 180)
    ]


def test_a_log_hears_once_a_minute_although_nothing_is_heard_of_the_run(monkeypatch):
    monkeypatch.setattr("nfanneal.report.progress.QUIET_SECONDS", 0.05)
    out = io.StringIO()
    with PlainProgress(Console(file=out, width=200)) as shown:
        shown(Activity("scouting for modes", 3, 8))
        while out.getvalue().count("\n") < 3:
            time.sleep(0.01)
    assert set(re.sub(r"\d+ s", "", out.getvalue()).splitlines()) == {
        "  scouting for modes, 3 of 8, "
    }
    while any(thread.name == "a line a minute" for thread in threading.enumerate()):
        time.sleep(0.01)


def test_what_is_expected_is_told_before_the_first_hour_is_lost():
    out = io.StringIO()
    shown = PlainProgress(Console(file=out, width=400))
    shown(Expected(183_200, 42.0))
    shown(Expected(183_200, 183_200 * 30.0))
    short, long = out.getvalue().splitlines()
    assert short.startswith("about 200,000 evaluations and 40 s, ")
    assert "frugal" not in short
    assert long.startswith("about 200,000 evaluations and 60 days, ")
    assert all(words in long for words in ("anneal.preset: frugal", "--workers", "nfanneal slurm"))


def test_a_terminal_shows_how_far_the_whole_run_is(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("nfanneal.report.progress.time.perf_counter", lambda: now[0])
    out = io.StringIO()
    console = Console(file=out, width=60, force_terminal=True, height=40)
    with LiveProgress(console, "growth") as shown:
        shown(Expected(50_000, 100.0))
        now[0] = 20.0
        shown(Activity("drawing", 3, 10))
        console.print(shown.shown())
        early = out.getvalue()
        for event in (level(0, 0.0, 1.0), level(1, 0.01, 10.0), level(2, 1.0, 30.0)):
            shown(event)
        console.print(shown.shown())
    assert "the whole run" in early
    assert "20 s, about 80 s left" in early
    assert "about 60 s left" in out.getvalue().removeprefix(early)
