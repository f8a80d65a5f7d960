"""A likelihood that is made anew in another process, and asked there."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from nfanneal.arrays import Array
from nfanneal.errors import ModelError, NfannealError
from nfanneal.model.calls import Question
from nfanneal.model.executors.pooled import LostWorkerError
from nfanneal.model.likelihood import Likelihood
from nfanneal.runtime.threads import set_threads
from nfanneal.version import __version__


class Copy(Protocol):
    """What a likelihood can be made anew from, elsewhere: plain data that can be sent."""

    def likelihood(self) -> Likelihood:
        """The likelihood, made anew."""

    def __hash__(self) -> int:
        """Equal copies make equal likelihoods."""


@dataclass(frozen=True)
class Asked:
    """What workers are for: copies of a model, whose draws may take `seconds`.

    `outside`: the model is a program, which threads can wait for. `version` is that of the run.
    """

    copy: Copy
    seconds: float
    outside: bool
    version: str = __version__


@functools.lru_cache(maxsize=2)
def _made(copy: Copy) -> Likelihood:
    set_threads(1)
    return copy.likelihood()


def asked(copy: Copy, question: Question[Any], rows: Array) -> Any:
    """The answer to a question at rows of θ (n, p), by a copy that this process keeps."""
    return question.of(_made(copy), rows)


def tried(call: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns, or what it raises, as an error that can be sent."""
    try:
        return call(*arguments)
    except (NfannealError, LostWorkerError) as error:
        return error
    except Exception as error:
        told = "".join(traceback.format_exception(error))
        return ModelError(f"a worker raised {type(error).__name__}: {error}\n{told}")


def serve(line: int) -> None:
    """What a process with a copy does until nobody asks any more; `line` is open for both ways.

    It is sent the copy, and says that its likelihood is made, or why not; then it is asked.
    """
    connection = Connection(line)
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        copy = connection.recv()
        connection.send(tried(_make, copy))
        while True:
            question, rows = connection.recv()
            connection.send(tried(asked, copy, question, rows))


def _make(copy: Copy) -> None:
    _made(copy)


def _end_with(line: int) -> None:
    """Wait until nobody is at the other end: that ends a model in the middle of a draw, too."""
    gone = select.poll()
    gone.register(line, 0)
    gone.poll()
    os.killpg(0, signal.SIGKILL)
