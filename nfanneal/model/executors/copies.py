"""A likelihood that is made anew in another process, and asked there."""

from __future__ import annotations

import functools
from typing import Any, Protocol

from nfanneal.arrays import Array
from nfanneal.model.calls import Question
from nfanneal.model.likelihood import Likelihood
from nfanneal.runtime.threads import set_threads


class Copy(Protocol):
    """What a likelihood can be made anew from, elsewhere: plain data that can be sent."""

    def likelihood(self) -> Likelihood:
        """The likelihood, made anew."""

    def __hash__(self) -> int:
        """Equal copies make equal likelihoods."""


@functools.lru_cache(maxsize=2)
def _made(copy: Copy) -> Likelihood:
    set_threads(1)
    return copy.likelihood()


def asked(copy: Copy, question: Question[Any], rows: Array) -> Any:
    """The answer to a question at rows of θ (n, p), by a copy that this process keeps."""
    return question.of(_made(copy), rows)
