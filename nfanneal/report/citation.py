"""What to write of a result in a paper: a paragraph on methods, and the references it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from nfanneal.anneal.settings import FLOW_KINDS
from nfanneal.errors import SpecError
from nfanneal.report.quantities import counted, duration
from nfanneal.report.references import (
    BALANCE,
    BRIDGE,
    COUPLING,
    LIBRARIES,
    MASKED,
    METHOD,
    SOLVERS,
    SPLINES,
    TAIL,
    TRUNCATED,
    Reference,
    software,
)
from nfanneal.results.result import Result
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import spec_from_text

FLOWS = {
    (False, True): ("autoregressive neural spline flows", SPLINES),
    (True, True): ("coupling neural spline flows", SPLINES),
    (False, False): ("masked autoregressive flows", MASKED),
    (True, False): ("RealNVP coupling flows", COUPLING),
}
"""Kinds of flows by whether they are made of coupling layers, and whether of splines."""
OBJECTIVES = {
    "forward_kl": "the forward Kullback–Leibler divergence of weighted points",
    "reverse_kl": "the reverse Kullback–Leibler divergence of fresh draws",
    "hybrid": "the sum of forward and reverse Kullback–Leibler divergence",
}
SCHEDULES = {"ess": "chosen by the effective sample size"}
"""How the steps of a path are chosen; others go by their name."""
PRUNED = {
    "ess": "The largest weights were dropped until the effective sample size was largest",
    "psis": f"The largest weights were smoothed ({TAIL.short})",
    "truncate": f"The largest weights were clipped ({TRUNCATED.short})",
}


def methods_paragraph(result: Result) -> str:
    """What was run, with which settings, and what it found: one paragraph of plain text."""
    return " ".join(sentence for sentence in _sentences(result) if sentence)


def references(result: Result) -> tuple[Reference, ...]:
    """What the result rests on, the paper of the method first: only what was used."""
    checked, kinds = spec_of(result), list(_flows(result.flow.layout))
    found = [METHOD, software(result.provenance.versions.get("nfanneal", "?"))]
    found += [FLOWS[_family(kind)][1] for kind in kinds]
    found += [] if math.isnan(result.diagnostics.bridge_log_evidence) else [BRIDGE]
    found.append(TAIL)
    found += [BALANCE] if result.combination is not None else []
    found += [TRUNCATED] if result.pruning and result.pruning.method == "truncate" else []
    solvers = checked.spec.model.solvers if checked else ()
    found += [SOLVERS[name] for name in solvers]
    unused = {"sympy": not solvers, "zuko": not kinds}
    versions = result.provenance.versions
    found += [r for name, r in LIBRARIES.items() if name in versions and not unused.get(name)]
    return tuple(dict.fromkeys(found))


def bibtex(result: Result) -> str:
    """The references as BibTeX, which ends with a line break."""
    return "\n\n".join(reference.bibtex for reference in references(result)) + "\n"


def spec_of(result: Result) -> CheckedSpec | None:
    """The spec of a result; None where this nfanneal cannot read it any more."""
    try:
        return spec_from_text(result.spec_yaml)
    except SpecError:
        return None


def _flows(layout: Mapping[str, Any]) -> Iterator[str]:
    """The known kinds of the flows that a proposal is made of."""
    if (kind := layout.get("flow", {}).get("kind")) in FLOW_KINDS:
        yield kind
    for part in (*layout.get("components", ()), *filter(None, (layout.get("base"),))):
        yield from _flows(part)


def _family(kind: str) -> tuple[bool, bool]:
    known = FLOW_KINDS[kind]
    return known.coupling, known.spline


def _sentences(result: Result) -> Iterator[str]:
    checked = spec_of(result)
    yield _begin(result)
    yield _path(result, checked)
    if checked and (solved := checked.spec.model.solved):
        yield f"Trajectories were computed {solved}{_tightened(result)}."
    if result.combination is not None:
        yield (
            f"{counted(len(result.combination.errors), 'run')} with different seeds were pooled by "
            f"the balance heuristic ({BALANCE.short})."
        )
    if result.pruning is not None:
        how = PRUNED.get(result.pruning.method, "The largest weights were pruned")
        yield f"{how}."
    yield _draws(result)
    yield _found(result)
    yield _cost(result)


def _begin(result: Result) -> str:
    cells = sum(len(data.values) for data in result.observed.values())
    data = f" and {counted(cells, 'data point')}" if cells else ""
    version = result.provenance.versions.get("nfanneal", "")
    return (
        f"The posterior and the evidence of '{result.name}' "
        f"({counted(len(result.columns.names), 'free parameter')}{data}) were estimated with "
        f"{f'nfanneal {version}'.strip()}, by annealing normalizing flows from the prior to the "
        f"posterior ({METHOD.short})."
    )


def _path(result: Result, checked: CheckedSpec | None) -> str:
    levels = result.history.levels.get("level", ())
    kinds = [FLOWS[_family(kind)] for kind in dict.fromkeys(_flows(result.flow.layout))]
    flows = " and ".join(dict.fromkeys(f"{words} ({r.short})" for words, r in kinds))
    said = ""
    if checked is not None:
        anneal = checked.spec.anneal
        preset = f", preset '{anneal.preset}'" if anneal.preset else ""
        chosen = SCHEDULES.get(anneal.schedule, f"of the schedule '{anneal.schedule}'")
        said = f" {chosen}{preset}"
        flows += f", trained on {OBJECTIVES[anneal.objective]}" if flows else ""
    trained = f", with {flows}" if flows else ""
    return f"The path had {counted(len(levels), 'level')}{said}{trained}." if len(levels) else ""


def _tightened(result: Result) -> str:
    by = result.diagnostics.tightening
    return f", divided by {by:g} for these data" if by > 1.0 else ""


def _draws(result: Result) -> str:
    d = result.diagnostics
    walked = (
        ""
        if math.isnan(d.bridge_log_evidence)
        else ", and bridged to points that walked under the posterior by themselves "
        f"({BRIDGE.short})"
    )
    return (
        f"{counted(d.n_samples, 'fresh draw')} of the final proposal were weighted{walked}; they "
        f"are worth {d.ess:,.0f} independent ones, and the tail index of their weights is "
        f"{d.pareto_k:.2f} ({TAIL.short})."
    )


def _found(result: Result) -> str:
    d = result.diagnostics
    verdict = (
        "no diagnostic speaks against the result"
        if result.converged
        else "the diagnostics say not to trust the result as it is"
    )
    return (
        f"The natural logarithm of the evidence is {d.log_evidence:.3f} ± "
        f"{d.log_evidence_error:.3f} (one standard error); {verdict}."
    )


def _cost(result: Result) -> str:
    counts, made = result.counts, result.provenance
    gradients = counts.n_gradient_evaluations
    beside = f" and {counted(gradients, 'gradient')}" if gradients else ""
    return (
        f"This took {counted(counts.n_likelihood_evaluations, 'evaluation')} of the likelihood"
        f"{beside} in {duration(made.wall_time)} (seed {made.seed})."
    )
