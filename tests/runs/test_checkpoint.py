"""A run that was stopped any number of times ends with the same bits; damage is told."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from commands import inside
from stopping import content, differences, write_problem

from nfanneal.anneal import patches
from nfanneal.anneal.journal import Journal
from nfanneal.anneal.proposals.truncated import Side
from nfanneal.anneal.tails import Tail
from nfanneal.errors import OutputError, ResultError
from nfanneal.model.ode_model import OdeSimulator
from nfanneal.results import store
from nfanneal.results.identity import run_identity
from nfanneal.runs import verdict
from nfanneal.runs.checkpoint_file import (
    checkpoint_path,
    latest_checkpoint,
    previous_path,
    read_checkpoint,
    write_checkpoint,
)
from nfanneal.runs.checkpointing import identity_of, plain_checkpoint, resumed_checkpoint
from nfanneal.runs.cost import with_preset
from nfanneal.runs.from_spec import Hooks, run_checked
from nfanneal.spec.load import spec_from_text

TORCH = """
model: {kind: python, file: model.py, log_likelihood: f, batch: 200}
parameters: {x: {shape: 3, prior: {normal: [0, 2]}}, y: {prior: {uniform: [-3, 3]}, label: why}}
anneal: {draws: 256, steps: 5, max_rounds: 2, schedule: linear, levels: 2, moves: 1,
  target_ess: 1}
flow: {kind: coupling_nsf, hidden: [16]}
output: {samples: 700}
"""
MODEL = """
from pathlib import Path
def f(p):
    with Path(__file__).with_name("calls").open("a") as calls:
        calls.write(".")
    return -0.5*((p["x"] - 1)**2).sum(-1) - abs(p["y"] - p["x"][:, 0])
"""
ODE = """
model:
  kind: ode
  states: {n: n0}
  equations: {n: -k*n}
parameters:
  n0: {prior: {lognormal: [0, 1]}}
  k: {prior: {halfnormal: 1}}
data: {file: data.csv, time: t}
likelihood: {n: {normal: 0.2}}
anneal: {draws: 256, steps: 5, max_rounds: 1}
flow: {hidden: [16]}
output: {samples: 300}
"""
SPECS = {
    "ode": ODE,
    "moves": TORCH,
    "hybrid": TORCH.replace("{draws", "{objective: hybrid, draws"),
    "maf": TORCH.replace("coupling_nsf", "maf"),
    "two kinds of flows": TORCH.replace("kind: coupling_nsf, ", "").replace(
        "shape: 3", "shape: 13"
    ),
}


STAGED = """\
model: {kind: python, file: model.py, log_likelihood: f}
parameters: {x: {shape: 2, prior: {normal: [0, 1]}}, y: {prior: {normal: [0, 1]}}}
flow: {hidden: [16]}
anneal: {draws: 256, steps: 5, walkers: 256, local_components: 8}
output: {samples: 300, error: 1e-4}
"""
"""An error that is out of reach: all stages are gone through."""


class Cut(Exception):  # noqa: N818
    """A run ends here."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.csv").write_text("t,n\n0,1.1\n1,0.6\n1,\n2,0.45\n")
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def run(checked, output, *, stop_after=None, resume=False):
    """Run once, until `stop_after` events; then write a checkpoint, else the result."""
    kept, seen = {}, 0
    checked = with_preset(checked, "usual")

    def begin(checked, problem, settings):
        about = run_identity(checked, problem)
        kept["about"] = about
        found = resumed_checkpoint(latest_checkpoint(output)[0], about) if resume else None
        kept["journal"] = Journal(found)
        return kept["journal"], None

    def observe(event):
        nonlocal seen
        seen += 1
        if seen == stop_after:
            raise Cut

    try:
        result = run_checked(checked, threads=1, observe=observe, hooks=Hooks(begin=begin))
    except Cut:
        checkpoint = kept["journal"].checkpoint()
        write_checkpoint(plain_checkpoint(checkpoint, kept["about"]), output)
        return None
    store.write(result, output)
    return seen


@pytest.mark.parametrize("name", SPECS)
def test_a_run_stopped_six_times_has_the_bits_of_one_that_was_not(name, folder):
    checked = spec_from_text(SPECS[name], folder)
    whole, cut = folder / "whole.h5", folder / "cut.h5"
    events = run(checked, whole)
    rng = np.random.default_rng(3)
    for i in range(6):  # five of them in the first levels, where a run is scouting
        stop = rng.integers(events // 2, events) if i == 5 else rng.integers(1, events // 4)
        run(checked, cut, stop_after=int(stop), resume=i > 0)
    if not cut.exists():
        run(checked, cut, resume=True)
    assert differences(whole, cut) == []
    assert any("weighted" in key for key in content(whole))


def test_a_run_stopped_in_a_later_stage_has_the_bits_of_one_that_was_not(folder):
    checked = spec_from_text(STAGED, folder)
    whole, cut = folder / "whole.h5", folder / "cut.h5"
    events = run(checked, whole)
    for share in (0.5, 0.7, 0.9):
        run(checked, cut, stop_after=int(share * events))
        stopped = latest_checkpoint(cut)[0]
        assert stopped.layout["run"]["stage"] > 0
        run(checked, cut, resume=True)
        assert differences(whole, cut) == []


def test_a_run_stopped_in_the_annealing_of_a_part_has_the_bits_of_one_that_was_not(
    folder, monkeypatch
):
    def tail(z, log_weight, error, drawn):
        return None if drawn.annealed else Tail(Side(0, 0.5, True), 0, 300, 0.02, 2.0)

    monkeypatch.setattr(verdict, "uncertain_tail", tail)
    checked = spec_from_text(STAGED, folder, ("anneal.scout=off",))
    whole, cut = folder / "whole.h5", folder / "cut.h5"
    calls, events, levels = folder / "calls", run(checked, whole), []
    wanted = len(calls.read_text())
    for share in (0.12, 0.16, 0.2, 0.24, 0.9):
        calls.unlink()
        run(checked, cut, stop_after=int(share * events))
        state = latest_checkpoint(cut)[0].layout["run"]
        levels.append(state["within"] and state["within"]["level"])
        assert len(state["parts"]) == (share == 0.9)
        run(checked, cut, resume=True)
        assert differences(whole, cut) == []
        assert len(calls.read_text()) == wanted + ONCE_MORE
    assert any(levels), levels


def test_a_run_stopped_after_a_patch_was_made_has_the_bits_of_one_that_was_not(folder, monkeypatch):
    """Every other draw counts as one that is rare, and any patch is of use."""
    monkeypatch.setattr(patches, "RARE", 1.0)
    monkeypatch.setattr(patches, "ENOUGH", 1e-4)
    monkeypatch.setattr(patches, "HELPS", 1.0)
    checked = spec_from_text(STAGED, folder)
    whole, cut = folder / "whole.h5", folder / "cut.h5"
    events, patched = run(checked, whole), []
    for share in (0.5, 0.7, 0.9):
        run(checked, cut, stop_after=int(share * events))
        patched.append(latest_checkpoint(cut)[0].layout["run"]["patch"] is not None)
        run(checked, cut, resume=True)
        assert differences(whole, cut) == []
    assert any(patched)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_a_run_stopped_at_any_event_has_the_bits_of_one_that_was_not(name, folder):
    checked = spec_from_text(SPECS[name], folder)
    whole, cut = folder / "whole.h5", folder / "cut.h5"
    for stop in range(1, run(checked, whole)):
        run(checked, cut, stop_after=stop)
        run(checked, cut, resume=True)
        assert differences(whole, cut) == []


ONCE_MORE, AGAIN = 5, 2
"""Calls that see, whenever a run starts, whether the model is a function, and when it ends."""


def test_what_was_answered_is_not_asked_again(folder):
    """Counted in calls of the model, whose file may not change meanwhile."""
    checked = spec_from_text(TORCH, folder, ("anneal.walkers=0",))
    whole, cut = folder / "whole.h5", folder / "cut.h5"
    events = run(checked, whole)
    calls = folder / "calls"
    wanted = len(calls.read_text())
    calls.unlink()
    run(checked, cut, stop_after=events - 2)
    # 700 draws are four calls, of which one is left, and so are two to ask some of them again
    assert len(calls.read_text()) == wanted - 2 - AGAIN
    run(checked, cut, stop_after=1, resume=True)
    assert len(calls.read_text()) == wanted - 2 - AGAIN + ONCE_MORE
    run(checked, cut, resume=True)
    assert len(calls.read_text()) == wanted + 2 * ONCE_MORE
    (folder / "model.py").write_text("def f(p):\n    return -p['y']**2\n")
    run(checked, folder / "other.h5", stop_after=3)
    (folder / "model.py").write_text(MODEL)
    with pytest.raises(ResultError, match="the model's Python file: changed since"):
        run(checked, folder / "other.h5", resume=True)


def test_code_in_another_form_goes_on_where_that_is_said(folder, capsys):
    """And code that says something else never does."""
    (folder / "s.yaml").write_text(TORCH)
    checked, cut = spec_from_text(TORCH, folder), folder / "cut.h5"
    events = run(checked, folder / "whole.h5")
    run(checked, cut, stop_after=int(0.8 * events))
    resume = ("run", folder / "s.yaml", "-o", cut, "--threads", 1, "--quiet", "--resume")
    (folder / "model.py").write_text(f"# a remark\n{MODEL}")
    code, _, err = inside(capsys, *resume)
    assert (code, "go on with --resume --model-changed" in err) == (3, True), err
    (folder / "model.py").write_text(MODEL.replace("0.5*", "0.6*"))
    code, _, err = inside(capsys, *resume, "--model-changed")
    assert (code, "the model answers otherwise than it did" in err) == (3, True), err
    (folder / "data.csv").write_text("")
    (folder / "model.py").write_text(f"# a remark\n{MODEL}")
    code, _, err = inside(capsys, *resume, "--model-changed")
    assert (code, "says the same of 8 points as before" in err) == (0, True), err
    assert differences(folder / "whole.h5", cut) == []


def test_code_in_another_form_is_no_way_around_other_data(stopped_ode):
    _, output = stopped_ode
    plain = latest_checkpoint(output)[0]
    now = replace(identity_of(plain), contents={"the data": "others", "the model's code": "new"})
    with pytest.raises(ResultError, match=r"(?s)the data: changed since.*with --force$"):
        resumed_checkpoint(plain, now, any_code=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "parameters.n0.prior.lognormal=[0, 2]",
            r"lognormal: \[0, 1\] before, \[0, 2\]",
        ),
        ("model.equations.n=-2*k*n", "equations.n: -k.n before, -2.k.n now"),
        ("likelihood.n.normal=0.3", "likelihood.n.normal: 0.2 before, 0.3 now"),
        ("model.solver.rtol=1e-7", "model.solver.rtol"),
        ("flow.bins=5", "flow.bins: not set before, 5 now"),
        ("seed=2", "seed: 1 before, 2 now"),
    ],
)
def test_another_problem_is_refused_and_the_difference_shown(
    change, words, stopped_ode, monkeypatch
):
    """Before log L is asked for."""
    folder, output = stopped_ode
    monkeypatch.setattr(OdeSimulator, "predict", None)
    with pytest.raises(ResultError, match=words):
        run(spec_from_text(ODE, folder, [change]), output, resume=True)


@pytest.fixture(scope="module")
def stopped_ode(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "data.csv").write_text("t,n\n0,1.1\n1,0.6\n1,\n2,0.45\n")
    output = folder / "cut.h5"
    checked = spec_from_text(ODE, folder)
    run(checked, output, stop_after=7)
    run(checked, output, stop_after=13, resume=True)
    assert previous_path(output).exists()
    return folder, output


def test_other_data_are_refused_but_not_another_file_of_the_same(stopped_ode, tmp_path):
    folder, output = stopped_ode
    (folder / "moved.csv").write_text("n;t\n1.10;0\n0.6;1\n;1\n0.45;2\n")
    moved = spec_from_text(ODE.replace("data.csv", "moved.csv"), folder)
    for name in (checkpoint_path(output), previous_path(output)):
        shutil.copy(name, tmp_path)
    run(moved, tmp_path / "cut.h5", resume=True)
    (folder / "moved.csv").write_text("n,t\n1.2,0\n0.6,1\n,1\n0.45,2\n")
    with pytest.raises(ResultError, match="the data: changed since"):
        run(moved, output, resume=True)


def test_more_rounds_and_more_samples_go_on(stopped_ode, tmp_path):
    folder, output = stopped_ode
    for name in (checkpoint_path(output), previous_path(output)):
        shutil.copy(name, tmp_path)
    changes = [
        "parameters.n0.prior.lognormal=[0.0, 1.0]",
        "anneal.max_rounds=3",
        "output.samples=500",
        "parameters.k.label=K",
        "anneal.target_ess=1",
    ]
    run(spec_from_text(ODE, folder, changes), tmp_path / "cut.h5", resume=True)
    result = store.read(tmp_path / "cut.h5")
    assert len(result.draws.log_weight) == 500
    assert (result.history.levels["beta"] == 1.0).sum() == 3


def test_a_checkpoint_holds_no_pickle_and_its_spec(stopped_ode):
    _, output = stopped_ode
    plain = read_checkpoint(checkpoint_path(output))
    assert yaml.safe_load(plain.layout["yaml"])["model"]["kind"] == "ode"
    assert len(plain.layout["digest"]) == 64
    assert plain.layout["spec"]["model.equations.n"] == "-k*n"
    assert set(plain.layout) == {"run", "yaml", "digest", "spec", "contents", "extension"}
    held = "c9720c96478718b96f28771a4d47da4d6ff3cc2409a4d9886e994ccf8231ffb7"
    assert plain.layout["contents"] == {"the data": held}  # else no earlier checkpoint goes on
    assert b"pickle" not in checkpoint_path(output).read_bytes()
    assert all(array.dtype.kind in "fiub" for array in plain.arrays.values())


def test_damaged_checkpoints_give_the_one_before_or_one_clear_line(stopped_ode, tmp_path):
    """Two hundred damaged copies: flipped bytes, cut tails, appended bytes."""
    _, output = stopped_ode
    good = checkpoint_path(output).read_bytes()
    before = read_checkpoint(previous_path(output))
    copy = tmp_path / "cut.h5"
    shutil.copy(previous_path(output), previous_path(copy))
    rng = np.random.default_rng(5)
    for i in range(200):
        checkpoint_path(copy).write_bytes(damaged(good, i % 4, rng))
        plain, complaints = latest_checkpoint(copy)
        assert plain.layout == before.layout
        assert len(complaints) == 1
        assert "damaged" in complaints[0]
    previous_path(copy).unlink()
    with pytest.raises(ResultError, match="no good checkpoint is left"):
        latest_checkpoint(copy)


def damaged(content, kind, rng):
    if kind == 0:
        return content[: rng.integers(len(content))]
    if kind == 1:
        return content + b"\0"
    changed = bytearray(content)
    for place in rng.integers(len(content), size=1 if kind == 2 else 50):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(stopped_ode, tmp_path, capsys):
    folder, output = stopped_ode
    (folder / "ode.yaml").write_text(ODE)
    copy = tmp_path / "cut.h5"
    for path in (checkpoint_path, previous_path):
        shutil.copy(path(output), path(copy))
    checkpoint_path(copy).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    code, _, err = inside(
        capsys, "run", folder / "ode.yaml", "-o", copy, "--resume", "--threads", 1
    )
    assert code in (0, 5), err
    assert "its checksum does not fit; going on from the checkpoint before it" in err
    run(spec_from_text(ODE, folder), tmp_path / "whole.h5")
    assert set(differences(tmp_path / "whole.h5", copy)) <= {"/@spec_yaml"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.h5", "whole.h5"]


def test_the_words_of_resume(tmp_path, capsys):
    spec = write_problem(tmp_path)
    output = tmp_path / "x.h5"
    code, _, err = inside(capsys, "run", "--resume", spec, "-o", output)
    assert code == 3
    assert "nothing to resume; leave --resume out to start" in err
    output.write_bytes(b"a result")
    code, _, err = inside(capsys, "run", spec, "-o", output, "--resume")
    assert code == 3
    assert "is finished" in err
    output.unlink()
    checkpoint_path(output).write_bytes(b"bad")
    code, _, err = inside(capsys, "run", spec, "-o", output)
    assert code == 3
    assert "go on with --resume, or start afresh with --force" in err
    code, _, err = inside(capsys, "run", spec, "-o", output, "--resume")
    assert code == 3
    assert "damaged" in err
    assert "no good checkpoint is left" in err
    assert not (tmp_path / "x.h5.lock").exists()


def test_auto_starts_where_nothing_is_and_a_finished_run_is_finished(tmp_path, capsys):
    spec = write_problem(tmp_path)
    options = ("-o", tmp_path / "x.h5", "--resume", "auto", "--quiet", "--threads", 1)
    code, _, err = inside(capsys, "run", spec, *options)
    assert code == 0
    assert err == ""
    before = content(tmp_path / "x.h5")
    code, _, err = inside(capsys, "run", spec, *options)
    assert code == 0
    assert "is finished: nothing is left to do" in err
    assert content(tmp_path / "x.h5") == before
    code, _, err = inside(capsys, "run", spec, *options, "--seed", 2)
    assert code == 3
    assert "is finished, and of another spec:\n  seed: 1 before, 2 now\n" in err


def test_a_checkpoint_in_no_folder(stopped_ode, tmp_path):
    _, output = stopped_ode
    plain = read_checkpoint(checkpoint_path(output))
    with pytest.raises(OutputError, match="cannot write here: No such file or directory"):
        write_checkpoint(plain, tmp_path / "gone" / "x.h5")
