"""Signals, the time limit and kill -9: exit codes, words, and what is left to go on from."""

import functools
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from commands import inside
from processes import finish, script
from stopping import (
    differences,
    once_written,
    started,
    stopped,
    until,
    write_problem,
    written,
)

from nfanneal.runs import checkpoint_file, signals
from nfanneal.runs.checkpoint_file import checkpoint_path

HANGING = """
import ctypes, os, pathlib
def line(p, times):
    y = {"y": p["a"][:, None] + p["b"][:, None] * times}
    calls = pathlib.Path(__file__).with_name("calls")
    calls.write_text("." + (calls.read_text() if calls.exists() else ""))
    if len(calls.read_text()) == 18:
        ctypes.CDLL(None).sleep(100)  # C that no Python handler interrupts
    return y
"""
STOPS = {
    signal.SIGTERM: 77,
    signal.SIGUSR1: 77,
    signal.SIGUSR2: 77,
    signal.SIGINT: 130,
    signal.SIGKILL: -9,
}


def test_a_run_stopped_by_every_signal_ends_with_the_same_bits(
    whole, tmp_path, capsys, monkeypatch
):
    """That which kills goes to a process of its own, as do those of other tests."""
    spec, output = whole / "slow.yaml", tmp_path / "cut.h5"
    go_on = (spec, "-o", output, "--resume")
    for i, (number, exit_code) in enumerate(STOPS.items()):
        if number == signal.SIGKILL:
            process = started(*go_on, "auto")
            claimed_by(process, output)
            written_again(checkpoint_path(output), process)
            code, said = stopped(process, number)
        else:
            words = ["run", *map(str, go_on), "auto", "--threads", "1"]
            monkeypatch.setattr(sys, "argv", ["nfanneal", *words])
            with once_written(
                checkpoint_path(output), functools.partial(os.kill, os.getpid(), number)
            ):
                code, _, said = inside(capsys, *words)
        assert code == exit_code, said
        assert ("going on at level" in said) == (i > 0)
        if number != signal.SIGKILL:
            assert f"{number.name}: stopping" in said
            assert f"written to {output}.checkpoint; go on with:" in said
            assert f"-o {output} --resume auto --threads 1" in said
            assert not (tmp_path / "cut.h5.lock").exists()
        assert not output.exists()
    code, _, said = inside(capsys, "run", *go_on, "--quiet", "--threads", 1)
    assert code == 0, said
    assert "going on at level" in said
    assert differences(whole / "whole.h5", output) == []
    assert [path.name for path in tmp_path.iterdir()] == ["cut.h5"]


def written_again(path, process):
    """Wait until a checkpoint is written, or the process is gone."""
    before = written(path)
    until(lambda: written(path) not in (0, before), process)


def killed_again_and_again(kills, whole, folder, seed):
    """Stop one run `kills` times at random moments; where it has finished, stop the next one."""
    chance = random.Random(seed)
    spec, output = whole / "slow.yaml", folder / "cut.h5"
    done = 0
    for _ in range(kills):
        process = started(spec, "-o", output, "--resume", "auto")
        claimed_by(process, output)
        time.sleep(chance.uniform(0.0, 1.2))
        if process.poll() is None:
            number = chance.choice(list(STOPS))
            code, said = stopped(process, number)
            assert code in (STOPS[number], 0), said
            assert "Traceback" not in said
            done += code != 0
        if output.exists():
            assert differences(whole / "whole.h5", output) == []
            output.unlink()
    process = started(spec, "-o", output, "--resume", "auto")
    assert "Traceback" not in finish(process)[1]
    assert differences(whole / "whole.h5", output) == []
    assert [path.name for path in folder.iterdir()] == ["cut.h5"]
    return done


def claimed_by(process, output):
    lock = output.with_name(f"{output.name}.lock")
    while process.poll() is None:
        if lock.exists() and f'"pid": {process.pid},' in lock.read_text():
            return
        time.sleep(0.01)


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_with_the_same_bits(whole, tmp_path):
    assert killed_again_and_again(20, whole, tmp_path, seed=2) > 15


def test_a_model_that_hangs_in_c_is_left_after_seconds(tmp_path):
    """The main thread never comes back: the watch writes what there is, and ends the process."""
    spec = write_problem(tmp_path)
    (tmp_path / "model.py").write_text(HANGING)
    output = tmp_path / "cut.h5"
    process = started(spec, "-o", output, "--set", "output.checkpoint=off")
    calls = tmp_path / "calls"
    while process.poll() is None and not (calls.exists() and len(calls.read_text()) == 18):
        time.sleep(0.02)
    code, said = stopped(process, signal.SIGTERM)
    assert code == 77, said
    assert "written to" in said
    plain, _ = checkpoint_file.latest_checkpoint(output)
    level = plain.layout["run"]["level"]
    evaluations = plain.layout["run"]["n_evaluations"]
    assert level > 0
    assert evaluations + 128 * len(plain.layout["run"]["answers"]) >= 11 * 100
    assert not (tmp_path / "cut.h5.lock").exists()


def test_interrupting_twice_leaves_at_once(tmp_path):
    spec = write_problem(tmp_path)
    model = tmp_path / "model.py"
    asked = tmp_path / "asked"
    waits = f"open({str(asked)!r}, 'w').close(); time.sleep(600)"
    model.write_text(model.read_text().replace("time.sleep(0.04)", waits))
    process = started(spec, "-o", tmp_path / "cut.h5")
    until(asked.exists, process)
    os.kill(process.pid, signal.SIGINT)
    until(lambda: "SIGINT: stopping" in process.stderr.readline(), process)
    code, said = stopped(process, signal.SIGINT)
    assert code == 130
    assert "interrupted again: leaving at once" in said


def test_the_time_limit_counts_from_the_start_of_the_process():
    """Also the seconds before anything of nfanneal was imported."""
    code = (
        "import time; time.sleep(1.5)\n"
        "from nfanneal.runs.signals import process_age\n"
        "assert process_age() > 1.5"
    )
    done = script(code)
    assert done.returncode == 0, done.stderr


def test_a_run_ends_in_time_with_a_checkpoint(tmp_path, capsys, monkeypatch):
    """Half of the time is kept for stopping: 9 s are left when the run begins.

    Two calls of a second are timed, five see whether the model is a function; a level takes four.
    """
    spec = write_problem(tmp_path)
    model = tmp_path / "model.py"
    model.write_text(model.read_text().replace("0.04", "1.0"))
    monkeypatch.setattr(signals, "GRACE", 600.0)  # else a busy machine might end this process
    monkeypatch.setattr(signals, "process_age", lambda: 100.0)
    limit = "218s"
    before = signal.getsignal(signal.SIGINT)
    options = ("-o", tmp_path / "cut.h5", "--max-time", limit, "--threads", 1)
    code, _, said = inside(capsys, "run", spec, *options)
    assert code == 77, said
    assert "the time limit (--max-time): stopping" in said
    assert "cut.h5.checkpoint; go on with:" in said
    assert checkpoint_file.latest_checkpoint(tmp_path / "cut.h5")[0].layout["run"]["level"] == 0
    assert signal.getsignal(signal.SIGINT) is before


def handles(process, number):
    """Whether the process has a handler for a signal: what Linux tells, a bit for each."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE).group(1), 16)
    return bool(caught >> (number - 1) & 1)


def test_a_signal_before_the_run_began_has_the_same_exit_code(tmp_path):
    process = started(write_problem(tmp_path), "-o", tmp_path / "cut.h5")
    until(lambda: handles(process, signal.SIGTERM), process)  # then come most of the imports
    code, said = stopped(process, signal.SIGTERM)
    assert code == 77
    assert "stopped before" in said


@pytest.mark.parametrize("delay", [0.0, pytest.param(0.1, marks=pytest.mark.long), 0.3])
def test_a_signal_after_the_result_is_written_changes_nothing(delay, whole, tmp_path):
    output = tmp_path / "x.h5"
    process = started(whole / "slow.yaml", "-o", output)
    until(output.exists, process)
    time.sleep(delay)
    code, said = stopped(process, signal.SIGTERM)
    assert code == 0, said
    assert "stopp" not in said
    assert differences(whole / "whole.h5", output) == []


def test_a_forked_child_of_a_model_can_be_terminated(tmp_path):
    """A pool of a user's model ends its children by SIGTERM: that is none of the run's business."""
    spec = write_problem(tmp_path)
    (tmp_path / "model.py").write_text(
        "import os, pathlib, signal, time\n"
        "def line(p, times):\n"
        "    y = {'y': p['a'][:, None] + p['b'][:, None] * times}\n"
        "    marker = pathlib.Path(__file__).with_name('forked')\n"
        "    if marker.exists():\n        return y\n"
        "    marker.touch()\n    child = os.fork()\n"
        "    if not child:\n        time.sleep(100)\n        os._exit(0)\n"
        "    time.sleep(0.2)\n    os.kill(child, signal.SIGTERM)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM\n"
        "    return y\n"
    )
    options = ("--set", "anneal.draws=64", "--set", "output.samples=100", "--quiet")
    options += ("--set", "anneal.max_levels=1", "--set", "anneal.scout=off")
    process = started(spec, "-o", tmp_path / "x.h5", *options)
    _, said = finish(process)
    assert process.returncode in (0, 5), said
    assert (tmp_path / "forked").exists()
