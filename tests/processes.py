"""Processes that tests start: each in a group of its own, none of which outlives its test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE

PATIENCE = 600.0
"""Seconds after which a process hangs: many times what it takes on the busiest machine."""
PYTHON = (sys.executable, "-m", "nfanneal")

_begun: list[subprocess.Popen] = []


def begin(command, **more) -> subprocess.Popen:
    """Start it; `end_all` kills it and its children, should they be there still."""
    given = {"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE, "text": True} | more
    process = subprocess.Popen(list(map(str, command)), start_new_session=True, **given)
    _begun.append(process)
    return process


def finish(process: subprocess.Popen, words: str | None = None) -> tuple[str, str]:
    """Its stdout and stderr, once it has ended; `words` go to its stdin."""
    try:
        return process.communicate(words, timeout=PATIENCE)
    finally:
        end(process)


def completed(command, words: str | None = None, **more) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever its exit code."""
    process = begin(command, stdin=DEVNULL if words is None else PIPE, **more)
    out, err = finish(process, words)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def script(code: str, *arguments, folder: Path | None = None, **environment):
    """Run a text in a Python of its own, to its end; variables are added to those of this one."""
    command = [sys.executable, "-c", code, *arguments]
    return completed(command, cwd=folder, env=os.environ | environment)


def end(process: subprocess.Popen) -> None:
    """Kill it and whatever it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    _begun.remove(process)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has heard of yet has, too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state.rsplit(")", 1)[1].split()[0] == "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens at once, but for how busy the machine is."""
    until = time.monotonic() + PATIENCE / 4
    while not condition():
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.02)


def end_all() -> None:
    for process in tuple(_begun):
        end(process)
