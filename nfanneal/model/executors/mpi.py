"""Processes of one MPI job: rank 0 does the run, the others answer questions until it has ended.

Rank 0 speaks through one thread. A rank that serves asks its model in another thread, and listens
meanwhile: so it hears in the middle of a draw that nobody waits for it any more.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from mpi4py import MPI

from nfanneal.arrays import Array
from nfanneal.errors import STOPPING, InputError, WorkersError
from nfanneal.model.calls import Question
from nfanneal.model.executors import stations
from nfanneal.model.executors.copies import Asked
from nfanneal.model.executors.pooled import LostWorkerError, Submit
from nfanneal.model.likelihood import Likelihood
from nfanneal.runtime.leaving import on_leaving

LAST_SECONDS = 5.0
TO_END = 0.5
"""Seconds that a rank takes at most from the end of MPI to its own."""
SHORTEST, LONGEST = 1e-5, 5e-3
"""Seconds between two looks at what has come: MPI itself would wait in circles, on a whole core."""
MODEL, FORGET, ASK, INTERRUPT, END = "model", "forget", "ask", "interrupt", "end"
Word = tuple[str, Any]


@dataclass(frozen=True)
class _Call:
    """A question on its way, and where its answer goes."""

    name: str
    question: Question[Any]
    rows: Array
    answer: Future[Any]


class _Pause:
    """Waits longer and longer, up to a limit, until something has come."""

    def __init__(self) -> None:
        self._seconds = SHORTEST

    def wait(self) -> None:
        """For nothing has come."""
        time.sleep(self._seconds)
        self._seconds = min(2.0 * self._seconds, LONGEST)

    def over(self) -> None:
        """Something has."""
        self._seconds = SHORTEST


class Ranks:
    """The ranks that serve, as rank 0 knows them; there is a thread that speaks with them."""

    def __init__(self, world: MPI.Intracomm) -> None:
        self._world = world
        self.all = range(1, world.size)
        self._said: queue.SimpleQueue[_Call | Word] = queue.SimpleQueue()
        self._waiting: list[_Call] = []
        self._free, self._busy = set(self.all), dict[int, _Call]()
        self._sending: list[MPI.Request] = []
        self._pause = _Pause()
        self._thread = threading.Thread(target=self._speak, name="nfanneal MPI", daemon=True)
        self._thread.start()
        on_leaving(self.release)

    def ask(self, call: _Call) -> None:
        """Ask the next rank that is free."""
        self._said.put(call)

    def tell(self, word: str, what: Any = None) -> None:
        """Tell all ranks."""
        self._said.put((word, what))

    def release(self) -> None:
        """Let all ranks go, whatever they are at, and outlast them.

        Where a rank ends with an exit code that is not 0, those that are there still are killed,
        and their end may count for that of the job. They come to MPI's end with their own.
        """
        self.tell(END)
        self._thread.join(LAST_SECONDS)
        if not self._thread.is_alive():
            MPI.Finalize()
            time.sleep(TO_END)

    def _speak(self) -> None:
        try:
            while self._heeded() != END:
                self._share_out()
                if self._busy and not self._heard():
                    self._pause.wait()
            self._part()
        except Exception as error:
            for call in (*self._busy.values(), *self._waiting):
                _settle(call.answer, WorkersError(f"MPI: {type(error).__name__}: {error}"))
            for rank in self.all:
                self._send((END, None), rank)
            self._part()

    def _heeded(self) -> str:
        """Do what was said here since; the last word. Where nobody is at work, wait for one."""
        word = ""
        for said in self._news():
            if isinstance(said, _Call):
                self._waiting.append(said)
                continue
            word, what = said
            if word == INTERRUPT:
                self._waiting = [call for call in self._waiting if call.name != what]
            for rank in self.all:
                self._send(said, rank)
            if word == END:
                break
        return word

    def _news(self) -> Iterator[_Call | Word]:
        if not (self._busy or self._waiting):
            yield self._said.get()
        with suppress(queue.Empty):
            while True:
                yield self._said.get_nowait()

    def _share_out(self) -> None:
        while self._waiting and self._free:
            call, rank = self._waiting.pop(0), self._free.pop()
            self._busy[rank] = call
            self._send((ASK, (call.name, call.question, call.rows)), rank)

    def _send(self, word: Word, rank: int) -> None:
        self._sending = [each for each in self._sending if not each.Test()]
        self._sending.append(self._world.isend(word, rank))

    def _heard(self) -> bool:
        """Whether there was an answer."""
        status = MPI.Status()
        if not self._world.iprobe(status=status):
            return False
        self._pause.over()
        answer = self._world.recv(source=status.source)
        self._free.add(status.source)
        _settle(self._busy.pop(status.source).answer, answer)
        return True

    def _part(self) -> None:
        """Hear the last word of each rank, which is END, too."""
        left, status = set(self.all), MPI.Status()
        while left:
            if not self._world.iprobe(status=status):
                self._pause.wait()
            elif self._world.recv(source=status.source) == END:
                left.discard(status.source)
        MPI.Request.Waitall(self._sending)


def _settle(answer: Future[Any], found: Any) -> None:
    with suppress(InvalidStateError):
        if isinstance(found, BaseException):
            answer.set_exception(found)
        else:
            answer.set_result(found)


class MpiWorkers:
    """All ranks that serve, for one model."""

    def __init__(self, ranks: Ranks, asked: Asked) -> None:
        self._ranks = ranks
        self._name = uuid.uuid4().hex
        ranks.tell(MODEL, (self._name, asked))

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        """A rank's process with the model; a rank that is lost ends the job."""
        return (LostWorkerError,)

    @property
    def count(self) -> int:
        """The ranks that serve."""
        return len(self._ranks.all)

    @property
    def in_words(self) -> str:
        """How many."""
        return f"{self.count} MPI ranks"

    def opened(self, likelihood: Likelihood) -> AbstractContextManager[Submit]:
        """Calls by way of rank 0's thread."""
        return self._calls()

    @contextmanager
    def _calls(self) -> Iterator[Submit]:
        def submit(question: Question[Any], rows: Array) -> Future[Any]:
            answer: Future[Any] = Future()
            self._ranks.ask(_Call(self._name, question, rows, answer))
            return answer

        try:
            yield submit
        except BaseException:
            self._ranks.tell(INTERRUPT, self._name)
            raise

    def close(self) -> None:
        """Let the ranks forget the model."""
        self._ranks.tell(FORGET, self._name)


class _Here:
    """What this process is, once it is known."""

    ranks: Ranks | None = None


def leads() -> bool:
    """Whether this is rank 0. If not, it has served, and is to end: the run has ended.

    Raises:
        InputError: there is no other rank.
    """
    world = MPI.COMM_WORLD
    if world.size == 1:
        library = " ".join(MPI.Get_library_version().splitlines()[0].split(",")[0].split())
        raise InputError(
            "there is only one process: mpiexec -n 3 nfanneal … starts a run and two workers, if "
            f"mpiexec is that of the MPI library here ({library})"
        )
    if world.rank > 0:
        _serve(world)
        return False
    if _Here.ranks is None:
        _Here.ranks = Ranks(world)
    return True


def mpi_workers(asked: Asked) -> MpiWorkers:
    """The other ranks, in the process that leads."""
    if _Here.ranks is None:
        leads()
    assert _Here.ranks is not None
    return MpiWorkers(_Here.ranks, asked)


def _serve(world: MPI.Intracomm) -> None:
    """Answer until rank 0 says that it is over: a signal to all ranks is for that one."""
    for number in (*STOPPING, signal.SIGINT):
        signal.signal(number, _nothing)
    questions, answers = queue.SimpleQueue[Any](), queue.SimpleQueue[Any]()
    threading.Thread(target=_answer, args=(questions, answers), daemon=True).start()
    pause = _Pause()
    while True:
        if world.iprobe(source=0):
            pause.over()
            word, what = world.recv(source=0)
            if word == END:
                break
            _heed(word, what, questions)
        elif not answers.empty():
            pause.over()
            world.send(answers.get(), 0)
        else:
            pause.wait()
    stations.all_closed()
    world.send(END, 0)


def _heed(word: str, what: Any, questions: queue.SimpleQueue[Any]) -> None:
    if word == ASK:
        questions.put(what)
    elif word == MODEL:
        stations.opened(*what)
    elif word == INTERRUPT:
        stations.interrupted(what)
    elif word == FORGET:
        stations.closed(what)


def _answer(questions: queue.SimpleQueue[Any], answers: queue.SimpleQueue[Any]) -> None:
    while True:
        try:
            answers.put(stations.answered(*questions.get()))
        except stations.ClosedError:
            answers.put(LostWorkerError("its rank was told to forget the model"))


def _nothing(number: int, frame: FrameType | None) -> None:
    """No `SIG_IGN`, which the programs that this process starts would inherit."""
