"""Processes of programs: started, waited for with a deadline, and ended with all their children."""

from __future__ import annotations

import atexit
import contextlib
import errno
import math
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from nfanneal.errors import ModelError

TOLD_LINES, TOLD_CHARACTERS = 3, 160
"""Of what a failed call wrote to stderr."""
MARK = "NFANNEAL_CALLED_BY"
"""A variable that tells whose call a process, or one that it started, belongs to."""
_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()


class _Stops:
    """How often all processes were ended at once."""

    count: int = 0


class EndedError(ModelError):
    """All processes were ended at once: that a draw has no answer says nothing of it."""


def times_stopped() -> int:
    """How often all processes were ended at once."""
    return _Stops.count


def started(
    words: Sequence[str], *, shell: bool, environment: Mapping[str, str], **streams: Any
) -> subprocess.Popen[bytes]:
    """A process in a group of its own: a Ctrl-C at the terminal is not for it.

    Raises:
        ModelError: there is no such program, or it may not be run.
    """
    command: Any = words[0] if shell else list(words)
    try:
        process = subprocess.Popen(
            command,
            shell=shell,
            env={**os.environ, **environment, MARK: str(os.getpid())},
            start_new_session=True,
            **streams,
        )
    except OSError as error:
        shown = f"{error.strerror or error}"
        if error.errno == errno.ENOEXEC:
            shown += ": does its first line say #! and an interpreter?"
        raise ModelError(f"the program cannot be started: {words[0]}: {shown}") from error
    except ValueError as error:
        raise ModelError(f"the program cannot be started: {error}") from error
    with _lock:
        _running.add(process)
    return process


def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for its end; whether it came in time. Its number stays its own until it is put away."""
    if process.returncode is not None:
        return True
    try:
        watched = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not on this system
        return _ended_by_looking(process, seconds)
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        return bool(poll.poll(None if math.isinf(seconds) else max(1000.0 * seconds, 0.0)))
    finally:
        os.close(watched)


def _ended_by_looking(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline, pause = time.monotonic() + seconds, 0.001
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, process.pid, how) is None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(2.0 * pause, 0.02)
    return True


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started; somebody else puts it away."""
    if process.returncode is None:  # nobody else has its number yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def put_away(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started and left behind."""
    kill(process)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    with _lock:
        _running.discard(process)


def put_all_away() -> None:
    """End all processes, at once, wherever somebody waits for them."""
    with _lock:
        _Stops.count += 1
        for process in _running:
            kill(process)


@atexit.register
def _leave_none() -> None:
    with _lock:
        left = list(_running)
    for process in left:
        put_away(process)


def running_still() -> int:
    """Processes that calls have started and that run on, those aside that stay to be asked.

    Nothing is known of them where there is no /proc.
    """
    with _lock:
        known = {process.pid for process in _running}
    mark = f"{MARK}={os.getpid()}".encode()
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stays = os.getpgid(int(folder.name)) in known
            found += not stays and mark in (folder / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):  # it has ended, or is somebody else's
            continue
    return found


def status_in_words(code: int) -> str:
    """How a process ended."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def last_lines(text: str) -> str:
    """The end of what was written to stderr, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][-TOLD_LINES:]
    return " | ".join(lines)[-TOLD_CHARACTERS:]


def with_stderr(reason: str, text: str) -> str:
    """A reason, and the end of what was written to stderr."""
    told = last_lines(text)
    return f"{reason}; stderr: {told}" if told else reason


def tail(file: IO[bytes], most: int = 4096) -> str:
    """The end of a file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - most, 0))
    return file.read().decode(errors="replace")
