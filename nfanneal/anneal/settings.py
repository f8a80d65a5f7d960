"""How to anneal, and with which flow: the numbers a run needs, and their defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

OBJECTIVES = ("forward_kl", "reverse_kl", "hybrid")
FEWEST_WALKERS = 256
"""Fewer points that walk are no witness."""
DEFAULTS: dict[str, Any] = {
    "schedule": "ess",
    "objective": "forward_kl",
    "keep_levels": 8,
    "levels": 20,
    "first_beta": 1e-3,
    "tolerance": 0.5,
    "relative_ess": 0.3,
    "enough_points": None,
    "max_levels": 200,
    "target_ess": 0.5,
    "max_evaluations": None,
    "scout": "auto",
    "scout_share": 0.5,
    "local_components": 256,
    "moves": 3,
    "walkers": 2048,
}
"""Those that are the same for every problem."""


@dataclass(frozen=True)
class AnnealSettings:
    """Everything that steers a run; see `nfanneal schema` for what each number means."""

    schedule: str
    objective: str
    draws: int
    keep_levels: int
    steps: int
    batch: int
    learning_rate: float
    levels: int
    first_beta: float
    tolerance: float
    relative_ess: float
    enough_points: int | None
    max_levels: int
    max_rounds: int
    extra_rounds: int
    target_ess: float
    max_evaluations: int | None
    scout: str
    scout_share: float
    local_components: int
    moves: int
    walkers: int

    @property
    def needs_gradient(self) -> bool:
        """Whether training asks the target for gradients."""
        return self.objective != "forward_kl"


def default_anneal_settings(
    dimension: int, *, scouting: bool = False, **given: Any
) -> AnnealSettings:
    """`given` settings, with those that are None or missing chosen by the dimension d.

    With `scouting`, local components draw half as many points again at every level, and more
    rounds at β = 1 than two add nothing, unless the flow is not to be trusted yet. A flow is
    limited by the distinct points that it learns from more than by its steps or its size.
    """
    by_problem = {
        "draws": 16384 if scouting else 8192,
        "steps": 200 if scouting else 150,
        "batch": 1024 if dimension <= 2 or scouting else 512,
        "learning_rate": 5e-3 if dimension <= 2 else 2e-3,
        "max_rounds": 2 if scouting else 4,
        "extra_rounds": 0 if given.get("max_rounds") else (2 if scouting else 4),
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    return AnnealSettings(**(DEFAULTS | by_problem | chosen))


@dataclass(frozen=True)
class FlowKind:
    """Coupling layers or autoregressive transforms, of splines or of affine maps."""

    coupling: bool
    spline: bool


FLOW_KINDS = {
    "nsf": FlowKind(coupling=False, spline=True),
    "maf": FlowKind(coupling=False, spline=False),
    "coupling_nsf": FlowKind(coupling=True, spline=True),
    "realnvp": FlowKind(coupling=True, spline=False),
}


@dataclass(frozen=True)
class FlowSettings:
    """Which flow: a name in `FLOW_KINDS`, how many transforms, spline bins, hidden layer widths."""

    kind: str
    transforms: int
    bins: int
    hidden: tuple[int, ...]


def default_flow_settings(
    dimension: int,
    *,
    kind: str = "nsf",
    transforms: int | None = None,
    bins: int | None = None,
    hidden: tuple[int, ...] | None = None,
    light: bool = False,
) -> FlowSettings:
    """Fill in what is None by the dimension d of the latent space; half as deep if `light`."""
    width = 64 if dimension <= 32 else 128
    deep = 6 if FLOW_KINDS[kind].coupling else 5 if dimension <= 2 else 4
    return FlowSettings(
        kind=kind,
        transforms=transforms or (math.ceil(deep / 2) if light else deep),
        bins=bins or (16 if dimension <= 2 else 12 if dimension <= 4 else 8),
        hidden=hidden or (width, width),
    )
