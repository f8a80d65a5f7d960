"""What `--workers` may say, and what is told where it cannot be done."""

import json
import sys

import pytest
from commands import inside
from copies import problem, written

from nfanneal.errors import InputError
from nfanneal.model.executors.addresses import scheduler_address
from nfanneal.model.executors.choice import POOLS, Workers, workers_of


def test_what_names_workers(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"type": "Scheduler", "address": "tcp://10.0.0.7:8786"}))
    assert workers_of("8") == Workers(count=8)
    assert workers_of("mpi") == Workers("mpi")
    assert workers_of(f"dask:{file}") == Workers("dask", address="tcp://10.0.0.7:8786")
    assert {workers_of(text).pool for text in ("8", "mpi", "dask:x:1")} == set(POOLS)
    addresses = {
        "tcp://node7:8786": "tcp://node7:8786",
        "tls://[::1]:8786": "tls://[::1]:8786",
        "node7:8786": "tcp://node7:8786",
        "[::1]:8786": "tcp://[::1]:8786",
    }
    assert {text: scheduler_address(text) for text in addresses} == addresses


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "2.5", "1000000", "many", "dask", "dask:", "mpi:3"]
)
def test_what_names_none(text):
    with pytest.raises(
        InputError, match=r"a number of processes \(1 to 10,000\), dask:ADDRESS, dask:FILE or mpi"
    ):
        workers_of(text)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such scheduler's file; start one: dask scheduler --scheduler-file"),
        ("", "is not the file of a Dask scheduler"),
        ("[1]", "it has no 'address'"),
        ('{"address": 7}', "it has no 'address'"),
    ],
)
def test_a_scheduler_s_file_that_is_none_is_told_before_anything(content, told, tmp_path, capsys):
    file, output = tmp_path / "scheduler.json", tmp_path / "x.h5"
    if content is not None:
        file.write_text(content)
    spec = written(tmp_path)
    code, _, err = inside(capsys, "run", spec, "-o", output, "--workers", f"dask:{file}")
    assert code == 2
    assert told in " ".join(err.split())
    assert sorted(path.name for path in tmp_path.glob("x.h5*")) == []


def test_a_word_that_is_no_address_is_told(tmp_path, capsys):
    code, _, err = inside(capsys, "check", written(tmp_path), "--workers", "dask:node7")
    assert code == 2
    assert "'node7' is neither an address such as tcp://node7:8786 nor" in err


@pytest.mark.parametrize("workers", ["dask:127.0.0.1:9", "mpi"])
def test_a_missing_package_is_named(workers, tmp_path, monkeypatch):
    extra = workers.partition(":")[0]
    monkeypatch.setitem(sys.modules, {"dask": "distributed", "mpi": "mpi4py"}[extra], None)
    monkeypatch.delitem(sys.modules, f"nfanneal.model.executors.{extra}", raising=False)
    with pytest.raises(InputError, match=rf"pip install 'nfanneal\[{extra}\]' is needed for this"):
        problem(tmp_path, workers=workers_of(workers))


def test_models_that_are_solved_here_take_no_workers(tmp_path, capsys):
    (tmp_path / "o.yaml").write_text(
        "model: {kind: ode, states: {x: 1}, equations: {x: -k*x}}\n"
        "parameters: {k: {prior: {uniform: [0, 1]}}}\n"
        "data: {file: d.csv}\nlikelihood: {x: {normal: 0.1}}\n"
    )
    (tmp_path / "d.csv").write_text("t,x\n0,1\n1,0.5\n")
    code, _, err = inside(capsys, "check", tmp_path / "o.yaml", "--workers", "2")
    assert code == 3
    assert "--workers is for models that are programs or Python files" in err
