"""Threads that ask, for models whose calls leave this process: each waits for a program."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from nfanneal.model.executors.pooled import LostWorkerError, Submit
from nfanneal.model.likelihood import Likelihood
from nfanneal.model.program.processes import put_all_away


@dataclass(frozen=True)
class Threads:
    """So many calls of a program at once."""

    count: int

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        """Programs are looked after by those who call them."""
        return (LostWorkerError,)

    @property
    def in_words(self) -> str:
        """How many."""
        return f"{self.count} at once"

    def opened(self, likelihood: Likelihood) -> AbstractContextManager[Submit]:
        """A thread for each call under way."""
        return _threads(self.count, likelihood)

    def close(self) -> None:
        """Programs that wait end with their input."""


@contextmanager
def _threads(count: int, likelihood: Likelihood) -> Iterator[Submit]:
    pool = ThreadPoolExecutor(count)
    try:
        yield lambda question, rows: pool.submit(question.of, likelihood, rows)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        put_all_away()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
