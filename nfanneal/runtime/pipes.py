"""Standard output and standard error that somebody else closes, as `| head` does."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Patient(io.FileIO):
    """A file descriptor of a pipe: what is written after the reader has gone is lost silently."""

    def write(self, data: Any) -> int:
        """Write, or throw away."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let this process go on, and end as it would, when nobody reads its output any more."""
    sys.stdout = _patient(sys.stdout)
    sys.stderr = _patient(sys.stderr)


def _patient(stream: Any) -> Any:
    """The same stream, which ignores that its reader has gone; None stays None."""
    if stream is None:
        return None
    stream.flush()
    raw = _Patient(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream is sys.stderr,
    )
