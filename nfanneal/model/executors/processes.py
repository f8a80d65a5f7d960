"""Processes of this machine, each with a copy of the model: one that dies is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from nfanneal.arrays import Array
from nfanneal.errors import ModelError, NfannealError
from nfanneal.model.calls import Question
from nfanneal.model.executors.copies import Copy, asked
from nfanneal.model.executors.pooled import LostWorkerError, Submit
from nfanneal.model.likelihood import Likelihood
from nfanneal.model.program.processes import status_in_words

LAST_SECONDS = 5.0


def _serve(connection: Connection, copy: Copy) -> None:
    """What a worker does: it answers until nobody asks any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    os.setsid()  # a Ctrl-C at the terminal is for the run alone
    while wait([connection, parent.sentinel]):
        try:
            question, rows = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Any = asked(copy, question, rows)
        except NfannealError as error:
            answer = error
        except Exception as error:
            told = "".join(traceback.format_exception(error))
            answer = ModelError(f"a worker raised {type(error).__name__}: {error}\n{told}")
        with contextlib.suppress(OSError):
            connection.send(answer)


class _Worker:
    """A process and the line to it. It is asked by one thread at a time."""

    def __init__(self, copy: Copy) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, copy), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, question: Question[Any], rows: Array, seconds: float) -> Any:
        """The answer at rows (n, p), within so many seconds for each.

        Raises:
            LostWorkerError: it died, or had to be killed.
            ModelError: the model raised.
        """
        try:
            self._line.send((question, rows))
            most = None if seconds == float("inf") else seconds * len(rows)
            if not self._line.poll(most):
                raise LostWorkerError(f"it took longer than {seconds:g} s")
            answer = self._line.recv()
        except (EOFError, OSError):
            self._process.join(LAST_SECONDS)
            code = self._process.exitcode
            how = "closed its line" if code is None else f"ended with {status_in_words(code)}"
            raise LostWorkerError(f"it {how}") from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Kill it."""
        self._line.close()
        self._process.kill()
        self._process.join(LAST_SECONDS)


@dataclass(frozen=True)
class Processes:
    """So many processes; a draw may take `seconds`."""

    count: int
    copy: Copy
    seconds: float = float("inf")
    _waiting: list[_Worker] = field(default_factory=list, repr=False, compare=False)
    _busy: set[_Worker] = field(default_factory=set, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        """A worker that died or took too long."""
        return (LostWorkerError,)

    @property
    def in_words(self) -> str:
        """How many."""
        return f"{self.count} processes"

    def opened(self, likelihood: Likelihood) -> AbstractContextManager[Submit]:
        """A thread for each process that is asked."""
        return self._threads()

    @contextmanager
    def _threads(self) -> Iterator[Submit]:
        pool = ThreadPoolExecutor(self.count)
        try:
            yield lambda question, rows: pool.submit(self._ask, question, rows)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            with self._lock:
                busy = list(self._busy)
            for worker in busy:
                worker.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, question: Question[Any], rows: Array) -> Any:
        with self._lock:
            worker = self._waiting.pop() if self._waiting else None
        worker = worker or _Worker(self.copy)
        with self._lock:
            self._busy.add(worker)
        try:
            answer = worker.ask(question, rows, self.seconds)
        except LostWorkerError:
            worker.close()
            raise
        except NfannealError:
            self._put_back(worker)
            raise
        finally:
            with self._lock:
                self._busy.discard(worker)
        self._put_back(worker)
        return answer

    def _put_back(self, worker: _Worker) -> None:
        with self._lock:
            self._waiting.append(worker)

    def close(self) -> None:
        """Kill those that wait."""
        with self._lock:
            waiting, self._waiting[:] = list(self._waiting), []
        for worker in waiting:
            worker.close()
