"""Processes of this machine, each with a copy of the model: one that dies is replaced."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from nfanneal.arrays import Array
from nfanneal.errors import NfannealError
from nfanneal.model.calls import Question
from nfanneal.model.executors.copies import Copy
from nfanneal.model.executors.pooled import LostWorkerError, Submit
from nfanneal.model.likelihood import Likelihood
from nfanneal.model.program.processes import (
    EndedError,
    ended,
    kill,
    put_away,
    started,
    status_in_words,
    times_stopped,
)

LAST_SECONDS = 5.0
STDERR = 2
BEGIN = """\
import sys
sys.path[:] = {path!r}
from nfanneal.model.executors.copies import serve
serve({line})
"""


class _Worker:
    """A process and the line to it. It is asked by one thread at a time."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._line: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._unwanted = False

    def ask(self, question: Question[Any], rows: Array, seconds: float) -> Any:
        """The answer at rows (n, p), within so many seconds for each; the start does not count.

        Raises:
            LostWorkerError: it died, or had to be killed.
            EndedError: all processes were put away.
            NfannealError: the model raised, or could not be made.
        """
        stopped = times_stopped()
        try:
            line = self._line or self._begun()
            line.send((question, rows))
            most = None if seconds == float("inf") else seconds * len(rows)
            if not line.poll(most):
                raise LostWorkerError(f"it took longer than {seconds:g} s")
            answer = line.recv()
        except (EOFError, OSError):
            how = self._end()
            if times_stopped() != stopped:
                raise EndedError("all processes were ended") from None
            raise LostWorkerError(f"it {how}") from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _begun(self) -> Connection:
        """Start it, and wait until its likelihood is made."""
        line, theirs = Pipe()
        # stdout is for results, and not for what a model prints
        code = BEGIN.format(path=sys.path, line=theirs.fileno())
        with self._lock, theirs:
            if self._unwanted:
                raise EOFError
            self._process = started(
                [sys.executable, "-c", code], shell=False, environment={},
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=STDERR,
            )  # fmt: skip
        line.send(self._copy)
        wrong = line.recv()
        if wrong is not None:
            raise wrong
        self._line = line
        return line

    def _end(self) -> str:
        """How it ended, in words."""
        if self._process is None or not ended(self._process, LAST_SECONDS):
            return "closed its line"
        put_away(self._process)
        return f"ended with {status_in_words(self._process.returncode)}"

    @property
    def fit(self) -> bool:
        """Whether it can be asked again."""
        if self._unwanted or self._line is None or self._process is None:
            return False
        return not ended(self._process, 0.0)

    def kill(self) -> None:
        """Kill it, whoever waits for its answer; it is not started any more."""
        with self._lock:
            self._unwanted = True
            if self._process is not None:
                kill(self._process)

    def close(self) -> None:
        """End it; nobody waits for its answer."""
        self.kill()
        if self._process is not None:
            put_away(self._process)
        if self._line is not None:
            self._line.close()


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
            yield lambda question, rows: pool.submit(self.ask, question, rows)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self.interrupt()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def ask(self, question: Question[Any], rows: Array) -> Any:
        """The answer of a process that waits, or of a new one; any number of threads may ask.

        Raises:
            LostWorkerError: it died, or had to be killed.
            NfannealError: the model raised, or could not be made.
        """
        worker = self._one()
        try:
            return worker.ask(question, rows, self.seconds)
        except NfannealError:
            raise
        except BaseException:
            worker.kill()
            raise
        finally:
            self._put_back(worker)

    def _one(self) -> _Worker:
        with self._lock:
            while self._waiting and not self._waiting[-1].fit:
                self._waiting.pop().close()
            worker = self._waiting.pop() if self._waiting else _Worker(self.copy)
            self._busy.add(worker)
        return worker

    def _put_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            if worker.fit:
                self._waiting.append(worker)
                return
        worker.close()

    def interrupt(self) -> None:
        """End the calls under way: those who wait for their answers hear of lost workers."""
        with self._lock:
            busy = list(self._busy)
        for worker in busy:
            worker.kill()

    def close(self) -> None:
        """End all of them."""
        self.interrupt()
        with self._lock:
            waiting, self._waiting[:] = list(self._waiting), []
        for worker in waiting:
            worker.close()
