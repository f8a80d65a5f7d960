"""The sections of a spec that steer the flow and the annealing; None is a default by dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nfanneal.anneal.schedule import SCHEDULES
from nfanneal.anneal.settings import DEFAULTS, FEWEST_WALKERS, FLOW_KINDS, OBJECTIVES
from nfanneal.spec.fields import Number, Section, Whole


@dataclass(frozen=True)
class Preset:
    """What a preset sets: keys of `anneal`, where the spec says nothing else, and final draws.

    There are `samples` of these, and more until `enough_ess` of them are effective. A `light` flow
    is half as deep; points of models that walk are left where they are if it does not `walk`.
    """

    keys: Mapping[str, Any]
    samples: int = 10_000
    enough_ess: int = 4_000
    light: bool = False
    walk: bool = True


USUAL = Preset({})
"""Without a preset; 4,000 effective draws leave an error of log Z of 0.016."""
PRESETS = {
    "quick": Preset(
        {
            "draws": 2560,
            "steps": 30,
            "batch": 768,
            "max_rounds": 2,
            "extra_rounds": 2,
            "enough_points": 300,
            "local_components": 128,
        },
        samples=20_000,
        enough_ess=2_000,
        light=True,
        walk=False,
    ),
    "paper": Preset(
        {"objective": "reverse_kl", "scout": "off", "moves": 0, "keep_levels": 1, "walkers": 0}
    ),
}
MOST_SAMPLES = 100_000
"""Final draws at most, where too few are effective."""

if TYPE_CHECKING:
    FlowName = str
    ScheduleName = str
    ObjectiveName = str
    PresetName = str
else:
    FlowName, ScheduleName, ObjectiveName, PresetName = (
        Literal[tuple(names)] for names in (FLOW_KINDS, SCHEDULES, OBJECTIVES, PRESETS)
    )


class FlowSpec(Section):
    """Which normalizing flow is trained."""

    kind: FlowName | None = Field(
        None,
        description="nsf and maf: autoregressive splines or affine maps; coupling_nsf and "
        "realnvp: coupling layers. Default: nsf; coupling_nsf if the objective draws from the flow",
    )
    transforms: Whole | None = Field(None, ge=1, le=64, description="number of transforms")
    bins: Whole | None = Field(None, ge=2, le=128, description="bins of each spline")
    hidden: list[Annotated[Whole, Field(ge=1, le=16_384)]] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="widths of the hidden layers, such as [64, 64]",
    )


class AnnealSpec(Section):
    """How the flow gets from the prior to the posterior."""

    preset: PresetName | None = Field(
        None,
        description="quick: a first look, with few draws and short trainings; paper: reverse KL on "
        "fresh draws alone, as in arXiv:2505.03652; keys beside it go before it",
    )
    schedule: ScheduleName = Field(
        DEFAULTS["schedule"], description="how the inverse temperature moves from 0 to 1"
    )
    objective: ObjectiveName = Field(
        DEFAULTS["objective"],
        description="forward_kl fits the pool of weighted points (no gradient needed); "
        "reverse_kl fits by gradients at fresh draws; hybrid does both",
    )
    draws: Whole | None = Field(
        None, ge=64, le=10_000_000, description="points drawn at every level"
    )
    keep_levels: Whole | None = Field(None, ge=1, description="levels that make up the pool")
    steps: Whole | None = Field(None, ge=1, description="optimiser steps per level")
    batch: Whole | None = Field(None, ge=8, description="points per optimiser step")
    learning_rate: Number | None = Field(None, gt=0, description="peak rate of Adam")
    levels: Whole = Field(
        DEFAULTS["levels"], ge=1, description="levels of the linear and geometric schedules"
    )
    first_beta: Number = Field(
        DEFAULTS["first_beta"], gt=0, le=1, description="first step of the geometric schedule"
    )
    tolerance: Number = Field(
        DEFAULTS["tolerance"], gt=0, description="step tau of the adaann schedule"
    )
    relative_ess: Number = Field(
        DEFAULTS["relative_ess"],
        gt=0,
        lt=1,
        description="share of the pool's ESS that an ess step may leave",
    )
    enough_points: Whole | None = Field(
        None,
        ge=1,
        description="effective points of the pool that let an ess step go on, even if it keeps a "
        "smaller share than relative_ess; few make bold steps",
    )
    max_levels: Whole = Field(
        DEFAULTS["max_levels"], ge=1, description="give up after so many levels"
    )
    max_rounds: Whole | None = Field(None, ge=1, description="most rounds at beta = 1")
    extra_rounds: Whole | None = Field(
        None,
        ge=0,
        description="most rounds after those, for as long as a flow is not to be trusted; "
        "0 where max_rounds is given",
    )
    target_ess: Number | None = Field(
        None, gt=0, le=1, description="stop the rounds at this ESS (a share of the draws)"
    )
    scout: Literal["auto", "off"] = Field(
        DEFAULTS["scout"],
        description="auto searches for narrow modes from the prior's draws and from the pool; off "
        "never does",
    )
    scout_share: Number | None = Field(
        None, gt=0, le=2, description="local draws around scouted points, as a share of draws"
    )
    local_components: Whole | None = Field(
        None, ge=2, description="Student-t components that the local draws come from"
    )
    moves: Whole | None = Field(
        None,
        ge=0,
        description="transitions that spread points before a flow is trained on them, where the "
        "newest flow is below target_ess and the pool poor: 5 steps of a walk each or, of torch "
        "models, Hamiltonian ones of 5 gradients; default "
        f"{DEFAULTS['moves']}, where preset quick would walk 0",
    )
    walkers: Whole | None = Field(
        None,
        ge=0,
        description="points that walk under the posterior from the final draws, for a second "
        f"opinion on them; default {DEFAULTS['walkers']}, or what the budget has room for; 0 for "
        f"none, else {FEWEST_WALKERS} at least",
    )
    max_evaluations: Whole | None = Field(
        None,
        ge=1,
        description="budget of likelihood evaluations for training, in whole levels; final draws "
        "beyond the usual number stay within what is left of it",
    )

    @field_validator("walkers")
    @classmethod
    def _enough_walkers(cls, walkers: int | None) -> int | None:
        """Some are a witness, a few are none."""
        if walkers is not None and 0 < walkers < FEWEST_WALKERS:
            raise ValueError(f"must be 0, for none, or at least {FEWEST_WALKERS}")
        return walkers

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        """What is given, over what the preset sets."""
        preset = given.get("preset") if isinstance(given, dict) else None
        if not isinstance(preset, str) or preset not in PRESETS:
            return given
        said = {key: value for key, value in given.items() if value is not None}
        return {**PRESETS[preset].keys, **said}
