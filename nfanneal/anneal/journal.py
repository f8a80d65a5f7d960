"""What a likelihood answered since a level began, so that a run that was stopped asks once.

A run can be stopped anywhere: its level is done again from the snapshot at its start, and as long
as the same questions come in the same order they are answered from the journal. Everything else
that a level does costs seconds and gives the same bits again.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.snapshot import Arrays, Snapshot, put_together, taken_apart
from nfanneal.arrays import Array
from nfanneal.target import Evaluation, Target

Values = Mapping[str, NDArray[Any]]

PARTS = tuple(field.name for field in fields(Evaluation) if field.name != "reasons")


@dataclass(frozen=True)
class Answer:
    """What the model said, and the digest of what it was asked."""

    question: int
    values: Values


@dataclass(frozen=True)
class Checkpoint:
    """A level's start, the answers since then, and the seconds that the run took so far."""

    snapshot: Snapshot
    answers: tuple[Answer, ...]
    seconds: float


def packed(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A checkpoint as JSON values and arrays by name."""
    layout, arrays = taken_apart(checkpoint.snapshot)
    layout["seconds"] = checkpoint.seconds
    layout["answers"] = [[a.question, list(a.values)] for a in checkpoint.answers]
    for i, answer in enumerate(checkpoint.answers):
        arrays |= {f"answer.{i}.{name}": array for name, array in answer.values.items()}
    return layout, arrays


def unpacked(layout: Mapping[str, Any], arrays: Arrays) -> Checkpoint:
    """The checkpoint that `packed` took apart."""
    answers = tuple(
        Answer(question, {name: arrays[f"answer.{i}.{name}"] for name in names})
        for i, (question, names) in enumerate(layout["answers"])
    )
    return Checkpoint(put_together(layout, arrays), answers, layout["seconds"])


class Journal:
    """Writes answers down in order; those of a `resumed` run are given again first.

    `checkpoint` may be called from another thread at any time.
    """

    def __init__(self, resumed: Checkpoint | None = None) -> None:
        self._lock = threading.Lock()
        self._start = time.perf_counter()
        self._before = resumed.seconds if resumed else 0.0
        self._snapshot = resumed.snapshot if resumed else None
        self._pending = deque(resumed.answers if resumed else ())
        self._answers: list[Answer] = []

    @property
    def snapshot(self) -> Snapshot | None:
        """The start of the present level; None before the first."""
        return self._snapshot

    @property
    def seconds(self) -> float:
        """Seconds of this run, those before it was resumed included."""
        return self._before + time.perf_counter() - self._start

    def begin(self, snapshot: Snapshot) -> None:
        """A level begins: the answers before it are not needed any more."""
        with self._lock:
            if self._snapshot is None or not _same_start(snapshot, self._snapshot):
                self._pending.clear()
            self._snapshot, self._answers = snapshot, []

    def checkpoint(self) -> Checkpoint | None:
        """What the run could go on from; None before its first level."""
        with self._lock:
            if self._snapshot is None:
                return None
            return Checkpoint(self._snapshot, (*self._answers, *self._pending), self.seconds)

    def answer(self, question: Array, kind: str, ask: Callable[[], Values]) -> Values:
        """The answer to a `question` of a `kind`: from the journal if it comes next there."""
        digest = _digest(question, kind)
        with self._lock:
            if self._pending and self._pending[0].question == digest:
                self._answers.append(self._pending.popleft())
                return _copied(self._answers[-1].values)
            self._pending.clear()  # other draws, by other settings or threads: ask for all of them
        values = ask()
        with self._lock:
            self._answers.append(Answer(digest, _copied(values)))
        return values

    def recorded(self, target: Target) -> Target:
        """`target`, every batch that it is asked about written down."""
        first = target.ask_curvature

        def ask(z: Array, gradient: bool) -> Evaluation:
            kind = "gradient" if gradient else "value"
            return self._said(z, kind, lambda part: target.ask(part, gradient))

        def ask_curvature(z: Array, share: float) -> Evaluation:
            assert first is not None
            return self._said(z, f"curvature of the first {share}", partial(first, share=share))

        return replace(target, ask=ask, ask_curvature=None if first is None else ask_curvature)

    def _said(self, z: Array, kind: str, ask: Callable[[Array], Evaluation]) -> Evaluation:
        def parts() -> Values:
            found = ask(z)
            return {name: value for name in PARTS if (value := getattr(found, name)) is not None}

        values: Mapping[str, Any] = self.answer(z, kind, parts)
        return Evaluation(**values)


@dataclass(frozen=True)
class Within:
    """The journal of an annealing within a level of another one, which began with `outer`."""

    journal: Journal | Within
    outer: Snapshot

    @property
    def snapshot(self) -> Snapshot | None:
        """The start of its present level; None before the first."""
        return None if self.journal.snapshot is None else self.journal.snapshot.within

    @property
    def seconds(self) -> float:
        """Seconds of the whole run."""
        return self.journal.seconds

    def begin(self, snapshot: Snapshot) -> None:
        """A level begins: the answers before it are not needed any more."""
        self.journal.begin(replace(self.outer, within=snapshot))


def _same_start(one: Snapshot, other: Snapshot) -> bool:
    if one.within is None or other.within is None:
        return one.state is other.state and one.within is other.within
    return one.state is other.state and _same_start(one.within, other.within)


def _copied(values: Values) -> Values:
    """What is written down must stay as it was said, whatever is done to it."""
    return {name: value.copy() for name, value in values.items()}


def _digest(question: Array, kind: str) -> int:
    """64 bits of a question: the points' bytes, their shape, and what is asked of them."""
    text = hashlib.blake2b(np.ascontiguousarray(question).tobytes(), digest_size=8)
    text.update(f"{kind} {question.shape}".encode())
    return int.from_bytes(text.digest(), "little")
