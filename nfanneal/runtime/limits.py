"""The control groups of this process, both versions: where limits on a job are written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

UNIFIED = 2
"""The version that has one tree for all controllers."""


def folders(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
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


def text(path: Path) -> str:
    """The content of a small file; empty where the system has none, or shows none to us."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _memberships(root: Path) -> Iterator[tuple[set[str], str]]:
    """Controllers and path of each line `7:cpu,cpuacct:/path`; of version 2 it is `0::/path`."""
    for line in text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        yield set(controllers.split(",")), path


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])
