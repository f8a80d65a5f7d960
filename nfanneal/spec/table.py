"""CSV and TSV files with a header → tables → the observations that a likelihood uses."""

from __future__ import annotations

import csv
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import Complaint, DataError, Location, nearest
from nfanneal.model.observations import Observations
from nfanneal.runtime.files import decoded, read_bytes
from nfanneal.spec.collecting import Complaints

MISSING = {"", "na", "#n/a", "nan", "n/a", "null"}
MOST_COMPLAINTS = 20
LARGEST_FILE = 100_000_000
MOST_LINES, MOST_COLUMNS = 1_000_001, 10_000
"""A likelihood of more cells than that would take minutes per batch of draws."""
LISTED_COLUMNS = 30


def _several() -> Complaints:
    return Complaints(most=MOST_COMPLAINTS)


def _together(parts: Iterable[Complaints]) -> Complaints:
    return _several().merge(parts)


@dataclass(frozen=True)
class Table:
    """Numbers of shape (rows, columns); nan is a missing cell.

    `lines` are the rows' lines in the file, `header_line` is the header's. `odd` are the
    complaints about cells that are not numbers, by column: only the columns in use matter. So are
    `infinite` those about infinite ones, which times may be.
    """

    path: str
    columns: tuple[str, ...]
    values: Array
    lines: tuple[int, ...]
    header_line: int = 1
    odd: Mapping[str, Complaints] = field(default_factory=dict)
    infinite: Mapping[str, Complaints] = field(default_factory=dict)

    def column(self, name: str, *, infinite: bool = False) -> Array:
        """One column (rows,), by its name; its cells may be +`infinite`, if that is said.

        Raises:
            DataError: there is no such column (the message lists those there are), or some of its
                cells are not numbers.
        """
        if name not in self.columns:
            where = Location(self.path, self.header_line)
            more = ", …" if len(self.columns) > LISTED_COLUMNS else ""
            listed = f"columns: {', '.join(self.columns[:LISTED_COLUMNS])}{more}"
            close = nearest(name, self.columns)
            hint = f"{close}; {listed}" if close else listed
            raise DataError([Complaint(f"no column '{name}' in the header", where, hint)])
        wrong = _together(self.wrong_cells(name, infinite))
        wrong.tell(DataError)
        return self.values[:, self.columns.index(name)]

    def wrong_cells(self, name: str, infinite: bool) -> Iterator[Complaints]:
        """Complaints about the cells of a column."""
        for complaints in (self.odd, {} if infinite else self.infinite):
            if name in complaints:
                yield complaints[name]


def observations(table: Table, time_column: str, columns: Mapping[str, str]) -> Observations:
    """The cells of `columns` (observable → column of the table), sorted by time.

    Raises:
        DataError: a column is missing or empty, or a time is missing.
    """
    wanted = [time_column, *columns.values()]
    both = time_column in columns.values()
    wrong = _together(
        _wrong_with(table, name, name == time_column and not both) for name in dict.fromkeys(wanted)
    )
    wrong.tell(DataError)
    row_times = table.column(time_column, infinite=True)
    for row in np.flatnonzero(np.isnan(row_times)):
        where = Location(table.path, table.lines[row])
        wrong.add(f"the time ('{time_column}') is missing", where)
    wrong.tell(DataError)
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


def _wrong_with(table: Table, name: str, infinite: bool) -> Complaints:
    """What keeps a column from being used."""
    cells = _together(table.wrong_cells(name, infinite))
    if cells.found:
        return cells
    wrong = _several()
    try:
        values = table.column(name, infinite=infinite)
    except DataError as error:
        wrong.take(error.complaints)
        return wrong
    if np.isnan(values).all():
        where = Location(table.path, table.header_line)
        wrong.add(f"column '{name}' holds no number", where)
    return wrong


def read_table(path: Path) -> Table:
    """Read a CSV or TSV file with a header row; `#` lines and blank lines are skipped.

    An empty cell, NA or NaN is a missing value; other text matters only in columns that are used.
    The delimiter is a tab in .tsv and .tab files, else whichever of comma, semicolon and tab the
    header has most of.

    Raises:
        DataError: the file's form is wrong; every complaint at once, each with its line.
    """
    raw = read_bytes(path, LARGEST_FILE, DataError, "data file")
    return table_of(decoded(raw, path, DataError), path)


def table_of(text: str, path: Path) -> Table:
    """The table in the text of a file; `path` is for messages and says whether tabs delimit.

    Raises:
        DataError: the file's form is wrong; every complaint at once, each with its line.
    """
    rows = _rows(text.replace("\r\n", "\n").replace("\r", "\n"), path)
    try:
        header_line, header = next(rows)
    except StopIteration:
        raise DataError([Complaint("the file is empty", Location(str(path), 1))]) from None
    header = _without_empty_end(header)
    names = tuple(cell.strip() for cell in header)
    if len(names) > MOST_COLUMNS:
        message = f"{len(names):,} columns; a data file has at most {MOST_COLUMNS:,}"
        raise DataError([Complaint(message, Location(str(path), header_line))])
    wrong = _several()
    wrong.take(_header_complaints(names, str(path), header_line))
    values, lines, ragged, odd, infinite = _numbers_of(rows, names, str(path))
    if not lines and not ragged.found:
        wrong.add("a header, but no data", Location(str(path), header_line))
    if wrong.found or ragged.found:
        _together([wrong, ragged, *odd.values()]).tell(DataError)
    table = np.array(values).reshape(-1, len(names))
    return Table(str(path), names, table, tuple(lines), header_line, odd, infinite)


def _numbers_of(
    rows: Iterator[tuple[int, list[str]]], names: tuple[str, ...], path: str
) -> tuple[array[float], array[int], Complaints, dict[str, Complaints], dict[str, Complaints]]:
    """Cells row by row, the rows' lines; complaints about ragged rows, odd and infinite cells."""
    values, lines = array("d"), array("q")
    ragged = _several()
    odd, infinite = defaultdict[str, Complaints](_several), defaultdict[str, Complaints](_several)
    for line, row in rows:
        extra = _without_empty_end(row[len(names) :])
        cells = row if len(row) == len(names) else [*row[: len(names)], *extra]
        if len(cells) != len(names):
            message = f"{len(cells)} cells, but the header has {len(names)}"
            ragged.add(message, Location(path, line))
            continue
        lines.append(line)
        for name, cell in zip(names, cells, strict=True):
            number = _number(cell)
            if isinstance(number, str):
                message = f"{number} in column '{name}': '{cell.strip()[:40]}'"
                odd[name].add(message, Location(path, line), _hint(cell))
                number = math.nan
            elif number == math.inf:
                message = f"not a finite number in column '{name}': '{cell.strip()[:40]}'"
                infinite[name].add(message, Location(path, line))
            values.append(number)
    return values, lines, ragged, dict(odd), dict(infinite)


def _without_empty_end(cells: list[str]) -> list[str]:
    """Cells without those at the end that are empty: spreadsheets leave them behind."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _hint(cell: str) -> str | None:
    point = cell.strip().replace(",", ".").replace("\u2212", "-")  # a typographic minus
    written = point != cell.strip() and isinstance(_number(point), float)
    return f"write {point}" if written else None


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row that is neither blank nor a comment, one after the other."""
    _refuse_nul_and_length(text, path)
    # comments are blanked, not dropped, so that lines keep their numbers
    lines = ["" if line.startswith("#") else line for line in text.split("\n")]
    header = next((line for line in lines if line.strip()), "")
    reader = csv.reader(
        (f"{line}\n" for line in lines), delimiter=_delimiter(path, header), strict=True
    )
    line = 1
    try:
        for cells in reader:
            if "".join(cells).strip():
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        is_open = any(words in str(error) for words in ("field limit", "end of data"))
        hint = 'is a quote (") never closed?' if is_open else None
        where = Location(str(path), line)
        raise DataError([Complaint(f"not valid CSV: {error}", where, hint)]) from error


def _refuse_nul_and_length(text: str, path: Path) -> None:
    nul = text.find("\0")
    if nul >= 0:
        where = Location(str(path), text.count("\n", 0, nul) + 1)
        raise DataError([Complaint("a NUL byte: this is no text file", where)])
    n_lines = text.rstrip("\n").count("\n") + 1
    if n_lines > MOST_LINES:
        hint = "thin the data out, or average replicates"
        message = f"{n_lines:,} lines; a data file has at most {MOST_LINES:,}"
        raise DataError([Complaint(message, Location(str(path), MOST_LINES + 1), hint)])


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
    repeated = sorted(name for name, times in Counter(names).items() if name and times > 1)
    return complaints + [
        Complaint(f"the header names '{name}' more than once", where) for name in repeated
    ]


DIGITS = frozenset("0123456789")


def _number(cell: str) -> float | str:
    """The cell's number, nan if it is missing, or +inf; what is wrong with it if it is neither."""
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    if text.lower().lstrip("+") == ".inf":  # as YAML writes it
        return math.inf
    try:
        value = float(text.replace("_", "?"))
    except ValueError:
        return "not a number"
    if value == math.inf and text.lstrip("+")[:1] in DIGITS:
        return "too large a number"
    return value if value > -math.inf else "not a finite number"
