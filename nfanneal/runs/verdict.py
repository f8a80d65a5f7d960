"""The verdict on a stage: its diagnostics, what speaks against it, and what it lacks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nfanneal.anneal.coverage import Rare, check_coverage, hardly_drawn, with_error
from nfanneal.anneal.patches import walked_rarely
from nfanneal.anneal.tails import Tail, uncertain_tail
from nfanneal.anneal.weights import evidence
from nfanneal.arrays import Array
from nfanneal.model.problem import Problem
from nfanneal.results.diagnosis import Diagnostics, diagnose
from nfanneal.results.diagnostics import doubts_of_draws
from nfanneal.results.records import Columns, Counts
from nfanneal.runs.settings import Settings
from nfanneal.runs.stage import Stage, Task


@dataclass(frozen=True)
class Sampled:
    """What diagnostics look at, before there is a result."""

    diagnostics: Diagnostics
    counts: Counts
    columns: Columns


@dataclass(frozen=True)
class Verdict:
    """What is said of a stage's draws: diagnostics, a `tail` that is uncertain, if any, and points

    that were `met` where their proposal hardly draws, by several sources. `doubt` is what speaks
    against them, `lacking` that or what of the wanted they are not; or empty.
    """

    diagnostics: Diagnostics
    tail: Tail | None
    met: tuple[Rare, ...]
    doubt: str
    lacking: str


def verdict(task: Task, stage: Stage, log_weight: Array, columns: Columns) -> Verdict:
    """What the weights, the path and the walk say of a stage."""
    annealed, final = stage.annealed, stage.final
    log_evidence = evidence(log_weight).log_evidence
    coverage = check_coverage(annealed.path, final.proposal, log_evidence)
    uncovered = (coverage.uncovered_mass, coverage.uncovered_error)
    met = [coverage.rare]
    if annealed.state.seen is not None:
        seen = hardly_drawn(annealed.state.seen, final.proposal, log_evidence)
        uncovered = max(uncovered, with_error(seen.share), key=lambda u: u[0] - 2.0 * u[1])
        met.append(seen)
    if stage.opinion is not None:
        met.append(walked_rarely(stage.opinion.walked, log_evidence))
    found = diagnose(
        log_weight,
        uncovered=uncovered,
        path_evidence=(coverage.path_evidence.log_evidence, coverage.path_evidence.error),
        reached_beta=annealed.reached,
        walked=None if stage.opinion is None else stage.opinion.witness,
    )
    tail = _uncertain_tail(stage, found, task.settings)
    if tail:
        found = replace(found, **_told_of(tail, task.problem, stage))
    doubt = _doubt(stage, found, columns)
    lacking = doubt or _lacking(stage, found, task.settings)
    return Verdict(found, tail, tuple(met), doubt, lacking)


def _uncertain_tail(stage: Stage, found: Diagnostics, settings: Settings) -> Tail | None:
    """A tail of the draws that may have more than the error, or a wanted one that is larger."""
    draws, wanted = stage.final.draws, settings.enough_error
    error = max(found.log_evidence_error, wanted if wanted < math.inf else 0.0)
    return uncertain_tail(draws.finite_z, draws.log_weight, error, stage.drawn)


def _told_of(tail: Tail, problem: Problem, stage: Stage) -> dict[str, Any]:
    """What is told of a tail, in the units of its parameter."""
    z = stage.final.draws.finite_z
    theta = problem.latent.from_latent(z)[:, tail.side.column]
    inside = theta[tail.side.holds(z)]
    return {
        "thin_mass": tail.mass,
        "thin_effective": tail.effective,
        "thin_drawn": float(tail.drawn),
        "thin_column": float(tail.side.column),
        "thin_above": float(np.median(inside) > np.median(theta)),
        "thin_from": float(theta[tail.row]),
    }


def _doubt(stage: Stage, found: Diagnostics, columns: Columns) -> str:
    """What speaks against the draws, or nothing."""
    counts = Counts(stage.n_evaluations, 0, 0, 0)
    doubts = doubts_of_draws(Sampled(found, counts, columns))
    return doubts[0].split(": ")[0] if doubts else ""


def _lacking(stage: Stage, found: Diagnostics, settings: Settings) -> str:
    """What of that which is wanted the draws are not, or nothing."""
    if found.ess < settings.enough_ess:
        return f"{found.ess:,.0f} effective draws of {settings.enough_ess:,.0f}"
    if max(_of_error(stage, found)) > settings.enough_error:
        return f"an error of {found.log_evidence_error:.2g}, not {settings.enough_error:g}"
    return ""


def _of_error(stage: Stage, found: Diagnostics) -> tuple[float, float]:
    """What of the error is chance, and what is mass that no witness has seen: each is to be small.

    The latter less its own error: no stage is worth a point or two that might as well not be there.
    Both together are at most 1.4 times the larger one: nor is one worth the rest.
    """
    unseen = surely = 0.0
    if stage.opinion is not None:
        witness = stage.opinion.witness
        unseen, surely = witness.unseen, witness.unseen - witness.unseen_error
    chance = math.sqrt(max(found.log_evidence_error**2 - unseen**2, 0.0))
    return max(chance, found.weighted_log_evidence_error), surely
