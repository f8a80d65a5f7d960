"""Text files that people hand over: regular files of bounded size, in UTF-8."""

from __future__ import annotations

import stat
from pathlib import Path

from nfanneal.errors import Complaint, InputError, Location


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
