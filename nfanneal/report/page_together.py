"""What the page says of several results together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from nfanneal.errors import NfannealError, SpecError
from nfanneal.report.comparison import comparison_warnings, probability_in_words
from nfanneal.report.page_figures import Drawer, drawn
from nfanneal.report.page_parts import Glance, Pictures, Table, Together
from nfanneal.report.page_result import SHOWN_ROWS, and_more
from nfanneal.report.quantities import duration, sentence
from nfanneal.results.combine import LEAST_P_VALUE, agreement_of
from nfanneal.results.compare import Comparison, compare
from nfanneal.results.identity import (
    COMBINING,
    SAME_DATA,
    Identity,
    differences,
    result_identity,
)
from nfanneal.results.result import Result

LEAST_SHOWN = 1e-16
"""Chances below are told as that."""
HEAD = ("result", "verdict", "log-evidence", "ESS", "evaluations", "time", "seed")
COMPARED = (
    "result", "log-evidence", "log Bayes factor of the best over it", "probability", "LOO elpd",
    "advantage of the best (Kass & Raftery)",
)  # fmt: skip


def together(results: Mapping[str, Result], idents: Sequence[str], drawer: Drawer) -> Together:
    """Results by their labels beside each other; `idents` are those of their parts of the page."""
    problems = _problems(results)
    comparison, why_not, remarks = _comparison(results, problems)
    return Together(
        summary=_summary(results.values()),
        head=HEAD,
        glances=tuple(_glance(*pair, i) for pair, i in zip(results.items(), idents, strict=True)),
        agreements=tuple(_agreements(results, problems)),
        comparison=comparison,
        why_not=why_not,
        remarks=remarks,
        parameters=_parameters(results),
        pictures=_pictures(results, drawer),
    )


def _summary(results: Iterable[Result]) -> str:
    trusted = [result.converged for result in results]
    if all(trusted):
        return "All results are to be trusted."
    return f"{sum(trusted)} of {len(trusted)} results are to be trusted."


def _glance(label: str, result: Result, ident: str) -> Glance:
    d, counts, made = result.diagnostics, result.counts, result.provenance
    return Glance(
        ident,
        label,
        result.converged,
        (
            f"{d.log_evidence:.3f} ± {d.log_evidence_error:.3f}",
            f"{d.ess:,.0f}",
            f"{counts.n_likelihood_evaluations:,}",
            duration(made.wall_time),
            str(made.seed),
        ),
    )


def _problems(results: Mapping[str, Result]) -> list[list[str]]:
    """The labels of results of the same problem, group by group."""
    groups: list[list[str]] = []
    identities = {label: result_identity(result) for label, result in results.items()}
    for label, own in identities.items():
        for group in groups:
            if _same_problem(identities[group[0]], own):
                group.append(label)
                break
        else:
            groups.append([label])
    return groups


def _same_problem(one: Identity, other: Identity) -> bool:
    try:
        return not any(differences(one, other, purpose) for purpose in (COMBINING, SAME_DATA))
    except SpecError:  # one of another version of nfanneal
        return False


def _agreements(
    results: Mapping[str, Result], problems: Iterable[Sequence[str]]
) -> Iterator[tuple[bool, str]]:
    """Whether runs of one problem agree, and in words."""
    for labels in problems:
        if len(labels) > 1:
            yield _agreement({label: results[label] for label in labels})


def _agreement(runs: Mapping[str, Result]) -> tuple[bool, str]:
    found = agreement_of(list(runs.values()))
    agree = found.p_value >= LEAST_P_VALUE
    doubtful = [label for label, run in runs.items() if not run.converged]
    low, high = found.log_evidences.min(), found.log_evidences.max()
    if agree:
        end = "`nfanneal combine` pools them."
    elif doubtful:
        end = f"Not to be trusted by themselves: {', '.join(doubtful)}."
    else:
        end = (
            "Some run missed a mode, or its error is too small: run each with more draws per level "
            "(anneal.draws)."
        )
    return agree, (
        f"{', '.join(runs)} are runs of one problem, and {'agree' if agree else 'disagree'}: "
        f"their log-evidences, from {low:.3f} to {high:.3f}, are {'no ' if agree else ''}further "
        f"apart than their errors allow (chi-square {found.chi_square:.1f}, p "
        f"{_chance(found.p_value)}). {end}"
    )


def _chance(p_value: float) -> str:
    return f"= {p_value:.2g}" if p_value > LEAST_SHOWN else f"below {LEAST_SHOWN:g}"


def _comparison(
    results: Mapping[str, Result], problems: Sequence[Sequence[str]]
) -> tuple[Table | None, str, tuple[str, ...]]:
    """Models of the same data; else why they are not compared. What to bear in mind about it."""
    if len(problems) < 2:
        return None, "All are runs of one problem: there are no models to compare.", ()
    try:
        rows = compare(results, any_data=False)
    except NfannealError as error:
        return None, f"No comparison: {error}.", ()
    remarks = list(comparison_warnings(rows))
    if len(problems) < len(results):
        remarks.append(
            "runs of one problem share its probability here; `nfanneal combine` makes one of them"
        )
    return _compared(rows), "", tuple(sentence(text) for text in remarks)


def _compared(rows: Iterable[Comparison]) -> Table:
    cells = [
        (
            r.source,
            f"{r.log_evidence:.3f} ± {r.error:.3f}",
            f"{r.log_bayes_factor:.3f} ± {r.log_bayes_factor_error:.3f}",
            probability_in_words(r),
            "" if r.loo is None else f"{r.loo.elpd:.1f} ± {r.loo.error:.1f}",
            r.kass_raftery or "the best",
        )
        for r in rows
    ]
    return Table(COMPARED, tuple(cells))


def _parameters(results: Mapping[str, Result]) -> Table | None:
    """Means and standard deviations, a column for each result; parameters that are shared first.

    None where none is.
    """
    found = {label: result.summaries() for label, result in results.items()}
    names = list(dict.fromkeys(name for own in found.values() for name in own))
    shared = [name for name in names if sum(name in own for own in found.values()) > 1]
    if not shared:
        return None
    ordered = [*shared, *(name for name in names if name not in shared)]
    rows = [
        (
            name,
            *(
                f"{own[name].mean:.4g} ± {own[name].sd:.2g}" if name in own else "–"
                for own in found.values()
            ),
        )
        for name in ordered[:SHOWN_ROWS]
    ]
    return Table(("parameter", *results), tuple(rows), and_more(len(ordered)))


def _pictures(results: Mapping[str, Result], drawer: Drawer) -> Pictures:
    """All results in one corner figure, and beside the same data.

    Legends have the names of models; where these are the same, those of the files.
    """
    if len({result.name for result in results.values()}) < len(results):
        results = {label: replace(result, name=label) for label, result in results.items()}
    alike = len({tuple(result.observed) for result in results.values()}) == 1
    with_data = alike and all(result.observed for result in results.values())
    return drawn(["corner", *(["predictive"] if with_data else [])], results, drawer)
