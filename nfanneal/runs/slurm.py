"""Batch scripts for SLURM: a run that survives preemption and time limits, and its combination.

The scripts are text; nothing here submits anything. Every path is quoted for the shell.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from nfanneal.runs.slurm_workers import Crew, beginning, ending, memory_of_a_core, option, step

LEAD_SECONDS = 120
"""SLURM warns so long before the time limit: enough to finish a step and write a checkpoint."""
SHORTEST_SECONDS = 2 * LEAD_SECONDS + 60
"""A job of less is warned before it has done anything, and would be requeued for nothing."""
MOST_TASKS = 1000


@dataclass(frozen=True)
class Resources:
    """What a job asks SLURM for; `partition` None leaves the choice to the cluster.

    With `workers`, `cpus` and `memory` are those of the run and of each worker.
    """

    time: str
    cpus: int
    memory: str
    partition: str | None
    workers: Crew | None = None


@dataclass(frozen=True)
class Job:
    """What a script runs.

    Arguments:
        name: of the job, any text.
        config: path of the spec, as the job sees it.
        result: what the run writes; of an array, what combining its runs writes.
        options: further options of `nfanneal run`.
        array: task numbers as SLURM writes them; None for a single run.
        retries: how often the job is requeued at most.
        model_file: the Python file that combining needs; None for other models.
        made_by: the words that made the script.
    """

    name: str
    config: str
    result: str
    options: tuple[str, ...]
    array: str | None
    retries: int
    model_file: str | None
    made_by: tuple[str, ...]


def task_numbers(array: str) -> tuple[int, ...]:
    """The numbers of `1-8`, `1,3,7`, `1-9:2` or `1-8%2`, each once, in order.

    Raises:
        ValueError: it is none of these, or names no task, or more than `MOST_TASKS`.
    """
    tasks, _, at_once = array.partition("%")
    numbers: set[int] = set()
    for part in tasks.split(","):
        found = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6})(?::([1-9][0-9]{0,5}))?)?", part)
        if not found or ("%" in array and not re.fullmatch(r"[1-9][0-9]*", at_once)):
            raise ValueError(f"'{array}' is not a list of tasks such as 1-8, 1,3,7 or 1-8%2")
        first, last, step = found.groups()
        named = range(int(first), int(last or first) + 1, int(step or 1))
        if not named:
            raise ValueError(f"'{array}': {part} names no task")
        numbers.update(named)
    if len(numbers) > MOST_TASKS:
        raise ValueError(f"'{array}' has more than {MOST_TASKS} tasks")
    return tuple(sorted(numbers))


def seconds(time: str) -> int:
    """The seconds of `90` (minutes), `4:30` (minutes), `4:00:00`, `1-12` or `1-12:00:00`."""
    days, dash, clock = time.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    return int(days or 0) * 86400 + sum(n * unit for n, unit in zip(parts, units, strict=False))


def run_script(job: Job, resources: Resources) -> str:
    """The script of the run, or of every run of an array."""
    return "\n".join(
        (
            *_head(job, resources),
            *_requests(job, resources, array=True),
            *RUN_REQUESTS,
            "",
            *ENVIRONMENT,
            "set -u",
            *_settings(job),
            "",
            *_step(job, resources),
            "",
            *RUN_ENDS.format(retries=job.retries).splitlines(),
            "",
        )
    )


def combine_script(job: Job, resources: Resources) -> str:
    """The script that pools the results of an array, once all of them are there."""
    model = () if job.model_file is None else (f"--model {shlex.quote(job.model_file)}",)
    parts = [shlex.quote(part_result(job.result, str(n))) for n in task_numbers(job.array or "")]
    words = ('nfanneal combine -o "$result"', *model, *parts)
    return "\n".join(
        (
            *_head(job, resources),
            *_requests(job, resources, array=False),
            "",
            *ENVIRONMENT,
            "set -u",
            f"result={shlex.quote(job.result)}",
            "",
            f"srun --cpus-per-task={resources.cpus} \\",
            *(f"    {word} \\" for word in words[:-1]),
            f"    {words[-1]}",
            "code=$?",
            "",
            *COMBINE_ENDS.splitlines(),
            "",
        )
    )


def part_result(result: str, number: str) -> str:
    """The result of one task of an array: `all.h5` becomes `all-seed3.h5`."""
    stem, suffix = _split(result)
    return f"{stem}-seed{number}{suffix}"


def _split(result: str) -> tuple[str, str]:
    """Path without suffix, and suffix."""
    found = re.fullmatch(r"(.*[^/])(\.[^./]+)", result, re.DOTALL)
    return (found[1], found[2]) if found else (result, "")


def _plain(name: str) -> str:
    """A name for jobs and logs: SLURM reads `%`, quotes and blanks in its own way."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_.") or "nfanneal"


def _head(job: Job, resources: Resources) -> list[str]:
    made = shlex.join(job.made_by)
    lines = ["#!/bin/bash", f"# Made by: {made}"]
    if job.array is None:
        return [*lines, "# Submit it: sbatch FILE", ""]
    if "--combine" in job.made_by:
        first = shlex.join(word for word in job.made_by if word != "--combine")
        return [
            *lines,
            "# Submit it to start when all runs of the array have ended well:",
            f"#   {first} > run.sbatch",
            "#   job=$(sbatch --parsable run.sbatch)",
            '#   sbatch --dependency="afterok:$job" --kill-on-invalid-dep=yes combine.sbatch',
            "",
        ]
    return [
        *lines,
        "# Submit it, and a second script that combines the results of all seeds:",
        "#   job=$(sbatch --parsable run.sbatch)",
        f"#   {made} --combine > combine.sbatch",
        '#   sbatch --dependency="afterok:$job" --kill-on-invalid-dep=yes combine.sbatch',
        "",
    ]


def _requests(job: Job, resources: Resources, *, array: bool) -> list[str]:
    """What sbatch reads; of the runs, or (not `array`) of what combines their results."""
    name = _plain(job.name)
    crew = resources.workers if array else None
    of_a_core = memory_of_a_core(resources.memory, resources.cpus)
    lines = [
        f"#SBATCH --job-name={name}",
        f"#SBATCH --time={resources.time}",
        f"#SBATCH --ntasks={crew.tasks if crew else 1}",
        f"#SBATCH --cpus-per-task={resources.cpus}",
        f"#SBATCH --mem-per-cpu={of_a_core}" if crew else f"#SBATCH --mem={resources.memory}",
    ]
    if resources.partition is not None:
        lines.append(f"#SBATCH --partition={resources.partition}")
    if array and job.array is not None:
        lines.append(f"#SBATCH --array={job.array}")
        return [*lines, f"#SBATCH --output={name}-%A_%a.log"]
    return [*lines, f"#SBATCH --output={name}-%j.log"]


RUN_REQUESTS = (
    "# A requeued job goes on in the same log, and may be requeued at all.",
    "#SBATCH --open-mode=append",
    "#SBATCH --requeue",
    f"# SLURM sends SIGUSR1 {LEAD_SECONDS} s, or up to a minute more, before the time limit.",
    "# Without `B:` it goes to the steps that srun starts, so to nfanneal, and not to this shell.",
    f"#SBATCH --signal=USR1@{LEAD_SECONDS}",
)
ENVIRONMENT = (
    "# Make nfanneal known here, for example: source ~/.venvs/nfanneal/bin/activate",
    "",
)


def _settings(job: Job) -> list[str]:
    lines = [f"config={shlex.quote(job.config)}"]
    if job.array is None:
        return [*lines, f"result={shlex.quote(job.result)}", "job=$SLURM_JOB_ID"]
    stem, suffix = _split(job.result)
    return [
        *lines,
        "# One seed and one result per task of the array.",
        "seed=$SLURM_ARRAY_TASK_ID",
        "# SLURM_JOB_ID is that of the whole array for one of its tasks.",
        'job="$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID"',
        f'result={shlex.quote(stem)}-seed"$seed"{shlex.quote(suffix) if suffix else ""}',
    ]


def _step(job: Job, resources: Resources) -> list[str]:
    cpus, crew = resources.cpus, resources.workers
    options = [*(['--seed "$seed"'] if job.array is not None else []), *_quoted(job.options)]
    if crew:
        options.append(option(crew))
    return [
        "# A preempted job gets SIGTERM, this shell with it: it waits for nfanneal's exit code.",
        "trap : TERM",
        "",
        *(beginning(crew, cpus) if crew else ()),
        "# nfanneal has as many threads as SLURM_CPUS_PER_TASK says. It goes on from the result's",
        "# checkpoint if there is one, and starts if not.",
        step(crew, cpus) if crew else f"srun --kill-on-bad-exit=1 --cpus-per-task={cpus} \\",
        '    nfanneal run "$config" -o "$result" \\',
        *(f"    {each} \\" for each in options),
        "    --resume auto",
        "code=$?",
        *(ending(crew) if crew else ()),
    ]


def _quoted(options: tuple[str, ...]) -> list[str]:
    """`--set a=b` pairs, quoted."""
    return [
        f"{name} {shlex.quote(value)}"
        for name, value in zip(options[::2], options[1::2], strict=True)
    ]


RUN_ENDS = """\
case $code in
77) # checkpointed and stopped: queue again, but not for ever
    restarts=${{SLURM_RESTART_COUNT:-0}}
    if [ "$restarts" -ge {retries} ]; then
        echo "$result: stopped after $restarts requeues; submit it again to go on" >&2
        exit 77
    fi
    # A job that was cancelled must not come back, and one that was preempted is queued already.
    state=$(squeue --noheader --jobs="$job" --format=%T)
    if [ "$state" != RUNNING ]; then
        echo "$result: checkpointed; the job is ${{state:-gone}}, not requeued by its script" >&2
        exit 77
    fi
    echo "$result: checkpointed; requeue $((restarts + 1)) of {retries}" >&2
    scontrol requeue "$job" || exit 77
    ;;
5) # The result is there, but a diagnostic speaks against it. As a failed job it would keep jobs
    # that depend on this one (combining, which may well mend it) from ever starting; so the job
    # ends well, and the log and `nfanneal summary` (exit code 5 again) say what is wrong.
    echo "$result: finished, not to be trusted; see: nfanneal summary $(printf %q "$result")" >&2
    ;;
*) # 0 is done; all else failed, and would fail again
    exit "$code"
    ;;
esac"""
COMBINE_ENDS = """\
case $code in
5) # combined, but a diagnostic speaks against it: the result is there, and the job ends well
    echo "$result: combined, not to be trusted; see: nfanneal summary $(printf %q "$result")" >&2
    ;;
*)
    exit "$code"
    ;;
esac"""
