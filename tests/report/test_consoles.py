"""Tables in narrow terminals: no number is cut, and no line is wider than the terminal."""

import io

import pytest
from commands import inside
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from nfanneal.report.consoles import console

numbers = st.floats(allow_nan=False).map(lambda x: f"{x:.4g}")
words = st.text("ab \u00e9", min_size=1, max_size=20).map(str.strip)


def printed(table, width):
    """The lines of a table in a terminal of that width."""
    shown = console()
    shown.file, shown.width = io.StringIO(), width
    shown.print(table)
    return [line.rstrip() for line in shown.file.getvalue().splitlines()]


@given(
    rows=st.lists(st.tuples(words, st.lists(numbers, min_size=6, max_size=6)), max_size=5),
    width=st.integers(28, 120),
    lines=st.booleans(),
)
def test_numbers_are_never_cut_nor_lines_too_long(rows, width, lines):
    table = Table(title="of numbers", **({} if lines else {"box": None}))
    table.add_column("parameter")
    for k in range(6):
        table.add_column(f"number {k}", justify="right")
    for name, cells in rows:
        table.add_row(name, *cells)
    found = printed(table, width)
    assert all(len(line) <= width for line in found)
    shown = " ".join(found).replace("│", " ").split()
    for k in range(6):
        column = [cells[k] for _, cells in rows]
        assert all(column.count(cell) <= shown.count(cell) for cell in column)
    text = "\n".join(found)
    assert "…" not in text
    assert text.count("of numbers") == 1


def test_a_table_that_fits_is_left_as_it_is():
    table = Table("a", "b")
    table.add_row("1", "2")
    assert printed(table, 80) == ["┏━━━┳━━━┓", "┃ a ┃ b ┃", "┡━━━╇━━━┩", "│ 1 │ 2 │", "└───┴───┘"]


def test_columns_that_do_not_fit_come_below_with_the_first_again():
    table = Table("name")
    for heading in ("mean", "sd"):
        table.add_column(heading, justify="right")
    table.add_row("a", "1.2345e-100", "2.3456e-100")
    assert printed(table, 24) == [
        "name        mean", "a    1.2345e-100", "name          sd", "a    2.3456e-100",
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["summary line0.h5", "compare line0.h5 flat.h5"])
def test_results_in_sixty_columns(command, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = inside(capsys, *command.split())
    assert code == 0
    assert "…" not in out
    sentences = [" over ", "No diagnostic", "Warning: "]  # left to the terminal to wrap
    lines = [line for line in out.splitlines() if not any(text in line for text in sentences)]
    assert len(lines) > 4
    assert max(map(len, lines)) <= 60
