"""What annealing tells the world while it works."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nfanneal.arrays import Array


@dataclass(frozen=True)
class Activity:
    """What is being done now, and how far it is."""

    doing: str
    done: int
    total: int


@dataclass(frozen=True)
class LevelInfo:
    """One level: its β, how well its flow did there, and what was spent so far.

    ESS are shares of the level's draws, `pareto_k` is of their weights; `log_evidence` is the
    pool's estimate of log Z(β), the evidence of prior·L^β. `losses` (steps,)
    and `held_out` belong to the training that followed.
    """

    level: int
    beta: float
    ess: float
    truncated_ess: float
    pool_ess: float
    pareto_k: float
    log_evidence: float
    n_evaluations: int
    n_gradients: int
    n_failed: int
    seconds: float
    next_beta: float = math.nan
    held_out: float = math.nan
    losses: Array = field(default_factory=lambda: np.empty(0), compare=False, repr=False)


AFTERWARDS = 3.0
"""Rounds at β = 1, final draws and walks take about as long as so many levels."""
RECENT = 3


def seconds_left(levels: Sequence[LevelInfo]) -> float:
    """About how long a stage still takes, in seconds, by how fast β has grown of late.

    nan before that can be told: an order of magnitude, since nobody knows whether the stage will
    be enough.
    """
    recent = [level for level in levels if level.beta > 0.0][-RECENT - 1 :]
    if len(recent) < 2:
        return math.nan
    each = (recent[-1].seconds - recent[0].seconds) / (len(recent) - 1)
    grown = math.log(recent[-1].beta / recent[0].beta) / (len(recent) - 1)
    if recent[-1].beta >= 1.0:
        return AFTERWARDS * each
    return (AFTERWARDS - math.log(recent[-1].beta) / grown) * each if grown > 0.0 else math.nan


@dataclass(frozen=True)
class GoingOn:
    """A stage ended before enough was known, for the reasons that are told; another begins.

    None does, since no more effort is allowed, if its `effort` is 0. It begins with an annealing of
    the `part` that is told, if it is one. Or its draws are made anew, with a `patch`.
    """

    effort: int
    why: str
    part: bool = False
    patch: bool = False


@dataclass(frozen=True)
class Expected:
    """About what a whole run takes, told before it begins: evaluations of log L, and seconds."""

    evaluations: int
    seconds: float


Event = Activity | LevelInfo | GoingOn | Expected
Observer = Callable[[Event], None]
