"""How many threads a job takes, what has them, and that results are the same with as many."""

import json
import os

import h5py
import numpy as np
import pytest
import torch
from commands import inside
from processes import PYTHON, completed, script

import nfanneal
from nfanneal.runs import verdict
from nfanneal.runtime.limits import job_cores
from nfanneal.runtime.threads import over_rows

LINE = """
name: line
model: {kind: python, file: model.py, log_likelihood: f}
parameters: {a: {prior: {normal: [0, 1]}}, b: {prior: {normal: [0, 1]}}}
anneal: {draws: 512, steps: 10, batch: 64, max_rounds: 2, moves: 1}
output: {samples: 300}
"""
MODEL = """
import json, os
import numba, numpy, scipy.linalg, threadpoolctl, torch

def f(p):
    found = {
        "torch": torch.get_num_threads(),
        "numba": numba.get_num_threads(),
        "blas": sorted({pool["num_threads"] for pool in threadpoolctl.threadpool_info()
                        if pool["user_api"] == "blas"}),
    }
    if "SEEN" in os.environ:
        with open(os.environ["SEEN"], "w") as file:
            json.dump(found, file)
    return -((p["a"] - p["b"]) ** 2) / 0.02
"""
V1 = "4:cpu,cpuacct:/job/step\n3:memory:/job\n0::/\n"
WITHOUT = {"NFANNEAL_THREADS", "SLURM_CPUS_PER_TASK"}


def machine(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "slurm", "cores"),
    [
        ({}, None, 16),
        ({}, "4", 4),
        ({}, "64", 16),
        ({}, "", 16),
        ({}, "many", 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None, 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, None, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, "2", 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, None, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, None, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "broken"}, None, 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1 0\n"}, None, 16),
        ({"sys/fs/cgroup/cpu.max": "300000 100000\n"}, None, 16),
        (
            {
                "proc/self/cgroup": "0::/slurm/job\n",
                "sys/fs/cgroup/slurm/cpu.max": "500000 100000\n",
                "sys/fs/cgroup/slurm/job/cpu.max": "max 100000\n",
            },
            None,
            5,
        ),
        (
            {
                "proc/self/cgroup": "0::/outside/of/the/container\n",
                "sys/fs/cgroup/cpu.max": "600000 100000\n",
            },
            None,
            6,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/job/step/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "700000\n",
                "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
            },
            None,
            7,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "50000\n",
            },
            None,
            3,
        ),
        ({"proc/self/cgroup": "nonsense\n\n::\n"}, None, 16),
    ],
)
def test_the_smallest_limit_counts(files, slurm, cores, tmp_path):
    environment = {} if slurm is None else {"SLURM_CPUS_PER_TASK": slurm}
    assert job_cores(machine(tmp_path, files), environment, affinity=16) == cores


def test_the_system_says_what_affinity_there_is(tmp_path):
    assert job_cores(tmp_path, {}) == len(os.sched_getaffinity(0))


def nfanneal_in(folder, *words, **environment):
    """The command in a process of its own, with no limits but those that are given."""
    inherited = {k: v for k, v in os.environ.items() if k not in WITHOUT}
    return completed([*PYTHON, *words], cwd=folder, env=inherited | environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("line")
    (folder / "line.yaml").write_text(LINE)
    (folder / "model.py").write_text(MODEL)
    return folder


@pytest.fixture
def seen(folder, tmp_path, monkeypatch, capsys):
    """What the model sees of threads when a command calls it."""

    def of(*words, **environment):
        monkeypatch.setenv("SEEN", str(tmp_path / "seen.json"))
        for name in WITHOUT:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code, _, err = inside(capsys, *words)
        assert code in (0, 5), err
        return json.loads((tmp_path / "seen.json").read_text())

    return of


def test_numbas_threads_do_not_undo_those_of_torch():
    """They begin once in a process, and share OpenMP with torch, which has worked before."""
    lines = (
        "import torch",
        "torch.ones(1000, 1000).sum()",
        "from nfanneal.runtime.threads import set_threads",
        "set_threads(1)",
        "assert torch.get_num_threads() == 1",
    )
    done = script("\n".join(lines), OMP_NUM_THREADS="2", NUMBA_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("count", [1, 2])
def test_torch_numba_and_blas_have_the_threads_that_are_given(count, folder, seen, tmp_path):
    all_of = {"torch": count, "numba": count, "blas": [count]}
    assert seen("check", folder / "line.yaml", "--threads", count) == all_of
    result = tmp_path / "line.h5"
    assert seen("run", folder / "line.yaml", "-o", result, "--threads", count) == all_of
    more = tmp_path / "more.h5"
    words = ("sample", result, "-n", 100, "--model", folder / "model.py", "-o", more)
    assert seen(*words, "--threads", count) == all_of
    bench = ("bench", folder / "line.yaml", "--against", "none", "--repeats", 1)
    assert seen(*bench, "--threads", count) == all_of


def test_options_go_before_variables_and_these_before_what_slurm_says(folder, seen):
    check = ("check", folder / "line.yaml")
    assert seen(*check, SLURM_CPUS_PER_TASK="1")["torch"] == 1
    both = {"SLURM_CPUS_PER_TASK": "1", "NFANNEAL_THREADS": "2"}
    assert seen(*check, **both)["torch"] == 2
    assert seen(*check, "--threads", 1, **both)["torch"] == 1
    assert seen(*check, **both)["torch"] == 2  # what one command was given is not the next one's


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_variable_that_is_no_number_of_threads_is_refused(given, folder, capsys, monkeypatch):
    monkeypatch.setenv("NFANNEAL_THREADS", given)
    code, _, err = inside(capsys, "check", folder / "line.yaml")
    assert code == 3
    assert f"NFANNEAL_THREADS='{given}': must be a whole number" in err


def datasets(path):
    found = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def test_two_processes_with_the_same_seed_and_threads_write_the_same_bits(folder, capsys):
    """One of them is this one, in which other tests have run."""
    options = ("--threads", 2, "--quiet")
    done = nfanneal_in(folder, "run", "line.yaml", "-o", "first.h5", *options)
    assert done.returncode == 0, done.stderr
    code, _, err = inside(capsys, "run", folder / "line.yaml", "-o", folder / "second.h5", *options)
    assert code == 0, err
    first, second = (datasets(folder / name) for name in ("first.h5", "second.h5"))
    assert len(first) > 20
    assert first == second


def test_a_diagnostic_that_draws_does_not_change_the_samples(folder, monkeypatch):
    """Every purpose has a seed of its own: what the global generators do is nobody's concern."""
    plain = nfanneal.run(folder / "line.yaml", threads=1)

    def wasteful(*arguments):
        torch.rand(1000)
        np.random.rand(1000)  # noqa: NPY002
        return check_coverage(*arguments)

    check_coverage = verdict.check_coverage
    monkeypatch.setattr(verdict, "check_coverage", wasteful)
    again = nfanneal.run(folder / "line.yaml", threads=1, observe=lambda event: torch.rand(10))
    np.testing.assert_array_equal(plain.draws.theta, again.draws.theta)
    np.testing.assert_array_equal(plain.draws.log_weight, again.draws.log_weight)
    np.testing.assert_array_equal(plain.posterior, again.posterior)


def test_a_thread_takes_no_more_rows_than_it_can_hold_or_its_share():
    def most(rows, numbers, threads):
        taken = over_rows(lambda part: part.stop - part.start, rows, numbers, threads)
        assert sum(taken) == rows
        return max(taken)

    assert most(100, 10, 2) == 12
    assert most(100_000, 10, 2) == 512
    assert most(100_000, 2**13, 2) == 128
    assert most(100_000, 2**30, 2) == 8
    assert most(100, 10, 1) == 100
