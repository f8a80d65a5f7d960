"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nfanneal.errors import OutputError

ADVICE = {
    errno.ENOSPC: "free some space, or name another --output",
    errno.EDQUOT: "free some of your quota, or name another --output",
    errno.EFBIG: "the limit on the size of files is too low (ulimit -f)",
    errno.ENOENT: "its folder is not there any more",
    errno.EACCES: "you may not write there; name another --output",
    errno.EROFS: "nothing can be written there; name another --output",
}


@contextmanager
def replaced(path: Path, previous: Path | None = None) -> Iterator[Path]:
    """A temporary file beside `path`; fsynced and renamed to it when all went well.

    What was at `path` goes to `previous` then, if that is given.

    Raises:
        OutputError: the folder does not exist or cannot be written, or the disk is full.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot write here: {why(error)}") from error
    temporary = Path(name)
    try:
        os.close(handle)
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        if previous is not None and path.exists():
            path.replace(previous)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: writing failed: {why(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, *parts: bytes, previous: Path | None = None) -> None:
    """Write `parts` one after the other to `path`, as `replaced` does.

    Raises:
        OutputError: they cannot be written.
    """
    with replaced(path, previous) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(part)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that a killed process left."""
    leftover = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # names of mkstemp
    for found in path.parent.iterdir():
        if leftover.fullmatch(found.name):
            found.unlink(missing_ok=True)


def why(error: OSError) -> str:
    """What an operating system's error means for the user."""
    said = error.strerror or str(error)
    advice = ADVICE.get(error.errno or 0)
    return f"{said}; {advice}" if advice else said


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
