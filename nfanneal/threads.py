"""How many threads the model and the flow may use, and work spread over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Answer = TypeVar("Answer")

VARIABLE = "NFANNEAL_THREADS"


def available_threads() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int | None) -> int:
    """Give `threads` (None: all cores that there are) to torch, flows and trajectories."""
    count = available_threads() if threads is None else threads
    torch.set_num_threads(count)
    os.environ[VARIABLE] = str(count)
    return count


def default_threads() -> int:
    """$NFANNEAL_THREADS, else the cores that this process may run on."""
    given = os.environ.get(VARIABLE, "")
    return int(given) if given.isdigit() and int(given) > 0 else available_threads()


def over_threads(
    work: Callable[[Item], Answer], items: Iterable[Item], threads: int | None = None
) -> list[Answer]:
    """`work` of each item, in order; for work that releases the interpreter's lock."""
    tasks = list(items)
    count = min(threads or default_threads(), len(tasks))
    if count <= 1:
        return [work(task) for task in tasks]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, tasks))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch's own operations use `count` threads for a while.

    A flow's operations are too small to be worth splitting: a training step in 8 dimensions takes
    1.6 times as long on two threads as on one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
