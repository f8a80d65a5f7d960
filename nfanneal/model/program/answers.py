"""What a program answered: a table of observables, or a number; or why that is none."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import STOPPING

LONGEST_REASON = 300
TIME_COLUMNS = ("t", "time")


class UnansweredError(Exception):
    """A call without an answer. `accident`: another one might have had it.

    `status` is that of a program that ended, as `subprocess` has it.
    """

    def __init__(self, reason: str, *, accident: bool = False, status: int | None = None) -> None:
        super().__init__(reason[:LONGEST_REASON])
        self.accident = accident
        self.status = status

    @property
    def from_elsewhere(self) -> bool:
        """Whether it was stopped by a signal that asks a run to stop: SLURM sends it to all."""
        return self.status is not None and -self.status in STOPPING


@dataclass(frozen=True)
class Said:
    """What a program says of a draw: observables (m, k), or log L alone (1, 1).

    `slope` (p,) is ∂ log L/∂θ, if that was asked for.
    """

    values: Array
    slope: Array | None = None


def table(text: str, times: Array, observables: Sequence[str], time: str) -> Array:
    """Observables (m, k) at `times` (m,), of a CSV or TSV text with a header.

    Without a column of the times there is a row for each of them, in their order.

    Raises:
        UnansweredError: it is no such table.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise UnansweredError("the program answered nothing", accident=True)
    delimiter = max(",;\t ", key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    header = [name.strip() for name in rows[0]]
    missing = [name for name in observables if name not in header]
    if missing:
        shown = ", ".join(header)[:80]
        raise UnansweredError(f"the program's table has no column '{missing[0]}', but: {shown}")
    body = rows[1:]
    columns = [_numbers(body, header.index(name), name) for name in observables]
    clock = next((name for name in (time, *TIME_COLUMNS) if name in header), None)
    if clock is None or clock in observables:
        if len(body) != len(times):
            raise UnansweredError(
                f"the program's table has {len(body)} rows for {len(times)} times, and no column "
                f"'{time}' that says which they are"
            )
        return np.stack(columns, axis=1)
    place = _places(_numbers(body, header.index(clock), clock), times)
    return np.stack(columns, axis=1)[place]


def _numbers(body: Sequence[Sequence[str]], column: int, name: str) -> Array:
    found = np.empty(len(body))
    for i, row in enumerate(body):
        cell = row[column].strip() if column < len(row) else ""
        try:
            found[i] = float(cell) if cell.upper() != "NA" else math.nan
        except ValueError:
            raise UnansweredError(
                f"the program's table holds '{cell[:40]}' as '{name}', which is not a number"
            ) from None
    return found


def _places(clock: Array, times: Array) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Which rows are those of `times` (m,)."""
    span = max(float(np.ptp(times)), float(np.abs(times).max()), 1e-300)
    apart = (
        np.abs(clock[None, :] - times[:, None]) if len(clock) else np.full((len(times), 1), np.inf)
    )
    nearest = np.where(np.isnan(apart), np.inf, apart).argmin(axis=1)
    far = ~(apart[np.arange(len(times)), nearest] <= 1e-9 * span)
    if far.any():
        raise UnansweredError(f"the program's table has no row for the time {times[far][0]:g}")
    return nearest


def number(text: str) -> float:
    """The last line of a text as a log-likelihood.

    Raises:
        UnansweredError: it is no number.
    """
    lines = text.split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    try:
        return float(last)
    except ValueError:
        told = f"'{last[:60]}'" if last else "nothing"
        raise UnansweredError(
            f"the program answered {told}, not a log-likelihood", accident=not last
        ) from None
