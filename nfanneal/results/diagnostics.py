"""The numbers that say whether to trust a result, and the words for those that say not to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nfanneal.anneal.weights import (
    PARETO_LIMIT,
    effective_sample_size,
    evidence,
    normalized,
    pareto_k,
)
from nfanneal.arrays import Array

HEAVIEST_SHARE = 0.01
"""A heavy tail matters once one draw carries this share of all weight."""
FEWEST_EFFECTIVE = 200
GOOD_SHARE = 0.05
"""Where so many of few draws are effective, more draws are what is missing."""
UNCOVERED_LIMIT = 0.02
DISAGREEMENT = 4.0


@dataclass(frozen=True)
class Diagnostics:
    """The numbers that say whether to trust the evidence and the draws."""

    log_evidence: float
    log_evidence_error: float
    ess: float
    n_samples: int
    pareto_k: float
    largest_weight: float
    uncovered_mass: float
    uncovered_error: float
    path_log_evidence: float
    path_log_evidence_error: float
    reached_beta: float

    @property
    def ess_fraction(self) -> float:
        """ESS as a share of the draws."""
        return self.ess / self.n_samples


def diagnose(
    log_weight: Array,
    *,
    uncovered: tuple[float, float],
    path_evidence: tuple[float, float],
    reached_beta: float,
) -> Diagnostics:
    """Evidence, ESS and k̂ from log-weights (n,), beside the path's view of them."""
    estimate = evidence(log_weight)
    return Diagnostics(
        log_evidence=estimate.log_evidence,
        log_evidence_error=estimate.error,
        ess=effective_sample_size(normalized(log_weight)),
        n_samples=len(log_weight),
        pareto_k=pareto_k(log_weight),
        largest_weight=float(normalized(log_weight).max()),
        uncovered_mass=uncovered[0],
        uncovered_error=uncovered[1],
        path_log_evidence=path_evidence[0],
        path_log_evidence_error=path_evidence[1],
        reached_beta=reached_beta,
    )


def rediagnosed(d: Diagnostics, log_weight: Array) -> Diagnostics:
    """Diagnostics of new log-weights (n,), with what the annealing path said of the proposal."""
    return diagnose(
        log_weight,
        uncovered=(d.uncovered_mass, d.uncovered_error),
        path_evidence=(d.path_log_evidence, d.path_log_evidence_error),
        reached_beta=d.reached_beta,
    )


def warnings_of(d: Diagnostics) -> tuple[str, ...]:
    """Why not to trust the result, in words and with what to do; empty if there is no reason."""
    found = [check(d) for check in (_beta, _ess, _tail, _uncovered, _disagreement)]
    return tuple(text for text in found if text)


def _beta(d: Diagnostics) -> str | None:
    if d.reached_beta >= 1.0:
        return None
    return (
        f"the annealing stopped at inverse temperature {d.reached_beta:.3g}, short of 1: the flow "
        "was never trained on the posterior itself. Raise anneal.max_levels or "
        "anneal.max_evaluations, or draw more points per level (anneal.draws)"
    )


def _ess(d: Diagnostics) -> str | None:
    if d.ess >= FEWEST_EFFECTIVE:
        return None
    advice = (
        "The flow is good: draw more with `nfanneal sample`, or set output.samples"
        if d.ess_fraction >= GOOD_SHARE
        else "Raise anneal.max_rounds or anneal.draws, or use a larger flow"
    )
    return (
        f"only {d.ess:.0f} of the {d.n_samples} draws are effective (at least {FEWEST_EFFECTIVE} "
        f"are needed): moments and evidence rest on a handful of draws. {advice}"
    )


def _tail(d: Diagnostics) -> str | None:
    if not d.pareto_k >= PARETO_LIMIT or d.largest_weight < HEAVIEST_SHARE:
        return None
    return (
        f"the largest weights have a heavy tail (Pareto k = {d.pareto_k:.2f}, above "
        f"{PARETO_LIMIT}; one draw carries {d.largest_weight:.1%} of all weight): the reported "
        "error of the evidence is too small, because somewhere the flow draws far too rarely. "
        "Raise anneal.max_rounds or anneal.draws"
    )


def _uncovered(d: Diagnostics) -> str | None:
    if d.uncovered_mass - 2.0 * d.uncovered_error < UNCOVERED_LIMIT:
        return None
    return (
        f"points met on the annealing path put {d.uncovered_mass:.1%} of the posterior where the "
        "final flow hardly ever draws: a mode may be missing. Raise anneal.draws, or make the "
        "steps smaller (anneal.relative_ess)"
    )


def _disagreement(d: Diagnostics) -> str | None:
    error = math.hypot(d.log_evidence_error, d.path_log_evidence_error)
    gap = d.path_log_evidence - d.log_evidence
    if not gap > max(DISAGREEMENT * error, 0.1):
        return None
    return (
        f"the annealing path's own estimate of the log-evidence ({d.path_log_evidence:.2f} ± "
        f"{d.path_log_evidence_error:.2f}) is above that of the final draws "
        f"({d.log_evidence:.2f} ± {d.log_evidence_error:.2f}): the final flow may have lost a "
        "mode. Run again with another seed and more points per level (anneal.draws)"
    )
