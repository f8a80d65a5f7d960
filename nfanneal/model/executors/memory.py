"""What a model has answered, draw by draw: no draw is asked about twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np

from nfanneal.arrays import Array

Answer = TypeVar("Answer")
MOST_NUMBERS = 50_000_000
"""Numbers that are kept; what comes later is asked anew."""


@dataclass
class Memory:
    """Answers by what was asked; `told` hears of each new one, `progress` how many are there.

    `failures` counts why draws failed.
    """

    told: Callable[[bytes, Any], None] = lambda key, answer: None
    progress: Callable[[int, int], None] = lambda done, total: None
    failures: dict[str, int] = field(default_factory=dict)
    _known: dict[bytes, Any] = field(default_factory=dict, repr=False)
    _numbers: int = 0

    def __len__(self) -> int:
        """How many answers are known."""
        return len(self._known)

    def forget(self) -> None:
        """Know nothing any more."""
        self._known.clear()
        self.failures.clear()
        self._numbers = 0

    def get(self, key: bytes) -> Any | None:
        """The answer of one draw, if it is known."""
        return self._known.get(key)

    def put(self, key: bytes, answer: Any) -> None:
        """A new answer of one draw."""
        self.remember(key, answer)
        self.told(key, answer)

    def remember(self, key: bytes, answer: Any) -> None:
        """An answer that was written down before, or is new."""
        for reason, count in answer.reasons.items():
            self.failures[reason] = self.failures.get(reason, 0) + count
        size = sum(
            v.size for f in fields(answer) if isinstance(v := getattr(answer, f.name), np.ndarray)
        )
        if self._numbers + size <= MOST_NUMBERS:
            self._numbers += size
            self._known[key] = answer


def key_of(question: Any, theta: Array) -> bytes:
    """What tells a question at a draw θ (p,) from all others: 128 bits."""
    text = hashlib.blake2b(np.ascontiguousarray(theta).tobytes(), digest_size=16)
    text.update(repr(question).encode())
    return text.digest()


def by_draw(answer: Answer) -> list[Answer]:
    """A record of n draws as n records; the reasons of failures go with the first that failed."""
    failed = getattr(answer, "failed")  # noqa: B009
    n = len(failed)
    reasons: Mapping[str, int] = getattr(answer, "reasons", {})
    first = int(np.argmax(failed)) if failed.any() else -1
    parts = []
    for i in range(n):
        own = {
            f.name: value[i : i + 1]
            for f in fields(answer)  # type: ignore[arg-type]
            if isinstance(value := getattr(answer, f.name), np.ndarray)
        }
        parts.append(replace(answer, **own, reasons=reasons if i == first else {}))  # type: ignore[type-var]
    return parts
