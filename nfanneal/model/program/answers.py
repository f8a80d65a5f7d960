"""What a program answered: a table of observables, or a number; or why that is none."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import STOPPING

LONGEST_REASON = 300
TIME_COLUMNS = ("t", "time")
SAME_TIME = 1e-9
"""Times that differ by less, as a share of what all of them span, are the same."""
ROUNDING = 8 * np.finfo(float).eps
"""… or by less as a share of the longest: the calendar's times are far from zero."""
DELIMITERS = "\t;, "
"""The first of them that a header has divides it: units may hold those behind it."""
FORTRAN = re.compile(r"^([-+0-9.]+)[dD](?=[-+0-9])")


class UnansweredError(Exception):
    """A call without an answer. `accident`: another one might have had it.

    `status` is that of a program that ended, as `subprocess` has it.
    """

    def __init__(self, reason: str, *, accident: bool = False, status: int | None = None) -> None:
        super().__init__(printable(reason)[:LONGEST_REASON])
        self.accident = accident
        self.status = status

    @property
    def from_elsewhere(self) -> bool:
        """Whether it was stopped by a signal that asks a run to stop: SLURM sends it to all."""
        return self.status is not None and -self.status in STOPPING


def printable(text: str) -> str:
    """A text on one line, without what would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


@dataclass(frozen=True)
class Said:
    """What a program says of a draw: observables (m, k), or log L alone (1, 1).

    `slope` (p,) is ∂ log L/∂θ, if that was asked for.
    """

    values: Array
    slope: Array | None = None


def table(text: str, times: Array, observables: Sequence[str], time: str) -> Array:
    """Observables (m, k) at `times` (m,), of a CSV or TSV text with a header.

    Without a column of the times there is a row for each of them, in their order. What could be
    read in two ways is no answer.

    Raises:
        UnansweredError: it is no such table.
    """
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("#")]
    if not lines:
        raise UnansweredError("the program answered nothing", accident=True)
    delimiter = next((d for d in DELIMITERS if d in lines[0].strip()), ",")
    rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    header, body = [name.strip() for name in rows[0]], rows[1:]
    _complain_of_shape(header, body, observables)
    columns = [_numbers(body, header.index(name), name) for name in observables]
    clock = _clock(header, observables, time)
    if clock is None:
        if len(body) != len(times):
            raise UnansweredError(
                f"the program's table has {len(body)} rows for {len(times)} times, and no column "
                f"'{time}' that says which they are"
            )
        return np.stack(columns, axis=1)
    values = np.stack(columns, axis=1)
    return _at_times(values, _numbers(body, clock, header[clock]), times)


def _complain_of_shape(
    header: Sequence[str], body: Sequence[Sequence[str]], observables: Sequence[str]
) -> None:
    for name in observables:
        if name not in header:
            shown = ", ".join(header)[:80]
            raise UnansweredError(f"the program's table has no column '{name}', but: {shown}")
        if header.count(name) > 1:
            raise UnansweredError(f"the program's table has several columns '{name}'")
    for row in body:
        cells = len(row) - (len(row) > len(header) and not row[-1].strip())
        if cells != len(header):
            raise UnansweredError(
                f"a row of the program's table has {cells} cells, its header {len(header)}: are "
                "there row names, or commas in numbers?"
            )


def _clock(header: Sequence[str], observables: Sequence[str], time: str) -> int | None:
    """The column of the times, by its name, without regard to case and to a unit behind it."""
    known = {time.lower(), *TIME_COLUMNS}
    plain = [re.split(r"[\s\[(/]", name.lower(), maxsplit=1)[0] for name in header]
    found = [
        i for i, name in enumerate(header)
        if name not in observables and (name == time or plain[i] in known)
    ]  # fmt: skip
    exact = [i for i in found if header[i] == time]
    if len(found) > 1 and len(exact) != 1:
        names = ", ".join(header[i] for i in found)
        raise UnansweredError(f"several columns of the program's table may be the time: {names}")
    return next(iter(exact or found), None)


def _numbers(body: Sequence[Sequence[str]], column: int, name: str) -> Array:
    found = np.empty(len(body))
    for i, row in enumerate(body):
        found[i] = _value(row[column].strip(), name)
    return found


def _value(cell: str, name: str) -> float:
    if cell.upper() == "NA":
        return math.nan
    try:
        return _number(cell)
    except ValueError:
        shown = cell[:40]
    raise UnansweredError(f"the program's table holds '{shown}' as '{name}', which is not a number")


def _number(text: str) -> float:
    """A number as programs print it, in Fortran too."""
    if "_" in text:
        raise ValueError(text)
    return float(FORTRAN.sub(r"\1e", text))


def _at_times(values: Array, clock: Array, times: Array) -> Array:
    """The rows of values (rows, k) at `times` (m,), by their times `clock` (rows,)."""
    if not len(clock):
        raise UnansweredError("the program's table has no rows")
    longest = float(np.abs(times).max())
    near_enough = max(SAME_TIME * (float(np.ptp(times)) or longest), ROUNDING * longest)
    apart = np.abs(clock[None, :] - times[:, None])
    apart = np.where(np.isnan(apart), np.inf, apart)
    place = apart.argmin(axis=1)
    near = apart <= near_enough
    if not near.any(axis=1).all():
        missed = int(np.flatnonzero(~near.any(axis=1))[0])
        raise UnansweredError(
            f"the program's table has no row for the time {times[missed]:.17g}, the nearest is for "
            f"{clock[place[missed]]:.17g}: are times printed with all their digits?"
        )
    for i in np.flatnonzero(near.sum(axis=1) > 1):
        same = values[near[i]]
        if not ((same == same[0]) | (np.isnan(same) & np.isnan(same[0]))).all():
            shown = f"{times[i]:.17g}"
            raise UnansweredError(f"the program's table has several rows for the time {shown}")
    return values[place]


def number(text: str) -> float:
    """The last line of a text as a log-likelihood.

    Raises:
        UnansweredError: it is no number.
    """
    lines = text.split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    try:
        return _number(last)
    except ValueError:
        told = f"'{last[:60]}'" if last else "nothing"
        raise UnansweredError(
            f"the program answered {told}, not a log-likelihood", accident=not last
        ) from None
