"""Scripts for SLURM, run with stand-ins for srun, scontrol and nfanneal."""

import os
import shutil
from pathlib import Path

import pytest
from commands import inside
from processes import completed

from nfanneal.runs.slurm import part_result, seconds, task_numbers

ROOT = Path(__file__).parents[2]
TEMPLATES = {
    "run.sbatch": ("configs/lotka_volterra.yaml", "--time", "4:00:00"),
    "seeds.sbatch": ("configs/lotka_volterra.yaml", "--array", "1-8", "--time", "4:00:00"),
    "combine.sbatch": ("configs/lotka_volterra.yaml", "--array", "1-8", "--combine"),
    "workers.sbatch": ("configs/programs/logistic_call.yaml", "--workers", "64", "--mem", "2G"),
}
SPEC = """
model: {kind: python, file: my model.py, log_likelihood: f}
parameters: {a: {prior: {normal: [0, 1]}}}
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do echo "srun $1" >> "$CALLS"; shift; done
exec "$@"
"""
NFANNEAL = """#!/bin/bash
printf 'nfanneal' >> "$CALLS"; printf ' [%s]' "$@" >> "$CALLS"; echo >> "$CALLS"
exit "$CODE"
"""
SCONTROL = """#!/bin/bash
echo "scontrol $*" >> "$CALLS"
exit "${SCONTROL_CODE:-0}"
"""


SQUEUE = """#!/bin/bash
echo "squeue $*" >> "$CALLS"
echo "${STATE-RUNNING}"
"""


@pytest.fixture
def cluster(tmp_path):
    """Runs a script as SLURM would: (exit code, what was called, the log)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    standins = {"srun": SRUN, "nfanneal": NFANNEAL, "scontrol": SCONTROL, "squeue": SQUEUE}
    for name, text in standins.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    def run(script, code=0, **environment):
        calls = tmp_path / "calls"
        calls.write_text("")
        given = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "CODE": str(code),
            "SLURM_JOB_ID": "4711",
            **environment,
        }
        done = completed(["bash"], script, cwd=tmp_path, env=given)
        return done.returncode, calls.read_text().splitlines(), done.stderr

    return run


@pytest.fixture
def script(tmp_path, capsys, monkeypatch):
    """The script that the command prints, from a folder with a spec `odd name's.yaml`."""

    def made(*words, config="odd name's.yaml"):
        monkeypatch.chdir(tmp_path)
        Path(config).write_text(SPEC)
        Path("my model.py").write_text("def f(p): return -p['a'] ** 2\n")
        code, out, err = inside(capsys, "slurm", config, *words)
        assert code == 0, err
        return out

    return made


def directives(script):
    """Every `#SBATCH` line that sbatch reads: those before the first command."""
    head = []
    for line in script.splitlines():
        if line and not line.startswith("#"):
            break
        head.append(line)
    return [line for line in head if line.startswith("#SBATCH ")]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_are_what_the_command_prints(name, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, out, _ = inside(capsys, "slurm", *TEMPLATES[name])
    assert code == 0
    assert (ROOT / "configs/slurm" / name).read_text() == out


def test_there_is_no_other_template():
    assert {path.name for path in (ROOT / "configs/slurm").iterdir()} == set(TEMPLATES)


@pytest.mark.parametrize("words", [(), ("--array", "1-8"), ("--array", "1,3", "--combine")])
def test_scripts_are_sound_shell(words, script, tmp_path):
    text = script(*words, "--set", "name=it's; rm -rf $HOME `x`")
    assert completed(["bash", "-n"], text).returncode == 0
    if shutil.which("shellcheck"):
        assert completed(["shellcheck", "-S", "warning", "-"], text).returncode == 0
    made = text.splitlines()[1]
    assert made.startswith("# Made by: nfanneal slurm 'odd name'\"'\"'s.yaml'")


def test_what_slurm_is_asked_for(script):
    words = ("--time", "1-12:00", "--cpus", 8, "--mem", "16G", "--partition", "long,short")
    assert directives(script(*words, "--array", "1-9:2%3")) == [
        "#SBATCH --job-name=odd_name_s",
        "#SBATCH --time=1-12:00",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=16G",
        "#SBATCH --partition=long,short",
        "#SBATCH --array=1-9:2%3",
        "#SBATCH --output=odd_name_s-%A_%a.log",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "#SBATCH --signal=USR1@120",
    ]
    assert "#SBATCH --output=odd_name_s-%j.log" in directives(script())


def test_a_single_run_keeps_the_seed_of_the_spec(script, cluster):
    text = script("--cpus", 2, "-o", "out/a b.h5", "--set", "anneal.draws=512")
    code, calls, err = cluster(text)
    assert code == 0, err
    assert calls == [
        "srun --kill-on-bad-exit=1",
        "srun --cpus-per-task=2",
        "nfanneal [run] [odd name's.yaml] [-o] [out/a b.h5] [--set] [anneal.draws=512] "
        "[--resume] [auto]",
    ]


def test_every_task_of_an_array_has_its_seed_and_its_result(script, cluster):
    text = script("--array", "1-3", "-o", "the $(all).h5")
    for task in ("1", "3"):
        code, calls, err = cluster(text, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_JOB_ID="4700")
        assert code == 0, err
        assert calls[-1] == (
            f"nfanneal [run] [odd name's.yaml] [-o] [the $(all)-seed{task}.h5] [--seed] [{task}] "
            "[--resume] [auto]"
        )
    code, calls, err = cluster(text)
    assert code != 0
    assert "SLURM_ARRAY_TASK_ID" in err
    assert not calls


@pytest.mark.parametrize("code", [1, 2, 3, 4, 127, 130])
def test_what_fails_fails_the_job_and_is_not_queued_again(code, script, cluster):
    ended, calls, _ = cluster(script(), code=code)
    assert ended == code
    assert not any(call.startswith("scontrol") for call in calls)


def test_a_result_that_is_not_to_be_trusted_does_not_hide_as_a_failed_job(script, cluster):
    code, calls, err = cluster(script(), code=5)
    assert code == 0
    assert "odd name's.h5: finished, not to be trusted; see: nfanneal summary odd\\ name" in err
    assert not any(call.startswith("scontrol") for call in calls)


def test_what_was_checkpointed_is_queued_again_up_to_a_limit(script, cluster):
    text = script("--retries", 2)
    for restarts in ({}, {"SLURM_RESTART_COUNT": "1"}):
        code, calls, err = cluster(text, code=77, **restarts)
        assert code == 0
        assert calls[-1] == "scontrol requeue 4711"
        assert f"requeue {int(restarts.get('SLURM_RESTART_COUNT', 0)) + 1} of 2" in err
    code, calls, err = cluster(text, code=77, SLURM_RESTART_COUNT="2")
    assert code == 77
    assert not any(call.startswith("scontrol") for call in calls)
    assert "stopped after 2 requeues; submit it again to go on" in err
    code, _, _ = cluster(text, code=77, SCONTROL_CODE="1")  # cancelled, or requeuing is off
    assert code == 77
    assert cluster(script("--retries", 0), code=77)[0] == 77


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING", "PENDING", ""])
def test_a_job_that_was_cancelled_or_is_queued_already_stays_so(state, script, cluster):
    code, calls, err = cluster(script(), code=77, STATE=state)
    assert code == 77
    assert calls[-1] == "squeue --noheader --jobs=4711 --format=%T"
    assert f"the job is {state or 'gone'}, not requeued by its script" in err


def test_a_task_of_an_array_is_queued_again_alone(script, cluster):
    """SLURM_JOB_ID of one of the tasks is the array's own: that would requeue all of them."""
    task = {"SLURM_JOB_ID": "4700", "SLURM_ARRAY_JOB_ID": "4700", "SLURM_ARRAY_TASK_ID": "3"}
    code, calls, err = cluster(script("--array", "1-3"), code=77, **task)
    assert code == 0, err
    assert calls[-2:] == [
        "squeue --noheader --jobs=4700_3 --format=%T",
        "scontrol requeue 4700_3",
    ]


def test_the_shell_outlives_the_signal_of_a_preemption(script, cluster, tmp_path):
    """SLURM signals shell and step alike: the shell has to be there to ask for a requeue."""
    text = script()
    stop = '#!/bin/bash\nkill -TERM "$(ps -o ppid= -p $$)"\nsleep 0.2\nexit 77\n'
    (tmp_path / "bin" / "nfanneal").write_text(stop)
    code, calls, err = cluster(text)
    assert code == 0, err
    assert calls[-1] == "scontrol requeue 4711"


def test_combining_names_every_part_and_the_file_of_a_python_model(script, cluster):
    text = script("--array", "1,4-6", "-o", "a b.h5", "--combine")
    assert not any("--array" in line or "--signal" in line for line in directives(text))
    code, calls, err = cluster(text)
    assert code == 0, err
    parts = " ".join(f"[a b-seed{n}.h5]" for n in (1, 4, 5, 6))
    assert calls[-1] == f"nfanneal [combine] [-o] [a b.h5] [--model] [my model.py] {parts}"
    assert cluster(text, code=5)[0] == 0
    assert cluster(text, code=3)[0] == 3


def test_the_comments_of_a_script_are_commands_that_work(script):
    text = script("--array", "1-3", "--cpus", 2)
    second = next(line for line in text.splitlines() if line.endswith("> combine.sbatch"))
    assert second.endswith("--cpus 2 --array 1-3 --combine > combine.sbatch")
    again = script("--array", "1-3", "--cpus", "2", "--combine")
    assert 'sbatch --dependency="afterok:$job"' in text
    assert "--cpus-per-task=2" in again


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--array", "8-1"), "names no task"),
        (("--array", "1;2"), "is not a list of tasks"),
        (("--array", "1-8%0"), "is not a list of tasks"),
        (("--array", "1-2000"), "more than 1000 tasks"),
        (("--array", "3", "--combine"), "needs an --array of two tasks or more"),
        (("--combine",), "needs an --array"),
        (("--time", "4:61"), "a time such as"),
        (("--time", "soon"), "a time such as"),
        (("--time", "1\n"), "a time such as"),
        (("--time", "4"), "at least 5 minutes"),
        (("--mem", "4G\nrm"), "a size such as"),
        (("--partition", "a b"), "a partition's name"),
        (("--cpus", "0"), "0 is not in the range"),
        (("-o", "a\nb.h5"), "a script cannot name it"),
        (("--set", "name=a\nb"), "must be on one line"),
    ],
)
def test_what_slurm_would_not_understand_is_a_usage_error(words, message, tmp_path, capsys):
    (tmp_path / "a.yaml").write_text(SPEC)
    code, out, err = inside(capsys, "slurm", tmp_path / "a.yaml", *words)
    assert code == 2
    assert message in err
    assert not out


def test_a_spec_that_is_wrong_is_refused_before_it_waits_in_a_queue(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text(SPEC.replace("normal", "nromal"))
    code, out, err = inside(capsys, "slurm", tmp_path / "a.yaml")
    assert code == 3
    assert "did you mean 'normal'" in err
    assert not out


def test_tasks_times_and_parts():
    assert task_numbers("3,1-2,9-14:2%4") == (1, 2, 3, 9, 11, 13)
    times = {"90": 5400, "4:30": 270, "4:00:00": 14400, "1-12": 129600, "1-0:30": 88200}
    assert {text: seconds(text) for text in times} == times
    assert part_result("a.b/all.h5", "3") == "a.b/all-seed3.h5"
    assert part_result("a.b/all", "3") == "a.b/all-seed3"
