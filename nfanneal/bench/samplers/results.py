"""What a bench leaves behind: every run, a score per sampler, and what they were measured with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    OUT_OF_BUDGET = "out of budget"
    FAILED = "failed"
    NOT_INSTALLED = "not installed"
    NOT_SUITED = "not suited"


@dataclass(frozen=True)
class Run:
    """One run of one sampler; numbers are nan, and `message` says why, where it gave none.

    `distance` is that of its marginals to the reference's, see `marginal_distance`; `path` holds
    (seconds, β, log Z(β)) of each level of an annealing.
    """

    sampler: str
    seed: int
    outcome: Outcome
    message: str = ""
    log_evidence: float = math.nan
    error: float = math.nan
    ess: float = math.nan
    n_likelihood: int = 0
    n_gradient: int = 0
    seconds: float = math.nan
    distance: float = math.nan
    notes: tuple[str, ...] = ()
    path: tuple[tuple[float, float, float], ...] = ()

    @property
    def done(self) -> bool:
        """Whether it has numbers."""
        return self.outcome is Outcome.DONE


@dataclass(frozen=True)
class Score:
    """The runs of one sampler together: means and medians over those that ended well.

    `log_evidence` is the runs' mean, `error` the median of their own errors, `spread` their
    standard deviation, `sd` what one run is judged by; the rest are medians.
    """

    sampler: str
    n_runs: int
    n_done: int
    log_evidence: float
    error: float
    spread: float
    sd: float
    ess: float
    n_likelihood: float
    n_gradient: float
    seconds: float
    seconds_to_wanted_sd: float
    ess_per_second: float
    distance: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """The draws that marginals are held against: of which runs, how many, and their worth."""

    runs: tuple[str, ...]
    n_draws: int
    ess: float
    trusted: bool


@dataclass(frozen=True)
class Bench:
    """All samplers on one problem.

    `spec_digest` identifies spec, data and model file; `settings` are those of each sampler,
    `versions` those of every library, `machine` what it ran on. `interrupted` benches lack runs.
    """

    name: str
    spec_digest: str
    dimension: int
    seeds: tuple[int, ...]
    budget: float
    threads: int
    runs: tuple[Run, ...]
    scores: tuple[Score, ...]
    reference: Reference | None
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    interrupted: bool = False

    @property
    def trusted(self) -> bool:
        """Whether there is a reference that no diagnostic speaks against."""
        return self.reference is not None and self.reference.trusted
