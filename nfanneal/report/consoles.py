"""Where commands write: what is quoted from specs and results is no markup, no number is cut."""

from __future__ import annotations

from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

SHORTEST_WORDS = 12
"""So many characters of a column of words are always shown on a line; the rest is folded."""
BORDER, EDGE = 3, 1
"""Characters between two columns of a table with lines, and at its end."""


class _Fitting(Console):
    """A console whose tables are as narrow as it is."""

    def print(self, *objects: Any, **how: Any) -> None:
        """Print; a table that is too wide becomes several, one below the other."""
        if len(objects) == 1 and isinstance(objects[0], Table):
            for table in fitted(objects[0], self.width):
                super().print(table, **how)
        else:
            super().print(*objects, **how)


OF_A_FILE = 100
"""Columns of a text file."""


def console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """Standard output, `stderr` or a file, for text as it is."""
    width = None if file is None else OF_A_FILE
    return _Fitting(stderr=stderr, file=file, width=width, markup=False, emoji=False)


def fitted(table: Table, width: int) -> list[Table]:
    """The table for a terminal `width` characters wide, its columns whole: numbers are never cut.

    Columns of words (those not to the right) are folded. Where that does not do, lines between
    columns go, and then there are several tables, each with the first column.
    """
    if table.box is not None and _needed(table.columns, BORDER, EDGE) <= width:
        return [_part(table, table.columns)]
    first, *others = table.columns
    parts, own = [[first]], BORDER - 1 if table.box is None else 1
    for column in others:
        if len(parts[-1]) > 1 and _needed([*parts[-1], column], own, 0) > width:
            parts.append([first])
        parts[-1].append(column)
    compact = [_part(table, columns, own) for columns in parts]
    for part in compact[1:]:
        part.title = None
    return compact


def _needed(columns: list[Column], between: int, more: int) -> int:
    """The least width of a table of these columns."""
    return sum(_least(column) + between for column in columns) + more


def _least(column: Column) -> int:
    longest = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    return longest if column.justify == "right" else min(longest, SHORTEST_WORDS)


def _part(table: Table, columns: list[Column], between: int | None = None) -> Table:
    """Some columns of a table; without lines, but with spaces `between` them, if so many are."""
    part = Table(
        title=table.title, caption=table.caption, title_justify=table.title_justify,
        show_header=table.show_header, header_style=table.header_style,
        box=table.box if between is None else None,
        padding=table.padding if between is None else (0, between, 0, 0),
    )  # fmt: skip
    for column in columns:
        part.add_column(
            column.header, justify=column.justify, style=column.style, overflow="fold",
            no_wrap=column.justify == "right",
            min_width=_least(column),
        )  # fmt: skip
    for row in zip(*(column.cells for column in columns), strict=True):
        part.add_row(*row)
    return part
