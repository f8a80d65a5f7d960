"""Results beside each other, what differs between them, and tables for papers."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas
import pytest
from commands import inside
from regression import exact

from nfanneal.results import store
from nfanneal.results.difference import Pair, difference


def test_several_results_have_a_column_each(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    files = [Path("line0.h5"), Path("flat.h5")]
    code, out, _ = inside(capsys, "summary", *files, "--markdown")
    assert code == 0
    lines = [line.strip("| ").split(" | ") for line in out.splitlines()[4:]]
    names = {line[0]: line[1:] for line in lines}
    for path, cell in zip(files, names["log-evidence"], strict=True):
        assert cell.startswith(f"{store.read(path).diagnostics.log_evidence:.3f} ± ")
    code, out, _ = inside(capsys, "summary", *files)
    assert code == 0
    assert [name for name in names if name not in out] == []
    code, out, _ = inside(capsys, "summary", *files, "--json")
    assert [each["name"] for each in json.loads(out)] == ["line", "flat"]


def test_tables_for_papers_hold_the_posterior(folder, capsys):
    result = store.read(folder / "line0.h5")
    code, out, _ = inside(capsys, "summary", folder / "line0.h5", "--csv")
    assert code == 0
    table = pandas.read_csv(io.StringIO(out)).set_index("parameter")
    assert table.loc["log_evidence", "mean"] == result.diagnostics.log_evidence
    for name, s in result.summaries().items():
        assert table.loc[name, "mean"] == s.mean
        assert table.loc[name, "q95"] == s.q95
    code, out, _ = inside(capsys, "summary", folder / "line0.h5", "--latex")
    assert code == 0
    body = out.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert body.count(r"\\") == len(result.columns.names)
    assert not any(c in body.replace(r"\_", "").replace(r"\%", "") for c in "%#")
    assert out.count("{") == out.count("}")


@pytest.mark.parametrize("form", ["--latex", "--markdown", "--csv", "--json"])
def test_a_result_that_is_not_to_be_trusted_says_so_in_every_form(folder, capsys, form):
    assert inside(capsys, "summary", folder / "poor.h5", form)[0] == 5


def test_two_runs_of_one_problem_agree(folder, capsys):
    """18 numbers at 4 errors: a false alarm in 900."""
    code, out, _ = inside(capsys, "diff", folder / "line0.h5", folder / "line1.h5")
    assert code == 0
    assert "seed: " in out
    assert out.rstrip().endswith("All numbers agree within their errors.")
    code, out, _ = inside(capsys, "diff", folder / "line0.h5", folder / "line0.h5", "--json")
    found = json.loads(out)
    assert (found["spec"], found["same_data"], found["same_problem"]) == ({}, True, True)
    assert all(pair["apart"] == 0.0 for pair in found["numbers"].values())


def test_models_of_the_same_data_differ_in_spec_parameters_and_evidence(folder, capsys):
    code, out, _ = inside(capsys, "diff", folder / "line0.h5", folder / "flat.h5", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["same_data"], found["same_problem"]) == (True, False)
    evidence = found["numbers"]["log-evidence"]
    assert evidence["differs"]
    gap, error = np.subtract(*evidence["values"]), math.hypot(*evidence["errors"])
    assert evidence["apart"] == pytest.approx(abs(gap) / error)
    # 4 errors: a false alarm in 16,000
    assert gap == pytest.approx(exact(True) - exact(False), abs=4.0 * error)
    assert found["only_in_first"]
    assert not found["only_in_second"]


def test_runs_that_disagree_end_with_exit_code_5(folder, capsys):
    """The second has lost half of its evidence, and its file says that it is sure."""
    first = store.read(folder / "line0.h5")
    d = first.diagnostics
    lost = d.__class__(**{**vars(d), "log_evidence": d.log_evidence - math.log(2.0)})
    store.write(first.__class__(**{**vars(first), "diagnostics": lost}), folder / "lost.h5")
    code, out, _ = inside(capsys, "diff", folder / "line0.h5", folder / "lost.h5")
    assert code == 5
    assert "at least one of the results is wrong" in " ".join(out.split())


def test_errors_of_moments_are_those_of_repeated_runs(folder):
    """Eight seeds of one regression: errors of the mean against its spread, within a factor two.

    The ratio of a sample sd of 8 runs to the truth leaves (1/2, 2) once in 100.
    """
    runs = [store.read(path) for path in sorted(folder.glob("line*.h5"))]
    name = runs[0].columns.names[0]
    pairs = [difference(runs[0], run).numbers for run in runs]
    means = [next(p for p in each if p.name == f"mean {name}") for each in pairs]
    spread = np.std([p.values[1] for p in means], ddof=1)
    assert 0.5 < spread / np.mean([p.errors[1] for p in means]) < 2.0


def test_what_is_no_number_differs():
    assert Pair("x", (math.nan, 1.0), (0.1, 0.1)).differs
    assert Pair("x", (1.0, 2.0), (0.0, 0.0)).differs
    assert not Pair("x", (1.0, 1.0), (0.0, 0.0)).differs
