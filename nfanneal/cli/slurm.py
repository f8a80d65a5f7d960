"""`nfanneal slurm`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from nfanneal.runs.slurm import (
    LEAD_SECONDS,
    SHORTEST_SECONDS,
    Job,
    Resources,
    combine_script,
    run_script,
    seconds,
    task_numbers,
)
from nfanneal.runs.slurm_workers import USUAL, crew_of


class Matching(click.ParamType):
    """Text that SLURM understands and that cannot end its line."""

    def __init__(self, name: str, pattern: str, example: str) -> None:
        self.name = name
        self.pattern = pattern
        self.example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is."""
        if not re.fullmatch(self.pattern, value):
            self.fail(f"'{value}' is not {self.example}", param, ctx)
        return str(value)


class Tasks(click.ParamType):
    """Numbers of an array's tasks."""

    name = "tasks"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is."""
        try:
            task_numbers(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class CrewType(click.ParamType):
    """A number of workers of a Dask cluster, or of MPI ranks."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is."""
        try:
            crew_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


TIME = Matching(
    "time",
    r"[0-9]+(-[0-9]+(:[0-5]?[0-9]){0,2}|(:[0-5]?[0-9]){0,2})",
    "a time such as 90 (minutes), 4:00:00 or 1-12:00",
)
MEMORY = Matching("size", r"[0-9]+[KMGT]?", "a size such as 4G or 800M")
PARTITION = Matching("name", r"[A-Za-z0-9_.,-]+", "a partition's name")


@click.command(
    "slurm",
    epilog="Example: nfanneal slurm model.yaml --array 1-8 --time 4:00:00 > run.sbatch",
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Result file. [CONFIG.h5]")
@click.option("--time", type=TIME, default="1:00:00", show_default=True, help="Time limit.")
@click.option("--cpus", type=click.IntRange(min=1), help="Cores; [4; with --workers 1 each]")
@click.option(
    "--mem", "memory", type=MEMORY, default="4G", show_default=True,
    help="Memory; with --workers for the run and each worker.",
)  # fmt: skip
@click.option(
    "--workers", type=CrewType(), metavar="N|mpi:N",
    help="Tasks that ask a program or a Python model, beside the run: a Dask cluster within the "
    f"job, or MPI ranks ({USUAL} without a number).",
)  # fmt: skip
@click.option("--partition", type=PARTITION, help="[the cluster's default]")
@click.option("--array", type=Tasks(), help="One run per task, its number the seed: 1-8.")
@click.option(
    "--retries", type=click.IntRange(min=0), default=20, show_default=True,
    help="Requeue at most so many times.",
)  # fmt: skip
@click.option("--combine", is_flag=True, help="Print the script that combines an array's results.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec; repeatable."
)
def command(
    config: Path,
    output: Path | None,
    time: str,
    cpus: int | None,
    memory: str,
    workers: str | None,
    partition: str | None,
    array: str | None,
    retries: int,
    combine: bool,
    overrides: tuple[str, ...],
) -> None:
    """Print a batch script for SLURM that runs CONFIG; nothing is submitted.

    The run stops with a checkpoint before its time limit or when it is preempted, is queued again
    and goes on. With --array every task has a seed of its own and writes RESULT-seedN.h5; the
    script that --combine prints pools them in RESULT. With --workers the job has a task for each of
    them, and one more for the run.
    """
    from nfanneal.spec.build.workers import refuse_workers  # noqa: PLC0415
    from nfanneal.spec.load import read_spec  # noqa: PLC0415  (wrong options fail fast)

    output = output or Path(f"{config.stem}.h5")
    if seconds(time) < SHORTEST_SECONDS:
        raise click.UsageError(
            f"--time {time}: at least {SHORTEST_SECONDS // 60} minutes, since SLURM warns "
            f"{LEAD_SECONDS // 60} to {LEAD_SECONDS // 60 + 1} minutes before the end"
        )
    if combine and (array is None or len(task_numbers(array)) < 2):
        raise click.UsageError("--combine needs an --array of two tasks or more")
    for path in (config, output):
        if not str(path).isprintable():
            raise click.UsageError(f"{str(path)!r}: a script cannot name it")
        if str(path).startswith("-"):
            raise click.UsageError(f"{path}: write ./{path}")
    if any(not text.isprintable() for text in overrides):
        raise click.UsageError("--set: must be on one line")
    checked = read_spec(config, overrides)
    crew = None if workers is None else crew_of(workers)
    if crew is not None:
        refuse_workers(checked.spec.model)
    job = Job(
        name=config.stem,
        config=str(config),
        result=str(output),
        options=tuple(word for text in overrides for word in ("--set", text)),
        array=array,
        retries=retries,
        model_file=checked.code_name,
        made_by=_words(click.get_current_context(), config, output),
    )
    make = combine_script if combine else run_script
    cpus = cpus or (4 if crew is None else 1)
    click.echo(make(job, Resources(time, cpus, memory, partition, crew)), nl=False)


def _words(context: click.Context, config: Path, output: Path) -> tuple[str, ...]:
    """The command again, with the options that were given."""
    words = ["nfanneal", "slurm", str(config)]
    for option in context.command.params:
        name = str(option.name)
        given = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if not isinstance(option, click.Option) or not given:
            continue
        value = context.params[name]
        if option.is_flag:
            words.append(option.opts[-1])
        else:
            for item in value if option.multiple else [value]:
                words += [option.opts[-1], str(item)]
    return tuple(words)
