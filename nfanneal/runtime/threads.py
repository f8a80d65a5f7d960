"""How many threads the model and the flow may use, and work spread over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numba
import torch
from threadpoolctl import threadpool_limits

from nfanneal.errors import InputError
from nfanneal.runtime.limits import job_cores

Item = TypeVar("Item")
Answer = TypeVar("Answer")

VARIABLE = "NFANNEAL_THREADS"
FEWEST, MOST, NUMBERS = 8, 512, 2**20
"""Rows that a thread takes at a time: enough to be worth it, few enough that a slow model can be

interrupted; and numbers that it holds of them."""


class _Count:
    """The number of threads that `set_threads` chose; None before."""

    chosen: int | None = None


def available_threads() -> int:
    """$NFANNEAL_THREADS, else the cores that this job may use.

    Raises:
        InputError: the variable is no number of threads.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return job_cores()
    if not (given.isdecimal() and int(given) > 0):
        raise InputError(f"{VARIABLE}='{given}': must be a whole number of threads, at least 1")
    return int(given)


def set_threads(threads: int | None) -> int:
    """Give `threads` (None: as many as are available) to torch, numba, BLAS and trajectories.

    They are never at work at once, so that each may have them all: what is spread over threads
    by `over_threads` calls torch under `torch_threads(1)`.
    """
    count = available_threads() if threads is None else threads
    # first numba, whose threads begin here and set OpenMP's number, which torch's is too, to all
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")
    _Count.chosen = count
    return count


def default_threads() -> int:
    """The threads that were given by `set_threads`, else those that are available."""
    return available_threads() if _Count.chosen is None else _Count.chosen


def over_rows(
    work: Callable[[slice], Answer], rows: int, numbers: int, threads: int | None = None
) -> list[Answer]:
    """`work` of some of so many rows at a time, in order, for rows that hold so many numbers each.

    Few enough that threads end together, and that no more than some megabytes are held by each. Of
    no rows it is called once.
    """
    count = threads or default_threads()
    share = rows if count == 1 else rows // (4 * count)
    size = max(min(share, MOST, NUMBERS // max(numbers, 1)), FEWEST)
    parts = [slice(i, min(i + size, rows)) for i in range(0, max(rows, 1), size)]
    return over_threads(work, parts, threads)


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
