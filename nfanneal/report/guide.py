"""A page of the guide, laid out for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

GAP = 2
"""Columns of the terminal from one of a table to the next."""


class _WholeTable(TableElement):
    """A table that is cut nowhere, and no word of it torn; too wide, its rows are paragraphs."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table) and not _fitted(part.columns, options.max_width):
                yield from _paragraphs(part.columns)
            else:
                yield part


def _fitted(columns: list[Column], width: int) -> bool:
    """Whether there is room for the longest words; what is left goes to columns with long texts."""
    texts = [[str(text) for text in (column.header, *column.cells)] for column in columns]
    most = [max(map(cell_len, column)) for column in texts]
    least = [max((cell_len(word) for text in column for word in text.split()), default=0)
             for column in texts]  # fmt: skip
    wanted = sum(most) - sum(least)
    spare = min(width - GAP * len(columns) - sum(least), wanted)
    for column, low, high in zip(columns, least, most, strict=True):
        column.width = low + (high - low) * spare // max(wanted, 1)
    return spare >= 0


def _paragraphs(columns: list[Column]) -> Iterator[Padding]:
    for row in zip(*(column.cells for column in columns), strict=True):
        told = [f"{c.header}: {cell}" for c, cell in zip(columns, row, strict=True) if str(cell)]
        yield Padding(Text(" · ".join(told)), (0, 1, 1, 1))


class _Page(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "table_open": _WholeTable,
    }


def laid_out(markdown: str, console: Console) -> str:
    """The page in the width and the colours of the console.

    Links are written out: not every pager passes on those that can be clicked.
    """
    with console.capture() as captured:
        console.print(_Page(markdown, code_theme="ansi_dark", hyperlinks=False))
    return captured.get()
