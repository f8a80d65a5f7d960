"""How many threads the model and the flow may use, together."""

from __future__ import annotations

import os

import torch

from nfanneal.ode.trajectories import set_default_threads


def available_threads() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int | None) -> int:
    """Give `threads` (None: all cores that there are) to torch and to the trajectories."""
    count = available_threads() if threads is None else threads
    torch.set_num_threads(count)
    set_default_threads(count)
    return count
