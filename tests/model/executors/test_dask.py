"""Workers of a Dask cluster on this machine: they come, go, and are killed."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import programs
import pytest
from commands import inside
from copies import ODD, draws, exact, problem, written
from stopping import differences

from nfanneal.errors import InputError, ModelError, WorkersError
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors.choice import Workers, workers_of
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

pytest.importorskip("distributed", reason="nfanneal[dask] is not installed")
from nfanneal.model.executors import dask

HERE = ("--host", "127.0.0.1", "--no-dashboard")


class Cluster:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder):
        self.file, self._folder = folder / "scheduler.json", folder
        self._processes = []
        self.scheduler = self._start("scheduler", "--port", "0", *HERE)
        while not self.file.exists():
            assert self.scheduler.poll() is None, self.log()
            time.sleep(0.05)

    def _start(self, *words):
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words, "--scheduler-file", str(self.file)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._folder,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def worker(self):
        """One more; its model's processes are its children."""
        return self._start(
            "worker", "--nthreads", "1", "--no-nanny", "--death-timeout", "60", *HERE
        )

    @property
    def workers(self):
        return workers_of(f"dask:{self.file}")

    def log(self):
        return (self._folder / "log").read_text()

    def close(self):
        for process in reversed(self._processes):
            kill(process)


def kill(process):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A cluster of two workers."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.worker()
    cluster.worker()
    yield cluster
    cluster.close()


@pytest.fixture
def empty(tmp_path):
    """A cluster without any worker, which is soon missed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dask, "TICK", 0.05)
        patch.setattr(dask, "SILENT", 0.1)
        folder = tmp_path / "cluster"
        folder.mkdir()
        cluster = Cluster(folder)
        yield cluster
        cluster.close()


@pytest.fixture
def asked(tmp_path):
    """Asks a cluster's workers, and leaves them."""
    opened = []

    def ask(cluster, theta, body="pass", more=""):
        one = problem(tmp_path / "model", body, cluster.workers, more)
        opened.append(one.executor.pool)
        return one.ask(LogLikelihood(), theta)

    yield ask
    for pool in opened:
        pool.close()


def test_the_bits_are_those_of_this_process(two, asked, tmp_path):
    theta = draws(30)
    here = problem(tmp_path / "here").ask(LogLikelihood(), theta).log_likelihood
    found = asked(two, theta)
    assert found.log_likelihood.tobytes() == here.tobytes()
    assert not found.failed.any()


@pytest.mark.parametrize("protocol", ["call", "lines"])
def test_programs_are_called_by_the_workers(two, tmp_path, protocol):
    script, more = programs.staying(), "protocol: lines"
    if protocol == "call":
        script = "import sys\na, b = map(float, sys.argv[1:3])\nprint('x')\n"
        script += "for t in open('times.txt'): print(repr(a + b * float(t)))\n"
        more = f'command: [{sys.executable}, p.py, "{{a}}", "{{b}}"]'
    spec = load_spec(programs.written(tmp_path, script, more=more))
    theta = draws(20)
    here = build_problem(spec, workers=Workers(count=1)).ask(LogLikelihood(), theta)
    one = build_problem(spec, workers=two.workers)
    there = one.ask(LogLikelihood(), theta)
    one.executor.pool.close()
    assert not there.failed.any(), there.reasons
    assert there.log_likelihood.tobytes() == here.log_likelihood.tobytes()


def test_what_kills_its_process_always_fails_alone(two, asked):
    theta = draws(8, odd=(3,))
    found = asked(two, theta, f"if a == {ODD}: os.kill(os.getpid(), signal.SIGKILL)")
    assert found.failed.nonzero()[0].tolist() == [3]
    assert found.reasons == {"its worker was lost 3 times: it ended with signal SIGKILL": 1}
    np.testing.assert_array_equal(np.delete(found.log_likelihood, 3), exact(np.delete(theta, 3, 0)))


def test_what_a_model_raises_is_told_as_if_it_were_here(two, asked, tmp_path):
    theta = draws(6, odd=(4,))
    body = f"if {ODD} in p['a']: raise ValueError('no such place')"
    with pytest.raises(ModelError) as here:
        problem(tmp_path / "model", body).ask(LogLikelihood(), theta)
    with pytest.raises(ModelError) as there:
        asked(two, theta, body)
    assert str(there.value) == str(here.value)
    assert np.array_equal(asked(two, draws(3)).log_likelihood, exact(draws(3)))


def test_a_file_that_is_not_there_is_told_with_the_host(two, tmp_path):
    one = problem(tmp_path, workers=two.workers)
    (tmp_path / "m.py").unlink()
    with pytest.raises(InputError, match=r"on \S+: .*no such model file"):
        one.ask(LogLikelihood(), draws(2))
    one.executor.pool.close()


def test_a_run_is_the_same_as_with_processes_of_its_own(two, tmp_path, capsys):
    spec = written(tmp_path)
    for name, workers in (("here", "1"), ("there", f"dask:{two.file}")):
        output = tmp_path / f"{name}.h5"
        code, _, err = inside(capsys, "run", spec, "-o", output, "--workers", workers, "--quiet")
        assert code == 0, err
    assert differences(tmp_path / "here.h5", tmp_path / "there.h5") == []
    assert "Removing Worker plugin nfanneal" in two.log()


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_worker_that_goes_while_it_works_is_replaced_by_one_that_joins(
    empty, asked, tmp_path, how
):
    """Killed, or told to leave. The run has begun with none at all."""
    theta = draws(6, odd=(2,))
    body = f"if a == {ODD} and once('at_work'): time.sleep(600)"
    first = []

    def replace():
        first.append(empty.worker())
        while not (tmp_path / "model" / "at_work").exists():
            time.sleep(0.05)
        empty.worker()
        os.kill(first[0].pid, how)

    helper = threading.Thread(target=replace)
    helper.start()
    found = asked(empty, theta, body)
    helper.join()
    np.testing.assert_array_equal(found.log_likelihood, exact(theta))


def test_a_cluster_without_workers_is_waited_for_and_given_up(empty, asked, monkeypatch, caplog):
    monkeypatch.setenv(dask.VARIABLE, "2")
    monkeypatch.setattr(dask, "LOGGER", logging.getLogger("heard"))
    with pytest.raises(InputError, match="no Dask worker was there for 2 s"):
        asked(empty, draws(3))
    assert "no Dask worker is there (tcp://127.0.0.1:" in caplog.text
    monkeypatch.setenv(dask.VARIABLE, "soon")
    with pytest.raises(InputError, match="NFANNEAL_PATIENCE='soon': must be a number of seconds"):
        asked(empty, draws(3))


def test_a_scheduler_that_is_killed_ends_the_run(empty, asked, tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "WITHOUT_SCHEDULER", 0.5)
    empty.worker()

    def kill_it():
        while not (tmp_path / "model" / "at_work").exists():
            time.sleep(0.05)
        kill(empty.scheduler)

    helper = threading.Thread(target=kill_it)
    helper.start()
    with pytest.raises((InputError, WorkersError), match=r"scheduler at tcp.* is gone"):
        asked(empty, draws(4, odd=(3,)), f"if a == {ODD} and once('at_work'): time.sleep(600)")
    helper.join()


def test_no_scheduler_is_an_error_before_anything(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dask, "TO_CONNECT", 0.3)
    output, file = tmp_path / "x.h5", tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tcp://127.0.0.1:9"}))
    for workers in ("dask:127.0.0.1:9", f"dask:{file}", "dask:pigeon://x"):
        words = ("run", written(tmp_path), "-o", output, "--workers", workers)
        code, _, err = inside(capsys, *words)
        assert code == 3, err
        assert "no Dask scheduler answers at" in err
    assert sorted(path.name for path in tmp_path.glob("x.h5*")) == []
