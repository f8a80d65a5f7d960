"""Why not to trust a result, and what else is worth a look: limits, and the sentences beyond them.

Each limit stands here, or where what it limits is computed, and nowhere else; the table in
`diagnostics` has them in words. Sentences say what to do.
"""

from __future__ import annotations

import math
from typing import Protocol

from nfanneal.anneal.weights import PARETO_LIMIT
from nfanneal.results.diagnosis import MOMENTS, UNCOVERED_LIMIT, Diagnostics
from nfanneal.results.records import Columns, Counts

HEAVIEST_SHARE = 0.01
"""Averages are unsteady once one draw carries this share of all weight; no reason to distrust."""
MANY_FAILED = 0.1
"""Share of the evaluations beyond which it is worth a look why the model fails."""
FEWEST_EFFECTIVE = 200
GOOD_SHARE = 0.05
"""Where so many of few draws are effective, more draws are what is missing."""
DISAGREEMENT = 4.0
"""So many standard errors apart, two estimates of the log-evidence are at odds."""
FAILING_LIMIT = 0.01
"""Share of the posterior that may lie where the model fails."""
SOLVER_CHANGE, SOLVER_SPREAD = 0.02, 0.1
"""In nats: a finer solver changes the log-evidence by so much at most, and log L of draws."""
LEAST_GAP = 0.1
"""However small their errors, log-evidences nearer than this agree."""


class Judged(Protocol):
    """What diagnostics look at: a result."""

    @property
    def diagnostics(self) -> Diagnostics:
        """Numbers of the draws and of the annealing's path."""
        ...

    @property
    def counts(self) -> Counts:
        """How often the model was asked, and how often it failed."""
        ...

    @property
    def columns(self) -> Columns:
        """The parameters."""
        ...


def short_of_one(judged: Judged) -> str | None:
    """The annealing did not get to β = 1."""
    d = judged.diagnostics
    if d.reached_beta >= 1.0:
        return None
    return (
        f"the annealing stopped at inverse temperature {d.reached_beta:.3g}, short of 1: the flow "
        "was never trained on the posterior itself. Raise anneal.max_levels or "
        "anneal.max_evaluations, or draw more points per level (anneal.draws)"
    )


def few_effective(judged: Judged) -> str | None:
    """Too few draws are effective."""
    d = judged.diagnostics
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


def heavy_tail(judged: Judged) -> str | None:
    """The weights have a heavy tail, and no walk agrees with them."""
    d = judged.diagnostics
    if not d.pareto_k >= PARETO_LIMIT or d.tail_borne:
        return None
    return (
        f"the largest weights have a heavy tail (Pareto k = {d.pareto_k:.2f}, above "
        f"{PARETO_LIMIT}; one draw carries {d.largest_weight:.1%} of all weight): the reported "
        "error of the evidence is too small, because somewhere the flow draws far too rarely. "
        "Raise anneal.max_rounds or anneal.draws"
    )


def rests_on_few(judged: Judged) -> str | None:
    """A tail of one parameter rests on few of the draws in it."""
    d = judged.diagnostics
    if not d.thin_mass > 0.0:
        return None
    name = judged.columns.names[int(d.thin_column)]
    side = "above" if d.thin_above else "below"
    return (
        f"the posterior where '{name}' is {side} {d.thin_from:.4g} rests on "
        f"{d.thin_effective:.0f} effective of {d.thin_drawn:,.0f} draws: by their weights it has "
        f"{d.thin_mass:.1%} of all, but it may have far more. It is the neck of a funnel or a thin "
        "sheet: state the model so that other parameters do not get narrow as this one does, give "
        "gradients (array: torch), or raise anneal.draws"
    )


def under_covered(judged: Judged) -> str | None:
    """The path met mass that the final flow hardly draws."""
    d = judged.diagnostics
    if d.uncovered_mass - 2.0 * d.uncovered_error < UNCOVERED_LIMIT:
        return None
    return (
        f"points met on the annealing path put {d.uncovered_mass:.1%} of the posterior where the "
        "final flow hardly ever draws: a mode may be missing. Raise anneal.draws, or make the "
        "steps smaller (anneal.relative_ess)"
    )


def path_above(judged: Judged) -> str | None:
    """The path's own log-evidence is above that of the final draws."""
    d = judged.diagnostics
    error = math.hypot(d.log_evidence_error, d.path_log_evidence_error)
    gap = d.path_log_evidence - d.log_evidence
    if not gap > max(DISAGREEMENT * error, LEAST_GAP):
        return None
    return (
        f"the annealing path's own estimate of the log-evidence ({d.path_log_evidence:.2f} ± "
        f"{d.path_log_evidence_error:.2f}) is above that of the final draws "
        f"({d.log_evidence:.2f} ± {d.log_evidence_error:.2f}): the final flow may have lost a "
        "mode. Run again with another seed and more points per level (anneal.draws)"
    )


def walk_disagrees(judged: Judged) -> str | None:
    """Walked points disagree with the weighted draws."""
    d = judged.diagnostics
    if d.witnessed or math.isnan(d.bridge_log_evidence):
        return None
    if d.walked_uncovered_mass - 2.0 * d.walked_uncovered_error >= UNCOVERED_LIMIT:
        return (
            f"points that walked under the posterior spend {d.walked_uncovered_mass:.1%} more of "
            "their time where the final flow hardly ever draws than its weights know of. "
            "Raise anneal.draws or anneal.max_rounds"
        )
    if not d.walked_disagreement <= MOMENTS:
        name = judged.columns.names[int(d.walked_column)]
        return (
            f"points that walked under the posterior disagree with the weighted draws on '{name}', "
            f"by {d.walked_disagreement:.1f} standard errors of its mean or of a quantile. "
            "Raise anneal.draws or anneal.max_rounds"
        )
    return (
        f"the two estimates of the log-evidence disagree: {d.weighted_log_evidence:.3f} ± "
        f"{d.weighted_log_evidence_error:.3f} from the draws' weights, {d.bridge_log_evidence:.3f} "
        f"± {d.bridge_log_evidence_error:.3f} from the bridge to points that walked under the "
        "posterior. Raise anneal.draws or anneal.max_rounds"
    )


def solver_too_rough(judged: Judged) -> str | None:
    """A finer solver would change the answer."""
    d = judged.diagnostics
    if not (abs(d.solver_change) > SOLVER_CHANGE or d.solver_spread > SOLVER_SPREAD):
        return None
    return (
        f"a finer solver would change the log-evidence by {d.solver_change:+.2g} and log L of "
        f"draws by ±{d.solver_spread:.2g}: the trajectories are too rough for these data. "
        + _what_to_do(d.tightening)
    )


def _what_to_do(tightening: float) -> str:
    tight = tightening > 1.0
    begun = f"Tolerances were divided by {tightening:g} already: a" if tight else "A"
    return (
        f"{begun}n equation jumps or has a narrow peak (set model.solver.max_step, or a smaller "
        "one), a state begins or ends far smaller than it is in between (set model.solver.atol "
        "below it), or the noise is below what numbers of 16 digits resolve"
        + ("" if tight else "; else divide model.solver.rtol and atol by 100")
    )


def fails_beside_posterior(judged: Judged) -> str | None:
    """The model fails beside draws that carry the posterior."""
    d = judged.diagnostics
    if not d.failing_mass > FAILING_LIMIT:
        return None
    name = judged.columns.names[int(d.failing_column)]
    side = {0.0: "below, around", 1.0: "above, around"}.get(d.failing_above, "around")
    return (
        f"the model fails next to draws that carry the posterior: {d.failing_mass:.1%} of it, or "
        f"more, may lie where '{name}' is {side} {d.failing_near:.4g}. {d.failing_why}. "
        "Failed draws count as a likelihood of zero: if that is not meant, mend the model there, "
        "else let the prior end before"
    )


def carries_much(judged: Judged) -> str | None:
    """One draw has much of all weight."""
    share = judged.diagnostics.largest_weight
    if share < HEAVIEST_SHARE:
        return None
    return (
        f"one draw carries {share:.2%} of all weight: averages would be steadier with more draws "
        "(`nfanneal sample`). The verdict does not rest on it"
    )


def tail_is_borne(judged: Judged) -> str | None:
    """The weights have a heavy tail, and walked points agree with them all the same."""
    d = judged.diagnostics
    if not d.pareto_k >= PARETO_LIMIT or not d.tail_borne:
        return None
    return (
        "the tail of the weights is heavy, but points that walked under the posterior agree with "
        "them: the log-evidence stands. More draws per level (anneal.draws) make averages steadier"
    )


def covered_within_its_error(judged: Judged) -> str | None:
    """The path met uncovered mass, but no more than its error explains."""
    d = judged.diagnostics
    if d.uncovered_mass < UNCOVERED_LIMIT or under_covered(judged):
        return None
    return (
        f"{d.uncovered_mass:.1%} of the posterior may lie where the final flow hardly ever draws, "
        "or none: the error of that number is as large. More draws per level (anneal.draws) tell"
    )


def fails_often(judged: Judged) -> str | None:
    """Many evaluations failed."""
    share = judged.counts.failed_fraction
    if share <= MANY_FAILED:
        return None
    return (
        f"the model failed at {share:.0%} of its evaluations, which count as a likelihood of zero. "
        "`nfanneal check` says where and why"
    )
