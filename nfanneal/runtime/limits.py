"""What a job may use: cores and memory, by the machine, affinity, cgroups and SLURM."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

SLURM = "SLURM_CPUS_PER_TASK"
SHARE = 0.8
"""Share of what is allowed that a run may take, if nobody says otherwise."""
FOR_A_BATCH = 1 / 8
"""Share of that for the arrays of one call of the model; the others are pool, flows and library."""
FEWEST = 16
"""Draws per call, however little memory there is."""
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
UNIFIED = 2
"""The version that has one tree for all controllers."""


def job_cores(
    root: Path = Path("/"),
    environment: Mapping[str, str] = os.environ,
    affinity: int | None = None,
) -> int:
    """Cores that a job may use: the smallest of all limits, at least 1.

    Arguments:
        root: the folder in which `proc` and `sys` are; another one for tests.
        environment: where SLURM says how many cores a task has.
        affinity: the cores that the process may run on; None asks the system.
    """
    cores = _affinity() if affinity is None else affinity
    least = [float(cores), *_quotas(root)]
    given = environment.get(SLURM, "")
    if given.isdigit() and int(given) > 0:
        least.append(float(given))
    return max(1, int(min(least)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Cores by the quotas of the process's cgroups and of all above them.

    A share of a core is rounded down by the caller, since a thread more than the quota would only
    be throttled.
    """
    for version, folder in _folders(root, "cpu"):
        if version == UNIFIED:  # `quota period`, or `max period` without a limit
            quota, period = [*_text(folder / "cpu.max").split(), "", ""][:2]
        else:  # the quota is −1 without a limit
            quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota.isdigit() and period.isdigit() and int(quota) > 0 and int(period) > 0:
            yield int(quota) / int(period)


def default_bytes(root: Path = Path("/")) -> int:
    """What a run may take: a share of the machine's memory, or of what its cgroup allows.

    `root` is the folder in which `proc` and `sys` are; another one for tests.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(SHARE * min([machine, *_limits(root)]))


def _limits(root: Path) -> Iterator[int]:
    for version, folder in _folders(root, "memory"):
        name = "memory.max" if version == UNIFIED else "memory.limit_in_bytes"
        limit = _text(folder / name)
        if limit.isdigit():  # else `max`
            yield int(limit)


def affordable_draws(most: int, bytes_per_draw: float, allowed: int | None) -> int:
    """Draws per call of a model, at most `most`: halved until their arrays fit."""
    budget = FOR_A_BATCH * (default_bytes() if allowed is None else allowed)
    while most > FEWEST and most * bytes_per_draw > budget:
        most = max(most // 2, FEWEST)
    return most


def bytes_of(text: str) -> int | None:
    """Bytes of `8G`, `500M`, `2.5GiB` or a plain number; None if it is none of these."""
    word = text.strip().lower().removesuffix("b").removesuffix("i")
    number, unit = (word[:-1], word[-1:]) if word[-1:].isalpha() else (word, "")
    try:
        size = float(number) * UNITS[unit]
        return int(size) if size >= 1 else None
    except (ValueError, KeyError, OverflowError):
        return None


def _folders(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Version and folder of every group that limits the process's `controller`, and those above.

    A container may see its own group at the top of the mount, whatever path it is told: folders
    that are not there are named, too, and hold nothing. `root` is the folder in which `proc` and
    `sys` are.
    """
    mount = root / "sys/fs/cgroup"
    for controllers, path in _memberships(root):
        if controllers == {""}:
            yield from ((UNIFIED, folder) for folder in _upwards(mount, path))
        elif controller in controllers:
            # systems differ in how they order controllers that share a tree
            names = {controller, ",".join(sorted(controllers)), ",".join(sorted(controllers)[::-1])}
            for name in sorted(names):
                yield from ((1, folder) for folder in _upwards(mount / name, path))


def _text(path: Path) -> str:
    """The content of a small file; empty where the system has none, or shows none to us."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _memberships(root: Path) -> Iterator[tuple[set[str], str]]:
    """Controllers and path of each line `7:cpu,cpuacct:/path`; of version 2 it is `0::/path`."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        yield set(controllers.split(",")), path


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])
