"""What the numbers of a diagnosis mean, as one table: their limits, and the words of each.

The terminal, the page, JSON and the warnings render `DIAGNOSTICS`: a new diagnostic is a number of
the record `Diagnostics` (or a count) and an entry of that table. A limit is what is `needed`, a
reason not to trust a result, or what is `better`, and worth a look; never both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from nfanneal.anneal.weights import PARETO_LIMIT
from nfanneal.results.diagnosis import (
    MOMENTS,
    OF_A_THIN_TAIL,
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
    LEAST_GAP,
    MANY_FAILED,
    SOLVER_CHANGE,
    SOLVER_SPREAD,
    Judged,
    carries_much,
    covered_within_its_error,
    fails_beside_posterior,
    fails_often,
    few_effective,
    heavy_tail,
    path_above,
    rests_on_few,
    short_of_one,
    solver_too_rough,
    tail_is_borne,
    under_covered,
    walk_disagrees,
)


class About(Enum):
    """What a diagnostic looks at: how draws came about (path and walk), these, or the model."""

    PATH = "path"
    DRAWS = "draws"
    MODEL = "model"


class Mark(Enum):
    """What is said of one number: nothing, that it is worth a look, or not to trust the result."""

    OK = "ok"
    LOOK = "look"
    BAD = "bad"


def _silent(_: Judged) -> None:
    """The sentence of what never says one."""


@dataclass(frozen=True)
class Diagnostic:
    """One number that says whether to trust a result, and all that is ever told of it.

    Arguments:
        numbers: its values by their keys in JSON.
        shown: its value in tables.
        says: what it means.
        needed: in words, the limit beyond which a result is not to be trusted; empty if none is.
        better: in words, the limit beyond which a look is worth while; empty if it is the same.
        warning: why not to trust a result, with what to do; None where it does not say so.
        remark: why to have a look, with what to do; None where it does not say so.
        terminal: its name and its value on the terminal, where these are others.
        listed: False if only its warning tells of it.
    """

    name: str
    about: About
    numbers: Callable[[Judged], dict[str, float]]
    shown: Callable[[Judged], str]
    says: str
    needed: str = ""
    better: str = ""
    warning: Callable[[Judged], str | None] = _silent
    remark: Callable[[Judged], str | None] = _silent
    terminal: tuple[str, Callable[[Judged], str]] | None = None
    listed: bool = True

    def on_terminal(self, judged: Judged) -> tuple[str, str]:
        """Its name and its value as the terminal has them."""
        name, shown = self.terminal or (self.name, self.shown)
        return name, shown(judged)


def listed(*about: About) -> tuple[Diagnostic, ...]:
    """The diagnostics of these kinds that are shown whatever they say; of all kinds if none."""
    return tuple(d for d in DIAGNOSTICS if d.listed and d.about in (about or About))


@dataclass(frozen=True)
class Assessment:
    """A row of the table about one result: what is `told` are the sentences of warning or remark.

    The value and the limits are in words; `says` is what the number means.
    """

    mark: Mark
    name: str
    value: str
    needed: str
    better: str
    says: str
    told: str


def assess(judged: Judged, verdict: Sequence[str]) -> tuple[Assessment, ...]:
    """What each diagnostic says of a result whose verdict has these sentences.

    One is bad exactly if the verdict has its sentence. Diagnostics that are not listed are told
    where they are not fine, and so are sentences of the verdict that no diagnostic says, such as
    those of runs that were combined.
    """
    rows, known = [], set()
    for entry in DIAGNOSTICS:
        warning = entry.warning(judged)
        remark = warning or entry.remark(judged)
        known.add(warning)
        mark = Mark.BAD if warning in verdict else Mark.LOOK if remark else Mark.OK
        if entry.listed or mark is not Mark.OK:
            shown = entry.name, entry.shown(judged), entry.needed, entry.better, entry.says
            rows.append(Assessment(mark, *shown, remark or ""))
    others = [text for text in verdict if text not in known]
    return (*(Assessment(Mark.BAD, "beside these", "", "", "", "", t) for t in others), *rows)


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
        says="How far the annealing got.",
        needed="1",
        warning=short_of_one,
        listed=False,
    ),
    Diagnostic(
        name="effective sample size",
        about=About.DRAWS,
        numbers=lambda r: {"ess": r.diagnostics.ess, "ess_fraction": r.diagnostics.ess_fraction},
        shown=lambda r: f"{r.diagnostics.ess:,.0f} ({r.diagnostics.ess_fraction:.1%})",
        says="How many independent draws the weighted ones are worth.",
        needed=f"at least {FEWEST_EFFECTIVE}",
        warning=few_effective,
        terminal=("effective sample size", _effective),
    ),
    Diagnostic(
        name="Pareto k",
        about=About.DRAWS,
        numbers=lambda r: {"pareto_k": r.diagnostics.pareto_k},
        shown=lambda r: f"{r.diagnostics.pareto_k:.2f}",
        says="How heavy the tail of the weights is.",
        needed=f"below {PARETO_LIMIT}, or walked points agree",
        better=f"below {PARETO_LIMIT}",
        warning=heavy_tail,
        remark=tail_is_borne,
        terminal=("Pareto k of the weights", _tail_index),
    ),
    Diagnostic(
        name="largest share of one draw",
        about=About.DRAWS,
        numbers=lambda r: {"largest_weight": r.diagnostics.largest_weight},
        shown=lambda r: f"{r.diagnostics.largest_weight:.2%}",
        says="A draw that carries much makes averages unsteady.",
        better=f"below {100 * HEAVIEST_SHARE:g} %",
        remark=carries_much,
    ),
    Diagnostic(
        name="tail that rests on few draws",
        about=About.DRAWS,
        numbers=lambda r: {name: getattr(r.diagnostics, name) for name in OF_A_THIN_TAIL},
        shown=lambda r: f"{r.diagnostics.thin_mass:.2%}",
        says="Posterior mass in a tail of one parameter where few of many draws are effective: it "
        "may be far more.",
        needed="0 %",
        warning=rests_on_few,
        listed=False,
    ),
    Diagnostic(
        name="under-covered posterior mass",
        about=About.DRAWS,
        numbers=lambda r: {
            "uncovered_mass": r.diagnostics.uncovered_mass,
            "uncovered_error": r.diagnostics.uncovered_error,
        },
        shown=_uncovered_mass,
        says="Posterior mass met on the annealing path where the final flow hardly draws.",
        needed=f"below {100 * UNCOVERED_LIMIT:g} % + 2 errors",
        better=f"below {100 * UNCOVERED_LIMIT:g} %",
        warning=under_covered,
        remark=covered_within_its_error,
    ),
    Diagnostic(
        name="path's own log-evidence",
        about=About.PATH,
        numbers=lambda r: {
            "path_log_evidence": r.diagnostics.path_log_evidence,
            "path_log_evidence_error": r.diagnostics.path_log_evidence_error,
        },
        shown=_path_estimate,
        says="From points of the whole path: above the reported one where the flow lost a mode.",
        needed=f"at most {DISAGREEMENT:g} errors, or {LEAST_GAP:g}, above the reported one",
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
        says="The reported one is that of the bridge to points that walked under the posterior by "
        "themselves, and may know of parts that the weights do not.",
        needed=f"within {WITNESSES:g} errors of the bridge's; walked points: means and quantiles "
        f"within {MOMENTS:g} errors, and below {100 * UNCOVERED_LIMIT:g} % + 2 errors more where "
        "the flow hardly draws",
        warning=walk_disagrees,
        terminal=("  by the draws' weights alone", _weighted_estimate),
    ),
    Diagnostic(
        name="a finer solver changes",
        about=About.MODEL,
        numbers=lambda r: {name: getattr(r.diagnostics, name) for name in OF_THE_SOLVER},
        shown=_solver_error,
        says="What a solver with tolerances 100 times smaller and short steps would change.",
        needed=f"log-evidence by at most {SOLVER_CHANGE}, log L by at most {SOLVER_SPREAD}",
        warning=solver_too_rough,
        terminal=("a finer solver changes", _solver_error),
    ),
    Diagnostic(
        name="a function of its parameters",
        about=About.MODEL,
        numbers=lambda r: {},
        shown=lambda r: "no" if r.diagnostics.whim else "yes",
        says="Draws that were asked about twice, in another order, and alone.",
        needed="yes",
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
        says="Draws at which the model failed count as likelihood zero.",
        better=f"at most {100 * MANY_FAILED:g} %",
        remark=fails_often,
        terminal=("failed evaluations", _failures),
    ),
    Diagnostic(
        name="posterior where the model fails",
        about=About.MODEL,
        numbers=lambda r: {
            name: getattr(r.diagnostics, name) for name in OF_FAILURES if name != "failing_why"
        },
        shown=_failing_mass,
        says="What would lie beyond the boundary of the failures if the posterior went on there.",
        needed=f"at most {100 * FAILING_LIMIT:g} %",
        warning=fails_beside_posterior,
    ),
)
"""In the order of the warnings and of the page. A heavy tail speaks against a result unless points
that walked say the same as the weights."""
