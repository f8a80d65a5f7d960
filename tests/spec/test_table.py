"""Tables of data: what is read, and how a bad file is complained about."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfanneal.errors import DataError
from nfanneal.spec.table import MOST_COMPLAINTS, Table, observations, read_table, table_of


@pytest.fixture
def write(tmp_path):
    def file(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return file


def words(path):
    """The complaints about a file, its folder left out."""
    with pytest.raises(DataError, match=r".") as caught:
        observations(read_table(path), "t", {"x": "x"})
    return str(caught.value).replace(f"{path.parent}/", "")


SAME = {
    "comma": ("t,x\n0,1.5\n1,\n", "data.csv"),
    "semicolon": ("t;x\n0;1.5\n1;\n", "data.csv"),
    "tab by extension": ("t\tx\n0\t1.5\n1\t\n", "data.tsv"),
    "tab by extension, other": ("t\tx\n0\t1.5\n1\t\n", "data.TAB"),
    "tab by header": ("t\tx\n0\t1.5\n1\t\n", "data.txt"),
    "byte order mark": (b"\xef\xbb\xbft,x\n0,1.5\n1,\n", "data.csv"),
    "windows": ("t,x\r\n0,1.5\r\n1,\r\n", "data.csv"),
    "old mac": ("t,x\r0,1.5\r1,\r", "data.csv"),
    "quoted": ('"t","x"\n"0","1.5"\n"1",""\n', "data.csv"),
    "blanks": ("\n t , x \n\n 0 , 1.5 \n,\n1, \n\n", "data.csv"),
    "comments": ('# a, "b\n#\nt,x\n0,1.5\n# c, "d\n1,NA\n', "data.csv"),
    "no last newline": ("t,x\n0,1.5\n1,nan", "data.csv"),
    "missing": ("t,x\n0,1.5e0\n1,N/A\n", "data.csv"),
    "spreadsheet": ("t,x,,\n0,1.5,,\n1,#N/A,,\n", "data.csv"),
    "exponents": ("t,x\n0e5,+15.E-1\n1.,NULL\n", "data.csv"),
}


@pytest.mark.parametrize(("content", "name"), SAME.values(), ids=SAME)
def test_dialects(content, name, write):
    table = read_table(write(content, name))
    assert table.columns == ("t", "x")
    np.testing.assert_array_equal(table.values, [[0.0, 1.5], [1.0, math.nan]])
    assert table.values.dtype == np.float64


def test_rows_know_their_lines(write):
    table = read_table(write('# why\n\nt,x\n0,1\n\n# more\n1,"2"\n'))
    assert table.header_line == 3
    assert table.lines == (4, 7)


def test_a_single_column(write):
    assert read_table(write("x\n1\n2\n")).values.tolist() == [[1.0], [2.0]]


BAD = {
    "empty": ("", "data.csv:1: the file is empty"),
    "only comments": ("# t,x\n\n", "data.csv:1: the file is empty"),
    "header only": ("\nt,x\n", "data.csv:2: a header, but no data"),
    "duplicate name": ("t,x,x\n0,1,2\n", "data.csv:1: the header names 'x' more than once"),
    "no name": ("t,,x\n0,1,2\n", "data.csv:1: column 2 has no name in the header"),
    "cells beyond": ("t,x,\n0,1,2\n", "data.csv:2: 3 cells, but the header has 2"),
    "short row": ("t,x\n0,1\n1\n", "data.csv:3: 1 cells, but the header has 2"),
    "long row": ("t,x\n0,1,2\n", "data.csv:2: 3 cells, but the header has 2"),
    "word": ("t,x\n0,1\n\n1,one\n", "data.csv:4: not a number in column 'x': 'one'"),
    "dash": ("t,x\n0,-\n", "data.csv:2: not a number in column 'x': '-'"),
    "underscore": ("t,x\n0,1_0\n", "data.csv:2: not a number in column 'x': '1_0'"),
    "infinite": ("t,x\n0,inf\n", "data.csv:2: not a finite number in column 'x': 'inf'"),
    "overflow": ("t,x\n0,1e999\n", "data.csv:2: too large a number in column 'x': '1e999'"),
    "comma": ("t;x\n0;1,5\n", "data.csv:2: not a number in column 'x': '1,5'\n  hint: write 1.5"),
    "no header": ("0,1\n1,2\n", "data.csv:1: no header: the first row is 0, 1"),
    "open quote": ('t,x\n0,1\n1,"2\n2,3\n', "data.csv:3: not valid CSV: unexpected end of data"),
    "stray quote": ('t,x\n0,"1"2\n', "data.csv:2: not valid CSV: ',' expected after '\"'"),
    "NUL": ("t,x\n0,1\0\n", "data.csv:2: a NUL byte: this is no text file"),
    "latin 1": (b"t,x\n0,\xb5\n", "data.csv:2:3: not UTF-8 text (the byte 0xb5)"),
    "utf 16": ("t,x\n0,1\n".encode("utf-16"), "data.csv:1:1: not UTF-8 text (the byte 0xff)"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_files(content, message, write):
    assert words(write(content)).startswith(message)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such data file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder, not a data file"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "a\0b")


def test_all_complaints_come_at_once(write):
    message = words(write("t,x,x\n0,one,1\n1\n2,-inf,\n"))
    assert [line.split(":")[1] for line in message.splitlines()] == ["1", "2", "3", "4"]


def test_complaints_are_capped(write):
    message = words(write("t,x\n" + "0,one\n" * 100))
    assert message.count("\n") == MOST_COMPLAINTS
    assert message.endswith("… and 80 more")


def test_text_matters_only_in_columns_that_are_used(write):
    path = write("t,who,x\n0,Ada,1\n1,Bea,two\n")
    assert words(path) == "data.csv:3: not a number in column 'x': 'two'"
    table = read_table(write("t,who,x\n0,Ada,1\n1,Bea,2\n"))
    assert observations(table, "t", {"x": "x"}).values[0].tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match="not a number in column 'who': 'Ada'"):
        observations(table, "t", {"x": "who"})


def test_exit_code(write):
    with pytest.raises(DataError, match="empty") as caught:
        read_table(write(""))
    assert caught.value.exit_code == 3


TEXT = "# simulated\nt,a,b,note\n2,1,,\n0,2,5,\n2,3,6,\n1,,,\n0,4,,\n"


def test_observations_are_sorted_replicated_and_without_missing_cells(write):
    data = observations(read_table(write(TEXT)), "t", {"A": "a", "B": "b"})
    assert data.names == ("A", "B")
    np.testing.assert_array_equal(data.times, [0.0, 2.0])  # nothing was measured at t = 1
    np.testing.assert_array_equal(data.time_index[0], [0, 0, 1, 1])
    np.testing.assert_array_equal(data.values[0], [2.0, 4.0, 1.0, 3.0])
    np.testing.assert_array_equal(data.time_index[1], [0, 1])
    np.testing.assert_array_equal(data.values[1], [5.0, 6.0])
    assert data.n_data == 6


def test_one_column_may_serve_two_observables(write):
    data = observations(read_table(write(TEXT)), "t", {"A": "a", "B": "a"})
    assert data.n_data == 8


@pytest.mark.parametrize(
    ("time", "columns", "message"),
    [
        (
            "time",
            {"A": "a"},
            "data.csv:2: no column 'time' in the header\n  hint: columns: t, a, b",
        ),
        ("t", {"A": "aa"}, "hint: did you mean 'a'?; columns: t, a, b, note"),
        ("t", {"N": "note"}, "data.csv:2: column 'note' holds no number"),
        ("b", {"A": "a"}, "data.csv:3: the time ('b') is missing"),
    ],
)
def test_bad_columns(time, columns, message, write):
    with pytest.raises(DataError, match=r".") as caught:
        observations(read_table(write(TEXT)), time, columns)
    assert message in str(caught.value)


def test_all_bad_columns_come_at_once(write):
    with pytest.raises(DataError, match=r".") as caught:
        observations(read_table(write(TEXT)), "time", {"A": "aaa", "N": "note"})
    assert len(caught.value.complaints) == 3


cells = st.one_of(st.none(), st.floats(-1e300, 1e300))
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(cells, min_size=width, max_size=width).filter(lambda row: set(row) != {None}),
        min_size=1, max_size=8,
    )
)  # fmt: skip


@given(rows=tables, delimiter=st.sampled_from(",;\t"), quoting=st.sampled_from([0, 1]))
def test_what_is_written_is_read(rows, delimiter, quoting, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    names = [f"c{j}" for j in range(len(rows[0]))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
        writer.writerows([names, *rows])
    table = read_table(path)
    expected = [[math.nan if cell is None else cell for cell in row] for row in rows]
    np.testing.assert_array_equal(table.values, expected)
    assert table.columns == tuple(names)


@given(
    values=st.lists(
        st.tuples(st.integers(0, 5), *[st.one_of(st.just(math.nan), st.floats(-9, 9))] * 2),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_observations_lose_and_invent_no_cell(values):
    array = np.array(values, dtype=float)
    table = Table("d.csv", ("t", "a", "b"), array, tuple(range(2, 2 + len(array))))
    if np.isnan(array[:, 1:]).all(axis=0).any():
        with pytest.raises(DataError, match="holds no number"):
            observations(table, "t", {"a": "a", "b": "b"})
        return
    data = observations(table, "t", {"a": "a", "b": "b"})
    assert np.all(np.diff(data.times) > 0)
    assert data.n_data == np.isfinite(array[:, 1:]).sum()
    for j, (index, cells) in enumerate(zip(data.time_index, data.values, strict=True), start=1):
        found = sorted(zip(data.times[index].tolist(), cells.tolist(), strict=True))
        kept = array[np.isfinite(array[:, j])]
        assert found == sorted(zip(kept[:, 0].tolist(), kept[:, j].tolist(), strict=True))
        assert np.all(np.diff(index) >= 0)


@given(st.one_of(st.text(alphabet="t,x;\t\n\r\"'#01.e-_naNA \0é", max_size=60), st.text()))
def test_any_text_is_read_or_refused(text):
    try:
        table = table_of(text, Path("data.csv"))
    except DataError as error:
        assert error.complaints
    else:
        assert table.values.shape == (len(table.lines), len(table.columns))
        assert not np.isinf(table.values).any()
