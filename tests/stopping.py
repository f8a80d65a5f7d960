"""Runs that are stopped and resumed: a small problem, its processes, and how files are compared."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import run
from processes import PYTHON, begin, finish

from nfanneal.report.progress import PlainProgress
from nfanneal.runs import signals

MODEL = """
import time
import numpy as np
def line(p, times):
    time.sleep(0.04)
    return {"y": p["a"][:, None] + p["b"][:, None] * times}
"""
SPEC = """
name: slow
model: {kind: python, file: model.py, simulate: line, array: numpy, batch: 128}
parameters:
  a: {prior: {normal: [0, 1]}}
  b: {prior: {normal: [0, 2]}}
data: {file: data.csv, time: x}
likelihood: {y: {normal: 0.3}}
anneal: {draws: 512, steps: 15, max_rounds: 1, moves: 0, scout: "off", walkers: 0}
output: {samples: 1000, checkpoint: 0.1s}
"""
TIMES = {"wall_time_s", "finished", "profile", "command", "seconds", "content_sha256"}
"""Attributes that two runs of one problem may differ in; the checksum is of these, too."""


def write_problem(folder: Path) -> Path:
    (folder / "model.py").write_text(MODEL)
    (folder / "data.csv").write_text("x,y\n0,0.1\n0.3,0.5\n0.6,0.9\n1,1.4\n")
    (folder / "slow.yaml").write_text(SPEC)
    return folder / "slow.yaml"


def started(*arguments: object, folder: Path | None = None) -> subprocess.Popen[str]:
    """`nfanneal run` in a process of its own, with one thread."""
    return begin([*PYTHON, "run", *arguments, "--threads", 1], cwd=folder)


def stopped(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal; the exit code and what was said on stderr."""
    os.kill(process.pid, number)
    _, said = finish(process)
    return process.returncode, said


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something holds, or the process has ended."""
    while process.poll() is None and not condition():
        time.sleep(0.02)


def written(path: Path) -> int:
    """When; 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


@contextmanager
def once_written(path: Path, act: Callable[[], object]) -> Iterator[None]:
    """A run in this process `act`s once it has written a file anew.

    On a busy machine it may take its time to stop, else it would end this process, too.
    """
    before, show, acted = written(path), PlainProgress.__call__, []

    def acting(self: PlainProgress, event: object) -> None:
        show(self, event)
        if not acted and written(path) not in (0, before):
            acted.append(True)
            act()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "GRACE", 600.0)
        patch.setattr(PlainProgress, "__call__", acting)
        yield
    assert acted


def begun(config: Path, output: Path) -> None:
    """Begin a run, and stop it when it has a checkpoint."""
    checkpoint = output.with_name(f"{output.name}.checkpoint")
    with once_written(checkpoint, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        often = ("--set", "output.checkpoint=0.1s")
        run("run", config, "-o", output, *often, "--threads", 1, codes=(77,))


def content(path: Path) -> dict[str, object]:
    """All datasets and attributes of a file, but those about times and the command."""
    found: dict[str, object] = {}

    def take(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype, item[()].tobytes(), item.shape)
        for key, value in item.attrs.items():
            if key in TIMES or key in {"REFERENCE_LIST", "DIMENSION_LIST"}:
                continue
            found[f"{name}@{key}"] = (
                np.asarray(value).tobytes() if not isinstance(value, str) else value
            )

    with h5py.File(path) as file:
        take("/", file)
        file.visititems(take)
    return found


def differences(first: Path, second: Path) -> list[str]:
    """Names of what two files differ in."""
    one, other = content(first), content(second)
    return [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
