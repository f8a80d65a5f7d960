"""What annealing needs to know of a posterior: a dimension and a likelihood on latent points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EVALUATION_CHUNK = 4096
"""Points per call of the likelihood: bounds its memory and lets progress be seen."""


@dataclass(frozen=True)
class Evaluation:
    """log L (n,) at n points, ∂ log L/∂z (n, d) if asked for, and where the model failed (n,).

    log L is −inf where the model failed or the likelihood is zero; the gradient is 0 there.
    `information` (n, d, d) is the Fisher information of z, for models that have it for free.
    """

    log_likelihood: Array
    failed: NDArray[np.bool_]
    gradient: Array | None = None
    information: Array | None = None


@dataclass(frozen=True)
class Target:
    """A likelihood over a latent space whose prior is N(0, I_d).

    `evaluate(z, gradient)` takes z of shape (n, d); `gradient=True` is only ever asked of a
    `differentiable` target. One that `has_information` gives the Fisher information with it.
    Many points are evaluated in calls of `chunk`: a fixed number, since a model's last bits may
    depend on it.
    """

    dimension: int
    evaluate: Callable[[Array, bool], Evaluation]
    differentiable: bool = False
    has_information: bool = False
    chunk: int = EVALUATION_CHUNK
