"""Damaged, edited and hostile result files: the right answer or a clear error, nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import decay
import h5py
import numpy as np
import pytest
import yaml
from commands import inside, run
from editing import corrupted, forged, unsealed
from processes import script

import nfanneal
from nfanneal.errors import ResultError
from nfanneal.results import store
from nfanneal.results.store.seal import DIGEST, check_bytes, content_digest

COPIES = 200
MISMATCH = "the content does not match what nfanneal wrote"
SPEC = {
    "name": "decay",
    "model": decay.MODEL,
    "parameters": {
        "n0": {"prior": {"lognormal": [0, 1]}, "label": "$n_0$", "unit": "mg"},
        "k": {"prior": {"halfnormal": 1}, "shape": 2},
    },
    "data": {"file": "d.csv"},
    "likelihood": {"n": {"normal": 0.2}},
    "anneal": {"draws": 512, "steps": 10, "max_rounds": 1},
    "output": {"samples": 400},
}
COMMANDS = {
    "summary": ("--json",),
    "plot": ("weights", "-o", "new.png"),
    "sample": ("-n", "50", "-o", "new.h5", "--json"),
    "prune": ("-o", "new.h5", "--json"),
    "predict": ("-o", "new.h5"),
    "export": ("--to", "json", "-o", "-"),
    "report": ("-o", "new.html"),
    "cite": (),
    "compare": ("good.h5", "--json"),
    "combine": ("good.h5", "-o", "new.h5", "--json"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """r.h5, and good.h5 of another seed."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "s.yaml").write_text(yaml.safe_dump(SPEC))
    (folder / "d.csv").write_text("t,n\n0,1.1\n1,0.6\n2,0.45\n")
    for name, seed in (("r.h5", 1), ("good.h5", 2)):
        quiet = ("--seed", seed, "--quiet", "--threads", 1)
        run("run", folder / "s.yaml", "-o", folder / name, *quiet, codes=(0, 5))
    return folder


@pytest.fixture
def here(original, tmp_path, monkeypatch):
    """A folder with copies of both, where the command line runs."""
    for path in original.glob("*.h5"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_command_takes_a_corrupted_copy_for_right(here, capsys):
    """Each of 200 copies goes through one of the commands, and all of them through `summary`."""
    path, raw = here / "r.h5", (here / "r.h5").read_bytes()
    rng, names = np.random.default_rng(20), list(COMMANDS)
    before = {p.name for p in here.iterdir()}
    for i in range(COPIES):
        copy = corrupted(raw, rng, i)
        assert copy != raw
        path.write_bytes(copy)
        for name in ("summary", names[i % len(names)]):
            code, out, err = inside(capsys, name, "r.h5", *COMMANDS[name])
            assert (code, out) == (3, ""), (i, name)
            assert err.startswith("Error: r.h5: "), (i, name)
            assert len(err.splitlines()) == 1, (i, name)
    assert {p.name for p in here.iterdir()} == before


def test_every_command_reads_the_intact_file(here, capsys):
    for name, arguments in COMMANDS.items():
        assert inside(capsys, name, "r.h5", *arguments)[0] in (0, 5), name
        for made in here.glob("new.*"):
            made.unlink()


def test_a_damaged_seal_does_not_hide_an_intact_content(here, capsys):
    """The checksum of the content decides, as it does when a seal is gone."""
    path = here / "r.h5"
    _, intact, _ = inside(capsys, "summary", "r.h5", "--json")
    raw = bytearray(path.read_bytes())
    raw[-75] ^= 1  # within the word that makes a seal
    path.write_bytes(raw)
    assert not check_bytes(path)
    assert inside(capsys, "summary", "r.h5", "--json")[1] == intact
    path.write_bytes(raw[:-82])
    assert not check_bytes(path)
    assert inside(capsys, "summary", "r.h5", "--json")[1] == intact


def edit_attribute(file):
    file.attrs["comment"] = "mine"


def edit_evidence(file):
    file.attrs["log_evidence"] += 0.5


def edit_deep_attribute(file):
    file["posterior/n0"].attrs["units"] = "kg"


def edit_value(file):
    file["weighted/log_weight"][0, 3] += 1e-9


def edit_integer(file):
    file["sample_stats/weighted_draw"][0, 0] += 1


def edit_name(file):
    file.move("history/beta", "history/gamma")


def edit_dataset(file):
    file["notes"] = [1, 2]


@pytest.mark.parametrize(
    "edit",
    [edit_attribute, edit_evidence, edit_deep_attribute, edit_value, edit_integer, edit_name,
     edit_dataset],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_an_edited_file_is_told(here, capsys, edit):
    with h5py.File(here / "r.h5", "r+") as file:
        edit(file)
    code, out, err = inside(capsys, "summary", "r.h5")
    assert (code, out) == (3, "")
    assert MISMATCH in err
    assert "edited" in err


def test_a_file_that_was_only_opened_for_writing_is_as_good(here):
    with h5py.File(here / "r.h5", "r+"):
        pass
    assert store.read(here / "r.h5").name == "decay"


def test_a_file_that_another_program_has_packed_is_as_good(here, capsys):
    """The bytes are others, the content is the same."""
    with h5py.File(here / "r.h5") as old, h5py.File(here / "packed.h5", "w") as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value
        for name in old:
            old.copy(name, new)
    assert (here / "packed.h5").read_bytes() != (here / "r.h5").read_bytes()
    assert inside(capsys, "summary", "packed.h5") == inside(capsys, "summary", "r.h5")


def test_a_file_without_its_checksum_is_refused(here):
    path = here / "r.h5"
    with h5py.File(path, "r+") as file:
        del file.attrs[DIGEST]
        file.attrs["log_evidence"] = 5.0
    with pytest.raises(ResultError, match="does not match what nfanneal wrote"):
        store.read(path)


def test_corrupted_files_without_a_seal_are_refused_or_say_the_same(here):
    """Another program has opened them; only the checksum of the content is left.

    In another process: the HDF5 library itself reads what is damaged.
    """
    unsealed(here / "r.h5")
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from editing import corrupted\nfrom nfanneal.results import store\n"
        "from nfanneal.errors import ResultError\n"
        "raw, rng, path = Path('r.h5').read_bytes(), np.random.default_rng(7), Path('c.h5')\n"
        "right = repr(store.read(path.with_name('r.h5')).diagnostics)\n"
        f"told = 0\nfor i in range({COPIES}):\n"
        "    path.write_bytes(corrupted(raw, rng, i))\n"
        "    try:\n        assert repr(store.read(path).diagnostics) == right\n"
        "    except ResultError:\n        told += 1\n"
        "print('told', told)\n"
    )
    done = script(code, PYTHONPATH=str(Path(nfanneal.__file__).parent.parent))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) >= COPIES // 4  # all those that were cut off


def test_the_content_has_one_checksum_however_it_is_stored(here):
    with h5py.File(here / "r.h5") as file:
        assert file.attrs[DIGEST] == content_digest(file)
    with h5py.File(here / "good.h5") as file:
        assert file.attrs[DIGEST] == content_digest(file) != store_digest(here / "r.h5")


def store_digest(path):
    with h5py.File(path) as file:
        return file.attrs[DIGEST]


def link_elsewhere(file):
    file["extra"] = h5py.ExternalLink("good.h5", "/posterior")


def link_softly(file):
    file["extra"] = h5py.SoftLink("/posterior")


def raw_bytes_of_another_file(file):
    del file["nfanneal/failed_theta"]
    external = [("/etc/passwd", 0, 64)]
    file.create_dataset("nfanneal/failed_theta", (4, 2), "f8", external=external)


def a_bomb(file):
    del file["history/loss"]
    shape = (10**12,)
    file.create_dataset("history/loss", shape, "f8", chunks=(10**6,), compression="gzip")


def groups_that_multiply(file):
    inner = file.create_group("bomb0")
    for i in range(1, 40):
        outer = file.create_group(f"bomb{i}")
        outer["a"] = outer["b"] = inner
        inner = outer


def a_group_within_itself(file):
    group = file.create_group("loop")
    group["again"] = group


@pytest.mark.parametrize(
    "build",
    [link_elsewhere, link_softly, raw_bytes_of_another_file, a_bomb, groups_that_multiply,
     a_group_within_itself],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_what_a_stranger_can_build_into_a_file(here, capsys, build):
    with h5py.File(here / "r.h5", "r+") as file:
        build(file)
        del file.attrs[DIGEST]
    code, out, err = inside(capsys, "summary", "r.h5")
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1


def test_parts_that_do_not_fit_are_told(here):
    with forged(here / "r.h5") as file:
        file["sample_stats/weighted_draw"][0, 0] = 10**9
    with pytest.raises(ResultError, match="a posterior draw that is no weighted draw"):
        store.read(here / "r.h5")


def test_no_text_steers_the_terminal(here, capsys):
    with forged(here / "r.h5") as file:
        file.attrs["name"] = "\x1b]0;owned\x07"
    code, out, err = inside(capsys, "summary", "r.h5")
    assert (code, out) == (3, "")
    assert "a control character in a text" in err


def test_labels_and_units_that_are_no_markup_are_shown_as_they_are(here, capsys):
    """Units in brackets are common, and labels may be no valid mathematics."""
    with forged(here / "r.h5") as file:
        described = json.loads(file["nfanneal"].attrs["parameters"])
        described[0] |= {"label": "$\\badmacro{x$", "unit": "[/red]"}
        file["nfanneal"].attrs["parameters"] = json.dumps(described)
    code, out, _ = inside(capsys, "summary", "r.h5")
    assert code in (0, 5)
    assert "[/red]" in out
    assert inside(capsys, "plot", "r.h5", "corner", "-o", "new.png")[0] == 0


def test_names_inside_lead_nowhere(here, capsys):
    """A parameter called like a path stays a name: nothing outside the folder is read or made."""
    with forged(here / "r.h5") as file:
        described = json.loads(file["nfanneal"].attrs["parameters"])
        described[0]["name"] = "../../../etc/passwd"
        file["nfanneal"].attrs["parameters"] = json.dumps(described)
    code, _, err = inside(capsys, "summary", "r.h5")
    assert code == 3
    assert "damaged" in err


def test_no_model_file_runs_because_a_result_names_it(here, capsys):
    """The file that the result names is there, and would leave a trace."""
    (here / "evil.py").write_text("open('trace', 'w')\ndef f(p, t):\n    return {}\n")
    with forged(here / "r.h5") as file:
        spec = yaml.safe_load(file.attrs["spec_yaml"])
        spec["model"] = {"kind": "python", "file": str(here / "evil.py"), "simulate": "f"}
        file.attrs["spec_yaml"] = yaml.safe_dump(spec)
    for name, arguments in COMMANDS.items():
        inside(capsys, name, "r.h5", *arguments)
    code, _, err = inside(capsys, "sample", "r.h5", "-n", 10, "-o", "again.h5")
    assert code == 3
    assert "--model FILE" in err
    assert not (here / "trace").exists()


@pytest.mark.parametrize(
    "text",
    ["[" * 50_000, "a: &a [*a]", "!!python/object/apply:os.system [touch trace]", "a: \a", "x"],
    ids=["deep", "alias", "tag", "bell", "word"],
)
def test_a_hostile_spec_inside_a_result(here, capsys, text):
    with forged(here / "r.h5") as file:
        file.attrs["spec_yaml"] = text
    for name in ("sample", "predict", "plot"):
        arguments = ("corner", "-o", "c.png") if name == "plot" else COMMANDS[name]
        code, _, err = inside(capsys, name, "r.h5", *arguments)
        assert code == 3
        assert err.startswith("Error: ")
    assert not (here / "trace").exists()


def test_a_pipe_or_a_device_is_no_result(here, capsys):
    os.mkfifo(here / "pipe")
    for path in (here / "pipe", Path("/dev/zero"), Path("/dev/null")):
        code, _, err = inside(capsys, "summary", path)
        assert code == 3
        assert "a pipe or a device, not a file" in err
