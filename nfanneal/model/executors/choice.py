"""Which workers ask the model, as `--workers` says: a registry of pools."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from nfanneal.errors import InputError
from nfanneal.model.executors.copies import Asked
from nfanneal.model.executors.pooled import Pool
from nfanneal.model.executors.processes import Processes
from nfanneal.model.executors.threads import Threads
from nfanneal.runtime.threads import available_threads

MOST = 10_000


@dataclass(frozen=True)
class Workers:
    """What `--workers` says: a pool's name in `POOLS`, and how many or where they are."""

    pool: str = "local"
    count: int | None = None
    address: str = ""


def _local(workers: Workers, asked: Asked) -> Pool:
    count = workers.count or available_threads()
    return Threads(count) if asked.outside else Processes(count, asked.copy, asked.seconds)


POOLS: dict[str, Callable[[Workers, Asked], Pool]] = {"local": _local}


def workers_of(text: str) -> Workers:
    """The workers that a text such as `8` names.

    Raises:
        InputError: it names none.
    """
    name, _, address = text.partition(":")
    if re.fullmatch(r"[0-9]{1,6}", text) and 0 < int(text) <= MOST:
        return Workers(count=int(text))
    if name in POOLS and name != "local":
        return Workers(name, address=address)
    others = " or ".join(f"{pool}:…" for pool in POOLS if pool != "local")
    raise InputError(f"--workers {text}: a number of processes{f', {others}' if others else ''}")


def pool_of(workers: Workers, asked: Asked) -> Pool:
    """The pool of some workers."""
    return POOLS[workers.pool](workers, asked)
