"""How much memory there is, and how many draws of a model at once fit into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nfanneal.runtime import limits as cgroups

SHARE = 0.8
"""Share of what is allowed that a run may take, if nobody says otherwise."""
FOR_A_BATCH = 1 / 8
"""Share of that for the arrays of one call of the model; the others are pool, flows and library."""
FEWEST = 16
"""Draws per call, however little memory there is."""
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def default_bytes(root: Path = Path("/")) -> int:
    """What a run may take: a share of the machine's memory, or of what its cgroup allows.

    `root` is the folder in which `proc` and `sys` are; another one for tests.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(SHARE * min([machine, *_limits(root)]))


def _limits(root: Path) -> Iterator[int]:
    for version, folder in cgroups.folders(root, "memory"):
        name = "memory.max" if version == cgroups.UNIFIED else "memory.limit_in_bytes"
        limit = cgroups.text(folder / name)
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
