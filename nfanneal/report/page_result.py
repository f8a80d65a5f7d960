"""What the page says of one result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from nfanneal.report.citation import bibtex, methods_paragraph, references
from nfanneal.report.page_figures import Drawer, pictures_of
from nfanneal.report.page_parts import Fact, Part, Table, Verdict
from nfanneal.report.quantities import counted, duration, sentence
from nfanneal.report.summary import SHOWN_MODES
from nfanneal.results.diagnostics import Assessment, Mark, assess
from nfanneal.results.identity import result_identity
from nfanneal.results.modes import find_modes, telling_apart
from nfanneal.results.result import Result
from nfanneal.results.symmetry import in_words
from nfanneal.runs.failures import reasons_in_words
from nfanneal.spec.portable import portable_command, portable_yaml, without_folders

SHOWN_ROWS = 200
"""Parameters that a table has at most."""
COLUMNS_OF_MODES = 4
"""So many parameters say where a mode is: those that tell the modes apart best."""


def part_of(label: str, result: Result, drawer: Drawer) -> Part:
    """Everything about one result, whose figures the drawer draws."""
    checks = tuple(_portable(row) for row in assess(result, result.warnings))
    return Part(
        ident=drawer.ident,
        label=label,
        name=result.name,
        verdict=verdict_of(result, checks),
        facts=tuple(_facts(result)),
        parameters=_parameters(result),
        modes=_modes(result),
        symmetry=_symmetry(result),
        checks=checks,
        pictures=pictures_of(label, result, drawer),
        methods=methods_paragraph(result),
        references=references(result),
        bibtex=bibtex(result),
        origin=tuple(_origin(result)),
        spec=portable_yaml(result.spec_yaml),
    )


def verdict_of(result: Result, checks: tuple[Assessment, ...]) -> Verdict:
    """Whether to trust the result, by the sentences that its exit code rests on."""
    looks = tuple(row.name for row in checks if row.mark is Mark.LOOK)
    if not result.converged:
        n = len(result.warnings)
        return Verdict(
            trusted=False,
            headline="Not to be trusted as it is",
            explanation=f"{counted(n, 'diagnostic')} {'speaks' if n == 1 else 'speak'} against it:",
            reasons=tuple(sentence(without_folders(text)) for text in result.warnings),
            looks=looks,
            advice="Do what is said there, and run it again; the numbers below are what was found, "
            "not what is true.",
        )
    beside = (
        f"; {counted(len(looks), 'number')} {'is' if len(looks) == 1 else 'are'} worth a look, "
        "which changes nothing about that"
    )
    return Verdict(
        trusted=True,
        headline="To be trusted",
        explanation=f"No diagnostic speaks against this result{beside if looks else ''}.",
        reasons=(),
        looks=looks,
        advice="No diagnostic sees a mode that nothing ever hit: a run with another seed that "
        "agrees is the best check of all."
        if result.combination is None
        else "",
    )


def _portable(row: Assessment) -> Assessment:
    return replace(row, told=sentence(without_folders(row.told)))


def _facts(result: Result) -> Iterator[Fact]:
    """The numbers that are looked at first."""
    d, counts, made = result.diagnostics, result.counts, result.provenance
    yield Fact("log-evidence", f"{d.log_evidence:.3f} ± {d.log_evidence_error:.3f}",
               "natural logarithm, one standard error")  # fmt: skip
    yield Fact("effective sample size", f"{d.ess:,.0f}",
               f"of {counted(d.n_samples, 'draw')} ({d.ess_fraction:.1%})")  # fmt: skip
    gradients = counts.n_gradient_evaluations
    yield Fact("cost", f"{counts.n_likelihood_evaluations:,}",
               "likelihood evaluations"
               + (f" and {counted(gradients, 'gradient')}" if gradients else ""))  # fmt: skip
    yield Fact("time", duration(made.wall_time), _when(made.finished) or "wall clock")


def _when(finished: str) -> str:
    """The day in words; empty if it is not known."""
    try:
        return f"{datetime.fromisoformat(finished):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""


def _parameters(result: Result) -> Table:
    """A row for each column of θ; the label only where it is no LaTeX and says something else."""
    labels = {
        name: "" if "$" in p.label or p.label == p.name else p.label
        for p in result.columns.parameters
        for name in p.names
    }
    units = result.columns.units
    rows = [
        (
            name + (f" ({labels[name]})" if labels[name] else ""),
            *(f"{x:.4g}" for x in (s.mean, s.sd, s.q05, s.median, s.q95)),
            units[name],
        )
        for name, s in list(result.summaries().items())[:SHOWN_ROWS]
    ]
    head = ("parameter", "mean", "sd", "5 %", "median", "95 %", "unit")
    return Table(head, tuple(rows), and_more(len(units)))


def and_more(n: int) -> str:
    """How many of n parameters the table leaves out, and where they are; empty if none."""
    hidden = n - SHOWN_ROWS
    return f"{hidden:,} more are in `nfanneal summary --json`" if hidden > 0 else ""


def _modes(result: Result) -> Table | None:
    """The masses of the posterior's modes, and where they are; None if there is but one."""
    modes = find_modes(result)
    if len(modes.masses) == 1:
        return None
    told = sorted(telling_apart(result, modes)[:COLUMNS_OF_MODES])
    names = result.columns.names
    rows = [
        (
            f"{i + 1}",
            f"{modes.masses[i]:.3f} ± {modes.errors[i]:.3f}",
            *(f"{modes.means[i][c]:.4g}" for c in told),
        )
        for i in range(min(len(modes.masses), SHOWN_MODES))
    ]
    return Table(("mode", "mass", *(f"mean of {names[c]}" for c in told)), tuple(rows))


def _symmetry(result: Result) -> tuple[str, ...]:
    """What can be exchanged without a difference."""
    if result.symmetry is None:
        return ()
    return tuple(in_words(result.symmetry, result.columns.names))


def _origin(result: Result) -> Iterator[Fact]:
    """How, when and where the result came to be."""
    made = result.provenance
    if made.command:
        yield Fact("command", portable_command(made.command))
    if made.origin != "run":
        sources = ", ".join(without_folders(source) for source in made.sources)
        yield Fact("made by", f"nfanneal {made.origin}" + (f" of {sources}" if sources else ""))
    yield Fact("seed", str(made.seed))
    if made.finished:
        yield Fact("date", _when(made.finished))
    if made.host:
        yield Fact("host", made.host)
    yield Fact("versions", ", ".join(f"{name} {number}" for name, number in made.versions.items()))
    cells = result_identity(result).cells
    if cells:
        yield Fact("data", f"SHA-256 {cells} of times and values")
    if made.failures:
        yield Fact("failures", without_folders(reasons_in_words(made.failures)))
