"""Laws of what a problem is made of: what tells two apart, and what does not, for each purpose."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import pytest
from commands import inside
from hypothesis import given
from hypothesis import strategies as st
from stopping import write_problem

from nfanneal.results import store
from nfanneal.results.identity import (
    COMBINING,
    EXTENDING,
    FINISHED,
    RESUMING,
    SAME_DATA,
    Identity,
    differences,
    is_among,
    result_identity,
    run_identity,
    spec_identity,
)
from nfanneal.runs.from_spec import run_checked
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec, spec_from_text

PURPOSES = {
    "resuming": RESUMING,
    "extending": EXTENDING,
    "finished": FINISHED,
    "combining": COMBINING,
    "same data": SAME_DATA,
}
SPEC = """\
name: two
model:
  kind: ode
  states: {label: n0}
  equations: {label: -k*label*data}
  inputs: {data: {file: input.csv}}
  solver: {method: tsit5}
parameters:
  n0: {prior: {normal: [1, 1]}, label: $n_0$, unit: mg}
  k: {prior: {halfnormal: 1}}
likelihood: {label: {normal: 0.2}}
experiments:
  a: {data: {file: a.csv}}
  b: {data: {file: b.csv, time: s}, inputs: {data: {times: [0], values: [2]}},
      likelihood: {label: {normal: 0.3}}}
anneal: {draws: 128, steps: 5, max_rounds: 1, max_levels: 1, scout: 'off'}
flow: {hidden: [8]}
output: {samples: 100}
"""
"""An ODE: its keys are compared, but it is never compiled."""
CODE = """\
name: two
model: {kind: python, file: model.py, simulate: f, array: numpy, batch: 100}
parameters:
  n0: {prior: {normal: [1, 1]}, label: $n_0$, unit: mg}
  k: {prior: {halfnormal: 1}}
data: {file: a.csv}
likelihood: {label: {normal: 0.2}, m: {normal: 0.3}}
anneal: {draws: 128, steps: 5, max_rounds: 1, max_levels: 1, scout: 'off'}
flow: {hidden: [8]}
output: {samples: 100}
"""
FILES = {
    "model.py": "import numpy as np\n"
    "def f(p, t):\n"
    "    n = p['n0'][:, None] * np.exp(-p['k'][:, None] * t)\n"
    "    return {'label': n, 'm': 2*n}\n",
    "a.csv": "t,label,m\n0,1.1,2\n1,0.6,\n1,,0.9\n1.5,,\n2,0.45,\n",
    "b.csv": "s,label\n0,0.9\n0.5,0.5\n",
    "input.csv": "t,data\n0,1\n1,1.5\n",
}
DECORATED = {"name", "parameters.n0.label", "parameters.n0.unit"}


def put(folder, spec=CODE):
    folder.mkdir(exist_ok=True)
    for name, text in {**FILES, "spec.yaml": spec}.items():
        (folder / name).write_text(text)
    return folder / "spec.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    checked = load_spec(put(folder))
    store.write(run_checked(checked, threads=1), folder / "two.h5")
    return folder


def of(path, *changes):
    checked = load_spec(path, changes)
    return run_identity(checked, build_problem(checked))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_run_is_what_its_result_says(purpose, folder):
    """The result also names the same files, and holds the tables of inputs."""
    run, result = of(folder / "spec.yaml"), result_identity(store.read(folder / "two.h5"))
    assert run.yaml == result.yaml
    assert list(run.spec.items()) == list(result.spec.items())
    assert run.cells == result.cells
    assert run.cells is not None
    before = replace(result, contents=run.contents)
    assert differences(before, run, PURPOSES[purpose]) == []
    assert differences(run, run, PURPOSES[purpose]) == []


@cache
def flat():
    """The keys of a spec and what is said of them, without its files."""
    text = SPEC.replace("{file: input.csv}", "{times: [0, 1], values: [1, 1.5]}")
    return dict(spec_identity(spec_from_text(text)).spec)


@given(st.data())
@pytest.mark.parametrize("purpose", PURPOSES)
def test_any_key_that_is_not_ignored_is_told(purpose, data):
    before = Identity("before", known=flat())
    key = data.draw(st.sampled_from(sorted(flat())))
    other = data.draw(st.sampled_from([None, 0.125, "another", [1, 2], 17]))
    now = Identity("now", known=flat() | {key: other})
    found = differences(before, now, PURPOSES[purpose])
    back = differences(now, before, PURPOSES[purpose])
    if other == flat()[key] or is_among(key, PURPOSES[purpose].ignored):
        assert found == back == []
    else:
        assert len(found) == len(back) == 1
        assert found[0].startswith(f"  {key}: ")
        was, is_now = found[0].removeprefix(f"  {key}: ").removesuffix(" now").split(" before, ")
        assert back == [f"  {key}: {is_now} before, {was} now"]


def test_what_each_purpose_ignores():
    """Written out, so that no key slips in or out."""
    ignored = {
        name: {key for key in flat() if is_among(key, purpose.ignored)}
        for name, purpose in PURPOSES.items()
    }
    settings = {key for key in flat() if key.startswith(("anneal.", "output."))}
    data = {key for key in flat() if key.startswith(("experiments.a.data.", "experiments.b.data."))}
    labels = {
        key for key in flat() if key.endswith((".label", ".unit", ".scale")) and "rs.n0" in key
    }
    labels |= {key.replace("n0", "k") for key in labels}
    assert ignored["resuming"] == {"name", "axes", "data", *settings, *data, *labels}
    assert ignored["extending"] == ignored["resuming"]
    assert ignored["finished"] == set()
    problem = {k for k in flat() if k.startswith(("model.", "parameters.", "likelihood."))}
    experiments = {key for key in flat() if key.startswith("experiments.")}
    assert ignored["combining"] == set(flat()) - problem - (experiments - data)
    assert ignored["same data"] == set(flat())
    assert ignored["resuming"] >= DECORATED


@pytest.mark.parametrize(
    "key",
    [
        "parameters.label",  # a parameter of that name, which is fixed
        "experiments.b.inputs.data.values",
        "experiments.b.likelihood.data.normal",
        "model.states.label",
        "experiments.b.constants.data",
    ],
)
def test_a_name_is_not_taken_for_a_key(key):
    assert not is_among(key, RESUMING.ignored)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.equations.label=-2*k*label*data", "-k*label*data before, -2*k*label*data now"),
        ("likelihood.label.normal=0.3", "0.2 before, 0.3 now"),
        ("experiments.b.inputs.data.values=[3]", "[2.0] before, [3.0] now"),
        ("experiments.b.likelihood.label.normal=0.4", "0.3 before, 0.4 now"),
        ("flow.bins=5", "not set before, 5 now"),
        ("seed=2", "1 before, 2 now"),
    ],
)
def test_a_change_in_words(change, words, tmp_path):
    """The tables of inputs are part of the spec, wherever they stand."""
    path = put(tmp_path, SPEC)
    before, now = (spec_identity(load_spec(path, changes)) for changes in ([], [change]))
    line = f"  {change.split('=')[0]}: {words}"
    for purpose in (RESUMING, EXTENDING, FINISHED):
        assert differences(before, now, purpose) == [line]
    told = change.startswith(("model.", "likelihood.", "experiments."))
    assert differences(before, now, COMBINING) == ([line] if told else [])
    assert differences(before, now, SAME_DATA) == []
    assert before.digest != now.digest
    (tmp_path / "input.csv").write_text("t,data\n0,1\n1,1.75\n")
    now = spec_identity(load_spec(path))
    line = "  model.inputs.data.values: [1.0, 1.5] before, [1.0, 1.75] now"
    for purpose in (RESUMING, EXTENDING, COMBINING, FINISHED):
        assert differences(before, now, purpose) == [line]
    assert now.digest != before.digest


def test_labels_names_and_settings_matter_to_no_run_that_goes_on(folder):
    before = of(folder / "spec.yaml")
    for change in ("name=other", "parameters.k.label=K", "parameters.n0.unit=g", "anneal.steps=6",
                   "output.samples=200"):  # fmt: skip
        now = of(folder / "spec.yaml", change)
        assert differences(before, now, RESUMING) == []
        assert len(differences(before, now, FINISHED)) == 1
        assert bool(differences(before, now, COMBINING)) == change.startswith("parameters.")


def test_files_matter_by_what_they_hold(folder, tmp_path):
    """Another folder, name, delimiter and order of rows are the same data; another cell is not."""
    before = of(folder / "spec.yaml")
    spec = put(tmp_path / "moved", CODE.replace("a.csv", "c.csv"))
    moved = spec.with_name("c.csv")
    moved.write_text("label;t;m\n1.10;0;2\n;1;0.9\n0.6;1;\n0.45;2;\n")
    now = of(spec)
    for purpose in (RESUMING, EXTENDING, SAME_DATA):
        assert differences(before, now, purpose) == []
    pooled = differences(before, now, COMBINING)  # a result holds the place of code, not the code
    assert [line.split(":")[0].strip() for line in pooled] == ["model.file"]
    told = [line.split(":")[0].strip() for line in differences(before, now, FINISHED)]
    assert set(told) == {"data.file", "model.file"}
    assert now.digest == before.digest
    moved.write_text(FILES["a.csv"].replace("1.1,", "1.2,"))
    now = of(spec)
    assert differences(before, now, RESUMING) == ["  the data: changed since"]
    assert differences(before, now, SAME_DATA) == ["  the data: others"]
    assert now.digest != before.digest


def test_code_matters_by_what_it_holds(tmp_path):
    path = put(tmp_path)
    before = of(path)
    assert of(path) == before
    assert of(path).digest == before.digest
    assert list(before.contents) == ["the data", "the model's Python file"]
    other = (tmp_path / "model.py").rename(tmp_path / "other.py")
    now = of(path, "model.file=other.py", "model.batch=64")
    assert differences(before, now, RESUMING) == []
    assert len(differences(before, now, FINISHED)) == 2
    other.write_text(FILES["model.py"] + "# changed\n")
    now = of(path, "model.file=other.py")
    assert differences(before, now, RESUMING) == ["  the model's Python file: changed since"]
    assert differences(before, now, EXTENDING) == []
    assert now.digest != before.digest


def test_names_of_the_data_matter_to_a_run_but_not_to_a_comparison(folder, tmp_path):
    """Two models may call the same cells by other names, and in another order."""
    renamed = CODE.replace("{label: {normal: 0.2}, m:", "{n: {normal: 0.2}, label:")
    renamed = renamed.replace("a.csv", "a.csv, columns: {n: m}")
    path = put(tmp_path / "renamed", renamed)
    path.with_name("model.py").write_text(FILES["model.py"].replace("'m'", "'n'"))
    before, now = of(folder / "spec.yaml"), of(path)
    assert before.contents["the data"] != now.contents["the data"]
    assert differences(before, now, SAME_DATA) == []


def test_columns_are_gone_on_from_and_pooled_only_in_their_order():
    """Another order of parameters is one of the draws' columns, and of a checkpoint's points."""
    before = Identity("before", known=flat())
    turned = {k: v for k, v in flat().items() if k.startswith("parameters.k.")} | flat()
    noted = flat() | {"parameters.n0.prior.normal": [1.0, 1.0]}
    for known in (turned, noted):
        now = Identity("now", known=known)
        order = ["  parameters: in another order"] if known is turned else []
        assert differences(before, now, RESUMING) == differences(before, now, EXTENDING) == order
        assert len(differences(before, now, COMBINING)) == 1
        assert len(differences(before, now, FINISHED)) == 1


def test_a_comparison_of_data_reads_no_spec(folder):
    """Such as one that a later program no longer takes."""
    result = store.read(folder / "two.h5")
    odd = result_identity(replace(result, spec_yaml="no spec"))
    assert differences(result_identity(result), odd, SAME_DATA) == []
    none = result_identity(replace(result, observed={}))
    assert differences(none, result_identity(result), SAME_DATA) == ["  the data: others"]
    assert differences(none, none, SAME_DATA) == []


def test_a_finished_result_of_a_moved_spec_is_told_by_its_files(folder, tmp_path, capsys):
    spec, output = put(tmp_path / "moved"), folder / "two.h5"
    words = ("-o", output, "--resume", "auto")
    code, _, err = inside(capsys, "run", folder / "spec.yaml", *words)
    assert code in (0, 5)
    assert "is finished: nothing is left to do" in err
    code, _, err = inside(capsys, "run", spec, *words)
    assert code == 3
    assert f"data.file: {folder / 'a.csv'}"[:80] in err


def test_the_bench_says_which_problem_it_was_of(tmp_path, capsys):
    path = write_problem(tmp_path)
    small = ("--set", "anneal.max_levels=1", "--set", "anneal.draws=128", "--set", "anneal.steps=2")
    words = ("bench", path, "--against", "none", "--repeats", 1, "--threads", 1, "--json", *small)
    _, out, _ = inside(capsys, *words)
    assert json.loads(out)["spec_digest"] == of(path, *small[1::2]).digest


def test_the_layout_of_results_is_as_it_was(folder):
    with h5py.File(folder / "two.h5") as file:
        spec = file.attrs["spec_yaml"]
    assert spec == load_spec(folder / "spec.yaml").yaml
    assert Path(spec_from_text(spec).spec.data.file) == (folder / "a.csv").resolve()
