"""Files: written whole or not at all; text that people hand over, of bounded size, in UTF-8."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nfanneal.errors import Complaint, InputError, Location, OutputError

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


def read_bytes(path: Path, most: int, error: type[InputError], what: str) -> bytes:
    """The content of a regular file of at most `most` bytes; `what` it is goes into the messages.

    A pipe could keep the reader waiting for ever, and a device such as /dev/zero never ends.

    Raises:
        InputError: of the class `error`: it is not there, not such a file, or too large.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise error(f"{path}: is a folder, not a {what}")
        if not stat.S_ISREG(found.st_mode):
            hint = "write it to a file first"
            raise error([Complaint(f"{path}: is a pipe or a device, not a {what}", hint=hint)])
        if found.st_size > most:
            raise error(f"{path}: {found.st_size:,} bytes; a {what} has at most {most:,}")
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except FileNotFoundError:
        raise error(f"{path}: no such {what}") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{path}: cannot be read: {reason}") from problem
    if len(raw) > most:  # files of /proc say that they have 0 bytes
        raise error(f"{path}: more than {most:,} bytes; a {what} has no more")
    return raw


def decoded(raw: bytes, path: Path, error: type[InputError]) -> str:
    """UTF-8 text, with or without a byte order mark.

    Raises:
        InputError: of the class `error`, with the place of the first wrong byte.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        start = raw.rfind(b"\n", 0, problem.start) + 1
        line = raw.count(b"\n", 0, start) + 1
        column = len(raw[start : problem.start].decode("utf-8", errors="ignore")) + 1
        shown = f"the byte 0x{raw[problem.start]:02x}"
        hint = "save the file as UTF-8"
        where = Location(str(path), line, column)
        raise error([Complaint(f"not UTF-8 text ({shown})", where, hint)]) from problem
