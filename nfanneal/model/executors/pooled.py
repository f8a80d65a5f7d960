"""Questions shared out over a pool in small parcels: what is lost there is asked again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np

from nfanneal.arrays import Array, concatenated
from nfanneal.model.calls import Answer, LogLikelihood, Prediction, Question
from nfanneal.model.executors.memory import Memory, by_draw, key_of
from nfanneal.model.likelihood import DataLikelihood, Likelihood
from nfanneal.model.simulator import Predictions

TOLD_SECONDS = 1.0
"""How often it is told how many answers are there."""
MOST_TRIES = 3
"""A draw whose workers were lost so often has failed."""


class LostWorkerError(Exception):
    """A worker died, or had to be ended, while it was asked; the message says how."""


Submit = Callable[[Question[Any], Array], Future[Any]]


class Pool(Protocol):
    """Workers that a likelihood, or copies of it, can be asked through."""

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        """Errors that say that a worker is lost, not that the model raised."""

    @property
    def count(self) -> int:
        """How many draws can be asked about at once."""

    @property
    def in_words(self) -> str:
        """How many workers of which kind, for messages."""

    def opened(self, likelihood: Likelihood) -> AbstractContextManager[Submit]:
        """Workers for some questions; left by an exception, it ends the calls under way."""

    def close(self) -> None:
        """End all workers."""


@dataclass(frozen=True)
class Pooled:
    """An executor that asks a pool, `parcel` draws at a time, and remembers the answers.

    The size of parcels is fixed, so that answers do not depend on the number of workers.
    """

    pool: Pool
    parcel: int = 1
    memory: Memory = field(default_factory=Memory)

    def __call__(self, likelihood: Likelihood, question: Question[Answer], theta: Array) -> Answer:
        """The answer at θ (n, p), its rows in order. Of data, predictions are all that is asked."""
        asked: Any = question
        answer: Any
        if not isinstance(likelihood, DataLikelihood):
            return self._answered(likelihood, question, theta)
        if isinstance(asked, LogLikelihood) and not asked.gradient:
            wanted = Prediction(None, asked.share, asked.again)
            part = likelihood.opening(asked.share) if asked.share < 1.0 else likelihood
            answer = part.of_predictions(theta, self._predicted(likelihood, wanted, theta))
        elif isinstance(asked, Prediction):
            answer = self._predicted(likelihood, asked, theta)
        else:
            answer = self._answered(likelihood, question, theta)
        return answer

    def _predicted(
        self, likelihood: DataLikelihood, asked: Prediction, theta: Array
    ) -> Predictions:
        """All of it is asked about, and remembered, where a share of the times is wanted."""
        found = self._answered(likelihood, replace(asked, share=1.0), theta)
        if asked.share == 1.0:
            return found
        return replace(found, values=found.values[:, likelihood.early(asked.share)])

    def _answered(self, likelihood: Likelihood, question: Question[Answer], theta: Array) -> Answer:
        if not len(theta):
            return question.of(likelihood, theta)
        keys = [key_of(question, row) for row in theta]
        known = {key: answer for key in keys if (answer := self.memory.get(key)) is not None}
        new = list(dict.fromkeys(key for key in keys if key not in known))
        place = {key: i for i, key in reversed(list(enumerate(keys)))}
        rows = np.array([place[key] for key in new], dtype=np.intp)
        parts = [rows[i : i + self.parcel] for i in range(0, len(rows), self.parcel)]

        def told(part: Sequence[int], answer: Any) -> None:
            for i, one in zip(part, by_draw(answer), strict=True):
                known[keys[i]] = one
                self.memory.put(keys[i], one)

        if parts:
            self._ask(likelihood, question, theta, parts, told)
        return concatenated([known[key] for key in keys])

    def _ask(
        self,
        likelihood: Likelihood,
        question: Question[Any],
        theta: Array,
        parts: Sequence[Any],
        told: Callable[[Sequence[int], Any], None],
    ) -> None:
        """Ask all parts; `told` hears of each as it is answered."""
        tries: dict[bytes, int] = {}
        trouble = SimpleQueue[tuple[Any, BaseException] | None]()
        lock, waiting = threading.Lock(), len(parts)

        def finish(part: Any, future: Future[Any]) -> None:
            """In the thread that has the answer: it is written down before the next is asked.

            The thread that waits for all is only woken at the end, or by what it must look after.
            """
            nonlocal waiting
            if future.cancelled():
                return
            error = future.exception()
            with lock:
                if error is None:
                    try:
                        told(part, future.result())
                    except BaseException as failure:  # to be raised by the thread that waits
                        error = failure
                if error is not None:
                    trouble.put((part, error))
                    return
                waiting -= 1
                if not waiting:
                    trouble.put(None)

        with self.pool.opened(likelihood) as submit:

            def ask(part: Any) -> None:
                submit(question, theta[part]).add_done_callback(partial(finish, part))

            for part in parts:
                ask(part)
            while True:
                try:
                    troubled = trouble.get(timeout=TOLD_SECONDS)
                except Empty:
                    self.memory.progress(len(parts) - waiting, len(parts))
                    continue
                if troubled is None:
                    break
                part, error = troubled
                if not isinstance(error, self.pool.lost):
                    raise error
                count = tries[part.tobytes()] = tries.get(part.tobytes(), 0) + 1
                if count < (MOST_TRIES if len(part) == 1 else 2):
                    ask(part)
                elif len(part) > 1:  # one of them may be what kills workers
                    with lock:
                        waiting += len(part) - 1
                    for i in part:
                        ask(np.array([i]))
                else:
                    with lock:
                        told(part, question.failed(likelihood, theta[part], _reason(error)))
                        waiting -= 1
                        if not waiting:
                            break


def _reason(error: BaseException) -> str:
    """A worker's end as the reason of a failed draw."""
    return f"its worker was lost {MOST_TRIES} times: {str(error) or type(error).__name__}"[:300]
