"""Tables of PEtab problems as petab reads them, with the place of every cell in its file."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nfanneal.errors import Location, SpecError, nearest
from nfanneal.runtime.files import decoded, read_bytes
from nfanneal.spec.collecting import Complaints

LARGEST_FILE = 50_000_000
LONGEST_ERROR = 300
OPTIONAL = (
    "nominalValue", "objectivePriorType", "objectivePriorParameters", "priorDistribution",
    "priorParameters", "observableTransformation", "noiseDistribution", "observablePlaceholders",
    "noisePlaceholders", "observableParameters", "noiseParameters", "preequilibrationConditionId",
)  # fmt: skip
"""Columns that may be there, and change the posterior."""
ALIKE = 0.9
"""A name that is so much like one of them is meant to be it."""


@dataclass(frozen=True)
class Row:
    """A row of a table: its cells, and where each stands. An empty cell is None."""

    path: str
    line: int
    cells: dict[str, Any]
    columns: dict[str, int]

    def get(self, column: str) -> Any:
        """A cell; None where it is empty or there is no such column."""
        return self.cells.get(column)

    def place(self, column: str) -> Location:
        """Where a cell stands; that of the row, if it has no such column."""
        return Location(self.path, self.line, self.columns.get(column, 1))

    def text(self, column: str) -> str:
        """A cell as text, '' where it is empty."""
        cell = self.cells.get(column)
        if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        return "" if cell is None else str(cell).strip()


def with_one_name(rows: Iterable[Row], key: str, wrong: Complaints) -> Iterator[Row]:
    """The rows, whose names in a column must be there and differ."""
    seen: dict[str, Row] = {}
    for row in rows:
        name = row.text(key)
        if not name:
            wrong.add(f"{key} is empty", row.place(key))
        elif name in seen:
            first = seen[name].place(key)
            wrong.add(f"'{name}' is there twice: in line {first.line} as well", row.place(key))
        else:
            seen[name] = row
            yield row


def rows_of(
    path: Path, read: Callable[[str], Any], needed: Sequence[str], wrong: Complaints
) -> Iterator[Row]:
    """The rows of a table that petab's `read` has read.

    Whatever it raises is a complaint, and so are columns that are `needed` and not there.
    """
    try:
        text = decoded(read_bytes(path, LARGEST_FILE, SpecError, "table"), path, SpecError)
    except SpecError as error:
        wrong.take(error.complaints)
        return
    lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        wrong.add("the table is empty", Location(str(path), 1, 1))
        return
    header = [name.strip() for name in lines[0][1].split("\t")]
    _complain_of_names(header, needed, str(path), lines[0], wrong)
    missing = [name for name in needed if name not in header]
    for name in missing:
        place = Location(str(path), lines[0][0], 1)
        wrong.add(f"the column '{name}' is missing", place, nearest(name, header))
    for name in {name for name in header if name and header.count(name) > 1}:
        wrong.add(f"the column '{name}' is there twice", Location(str(path), lines[0][0], 1))
        missing.append(name)
    for line, content in lines[1:]:
        count = content.rstrip("\t").count("\t") + 1
        if count > len(header):
            message = f"{count} cells, but the header has {len(header)}"
            wrong.add(message, Location(str(path), line, 1))
            missing.append("")
    if missing:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # petab's, of what pandas will be
            frame = read(str(path)).reset_index()
    except Exception as error:  # of petab or pandas: many kinds
        wrong.add(f"petab cannot read it: {_in_one_line(error)}", Location(str(path), 1, 1))
        return
    if len(frame) != len(lines) - 1:
        message = f"petab reads {len(frame)} rows of {len(lines) - 1}: quotes over several lines?"
        wrong.add(message, Location(str(path), 1, 1))
        return
    for (line, content), (_, cells) in zip(lines[1:], frame.iterrows(), strict=True):
        given = {str(name).strip(): _cell(value) for name, value in cells.items()}
        yield Row(str(path), line, given, _columns(header, content))


def _complain_of_names(
    header: Sequence[str],
    needed: Sequence[str],
    path: str,
    line: tuple[int, str],
    wrong: Complaints,
) -> None:
    """A column that is optional and misspelt would be as if it were not there."""
    if needed[0] == "conditionId":  # others are ids of the model
        return
    for name in header:
        known = [o for o in OPTIONAL if o not in header]
        if name not in (*OPTIONAL, *needed) and (
            close := difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)
        ):
            place = Location(path, line[0], _columns(header, line[1]).get(name, 1))
            hint = f"write '{close[0]}', or another name if it is not meant"
            wrong.add(f"the column '{name}' is none that PEtab knows", place, hint)


def _cell(value: Any) -> Any:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    item = getattr(value, "item", None)  # numpy's numbers
    return item() if item is not None else value


def _columns(header: Sequence[str], content: str) -> dict[str, int]:
    """The 1-based column of the file at which each cell of a line begins."""
    places, at = {}, 1
    for name, cell in zip(header, content.split("\t"), strict=False):
        places[name] = at
        at += len(cell) + 1
    return places


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:LONGEST_ERROR] or type(error).__name__
