"""Workers in a job of SLURM: the lines of a batch script that start them, and end them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MOST = 10_000
USUAL = 16
MEGABYTES = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}


@dataclass(frozen=True)
class Crew:
    """So many workers, as `pool` has them: `dask` or `mpi`; each is a task beside the run's."""

    pool: str
    count: int

    @property
    def tasks(self) -> int:
        """The tasks of the job."""
        return self.count + 1


def crew_of(text: str) -> Crew:
    """The workers of `64`, of `mpi:64`, or of `mpi`, which is a few.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"(?:(mpi):)?([0-9]{1,6})|mpi", text)
    count = int(found[2]) if found and found[2] else USUAL
    if not found or not 0 < count <= MOST:
        raise ValueError(f"'{text}' is neither a number of workers nor mpi:NUMBER")
    return Crew("mpi" if text.startswith("mpi") else "dask", count)


def memory_of_a_core(memory: str, cpus: int) -> str:
    """The share of a task's memory, such as `4G`, that each of its cores has."""
    if cpus == 1:
        return memory
    found = re.fullmatch(r"([0-9]+)([KMGT]?)", memory)
    assert found
    return f"{math.ceil(int(found[1]) * MEGABYTES[found[2]] / cpus)}M"


def beginning(crew: Crew, cpus: int) -> list[str]:
    """Lines that start what the run asks, before it."""
    if crew.pool != "dask":
        return []
    return DASK_BEGINS.format(count=crew.count, cpus=cpus).splitlines()


def ending(crew: Crew) -> list[str]:
    """Lines that end it, after the run."""
    return list(DASK_ENDS) if crew.pool == "dask" else []


def step(crew: Crew, cpus: int) -> str:
    """How srun starts the run."""
    if crew.pool == "dask":
        return f"srun --kill-on-bad-exit=1 --exact --nodes=1 --ntasks=1 --cpus-per-task={cpus} \\"
    return f"srun --kill-on-bad-exit=1 --ntasks={crew.tasks} --cpus-per-task={cpus} \\"


def option(crew: Crew) -> str:
    """What the run is told of it."""
    return '--workers "dask:$scheduler"' if crew.pool == "dask" else "--workers mpi"


DASK_BEGINS = """\
# A Dask scheduler on this node, whose file tells the workers and the run where it is. Should other
# nodes not find it: give scheduler and workers `--interface`, the name of the network between them.
scheduler="$result.$job.scheduler.json"
log="$result.$job.dask.log"
rm -f "$scheduler"
dask scheduler --scheduler-file "$scheduler" --port 0 --no-dashboard >> "$log" 2>&1 &
dask=$!
for _ in {{1..300}}; do
    if [ -s "$scheduler" ] || ! kill -0 "$dask" 2> /dev/null; then break; fi
    sleep 1
done
srun --exact --ntasks={count} --cpus-per-task={cpus} --output="$log" --open-mode=append \\
    dask worker --scheduler-file "$scheduler" --nthreads 1 --no-nanny --no-dashboard \\
    --memory-limit 0 --death-timeout 120 --local-directory "${{TMPDIR:-/tmp}}" &
workers=$!

"""
DASK_ENDS = (
    'kill "$workers" "$dask" 2> /dev/null',
    'rm -f "$scheduler"',
)
