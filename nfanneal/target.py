"""What a sampler must know of a posterior: a dimension and a likelihood on latent points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from nfanneal.arrays import Array, Bools, Record, concatenated

EVALUATION_CHUNK = 4096
"""Points per call of the likelihood: bounds its memory and lets progress be seen."""


@dataclass(frozen=True)
class Spent:
    """Gradients that were asked for, and how many of them were not finite and dropped.

    `evaluations` are those of log L alone.
    """

    gradients: int = 0
    dropped: int = 0
    evaluations: int = 0

    def __add__(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(
            self.gradients + other.gradients,
            self.dropped + other.dropped,
            self.evaluations + other.evaluations,
        )


@dataclass(frozen=True)
class Evaluation:
    """log L (n,) at n points, its gradient (n, d) if asked for, and where the model failed (n,).

    log L is −inf where the model failed or the likelihood is zero; the gradient is 0 there. It is
    that of the coordinates in which the points were given, θ or latent z.
    `information` (n, d, d) is the Fisher information, for models that have it for free.
    `dropped` (n,) are the draws whose gradient was not finite although log L is: it is 0 too.
    `reasons` counts why draws failed.
    """

    log_likelihood: Array
    failed: Bools
    gradient: Array | None = None
    information: Array | None = None
    dropped: Bools | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def spent(self) -> Spent:
        """The gradients of this evaluation."""
        n_dropped = 0 if self.dropped is None else int(self.dropped.sum())
        return Spent(len(self.log_likelihood), n_dropped)


class Curvature(Protocol):
    """The likelihood of a share of the data, the first in time, with its first derivatives."""

    def __call__(self, z: Array, share: float) -> Evaluation:
        """log L of that share at z (n, d), its gradient and the Fisher information."""


@dataclass(frozen=True)
class Target:
    """A likelihood over a latent space whose prior is N(0, I_d).

    `ask(z, gradient)` takes z of shape (n, d), at most `chunk` points; `gradient=True` is only ever
    asked of a `differentiable` target. One that `has_information` gives the Fisher information with
    it. One of data gives log L, gradient and information in any case (`ask_curvature`), of all data
    or of the first of them, for `curvature_cost` evaluations a point where they do not come for
    free. `in_words` says what a point z (d,) is, for messages,
    `why_failed` why it has no likelihood.
    `exchangeable` are classes of columns whose priors are equal: exchanged, they may leave the
    posterior as it is. `vectors` are the columns of each parameter that has several.
    """

    dimension: int
    ask: Callable[[Array, bool], Evaluation]
    differentiable: bool = False
    has_information: bool = False
    ask_curvature: Curvature | None = None
    curvature_cost: int = 0
    in_words: Callable[[Array], str] = lambda z: f"z = {z}"
    why_failed: Callable[[Array], str] = lambda z: ""
    chunk: int = EVALUATION_CHUNK
    exchangeable: tuple[tuple[int, ...], ...] = ()
    vectors: tuple[tuple[int, ...], ...] = ()

    def evaluate(
        self, z: Array, gradient: bool, told: Callable[[int], None] = lambda done: None
    ) -> Evaluation:
        """log L at any number of points z (n, d); `told` after every batch how many are done."""
        return in_batches(lambda part: self.ask(part, gradient), z, self.chunk, told)

    def curvature(self, z: Array, share: float = 1.0) -> tuple[Evaluation, Spent]:
        """log L of the first `share` of the data at z (n, d), its gradient and the information.

        Raises:
            ValueError: the target is not one of data.
        """
        ask, cost = self.ask_curvature, self.curvature_cost
        if ask is None:
            raise ValueError("this target is not one of data")
        size = max(self.chunk // max(cost, 1), 1)
        found = in_batches(lambda part: ask(part, share), z, size)
        return found, Spent(evaluations=cost * len(z)) if cost else found.spent


def in_batches(
    ask: Callable[[Array], Record],
    rows: Array,
    size: int,
    told: Callable[[int], None] = lambda done: None,
) -> Record:
    """What is said of rows (n, …), asked for `size` at a time; of none, it is asked once.

    The size is a fixed number, since a model's last bits may depend on it.
    """
    parts = []
    for start in range(0, max(len(rows), 1), size):
        parts.append(ask(rows[start : start + size]))
        told(min(start + size, len(rows)))
    return concatenated(parts)


def no_points() -> Evaluation:
    """The evaluation of no points at all."""
    return Evaluation(np.empty(0), np.empty(0, dtype=bool))
