"""One run at a time into one output: a file that says who writes, and signs of life.

No lock of the operating system: those do not work on every network file system. On the same host
the process itself is looked for. On another one its sign of life is: the file's time changes every
few seconds. No clocks are compared.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nfanneal.errors import OutputError, ResultError
from nfanneal.runtime.files import why, write_bytes

BEAT = 5.0
"""Seconds between signs of life."""
SILENCE = 30.0
"""A run on another host that gives no sign for so long is gone."""
SETTLE = 0.2
"""Of two runs that take a claim over at once, the later one has it after so long."""


class Claim:
    """The file `OUTPUT.lock`, while this process has it."""

    def __init__(self, path: Path, token: str) -> None:
        self.path = path
        self._token = token

    def beat(self) -> None:
        """Give a sign of life, unless another run has taken over. Takes no space on a full disk."""
        self.check()
        with suppress(OSError):  # a folder that is gone is told where something is written
            os.utime(self.path)

    def check(self) -> None:
        """Is this still the run that writes? A file that was removed says nothing.

        Raises:
            ResultError: another run has taken over.
        """
        found = _read(self.path)
        if found is not None and found.about.get("token") != self._token:
            raise ResultError(f"{self.path}: another run has taken over; this one writes no more")

    def release(self) -> None:
        """Let the next run have it. Where that cannot be done, it sees that this one is gone."""
        with suppress(OSError, OutputError):
            found = _read(self.path)
            if found is not None and found.about.get("token") == self._token:
                self.path.unlink(missing_ok=True)


def claim(output: Path, wait: Callable[[str], None]) -> Claim:
    """Claim `output` for this process; `wait` is told if that takes a while.

    Raises:
        ResultError: another run has it.
        OutputError: its folder cannot be written.
    """
    path = output.with_name(f"{output.name}.lock")
    about = {**_self(), "token": uuid.uuid4().hex}
    text = json.dumps(about).encode()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        _refuse_living(path, output, wait)
        write_bytes(path, text)
        time.sleep(SETTLE)
    except OSError as error:
        raise OutputError(f"{output}: cannot write here: {why(error)}") from error
    else:
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise OutputError(f"{output}: cannot write here: {why(error)}") from error
    made = Claim(path, about["token"])
    made.check()
    return made


def refuse_claimed(output: Path) -> None:
    """Refuse an output that a living process on this host has claimed.

    Raises:
        ResultError: it has.
    """
    path = output.with_name(f"{output.name}.lock")
    found = _read(path)
    if found is not None and _here(found.about) and _lives(found.about):
        raise ResultError(_in_use(output, found.about, path))


@dataclass(frozen=True)
class _Sign:
    """What the file says, and when it was last touched."""

    about: dict[str, Any]
    touched: int


def _refuse_living(path: Path, output: Path, wait: Callable[[str], None]) -> None:
    """Return once the run that has the claim is known to be gone."""
    found = _read(path)
    if found is not None and _here(found.about):
        if _lives(found.about):
            raise ResultError(_in_use(output, found.about, path))
        return
    where = found.about.get("host", "another host") if found else "another host"
    wait(f"{path}: a run on {where} may be writing; looking for a sign of life ({SILENCE:.0f} s)")
    end = time.monotonic() + SILENCE
    while time.monotonic() < end:
        time.sleep(min(1.0, SILENCE / 10))
        now = _read(path)
        if now is None:
            return
        if now != found:
            raise ResultError(_in_use(output, now.about, path))


def _in_use(output: Path, about: dict[str, Any], path: Path) -> str:
    who = f"process {about.get('pid', '?')} on {about.get('host', '?')}"
    return (
        f"{output}: another run ({who}) is writing it; stop that one, name another --output, or, "
        f"if you know better, remove {path}"
    )


def _read(path: Path) -> _Sign | None:
    """What the file says; None if it is not there. Opening it asks the server, not a cache."""
    try:
        with path.open("rb") as file:
            text, touched = file.read(), os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {why(error)}") from error
    try:
        about = json.loads(text)
    except ValueError:
        about = None
    return _Sign(about if isinstance(about, dict) else {}, touched)


def _self() -> dict[str, Any]:
    return {"host": socket.gethostname(), "place": _place(), "pid": os.getpid(),
            "began": process_start(os.getpid())}  # fmt: skip


def _place() -> str:
    """Where process numbers mean the same: this boot of the host, and its process namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    names = [boot.read_text().strip() if boot.exists() else ""]
    names += [str(space.readlink()) if space.is_symlink() else ""]
    return " ".join(names)


def _here(found: dict[str, Any]) -> bool:
    return found.get("host") == socket.gethostname() and found.get("place") == _place()


def _lives(about: dict[str, Any]) -> bool:
    """Whether the process is there, and is the same: numbers are used again."""
    pid = about.get("pid")
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return about.get("began") == process_start(pid)


def process_start(pid: int) -> int | None:
    """When a process began, in clock ticks since the host did; None if it is dead, or untold."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(words[19]) if words[0] not in "ZX" else None
