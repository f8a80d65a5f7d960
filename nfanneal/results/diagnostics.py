"""What the numbers of a diagnosis mean, as one table: their limits, and the words of each.

The terminal, the page, JSON and the warnings render `DIAGNOSTICS`: a new diagnostic is a number of
the record `Diagnostics` (or a count) and an entry of that table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from nfanneal.anneal.weights import PARETO_LIMIT
from nfanneal.results.diagnosis import (
    OF_FAILURES,
    OF_THE_SOLVER,
    OF_THE_WALK,
    UNCOVERED_LIMIT,
    WITNESSES,
)
from nfanneal.results.verdicts import (
    DISAGREEMENT,
    FAILING_LIMIT,
    FEWEST_EFFECTIVE,
    HEAVIEST_SHARE,
    SOLVER_CHANGE,
    Judged,
    fails_beside_posterior,
    few_effective,
    heavy_tail,
    path_above,
    short_of_one,
    solver_too_rough,
    under_covered,
    walk_disagrees,
)


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


def doubts_of_draws(judged: Judged) -> tuple[str, ...]:
    """Those of the warnings that more draws or more training may do something about."""
    sampled = [d.warning(judged) for d in DIAGNOSTICS if d.about is not About.MODEL]
    return tuple(text for text in sampled if text)


def _failing_mass(judged: Judged) -> str:
    return f"{judged.diagnostics.failing_mass:.2%}"


def _solver_error(judged: Judged) -> str:
    d = judged.diagnostics
    if math.isnan(d.solver_change):
        return "nothing is solved, or nothing was compared"
    tighter = f"; tolerances / {d.tightening:g}" if d.tightening > 1.0 else ""
    return f"log-evidence {d.solver_change:+.1g}, log L ± {d.solver_spread:.1g}{tighter}"


def _weighted_estimate(judged: Judged) -> str:
    d = judged.diagnostics
    if math.isnan(d.bridge_log_evidence):
        return "the same: no points walked"
    return f"{d.weighted_log_evidence:.3f} ± {d.weighted_log_evidence_error:.3f}"


def _tail_index(judged: Judged) -> str:
    k = judged.diagnostics.pareto_k
    shown = f"{k:.3f}" if round(k, 2) == PARETO_LIMIT else f"{k:.2f}"
    borne = k >= PARETO_LIMIT and judged.diagnostics.tail_borne
    return f"{shown} (good below {PARETO_LIMIT}{'; but the walk agrees' if borne else ''})"


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
        warning=short_of_one,
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
        warning=few_effective,
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
        warning=heavy_tail,
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
        numbers=lambda r: {
            "uncovered_mass": r.diagnostics.uncovered_mass,
            "uncovered_error": r.diagnostics.uncovered_error,
        },
        shown=_uncovered_mass,
        limit=UNCOVERED_LIMIT,
        wanted="below {limit:.0%}",
        says="Posterior mass met on the annealing path where the final flow hardly draws.",
        advice="Too much: a mode may be missing; raise anneal.draws or lower anneal.relative_ess.",
        warning=under_covered,
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
        wanted="at most {limit:g} errors above the other",
        says="From all points on the path.",
        advice="Clearly above: the final flow may have lost a mode; run again with another seed "
        "and combine.",
        warning=path_above,
        terminal=("  the path's own estimate", _path_estimate),
    ),
    Diagnostic(
        name="log-evidence by the weights alone",
        about=About.PATH,
        numbers=lambda r: {
            "weighted_log_evidence": r.diagnostics.weighted_log_evidence,
            "weighted_log_evidence_error": r.diagnostics.weighted_log_evidence_error,
            **{name: getattr(r.diagnostics, name) for name in OF_THE_WALK},
        },
        shown=_weighted_estimate,
        limit=WITNESSES,
        wanted="within {limit:g} errors of the other",
        says="The other, which is reported, is that of the bridge to points that walked under the "
        "posterior by themselves.",
        advice="Further away: the weights do not know some part of the posterior; raise "
        "anneal.draws.",
        warning=walk_disagrees,
        terminal=("  by the draws' weights alone", _weighted_estimate),
    ),
    Diagnostic(
        name="a finer solver changes",
        about=About.MODEL,
        numbers=lambda r: {name: getattr(r.diagnostics, name) for name in OF_THE_SOLVER},
        shown=_solver_error,
        limit=SOLVER_CHANGE,
        wanted="log-evidence by less than {limit}",
        says="What a solver with tolerances 100 times smaller and short steps would change.",
        advice="Too much: tighten model.solver.rtol and atol, or set model.solver.max_step.",
        warning=solver_too_rough,
        terminal=("a finer solver changes", _solver_error),
    ),
    Diagnostic(
        name="a function of its parameters",
        about=About.MODEL,
        numbers=lambda r: {},
        shown=lambda r: "no" if r.diagnostics.whim else "yes",
        wanted="yes",
        says="Draws that were asked about twice, in another order, and alone.",
        advice="Else no number above means anything: mend the model.",
        warning=lambda r: r.diagnostics.whim or None,
        listed=False,
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
    Diagnostic(
        name="posterior where the model fails",
        about=About.MODEL,
        numbers=lambda r: {
            name: getattr(r.diagnostics, name) for name in OF_FAILURES if name != "failing_why"
        },
        shown=_failing_mass,
        limit=FAILING_LIMIT,
        wanted="below {percent:g} %",
        says="What would lie beyond the boundary of the failures if the posterior went on there.",
        advice="More: look where the model fails, and why.",
        warning=fails_beside_posterior,
    ),
)
"""In the order of the warnings and of the page. A heavy tail speaks against a result unless points
that walked say the same as the weights."""
