"""How to anneal: the numbers a run needs, with defaults that depend on the dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OBJECTIVES = ("forward_kl", "reverse_kl", "hybrid")


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
    defaults = {
        "schedule": "ess",
        "objective": "forward_kl",
        "draws": 16384 if scouting else 8192,
        "keep_levels": 8,
        "steps": 200 if scouting else 150,
        "batch": 1024 if dimension <= 2 or scouting else 512,
        "learning_rate": 5e-3 if dimension <= 2 else 2e-3,
        "levels": 20,
        "first_beta": 1e-3,
        "tolerance": 0.5,
        "relative_ess": 0.3,
        "enough_points": None,
        "max_levels": 200,
        "max_rounds": 2 if scouting else 4,
        "extra_rounds": 0 if given.get("max_rounds") else (2 if scouting else 4),
        "target_ess": 0.5,
        "max_evaluations": None,
        "scout": "auto",
        "scout_share": 0.5,
        "local_components": 256,
        "moves": 3,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    return AnnealSettings(**(defaults | chosen))
