"""The runner of the accuracy table: a row for a cheap case, and what it writes into the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cases import CASES
from table import BEGIN, END, HEADING, Record, complaints, main, read, row, with_table

LINE = next(case for case in CASES if case.title == "straight line")
RECORD = Record(LINE.title, "torch", 1, "abc", 0, 10.0, 500.0, LINE.log_evidence, 0.01)


def test_a_run_makes_a_row_once(tmp_path, capsys):
    page, records = tmp_path / "page.md", tmp_path / "records.jsonl"
    page.write_text(f"Before.\n{BEGIN}{END}After.\n")
    options = ["-k", "straight line torch", "--seeds", "1", "--set", "anneal.preset=quick"]
    options += ["--records", str(records), "--table", str(page)]
    assert main(options) == 0
    assert "1 of 1: straight line, torch, seed 1: -9.5" in capsys.readouterr().out
    assert main(options) == 0
    assert "1 of 1" not in capsys.readouterr().out
    assert len(records.read_text().splitlines()) == 1
    text = page.read_text()
    assert text.startswith(f"Before.\n{BEGIN}{HEADING}| straight line | torch | -9.5228 | ")
    assert "1 runs: 1 ended with exit code 0, 0 with 5" in text
    assert "Wrong with exit code 0, by more than 4 errors and 0.05: 0.\n" in text
    assert text.endswith(f"{END}After.\n")


def test_a_run_that_takes_too_long_is_recorded(tmp_path, capsys):
    records = tmp_path / "records.jsonl"
    options = ["-k", "straight line torch", "--seeds", "1", "--most-seconds", "0.5"]
    assert main([*options, "--records", str(records)]) == 1
    assert "straight line, torch, seed 1 took too long" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"log_evidence": LINE.log_evidence + 0.02}, []),
        ({"log_evidence": LINE.log_evidence + 0.06}, ["off by more than 0.03", "does not say so"]),
        ({"exit_code": 5}, ["not to be trusted"]),
        ({"exit_code": 3}, ["ended with an error"]),
        ({"holds": False}, ["other modes"]),
        ({"megabytes": 3000.0}, ["too much memory"]),
    ],
)
def test_what_does_not_hold_is_told(changes, told):
    found = complaints([(LINE, replace(RECORD, **changes))])
    assert len(found) == len(told)
    assert all(words in line for words, line in zip(told, found, strict=True))


def test_rows_that_were_not_run_stay_in_the_page():
    other = row(CASES[0], "torch", [replace(RECORD, title=CASES[0].title)])
    page = f"{BEGIN}{HEADING}{other}\nOld words.\n{END}"
    new = HEADING + row(LINE, "torch", [RECORD]) + "\nNew words.\n"
    text = with_table(page, new)
    assert text.index("| shells, 2-D |") < text.index("| straight line |")
    assert "New words" in text
    assert "Old words" not in text


def test_lines_that_were_cut_off_and_other_packages_do_not_count(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"title": "straight li\n')
    assert read(path, "abc") == {}
    assert read(tmp_path / "none.jsonl", "abc") == {}
