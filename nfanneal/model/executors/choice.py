"""Which workers ask the model, as `--workers` says: a registry of pools."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from nfanneal.errors import InputError
from nfanneal.model.executors.addresses import scheduler_address
from nfanneal.model.executors.copies import Asked
from nfanneal.model.executors.pooled import Pool
from nfanneal.model.executors.processes import Processes
from nfanneal.model.executors.threads import Threads
from nfanneal.runtime.threads import available_threads

MOST = 10_000
FORMS = f"a number of processes (1 to {MOST:,}), dask:ADDRESS, dask:FILE or mpi"


@dataclass(frozen=True)
class Workers:
    """What `--workers` says: a pool's name in `POOLS`, and how many or where they are."""

    pool: str = "local"
    count: int | None = None
    address: str = ""


def _local(workers: Workers, asked: Asked) -> Pool:
    count = workers.count or available_threads()
    return Threads(count) if asked.outside else Processes(count, asked.copy, asked.seconds)


def _dask(workers: Workers, asked: Asked) -> Pool:
    try:
        from nfanneal.model.executors.dask import DaskWorkers  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise _missing("dask", error) from error
    return DaskWorkers(workers.address, asked)


def _mpi(workers: Workers, asked: Asked) -> Pool:
    try:
        from nfanneal.model.executors.mpi import mpi_workers  # noqa: PLC0415  (an extra)
    except (ImportError, RuntimeError) as error:  # the latter: no library of MPI
        raise _missing("mpi", error) from error
    return mpi_workers(asked)


POOLS: dict[str, Callable[[Workers, Asked], Pool]] = {
    "local": _local,
    "dask": _dask,
    "mpi": _mpi,
}


def workers_of(text: str) -> Workers:
    """The workers that a text such as `8` names.

    Raises:
        InputError: it names none.
    """
    name, _, address = text.partition(":")
    if re.fullmatch(r"[0-9]{1,6}", text) and 0 < int(text) <= MOST:
        return Workers(count=int(text))
    if name == "dask" and address:
        return Workers(name, address=scheduler_address(address))
    if text == "mpi":
        return Workers(text)
    raise InputError(f"'{text}' is not {FORMS}")


def leads(workers: Workers) -> bool:
    """Whether this process does the run. If not, it has served, and is to end: so has the run.

    Raises:
        InputError: there is no MPI, or only one process.
    """
    if workers.pool != "mpi":
        return True
    try:
        from nfanneal.model.executors import mpi  # noqa: PLC0415  (an extra)
    except (ImportError, RuntimeError) as error:
        raise _missing("mpi", error) from error
    return mpi.leads()


def pool_of(workers: Workers, asked: Asked) -> Pool:
    """The pool of some workers.

    Raises:
        InputError: they cannot be reached, or a package is missing.
    """
    return POOLS[workers.pool](workers, asked)


def _missing(extra: str, error: Exception) -> InputError:
    """What is told where a package, or a library that it takes, is missing."""
    return InputError(f"pip install 'nfanneal[{extra}]' is needed for this: {error}")
