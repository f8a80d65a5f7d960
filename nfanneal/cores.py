"""How many cores a job may use: of those of the machine, what affinity, cgroups and SLURM leave."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

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
    """Cores by the quotas of the process's cgroups and of all above them, both versions.

    A container may see its own cgroup at the top of the mount, whatever path it is told: folders
    that are not there are passed over. A share of a core is rounded down by the caller, since a
    thread more than the quota would only be throttled.
    """
    mount = root / "sys/fs/cgroup"
    for controllers, path in _memberships(root):
        if controllers == {""}:
            for folder in _upwards(mount, path):
                yield from _quota_v2(folder)
        elif "cpu" in controllers:
            for name in ("cpu", "cpu,cpuacct", "cpuacct,cpu"):
                for folder in _upwards(mount / name, path):
                    yield from _quota_v1(folder)


def _memberships(root: Path) -> Iterator[tuple[set[str], str]]:
    """Controllers and path of each line `7:cpu,cpuacct:/path`; of version 2 it is `0::/path`."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        yield set(controllers.split(",")), path


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _quota_v2(folder: Path) -> Iterator[float]:
    """`cpu.max` holds `quota period`, or `max period` without a limit."""
    quota, period = [*_text(folder / "cpu.max").split(), "", ""][:2]
    yield from _share(quota, period)


def _quota_v1(folder: Path) -> Iterator[float]:
    """The quota is −1 without a limit."""
    quota, period = (_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    yield from _share(quota, period)


def _share(quota: str, period: str) -> Iterator[float]:
    if quota.isdigit() and period.isdigit() and int(quota) > 0 and int(period) > 0:
        yield int(quota) / int(period)


def _text(path: Path) -> str:
    """The content of a small file; empty where the system has none, or shows none to us."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
