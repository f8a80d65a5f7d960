"""What a peer is, and what one run of it gives."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nfanneal.anneal.weights import effective_sample_size, normalized
from nfanneal.arrays import Array
from nfanneal.bench.samplers.meter import Meter

Settings = Mapping[str, Mapping[str, Any]]
USUAL = "bench"
"""The extra of the peers that run if none are named."""
FURTHER = "bench-more"
"""That of the others, which bring much with them."""


@dataclass(frozen=True)
class Drawn:
    """What one run gives: θ (n, d) with log-weights (n,), log Z ± its own error, and its ESS.

    `path` holds (seconds, β, log Z(β)) of each level, for samplers that anneal.
    """

    theta: Array = field(repr=False)
    log_weight: Array = field(repr=False)
    log_evidence: float
    error: float
    ess: float
    notes: tuple[str, ...] = ()
    path: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Peer:
    """A sampler: its module, its distribution, its settings in d dimensions, and how to run it.

    `extra` is nfanneal's extra that installs it; `beneath` are distributions that it stands on and
    whose versions matter, too.
    """

    module: str
    distribution: str
    settings: Callable[[int], Settings]
    run: Callable[[Meter, int, Settings], Drawn]
    extra: str = USUAL
    beneath: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec(self.module) is not None

    @property
    def how_to_install(self) -> str:
        """The command that installs it."""
        return f"pip install 'nfanneal[{self.extra}]'"


def weighted(theta: Array, log_weight: Array, log_evidence: float, error: float) -> Drawn:
    """Draws with their log-weights, and Kish's effective sample size of these."""
    ess = effective_sample_size(normalized(log_weight))
    return Drawn(np.asarray(theta), log_weight, float(log_evidence), float(error), ess)
