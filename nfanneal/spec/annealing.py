"""The sections of a spec that steer the flow and the annealing; None is a default by dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nfanneal.anneal.schedule import SCHEDULES
from nfanneal.anneal.settings import (
    DEFAULTS,
    FEWEST_WALKERS,
    FLOW_KINDS,
    MOST_EFFORT,
    OBJECTIVES,
)
from nfanneal.spec.fields import Number, Section, Whole


@dataclass(frozen=True)
class Preset:
    """What a preset sets: keys of `anneal`, where the spec says nothing else, and what is wanted.

    That is an `error` of the log-evidence, and so many effective draws, `ess`.
    """

    keys: Mapping[str, Any]
    error: float = 0.02
    ess: int = 2_000


USUAL = Preset({})
"""Without another preset."""
PRESETS = {
    "usual": USUAL,
    "quick": Preset({"walkers": 256}, error=0.1, ess=500),
    "frugal": Preset(
        {
            "draws": 768,
            "steps": 120,
            "keep_levels": 64,
            "walkers": 256,
            "moves": 0,
            "looks": 1024,
            "search_evaluations": 4000,
        },
        error=0.1,
        ess=500,
    ),
    "thorough": Preset({"effort": 4, "walkers": 1024}, error=0.005, ess=20_000),
    "paper": Preset(
        {"objective": "reverse_kl", "scout": "off", "moves": 0, "keep_levels": 1, "walkers": 0}
    ),
}
FIRST_SAMPLES, MOST_SAMPLES = 1_000, 100_000
"""Final draws at first, and at most, where too few are effective."""

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
        "realnvp: coupling layers. Default: nsf, beyond 12 dimensions with maf beside it, which "
        "goes on alone where it is no worse; coupling_nsf if the objective draws from the flow",
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
        description="quick wants an error of the log-evidence of 0.1 and 500 effective draws, "
        "thorough 0.005 and 20,000, usual 0.02 and 2,000 (output.error and output.ess); frugal "
        "wants 0.1 and 500, and trains longer instead of asking the model; paper: reverse KL on "
        "fresh draws alone, as in arXiv:2505.03652; keys beside it go before it. By default usual, "
        "or frugal where a call takes long",
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
        f"{DEFAULTS['moves']}",
    )
    walkers: Whole | None = Field(
        None,
        ge=0,
        description="points that walk under the posterior from the final draws, for a second "
        "opinion on them, times the effort; default by dimension, or what the budget has room "
        f"for; 0 for none, else {FEWEST_WALKERS} at least",
    )
    effort: Whole | None = Field(
        None,
        ge=1,
        le=MOST_EFFORT,
        description="how many times `draws` and `steps` the first levels have; "
        f"more is done by itself, up to {MOST_EFFORT}, where it shows that it takes more",
    )
    looks: Whole | None = Field(
        None,
        ge=1,
        description="draws of the prior that are looked at, at first, for where to begin searches; "
        "by default thousands, by the model",
    )
    search_evaluations: Whole | None = Field(
        None,
        ge=1,
        description="evaluations that searches for modes from the prior may take, a fifth of it "
        "for later ones; by default as many as they find new modes with",
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
