"""How to anneal, and with which flow: the numbers a run needs, and their defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

OBJECTIVES = ("forward_kl", "reverse_kl", "hybrid")
NEED_GRADIENTS = ("reverse_kl", "hybrid")
FEWEST_WALKERS = 256
"""Fewer points that walk are no witness."""
FEW_DIMENSIONS = 12
"""Up to so many, splines are learned from few points as well as affine maps are, and walks along

differences mix as fast as Hamiltonian ones, without gradients."""
MOST_EFFORT = 8
"""A level has so many times as many draws and steps as the first ones, at most."""
MOST_STAGES = 4
"""Stages of as much effort follow each other, where something speaks against what came out."""
LEAST_ROUNDS = 2
"""In a stage that goes further, a flow is trained on what it drew at β = 1 at least once."""
DEFAULTS: dict[str, Any] = {
    "schedule": "ess",
    "objective": "forward_kl",
    "keep_levels": 8,
    "levels": 20,
    "first_beta": 1e-3,
    "tolerance": 0.5,
    "relative_ess": 0.3,
    "enough_points": 300,
    "steps": 40,
    "batch": 768,
    "max_rounds": 2,
    "max_levels": 200,
    "target_ess": 0.5,
    "max_evaluations": None,
    "scout": "auto",
    "scout_share": 0.5,
    "local_components": 128,
    "moves": 3,
    "effort": 1,
    "looks": None,
    "search_evaluations": None,
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
    enough_points: int
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
    effort: int
    looks: int | None
    search_evaluations: int | None

    @property
    def needs_gradient(self) -> bool:
        """Whether training asks the target for gradients."""
        return self.objective in NEED_GRADIENTS


def default_anneal_settings(dimension: int, **given: Any) -> AnnealSettings:
    """`given` settings, with those that are None or missing chosen by the dimension d.

    They are those of the first, bold attempt: more is done where it shows that it takes more.
    """
    by_problem = {
        "draws": 768 if dimension <= 3 else 2048,
        "walkers": 256 if dimension <= 3 else 512,
        "learning_rate": 5e-3 if dimension <= 2 else 2e-3,
        "extra_rounds": 0 if given.get("max_rounds") else 2,
    }
    if given.get("objective") in NEED_GRADIENTS:  # each step asks the model: fewer, larger levels
        by_problem |= {"draws": 8192, "steps": 150, "batch": 512, "max_rounds": 4}
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
    """Which flow: a name in `FLOW_KINDS`, how many transforms, spline bins, hidden layer widths.

    A `simpler` one may be trained beside it, and instead for as long as it is no worse.
    """

    kind: str
    transforms: int
    bins: int
    hidden: tuple[int, ...]
    simpler: FlowSettings | None = None


def default_flow_settings(
    dimension: int,
    *,
    kind: str | None = None,
    transforms: int | None = None,
    bins: int | None = None,
    hidden: tuple[int, ...] | None = None,
) -> FlowSettings:
    """Fill in what is None by the dimension d of the latent space."""
    width = 64 if dimension <= 32 else 128
    narrow = hidden or ((64, 64) if dimension <= 64 else (128, 128))
    known = kind or "nsf"
    deep = 6 if FLOW_KINDS[known].coupling else 3 if dimension <= 2 else 2
    settings = FlowSettings(
        kind=known,
        transforms=transforms or deep,
        bins=bins or (16 if dimension <= 2 else 12 if dimension <= 4 else 8),
        hidden=hidden or (width, width),
    )
    beside = kind is None and dimension > FEW_DIMENSIONS
    return replace(
        settings, simpler=replace(settings, kind="maf", hidden=narrow) if beside else None
    )
