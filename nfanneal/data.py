"""CSV and TSV files with a header → tables → the observations that a likelihood uses."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nfanneal.errors import Complaint, DataError, Location
from nfanneal.expressions import nearest

Array = NDArray[np.float64]

MISSING = {"", "na", "nan", "n/a", "null"}
MOST_COMPLAINTS = 20


@dataclass(frozen=True)
class Table:
    """Numbers of shape (rows, columns); nan is a missing cell.

    `lines` are the rows' lines in the file, `header_line` is the header's. `odd` are the
    complaints about cells that are not numbers, by column: only the columns in use matter.
    """

    path: str
    columns: tuple[str, ...]
    values: Array
    lines: tuple[int, ...]
    header_line: int = 1
    odd: Mapping[str, Sequence[Complaint]] = field(default_factory=dict)

    def column(self, name: str) -> Array:
        """One column (rows,), by its name.

        Raises:
            DataError: there is no such column (the message lists those there are), or some of its
                cells are not numbers.
        """
        if name not in self.columns:
            where = Location(self.path, self.header_line)
            listed = f"columns: {', '.join(self.columns)}"
            close = nearest(name, self.columns)
            hint = f"{close}; {listed}" if close else listed
            raise DataError([Complaint(f"no column '{name}' in the header", where, hint)])
        if name in self.odd:
            raise DataError(self.odd[name])
        return self.values[:, self.columns.index(name)]


@dataclass(frozen=True)
class Observations:
    """Data cells of several observables at unique, increasing `times` (m,).

    Per observable, `time_index` says which time each of its c cells belongs to (replicates share
    one) and `values` holds the cells.
    """

    times: Array
    names: tuple[str, ...]
    time_index: tuple[NDArray[np.int64], ...]
    values: tuple[Array, ...]

    @property
    def n_data(self) -> int:
        """Number of cells that are not missing."""
        return sum(len(v) for v in self.values)


def observations(table: Table, time_column: str, columns: Mapping[str, str]) -> Observations:
    """The cells of `columns` (observable → column of the table), sorted by time.

    Raises:
        DataError: a column is missing or empty, or a time is missing.
    """
    wanted = [time_column, *columns.values()]
    complaints: list[Complaint] = []
    for name in dict.fromkeys(wanted):
        complaints += _column_complaints(table, name)
    if complaints:
        raise DataError(_capped(sorted(complaints, key=_line_of)))
    row_times = table.column(time_column)
    complaints = [
        Complaint(f"the time ('{time_column}') is missing", Location(table.path, line))
        for line, time in zip(table.lines, row_times, strict=True)
        if math.isnan(time)
    ]
    if complaints:
        raise DataError(_capped(complaints))
    data = {name: table.column(column) for name, column in columns.items()}
    order = np.argsort(row_times, kind="stable")
    there = ~np.isnan(np.column_stack(list(data.values()))).all(axis=1)
    times = np.unique(row_times[there])
    index, cells = [], []
    for values in data.values():
        rows = order[~np.isnan(values[order])]
        index.append(np.searchsorted(times, row_times[rows]))
        cells.append(values[rows])
    return Observations(times, tuple(data), tuple(index), tuple(cells))


def _line_of(complaint: Complaint) -> int:
    return 0 if complaint.location is None else complaint.location.line


def _column_complaints(table: Table, name: str) -> tuple[Complaint, ...]:
    try:
        values = table.column(name)
    except DataError as error:
        return error.complaints
    where = Location(table.path, table.header_line)
    empty = bool(np.isnan(values).all())
    return (Complaint(f"column '{name}' holds no number", where),) if empty else ()


def read_table(path: Path) -> Table:
    """Read a CSV or TSV file with a header row; `#` lines and blank lines are skipped.

    An empty cell, NA or NaN is a missing value; other text matters only in columns that are used.
    The delimiter is a tab in .tsv and .tab files, else whichever of comma, semicolon and tab the
    header has most of.

    Raises:
        DataError: the file's form is wrong; every complaint at once, each with its line.
    """
    rows = _rows(path)
    if not rows:
        raise DataError([Complaint("the file is empty", Location(str(path), 1))])
    (header_line, header), *body = rows
    names = tuple(cell.strip() for cell in header)
    complaints = _header_complaints(names, str(path), header_line)
    if not body:
        complaints.append(Complaint("a header, but no data", Location(str(path), header_line)))
    values = np.full((len(body), len(names)), np.nan)
    odd: dict[str, list[Complaint]] = {}
    for i, (line, cells) in enumerate(body):
        if len(cells) != len(names):
            message = f"{len(cells)} cells, but the header has {len(names)}"
            complaints.append(Complaint(message, Location(str(path), line)))
            continue
        for j, cell in enumerate(cells):
            number = _number(cell)
            if isinstance(number, str):
                message = f"{number} in column '{names[j]}': '{cell.strip()[:40]}'"
                complaint = Complaint(message, Location(str(path), line), _hint(cell))
                odd.setdefault(names[j], []).append(complaint)
            else:
                values[i, j] = number
    if complaints:
        complaints += [complaint for found in odd.values() for complaint in found]
        raise DataError(_capped(sorted(complaints, key=_line_of)))
    return Table(str(path), names, values, tuple(line for line, _ in body), header_line, odd)


def _hint(cell: str) -> str | None:
    point = cell.strip().replace(",", ".")
    return f"write {point}" if "," in cell and isinstance(_number(point), float) else None


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of every row that is neither blank nor a comment."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such data file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; save the file as CSV in UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {reason}") from error
    # comments are blanked, not dropped, so that lines keep their numbers
    lines = ["" if line.startswith("#") else line for line in text.split("\n")]
    header = next((line for line in lines if line.strip()), "")
    reader = csv.reader(
        (f"{line}\n" for line in lines), delimiter=_delimiter(path, header), strict=True
    )
    rows, line = [], 1
    try:
        for cells in reader:
            if "".join(cells).strip():
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            [Complaint(f"not valid CSV: {error}", Location(str(path), line))]
        ) from error
    return rows


def _delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    return max(",;\t", key=header.count)


def _header_complaints(names: tuple[str, ...], path: str, line: int) -> list[Complaint]:
    where = Location(path, line)
    if all(name and isinstance(_number(name), float) for name in names):
        hint = "the first row must name the columns"
        return [Complaint(f"no header: the first row is {', '.join(names)[:60]}", where, hint)]
    complaints = [
        Complaint(f"column {j} has no name in the header", where)
        for j, name in enumerate(names, start=1)
        if not name
    ]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    return complaints + [
        Complaint(f"the header names '{name}' more than once", where) for name in repeated
    ]


def _number(cell: str) -> float | str:
    """The cell's number, nan if it is missing; what is wrong with it if it is neither."""
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    try:
        value = float(text.replace("_", "?"))
    except ValueError:
        return "not a number"
    return value if math.isfinite(value) else "not a finite number"


def _capped(complaints: list[Complaint]) -> list[Complaint]:
    if len(complaints) <= MOST_COMPLAINTS:
        return complaints
    more = len(complaints) - MOST_COMPLAINTS
    return [*complaints[:MOST_COMPLAINTS], Complaint(f"… and {more} more")]
