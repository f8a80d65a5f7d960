"""What can go wrong, as the user sees it: exceptions that carry a message and an exit code."""

from __future__ import annotations

import difflib
import itertools
import signal
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every `nfanneal` command."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    INVALID = 3
    MODEL_FAILED = 4
    NOT_TRUSTED = 5
    CHECKPOINTED = 77
    INTERRUPTED = 130


STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that ask a run to stop with a checkpoint."""


@dataclass(frozen=True)
class Location:
    """A place in a text file; lines and columns count from 1."""

    file: str
    line: int
    column: int | None = None

    def __str__(self) -> str:
        column = "" if self.column is None else f":{self.column}"
        return f"{self.file}:{self.line}{column}"


LONGEST_MESSAGE = 1000


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong with an input: where, what, and what to do about it.

    What it quotes may be hostile: it is shown without control characters, and not without end.
    """

    message: str
    location: Location | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = "" if self.location is None else f"{_shown(str(self.location))}: "
        hint = "" if self.hint is None else f"\n  hint: {_shown(self.hint)}"
        return f"{place}{_shown(self.message)}{hint}"


def _shown(text: str) -> str:
    """The text for a terminal: escapes for what steers one or cannot be written, and an end."""
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE]} …"
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs") else ascii(c)[1:-1]
        for c in text
    )


class NfannealError(Exception):
    """Base of all errors that are meant for the user; `exit_code` ends the command."""

    exit_code: ExitCode = ExitCode.UNEXPECTED


class InputError(NfannealError):
    """Base of errors that list every complaint about an input at once."""

    exit_code = ExitCode.INVALID

    def __init__(self, complaints: Iterable[Complaint] | str) -> None:
        if isinstance(complaints, str):
            complaints = (Complaint(complaints),)
        self.complaints: tuple[Complaint, ...] = tuple(complaints)
        super().__init__("\n".join(str(complaint) for complaint in self.complaints))


class SpecError(InputError):
    """The YAML file, or something it says, is invalid."""


class PointError(InputError):
    """A point of the parameters that is none: a name is unknown, or one is missing."""

    exit_code = ExitCode.USAGE


class DataError(InputError):
    """A data file is missing, unreadable or invalid."""


class ResultError(InputError):
    """A result file is missing, not a result of nfanneal, or damaged; or it is in the way."""


class OutputError(ResultError):
    """A file could not be written: the disk is full, the folder is gone or must not be written."""

    exit_code = ExitCode.UNEXPECTED


class ModelError(NfannealError):
    """The user's model failed: it raised, has the wrong shape, or evaluated nowhere."""

    exit_code = ExitCode.MODEL_FAILED


class NowhereError(ModelError):
    """The likelihood is zero, or fails, at every draw from the prior."""


class ModelMemoryError(ModelError):
    """There is not enough memory for so many draws at once."""


class WorkersError(NfannealError):
    """Nobody is left who could ask the model, in the middle of a run."""


MOST_COMPARED, LONGEST_COMPARED = 500, 100
"""A search for the nearest name costs the product of both lengths, for every name."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the known name closest to `name`, if any of the first is close."""
    first = itertools.islice(known, MOST_COMPARED)
    close = difflib.get_close_matches(name[:LONGEST_COMPARED], first, n=1)
    return f"did you mean '{close[0]}'?" if close else None
