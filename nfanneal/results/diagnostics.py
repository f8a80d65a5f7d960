"""What the numbers of a diagnosis mean, as one table: their limits, and the words of each.

The terminal, the page, JSON and the warnings render `DIAGNOSTICS`: a new diagnostic is a number of
the record `Diagnostics` (or a count) and an entry of that table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from nfanneal.anneal.weights import PARETO_LIMIT
from nfanneal.results.diagnosis import (
    MOMENTS,
    OF_THE_WALK,
    UNCOVERED_LIMIT,
    WITNESSES,
    Diagnostics,
)
from nfanneal.results.records import Columns, Counts

HEAVIEST_SHARE = 0.01
"""A heavy tail matters once one draw carries this share of all weight."""
FEWEST_EFFECTIVE = 200
GOOD_SHARE = 0.05
"""Where so many of few draws are effective, more draws are what is missing."""
DISAGREEMENT = 4.0
"""So many standard errors apart, two estimates of the log-evidence are at odds."""
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


class About(Enum):
    """What a diagnostic looks at: how draws came about (path and walk), these, or the model."""

    PATH = "path"
    DRAWS = "draws"
    MODEL = "model"


def _silent(_: Judged) -> None:
    """The warning of what never speaks against a result on its own."""


@dataclass(frozen=True)
class Diagnostic:
    """One number that says whether to trust a result, and all that is ever told of it.

    Arguments:
        numbers: its values by their keys in JSON.
        shown: its value in tables.
        limit: up to where it is good; nan where no number says so.
        wanted: the limit in words, which may hold `{limit}` or `{percent}`.
        says: what it means, and `advice` what to do where it is not good.
        warning: why not to trust a result, with what to do; None where it does not say so.
        terminal: its name and its value on the terminal, where these are others.
        listed: False if only its warning tells of it.
    """

    name: str
    about: About
    numbers: Callable[[Judged], dict[str, float]]
    shown: Callable[[Judged], str]
    wanted: str
    says: str
    advice: str
    limit: float = math.nan
    warning: Callable[[Judged], str | None] = _silent
    terminal: tuple[str, Callable[[Judged], str]] | None = None
    listed: bool = True

    @property
    def good(self) -> str:
        """The limit in words."""
        return self.wanted.format(limit=self.limit, percent=100.0 * self.limit)

    def on_terminal(self, judged: Judged) -> tuple[str, str]:
        """Its name and its value as the terminal has them."""
        name, shown = self.terminal or (self.name, self.shown)
        return name, shown(judged)


def listed(*about: About) -> tuple[Diagnostic, ...]:
    """The diagnostics of these kinds that are shown whatever they say; of all kinds if none."""
    return tuple(d for d in DIAGNOSTICS if d.listed and d.about in (about or About))


def warnings_of(judged: Judged) -> tuple[str, ...]:
    """Why not to trust a result, in words and with what to do; empty if there is no reason."""
    found = [diagnostic.warning(judged) for diagnostic in DIAGNOSTICS]
    return tuple(text for text in found if text)


def _beta(judged: Judged) -> str | None:
    d = judged.diagnostics
    if d.reached_beta >= 1.0:
        return None
    return (
        f"the annealing stopped at inverse temperature {d.reached_beta:.3g}, short of 1: the flow "
        "was never trained on the posterior itself. Raise anneal.max_levels or "
        "anneal.max_evaluations, or draw more points per level (anneal.draws)"
    )


def _ess(judged: Judged) -> str | None:
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


def _tail(judged: Judged) -> str | None:
    d = judged.diagnostics
    if not d.pareto_k >= PARETO_LIMIT or d.witnessed:
        return None
    return (
        f"the largest weights have a heavy tail (Pareto k = {d.pareto_k:.2f}, above "
        f"{PARETO_LIMIT}; one draw carries {d.largest_weight:.1%} of all weight): the reported "
        "error of the evidence is too small, because somewhere the flow draws far too rarely. "
        "Raise anneal.max_rounds or anneal.draws"
    )


def _uncovered(judged: Judged) -> str | None:
    d = judged.diagnostics
    if d.uncovered_mass - 2.0 * d.uncovered_error < UNCOVERED_LIMIT:
        return None
    return (
        f"points met on the annealing path put {d.uncovered_mass:.1%} of the posterior where the "
        "final flow hardly ever draws: a mode may be missing. Raise anneal.draws, or make the "
        "steps smaller (anneal.relative_ess)"
    )


def _disagreement(judged: Judged) -> str | None:
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


def _walked(judged: Judged) -> str | None:
    d = judged.diagnostics
    if d.witnessed or math.isnan(d.bridge_log_evidence):
        return None
    if d.walked_uncovered_mass - 2.0 * d.walked_uncovered_error >= UNCOVERED_LIMIT:
        return (
            f"points that walked under the posterior spend {d.walked_uncovered_mass:.1%} of their "
            "time where the final flow hardly ever draws: its weights do not know that part. "
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


def _bridge_estimate(judged: Judged) -> str:
    d = judged.diagnostics
    if math.isnan(d.bridge_log_evidence):
        return "no points walked"
    return f"{d.bridge_log_evidence:.3f} ± {d.bridge_log_evidence_error:.3f}"


def _tail_index(judged: Judged) -> str:
    k = judged.diagnostics.pareto_k
    shown = f"{k:.3f}" if round(k, 2) == PARETO_LIMIT else f"{k:.2f}"
    return f"{shown} (good below {PARETO_LIMIT})"


def _effective(judged: Judged) -> str:
    d = judged.diagnostics
    return f"{d.ess:.0f} of {d.n_samples} draws ({d.ess_fraction:.1%})"


def _uncovered_mass(judged: Judged) -> str:
    d = judged.diagnostics
    return f"{d.uncovered_mass:.2%} ± {d.uncovered_error:.2%}"


def _path_estimate(judged: Judged) -> str:
    d = judged.diagnostics
    return f"{d.path_log_evidence:.3f} ± {d.path_log_evidence_error:.3f}"


def _failures(judged: Judged) -> str:
    n, share = judged.counts.n_failed, judged.counts.failed_fraction
    return f"{n:,}" + (f" ({100 * share:.2g}%)" if n else "")


DIAGNOSTICS: tuple[Diagnostic, ...] = (
    Diagnostic(
        name="inverse temperature reached",
        about=About.PATH,
        numbers=lambda r: {"reached_beta": r.diagnostics.reached_beta},
        shown=lambda r: f"{r.diagnostics.reached_beta:.3g}",
        limit=1.0,
        wanted="{limit:g}",
        says="How far the annealing got.",
        advice="Short of 1: the flow was never trained on the posterior itself; raise "
        "anneal.max_levels, anneal.max_evaluations or anneal.draws.",
        warning=_beta,
        listed=False,
    ),
    Diagnostic(
        name="effective sample size",
        about=About.DRAWS,
        numbers=lambda r: {"ess": r.diagnostics.ess, "ess_fraction": r.diagnostics.ess_fraction},
        shown=lambda r: f"{r.diagnostics.ess:,.0f} ({r.diagnostics.ess_fraction:.1%})",
        limit=FEWEST_EFFECTIVE,
        wanted="at least {limit}",
        says="How many independent draws the weighted ones are worth.",
        advice="Too few: raise anneal.max_rounds or anneal.draws, or draw more with nfanneal "
        "sample.",
        warning=_ess,
        terminal=("effective sample size", _effective),
    ),
    Diagnostic(
        name="Pareto k",
        about=About.DRAWS,
        numbers=lambda r: {"pareto_k": r.diagnostics.pareto_k},
        shown=lambda r: f"{r.diagnostics.pareto_k:.2f}",
        limit=PARETO_LIMIT,
        wanted="below {limit}",
        says="How heavy the tail of the weights is.",
        advice="Too heavy: some region is drawn far too rarely; raise anneal.draws, and look at "
        "the figure of the weights.",
        warning=_tail,
        terminal=("Pareto k of the weights", _tail_index),
    ),
    Diagnostic(
        name="largest share of one draw",
        about=About.DRAWS,
        numbers=lambda r: {"largest_weight": r.diagnostics.largest_weight},
        shown=lambda r: f"{r.diagnostics.largest_weight:.2%}",
        limit=HEAVIEST_SHARE,
        wanted="below {percent:g} %",
        says="A draw that carries much makes every average a lottery:",
        advice="draw more, or prune.",
    ),
    Diagnostic(
        name="under-covered posterior mass",
        about=About.DRAWS,
        numbers=lambda r: {"uncovered_mass": r.diagnostics.uncovered_mass},
        shown=_uncovered_mass,
        limit=UNCOVERED_LIMIT,
        wanted="below {limit:.0%}",
        says="Posterior mass met on the annealing path where the final flow hardly draws.",
        advice="Too much: a mode may be missing; raise anneal.draws or lower anneal.relative_ess.",
        warning=_uncovered,
    ),
    Diagnostic(
        name="path's own log-evidence",
        about=About.PATH,
        numbers=lambda r: {
            "path_log_evidence": r.diagnostics.path_log_evidence,
            "path_log_evidence_error": r.diagnostics.path_log_evidence_error,
        },
        shown=_path_estimate,
        limit=DISAGREEMENT,
        wanted="not above the other",
        says="From all points on the path.",
        advice="Clearly above: the final flow may have lost a mode; run again with another seed "
        "and combine.",
        warning=_disagreement,
        terminal=("  the path's own estimate", _path_estimate),
    ),
    Diagnostic(
        name="log-evidence by the bridge",
        about=About.PATH,
        numbers=lambda r: {
            "weighted_log_evidence": r.diagnostics.weighted_log_evidence,
            "weighted_log_evidence_error": r.diagnostics.weighted_log_evidence_error,
            **{name: getattr(r.diagnostics, name) for name in OF_THE_WALK},
        },
        shown=_bridge_estimate,
        limit=WITNESSES,
        wanted="within {limit:g} errors of the weights' own",
        says="From draws and from points that walked under the posterior by themselves.",
        advice="Further away: the weights do not know some part of the posterior; raise "
        "anneal.draws.",
        warning=_walked,
        terminal=("  by a walk and a bridge", _bridge_estimate),
    ),
    Diagnostic(
        name="failed evaluations",
        about=About.MODEL,
        numbers=lambda r: {
            "n_failed": r.counts.n_failed,
            "failed_fraction": r.counts.failed_fraction,
        },
        shown=lambda r: f"{r.counts.n_failed:,} ({r.counts.failed_fraction:.2%})",
        wanted="few",
        says="Draws at which the model failed count as likelihood zero.",
        advice="Many: look at nfanneal check, and at the priors.",
        terminal=("failed evaluations", _failures),
    ),
)
"""In the order of the warnings and of the page. A heavy tail speaks against a result unless points
that walked say the same as the weights."""
