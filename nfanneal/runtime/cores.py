"""How many cores a job may use: of those of the machine, what affinity, cgroups and SLURM leave."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from nfanneal.runtime import limits as cgroups

SLURM = "SLURM_CPUS_PER_TASK"


def job_cores(
    root: Path = Path("/"),
    environment: Mapping[str, str] = os.environ,
    affinity: int | None = None,
) -> int:
    """The smallest of all limits, at least 1.

    Arguments:
        root: the folder in which `proc` and `sys` are; another one for tests.
        environment: where SLURM says how many cores a task has.
        affinity: the cores that the process may run on; None asks the system.
    """
    cores = _affinity() if affinity is None else affinity
    limits = [float(cores), *_quotas(root)]
    given = environment.get(SLURM, "")
    if given.isdigit() and int(given) > 0:
        limits.append(float(given))
    return max(1, int(min(limits)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Cores by the quotas of the process's cgroups and of all above them.

    A share of a core is rounded down by the caller, since a thread more than the quota would only
    be throttled.
    """
    for version, folder in cgroups.folders(root, "cpu"):
        if version == cgroups.UNIFIED:  # `quota period`, or `max period` without a limit
            quota, period = [*cgroups.text(folder / "cpu.max").split(), "", ""][:2]
        else:  # the quota is −1 without a limit
            quota, period = (
                cgroups.text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")
            )
        if quota.isdigit() and period.isdigit() and int(quota) > 0 and int(period) > 0:
            yield int(quota) / int(period)
