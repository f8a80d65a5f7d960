"""What annealing needs to know of a posterior: a dimension and a likelihood on latent points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from nfanneal.arrays import Array, Bools

EVALUATION_CHUNK = 4096
"""Points per call of the likelihood: bounds its memory and lets progress be seen."""


@dataclass(frozen=True)
class Spent:
    """Gradients that were asked for, and how many of them were not finite and dropped."""

    gradients: int = 0
    dropped: int = 0

    def __add__(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(self.gradients + other.gradients, self.dropped + other.dropped)


@dataclass(frozen=True)
class Evaluation:
    """log L (n,) at n points, ∂ log L/∂z (n, d) if asked for, and where the model failed (n,).

    log L is −inf where the model failed or the likelihood is zero; the gradient is 0 there.
    `dropped` (n,) are the draws whose gradient was not finite although log L is: it is 0 too.
    `information` (n, d, d) is the Fisher information of z, for models that have it for free.
    """

    log_likelihood: Array
    failed: Bools
    gradient: Array | None = None
    information: Array | None = None
    dropped: Bools | None = None

    @property
    def spent(self) -> Spent:
        """The gradients of this evaluation."""
        n_dropped = 0 if self.dropped is None else int(self.dropped.sum())
        return Spent(len(self.log_likelihood), n_dropped)


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """The evaluations of consecutive points as one; at least one of them."""
    if len(parts) == 1:
        return parts[0]
    values: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Evaluation)
        if getattr(parts[0], field.name) is not None
    }
    return Evaluation(**values)


class Opening(Protocol):
    """The likelihood of a share of the data, the first in time, with all that it has."""

    def __call__(self, z: Array, share: float) -> Evaluation:
        """log L of that share at z (n, d), its gradient and the Fisher information."""


@dataclass(frozen=True)
class Target:
    """A likelihood over a latent space whose prior is N(0, I_d).

    `evaluate(z, gradient)` takes z of shape (n, d); `gradient=True` is only ever asked of a
    `differentiable` target. One that `has_information` gives the Fisher information with it.
    Of data that come one after the other, the first can be had by themselves (`opening`).
    `in_words` says what a point z (d,) is, for messages.
    Many points are evaluated in calls of `chunk`: a fixed number, since a model's last bits may
    depend on it.
    """

    dimension: int
    evaluate: Callable[[Array, bool], Evaluation]
    differentiable: bool = False
    has_information: bool = False
    opening: Opening | None = None
    in_words: Callable[[Array], str] = lambda z: f"z = {z}"
    chunk: int = EVALUATION_CHUNK
