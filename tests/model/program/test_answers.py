"""What a program is told and what it answers, as text: placeholders, tables, numbers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfanneal.model.program.answers import UnansweredError, number, table
from nfanneal.model.program.command import escaped, filled, placed, placeholders
from nfanneal.model.program.command import written as parameter_file
from nfanneal.spec.document import parse_document


def test_a_folder_is_put_in_place_of_its_name_alone():
    text = placed("{here}/a {{here}} {k} {{", "here", "/a{b}")
    assert filled(text, {"k": "2"}) == "/a{b}/a {here} 2 {"


@given(st.text())
def test_an_escaped_text_stays_as_it_is(text):
    assert filled(escaped(text), {}) == text
    assert placeholders(escaped(text)) == []


@given(st.dictionaries(st.sampled_from(["a", "b2", "x[0]"]), st.text()))
def test_placeholders_are_replaced_once(values):
    text = "".join(f"<{{{name}}}>" for name in values)
    assert placeholders(text) == list(values)
    assert filled(text, values) == "".join(f"<{value}>" for value in values.values())


@given(st.floats(allow_nan=False, allow_infinity=False), st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_every_format_of_parameters_keeps_all_bits(value, vector):
    values = {"k": value, "x": vector}
    assert json.loads(parameter_file(values, "p.json")) == values
    assert parse_document(parameter_file(values, "p.yaml"), "p").data == values
    rows = dict(line.split(",") for line in parameter_file(values, "p.csv").splitlines()[1:])
    assert float(rows["k"]) == value
    assert [float(rows[f"x[{i}]"]) for i in range(len(vector))] == vector


@pytest.mark.parametrize(
    "text",
    [
        "t,x\n0,1\n1,2\n2,4\n",
        "x;time;y\n4;2;0\n1;0;0\n2;1;0\n",
        "\n# a comment\nx\ty\n1\t9\n2\t9\n4\t9\n",
        "time x\n0 1\n0.5 99\n1 2\n2 4\n",
        " t , x \n 0 , 1 \n 1.0000000001 , 2 \n 2 , 4 \n",
        "Time [s],x\n2,4\n1,2\n0,1\n",
        "\ufefft,x\n0,1.0D+00\n1,2d0\n2,4\n2,4\n",
    ],
)
def test_tables_by_column_and_time(text):
    assert table(text, np.array([0.0, 1.0, 2.0]), ["x"], "t")[:, 0].tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "answered nothing"),
        ("x\n1\n2\n", "2 rows for 3 times"),
        ("t,x\n0,1\n1,2\n", "no row for the time 2"),
        ("t,z\n0,1\n1,2\n2,3\n", "no column 'x', but: t, z"),
        ("t,x\n0,1\n1,oops\n2,3\n", "'oops' as 'x', which is not a number"),
        ("t,x\n0,1\n1\n2,3\n", "has 1 cells, its header 2"),
        ("t,x\n0,1,0\n1,0,6\n2,0,3\n", "commas in numbers"),
        ('"x" "y"\n"1" 1.0 0.0\n"2" 1.0 0.0\n"3" 1 0\n', "row names"),
        ("t,x,x\n0,1,1\n1,2,2\n2,3,3\n", "several columns 'x'"),
        ("t,x\n0,1\n1,2\n1,3\n2,3\n", "several rows for the time 1"),
        ("t,time,x\n0,0,1\n1,1,2\n2,2,3\n", None),
        ("Time,t_end,T,x\n0,0,0,1\n1,1,1,2\n2,2,2,3\n", "may be the time: Time, T"),
        ("t,x\n0,1\n1,1_0\n2,3\n", "'1_0' as 'x'"),
        ("t,x\n0,1\n1.00001,2\n2,3\n", "nearest is for 1.00001"),
    ],
)
def test_what_is_no_table(text, why):
    if why is None:  # a column that is called just as the data's time goes before others
        assert len(table(text, np.array([0.0, 1.0, 2.0]), ["x"], "t")) == 3
        return
    with pytest.raises(UnansweredError, match=why):
        table(text, np.array([0.0, 1.0, 2.0]), ["x"], "t")


@pytest.mark.parametrize(
    ("header", "by"),
    [("t (h),x", ","), ("Time (hours since dose), x", ","), ("t [h; CET]\tx", "\t"),
     ("t (s, mean);x", ";"), ("t x", " ")],
)  # fmt: skip
def test_units_in_a_header_do_not_divide_it(header, by):
    text = header + "\n" + "\n".join(f"{t}{by}{t}" for t in (0, 1, 2))
    assert table(text, np.array([0.0, 1.0, 2.0]), ["x"], "t")[:, 0].tolist() == [0.0, 1.0, 2.0]


def test_times_far_from_zero_are_told_apart_by_what_they_span():
    seconds = 1.7e9 + np.array([0.0, 1.0, 2.0, 4.0])
    text = "t,x\n" + "".join(f"{t:.17g},{i}\n" for i, t in enumerate(seconds))
    assert table(text, seconds, ["x"], "t")[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    days = 2459000.5 + np.array([0.0, 0.01, 0.02])
    late = "t,x\n" + "".join(f"{t + 0.002:.17g},1\n" for t in days)
    with pytest.raises(UnansweredError, match=r"no row for the time 2459000\.5"):
        table(late, days, ["x"], "t")


def test_the_last_line_is_the_number():
    assert number("starting\n -1.5e3 \n\n") == -1500.0
    assert number("-1.5D+02") == -150.0
    assert number("-inf") == -np.inf
    for text in ("", "done", "1,5", "1_000"):
        with pytest.raises(UnansweredError, match="not a log-likelihood"):
            number(text)
