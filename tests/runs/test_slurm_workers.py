"""Scripts for SLURM with workers in the job, run with stand-ins as those without are."""

import os
import shutil
from pathlib import Path

import pytest
from commands import inside
from processes import completed
from test_slurm import NFANNEAL, SCONTROL, SPEC, SQUEUE, directives

from nfanneal.runs.slurm_workers import Crew, crew_of, memory_of_a_core

SRUN = """#!/bin/bash
words=
while [[ $1 == --* ]]; do words="$words $1"; shift; done
echo "srun$words: $*" >> "$CALLS"
exec "$@"
"""
DASK = """#!/bin/bash
if [ "$1" = scheduler ]; then
    if [ -n "$NO_SCHEDULER" ]; then echo "no port" >&2; exit 1; fi
    echo "dask $*" >> "$CALLS"
fi
trap 'echo "$1 ended" >> "$CALLS"; exit' TERM
echo "$1 at work" >> "$CALLS"
if [ "$1" = scheduler ]; then echo '{"address": "tcp://n:1"}' > "$3"; fi
while true; do sleep 0.05; done
"""
LATER = NFANNEAL.replace("\n", '\nuntil grep -q "$AFTER" "$CALLS"; do sleep 0.05; done\n', 1)
"""A run that begins once something was called."""


@pytest.fixture
def ran(tmp_path, capsys, monkeypatch):
    """Prints a script and runs it: (exit code, what was called, the log, the script)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    standins = {"srun": SRUN, "nfanneal": LATER, "scontrol": SCONTROL, "squeue": SQUEUE,
                "dask": DASK}  # fmt: skip
    for name, text in standins.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    Path("odd name's.yaml").write_text(SPEC)
    Path("my model.py").write_text("def f(p): return -p['a'] ** 2\n")

    def run(*words, code=0, **environment):
        status, script, err = inside(capsys, "slurm", "odd name's.yaml", *words)
        assert status == 0, err
        calls = tmp_path / "calls"
        calls.write_text("")
        given = {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "CODE": str(code),
                 "SLURM_JOB_ID": "4711", "AFTER": "^", **environment}  # fmt: skip
        done = completed(["bash"], f"trap wait EXIT\n{script}", env=given)
        return done.returncode, calls.read_text().splitlines(), done.stderr, script

    return run


def test_a_dask_cluster_in_the_job_ends_with_the_run(ran, tmp_path):
    code, calls, err, script = ran("--workers", 64, "-o", "a b.h5", AFTER="worker at work")
    assert code == 0, err
    assert {
        "#SBATCH --ntasks=65",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --mem-per-cpu=4G",
        "#SBATCH --signal=USR1@120",
        "#SBATCH --requeue",
    } <= set(directives(script))
    assert not any("--mem=" in line for line in directives(script))
    file = "a b.h5.4711.scheduler.json"
    assert f"dask scheduler --scheduler-file {file} --port 0 --no-dashboard" in calls
    ran_by = {call.split(": ")[1].split()[0]: call for call in calls if call.startswith("srun")}
    assert ran_by["dask"].startswith(
        "srun --exact --ntasks=64 --cpus-per-task=1 --output=a b.h5.4711.dask.log "
        f"--open-mode=append: dask worker --scheduler-file {file} --nthreads 1 --no-nanny"
    )
    assert ran_by["nfanneal"].startswith(
        "srun --kill-on-bad-exit=1 --exact --nodes=1 --ntasks=1 --cpus-per-task=1: nfanneal run"
    )
    assert (
        f"nfanneal [run] [odd name's.yaml] [-o] [a b.h5] [--workers] [dask:{file}] "
        "[--resume] [auto]"
    ) in calls
    assert {"scheduler ended", "worker ended"} <= set(calls)
    assert not (tmp_path / file).exists()


@pytest.mark.parametrize(("code", "ended"), [(77, 0), (5, 0), (3, 3), (1, 1)])
def test_exit_codes_mean_what_they_mean_without_workers(ran, code, ended):
    for workers in (3, "mpi:3"):
        status, calls, err, _ = ran("--workers", workers, code=code)
        assert status == ended, err
        assert ("scontrol requeue 4711" in calls) == (code == 77)


def test_ranks_of_mpi_are_one_step_of_all_tasks(ran):
    words = ("--workers", "mpi:64", "--cpus", 2, "--mem", "3G", "--array", "1-2")
    code, calls, err, script = ran(*words, SLURM_ARRAY_TASK_ID="2", SLURM_ARRAY_JOB_ID="4700")
    assert code == 0, err
    requests = {"#SBATCH --ntasks=65", "#SBATCH --cpus-per-task=2", "#SBATCH --mem-per-cpu=1536M"}
    assert requests <= set(directives(script))
    assert calls[0].startswith(
        "srun --kill-on-bad-exit=1 --ntasks=65 --cpus-per-task=2: nfanneal run"
    )
    assert calls[1].endswith("[--seed] [2] [--workers] [mpi] [--resume] [auto]")
    assert len(calls) == 2


def test_a_scheduler_that_does_not_start_is_told_by_the_run(ran):
    """Which has no file to read then."""
    code, calls, _, _ = ran("--workers", 2, code=2, NO_SCHEDULER="1")
    assert code == 2
    assert not any(call.startswith("dask scheduler") for call in calls)


def test_combining_takes_no_workers(ran):
    _, calls, _, script = ran("--workers", 64, "--array", "1-2", "--combine")
    assert "#SBATCH --ntasks=1" in directives(script)
    assert "#SBATCH --mem=4G" in directives(script)
    assert len(calls) == 2


@pytest.mark.parametrize("workers", ["3", "mpi:3"])
def test_scripts_are_sound_shell(ran, workers):
    script = ran("--workers", workers)[3]
    assert completed(["bash", "-n"], script).returncode == 0
    if shutil.which("shellcheck"):
        assert completed(["shellcheck", "-S", "warning", "-"], script).returncode == 0
    assert f"--workers {workers}" in script.splitlines()[1]


def test_crews_and_their_memory():
    assert crew_of("64") == Crew("dask", 64)
    assert crew_of("mpi:8") == Crew("mpi", 8)
    assert crew_of("mpi").tasks == 17
    assert memory_of_a_core("4G", 1) == "4G"
    assert memory_of_a_core("4G", 3) == "1366M"
    assert memory_of_a_core("1T", 2) == "524288M"
    assert memory_of_a_core("1000K", 2) == "1M"


@pytest.mark.parametrize("workers", ["0", "many", "mpi:", "mpi:0", "dask:4", "20000"])
def test_what_is_no_crew_is_a_usage_error(workers, tmp_path, capsys):
    (tmp_path / "a.yaml").write_text(SPEC)
    code, _, err = inside(capsys, "slurm", tmp_path / "a.yaml", "--workers", workers)
    assert code == 2
    assert "is neither a number of workers nor mpi:NUMBER" in " ".join(err.split())


def test_models_that_are_solved_here_take_no_workers(tmp_path, capsys):
    spec = Path(__file__).parents[2] / "configs" / "lotka_volterra.yaml"
    code, _, err = inside(capsys, "slurm", spec, "--workers", 4)
    assert code == 3
    assert "--workers is for models that are programs or Python files" in err
