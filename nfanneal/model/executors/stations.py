"""What a worker elsewhere keeps: models under their names, each asked in processes of its own.

A model that crashes takes its own process with it, not the worker, and one that takes too long is
ended: what is lost is that draw, and nothing that waits beside it.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

from nfanneal.arrays import Array
from nfanneal.errors import InputError
from nfanneal.model.calls import Question
from nfanneal.model.executors.copies import Asked, tried
from nfanneal.model.executors.processes import Processes
from nfanneal.model.likelihood import Likelihood
from nfanneal.model.program.processes import EndedError, put_all_away
from nfanneal.runtime.threads import set_threads
from nfanneal.version import __version__


class ClosedError(Exception):
    """This worker does not ask the model any more: another one is to do so."""


class Station:
    """A model at this worker. Any number of threads may ask."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._processes = Processes(1, asked.copy, asked.seconds)
        self._likelihood: Likelihood | None = None
        self._lock = threading.Lock()
        self._stops = 0
        self._over = False

    def answer(self, question: Question[Any], rows: Array) -> Any:
        """The answer at rows of θ (n, p), or an error: it is sent back, and raised there.

        Raises:
            ClosedError: the station was closed meanwhile.
        """
        if self._asked.version != __version__:
            versions = f"nfanneal {__version__}, and not {self._asked.version}"
            return InputError(f"the worker on {socket.gethostname()} has {versions}")
        stops = self._stops
        while True:
            found = tried(self._said, question, rows)
            if self._over:
                raise ClosedError
            if isinstance(found, EndedError) and stops == self._stops:
                continue  # it was meant for another run's calls at this worker
            if isinstance(found, InputError):
                return InputError(f"on {socket.gethostname()}: {found}")
            return found

    def _said(self, question: Question[Any], rows: Array) -> Any:
        if not self._asked.outside:
            return self._processes.ask(question, rows)
        with self._lock:
            if self._likelihood is None:
                set_threads(1)
                self._likelihood = self._asked.copy.likelihood()
            likelihood = self._likelihood
        return question.of(likelihood, rows)

    def interrupt(self) -> None:
        """End the calls under way."""
        self._stops += 1
        if self._asked.outside:
            put_all_away()
        else:
            self._processes.interrupt()

    def close(self) -> None:
        """End all: programs that wait go with the likelihood that holds them."""
        self._over = True
        self.interrupt()
        self._processes.close()
        self._likelihood = None


_stations: dict[str, Station] = {}
_closed: set[str] = set()
_lock = threading.Lock()


def opened(name: str, asked: Asked) -> None:
    """Know a model by a name from now on."""
    with _lock:
        _stations.setdefault(name, Station(asked))
        _closed.discard(name)


def answered(name: str, question: Question[Any], rows: Array) -> Any:
    """What the model of that name answers, or an error.

    Raises:
        ClosedError: it is closed, or was meanwhile.
    """
    station = _stations.get(name)
    if station is not None:
        return station.answer(question, rows)
    if name in _closed:
        raise ClosedError
    where = socket.gethostname()
    return InputError(f"the worker on {where} was not told of the model: has it this nfanneal?")


def interrupted(name: str) -> None:
    """End the calls of a model that are under way."""
    station = _stations.get(name)
    if station is not None:
        station.interrupt()


def closed(name: str) -> None:
    """Forget a model, and end what it has here."""
    with _lock:
        station = _stations.pop(name, None)
        _closed.add(name)
    if station is not None:
        station.close()


def all_closed() -> None:
    """The same of all models."""
    for name in list(_stations):
        closed(name)
