"""Workers of a Dask cluster that somebody started: they may come and go while a run goes on."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from distributed import Client, KilledWorker, Reschedule, WorkerPlugin

from nfanneal.arrays import Array
from nfanneal.errors import InputError, WorkersError
from nfanneal.model.calls import Question
from nfanneal.model.executors import stations
from nfanneal.model.executors.copies import Asked
from nfanneal.model.executors.pooled import LostWorkerError, Submit
from nfanneal.model.likelihood import Likelihood
from nfanneal.runtime.leaving import on_leaving

LOGGER = logging.getLogger(__name__)
VARIABLE = "NFANNEAL_PATIENCE"
PATIENCE = 300.0
"""Seconds without any worker, after which a run gives up; $NFANNEAL_PATIENCE changes it."""
TO_CONNECT = 20.0
SILENT = 10.0
"""Seconds without a worker before that is said."""
TICK = 1.0
WITHOUT_SCHEDULER = 10.0
"""A run that is stopped with its scheduler has so long to say so by itself."""
LAST_SECONDS = 3.0


class _Model(WorkerPlugin):
    """Tells all workers of a model, also those that join later."""

    def __init__(self, name: str, asked: Asked) -> None:
        self.name = name
        self._asked = asked

    def setup(self, worker: Any) -> None:
        """Of a worker that has just joined, or when a run begins."""
        stations.opened(self.name, self._asked)

    def teardown(self, worker: Any) -> None:
        """Of a worker that leaves, or when the run has ended."""
        stations.closed(self.name)


def _answered(name: str, question: Question[Any], rows: Array) -> Any:
    """What a worker does; where it is just leaving, Dask asks another one."""
    try:
        return stations.answered(name, question, rows)
    except stations.ClosedError:
        raise Reschedule from None


class DaskWorkers:
    """All workers of a cluster, for one model.

    Raises:
        InputError: there is no scheduler at the address, or its workers do not have nfanneal.
    """

    def __init__(self, address: str, asked: Asked) -> None:
        self._address = address
        self._patience = _patience()
        self._name = f"nfanneal-{uuid.uuid4().hex}"
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what is wrong is told
        try:
            self._client = Client(address, timeout=TO_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {address}: {error}") from error
        on_leaving(self.close)
        try:
            self._client.register_plugin(_Model(self._name, asked))
        except Exception as error:
            self.close()
            raise InputError(f"Dask at {address} cannot be asked: {_told(error)}") from error

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        """A worker, or its process with the model."""
        return (LostWorkerError,)

    @property
    def count(self) -> int:
        """The draws that those that are there now can be asked about at once."""
        return max(sum((self._within(self._client.nthreads) or {}).values()), 1)

    @property
    def in_words(self) -> str:
        """Whose they are."""
        return f"Dask workers of {self._address}"

    def opened(self, likelihood: Likelihood) -> AbstractContextManager[Submit]:
        """Calls by way of the scheduler, watched over as long as they are under way."""
        return self._calls()

    @contextmanager
    def _calls(self) -> Iterator[Submit]:
        executor = self._client.get_executor(pure=False)
        watch = _Watch(self._address, self._patience, self._count)

        def submit(question: Question[Any], rows: Array) -> Future[Any]:
            answer = watch.expected()
            asked = executor.submit(_answered, self._name, question, rows)
            asked.add_done_callback(partial(watch.heard, answer))
            return answer

        try:
            yield submit
        except BaseException:
            watch.close()
            self._within(partial(executor.shutdown, wait=False))
            self._within(partial(self._client.run, stations.interrupted, self._name))
            raise
        finally:
            watch.close()

    def _count(self) -> int:
        """How many workers there are; 0 where the scheduler does not answer."""
        return len(self._within(self._client.nthreads) or ())

    def _within(self, call: Callable[[], Any]) -> Any:
        """What a call of the cluster returns, if it does so soon."""
        if self._client.status != "running":
            return None
        found: list[Any] = []

        def made() -> None:
            with suppress(Exception):
                found.append(call())

        thread = threading.Thread(target=made, daemon=True)
        thread.start()
        thread.join(LAST_SECONDS)
        return found[0] if found else None

    def close(self) -> None:
        """Let the workers forget the model, and leave the cluster."""
        self._within(partial(self._client.unregister_worker_plugin, self._name))
        with suppress(Exception):
            self._client.close(timeout=LAST_SECONDS)


class _Watch:
    """Sees that answers can still come: after long without workers it gives all of them up."""

    def __init__(self, address: str, patience: float, count: Callable[[], int]) -> None:
        self._address, self._patience, self._count = address, patience, count
        self._waiting: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._last = time.monotonic()
        """When there was a sign of a worker."""
        self._cut: float | None = None
        """When the scheduler was lost."""
        self._any = False
        self._thread = threading.Thread(target=self._look, name="nfanneal Dask", daemon=True)
        self._thread.start()

    def expected(self) -> Future[Any]:
        """An answer that will be heard of."""
        answer: Future[Any] = Future()
        with self._lock:
            self._waiting.add(answer)
        return answer

    def heard(self, answer: Future[Any], asked: Future[Any]) -> None:
        """Dask has done with a call."""
        if asked.cancelled():  # by nobody here: that is how the loss of a scheduler is told
            self._cut = self._cut or time.monotonic()
            return
        error = asked.exception()
        found = asked.result() if error is None else _lost_or_wrong(error)
        self._last, self._any = time.monotonic(), True
        with self._lock:
            self._waiting.discard(answer)
        with suppress(InvalidStateError):  # given up meanwhile
            if isinstance(found, BaseException):
                answer.set_exception(found)
            else:
                answer.set_result(found)

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _look(self) -> None:
        said = False
        while not self._closed.wait(TICK):
            if self._cut is not None:
                if time.monotonic() > self._cut + WITHOUT_SCHEDULER:
                    self._give_up(f"the Dask scheduler at {self._address} is gone")
                continue
            silent = time.monotonic() - self._last
            if silent < SILENT / 2:
                continue
            count = self._count()
            if count:
                self._last = time.monotonic()
                if said:
                    LOGGER.warning("Dask workers are there: %d", count)
                    said = False
            elif silent > SILENT and not said:
                said = True
                text = "no Dask worker is there (%s); waiting for one up to %.0f s"
                LOGGER.warning(text, self._address, self._patience)
            elif silent > self._patience:
                self._give_up(f"no Dask worker was there for {self._patience:.0f} s")

    def _give_up(self, why: str) -> None:
        """No answer will come."""
        error: Any = InputError(why)
        if self._any:
            error = WorkersError(f"{why}; --resume goes on with what was answered")
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for answer in waiting:
            with suppress(InvalidStateError):
                answer.set_exception(error)


def _lost_or_wrong(error: BaseException) -> Exception:
    """What Dask says went wrong with a call, by whose fault."""
    if isinstance(error, KilledWorker):
        return LostWorkerError(f"Dask lost {error.allowed_failures + 1} workers that had it")
    if isinstance(error, OSError):
        return LostWorkerError(f"Dask lost its answer: {_told(error)}")
    return InputError(f"a Dask worker cannot be asked: {_told(error)}")


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _patience() -> float:
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return PATIENCE
    try:
        return float(given)
    except ValueError:
        raise InputError(f"{VARIABLE}='{given}': must be a number of seconds") from None
