"""The numbers that say whether to trust a result: of its weights, of the path and of the walk."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nfanneal.anneal.bridge import Witness
from nfanneal.anneal.weights import (
    Evidence,
    effective_sample_size,
    evidence,
    mass_beyond,
    normalized,
    pareto_k,
)
from nfanneal.arrays import Array

UNCOVERED_LIMIT = 0.02
WITNESSES = 3.0
"""So many standard errors apart, draws and walked points disagree on the log-evidence."""
MOMENTS = 5.0
"""… and so many on a mean or a quantile of one of the parameters, of which there are many."""


@dataclass(frozen=True)
class Diagnostics:
    """The numbers that say whether to trust the evidence and the draws.

    `log_evidence` is what is reported: what the weights say and what the bridge to points that
    walked says, together. `walked_disagreement` is how many errors apart draws and walked points
    are in `walked_column` of θ, the worst of all. nan where no points walked. The solver's
    tolerances were tightened by `tightening`; a finer one would change the log-evidence by
    `solver_change`, log L of draws by `solver_spread` more or less. nan where nothing is solved.
    `failing_mass` of the posterior may lie where the model fails, which is above (1) or below (0)
    in `failing_column` of θ, or in the midst (0.5), around `failing_near`, for the reason
    `failing_why`. `whim` says in what the model is no function of its parameters. `thin_mass` of
    the posterior lies from `thin_from` on, up (1) or down (0) as `thin_above` says, in
    `thin_column` of θ, where only `thin_effective` of `thin_drawn` draws are effective; 0 if there
    is no such tail.
    """

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
    weighted_log_evidence: float = math.nan
    weighted_log_evidence_error: float = math.nan
    bridge_log_evidence: float = math.nan
    bridge_log_evidence_error: float = math.nan
    walked_uncovered_mass: float = math.nan
    walked_uncovered_error: float = math.nan
    walked_disagreement: float = math.nan
    walked_column: float = math.nan
    tightening: float = 1.0
    solver_change: float = math.nan
    solver_spread: float = math.nan
    failing_mass: float = 0.0
    failing_column: float = math.nan
    failing_above: float = math.nan
    failing_near: float = math.nan
    failing_why: str = ""
    whim: str = ""
    thin_mass: float = 0.0
    thin_effective: float = math.nan
    thin_drawn: float = math.nan
    thin_column: float = math.nan
    thin_above: float = math.nan
    thin_from: float = math.nan

    @property
    def witnessed(self) -> bool:
        """Whether points walked, and what they say agrees with the weights of the draws."""
        gap = self.bridge_log_evidence - self.weighted_log_evidence
        error = math.hypot(self.bridge_log_evidence_error, self.weighted_log_evidence_error)
        covered = self.walked_uncovered_mass - 2.0 * self.walked_uncovered_error < UNCOVERED_LIMIT
        moments = self.walked_disagreement <= MOMENTS
        return abs(gap) <= WITNESSES * error and covered and moments

    @property
    def tail_borne(self) -> bool:
        """Whether a heavy tail of the weights is borne: walked points agree, and find no more.

        What they do find beyond the weights counts in full: both are blind to the same places.
        """
        return self.witnessed and self.walked_uncovered_mass < UNCOVERED_LIMIT

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
    walked: Witness | None = None,
) -> Diagnostics:
    """Evidence, ESS and k̂ from log-weights (n,), beside the path's and the walk's view of them."""
    weighted = evidence(log_weight)
    reported = _alone(weighted, log_weight) if walked is None else _together(weighted, walked)
    found = Diagnostics(
        log_evidence=reported.log_evidence,
        log_evidence_error=reported.error,
        weighted_log_evidence=weighted.log_evidence,
        weighted_log_evidence_error=weighted.error,
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
    if walked is None:
        return found
    return replace(
        found,
        bridge_log_evidence=walked.log_evidence,
        bridge_log_evidence_error=walked.error,
        walked_uncovered_mass=walked.uncovered_mass,
        walked_uncovered_error=walked.uncovered_error,
        walked_disagreement=float(walked.disagreement.max()),
        walked_column=float(walked.disagreement.argmax()),
    )


def _alone(weighted: Evidence, log_weight: Array) -> Evidence:
    """What the weights say, with an error for what their tail has beyond the largest of them."""
    error = math.hypot(weighted.error, mass_beyond(log_weight))
    return Evidence(weighted.log_evidence, error)


def _together(weighted: Evidence, walked: Witness) -> Evidence:
    """The bridge's log-evidence, with an error that covers what the weights say of it.

    The bridge knows the weights; where they differ by more than their errors, the error has the
    rest of the difference as well. It is never smaller than that of the weights: the walked points
    began at these draws, and what is in a tail that few of them hit they hardly know better.
    """
    gap = walked.log_evidence - weighted.log_evidence
    unexplained = max(gap**2 - weighted.error**2 - walked.error**2, 0.0)
    known = max(walked.error, weighted.error)
    return Evidence(walked.log_evidence, math.sqrt(known**2 + unexplained))


def rediagnosed(d: Diagnostics, log_weight: Array) -> Diagnostics:
    """Diagnostics of new log-weights (n,), with what path and walk said of the proposal."""
    found = diagnose(
        log_weight,
        uncovered=(d.uncovered_mass, d.uncovered_error),
        path_evidence=(d.path_log_evidence, d.path_log_evidence_error),
        reached_beta=d.reached_beta,
    )
    return replace(found, **{name: getattr(d, name) for name in KEPT})


OF_THE_WALK = (
    "bridge_log_evidence",
    "bridge_log_evidence_error",
    "walked_uncovered_mass",
    "walked_uncovered_error",
    "walked_disagreement",
    "walked_column",
)
OF_THE_SOLVER = ("tightening", "solver_change", "solver_spread")
OF_FAILURES = (
    "failing_mass",
    "failing_column",
    "failing_above",
    "failing_near",
    "failing_why",
)
OF_A_THIN_TAIL = (
    "thin_mass",
    "thin_effective",
    "thin_drawn",
    "thin_column",
    "thin_above",
    "thin_from",
)
KEPT = (*OF_THE_WALK, *OF_THE_SOLVER, *OF_FAILURES, *OF_A_THIN_TAIL, "whim")
"""What new weights of the same draws leave as it is."""
