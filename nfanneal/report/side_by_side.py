"""Tables of one or several results, for a terminal and as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from nfanneal.results.result import Result
from nfanneal.results.summaries import ParameterSummary

OF_ONE = ("mean", "sd", "5 %", "median", "95 %")
SPECIAL = re.compile(r"([&%$#_{}])")
NEGATIVE = re.compile(r"(?<![\w$^{.])-(\d)")
EXPONENT = re.compile(r"([-\d.]+)e([-+]\d+)")


@dataclass(frozen=True)
class Rows:
    """A table of text: what it is of, its head, and rows whose first cell is a name.

    `labels` are the names as they are set in LaTeX.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: Mapping[str, str]


def rows_of(results: Mapping[str, Result]) -> Rows:
    """Of one result its posterior and evidence; of several, one column each."""
    labels = {name: label for r in results.values() for name, label in _labels(r).items()}
    if len(results) == 1:
        (result,) = results.values()
        rows = [(name, *_numbers(s)) for name, s in result.summaries().items()]
        return Rows(_evidence_in_words(result), ("parameter", *OF_ONE), tuple(rows), labels)
    found = [_quantities(result) for result in results.values()]
    names = dict.fromkeys(name for each in found for name in each)
    rows = [(name, *(each.get(name, "") for each in found)) for name in names]
    return Rows("mean ± sd of each result", ("", *results), tuple(rows), labels)


def print_side_by_side(results: Mapping[str, Result], console: Console) -> None:
    """Several results in one table, a column each."""
    rows = rows_of(results)
    table = Table(title=rows.title, title_justify="left")
    table.add_column(rows.head[0])
    for source in rows.head[1:]:
        table.add_column(source, justify="right")
    for row in rows.rows:
        table.add_row(*row)
    console.print(table)


def as_markdown(results: Mapping[str, Result]) -> str:
    """A table of Markdown, with its title above."""
    rows = rows_of(results)
    lines = [rows.head, ("---", *["---:"] * (len(rows.head) - 1)), *rows.rows]
    escaped = ("| " + " | ".join(c.replace("|", r"\|") for c in line) + " |" for line in lines)
    return f"{rows.title}\n\n" + "\n".join(escaped) + "\n"


def as_latex(results: Mapping[str, Result]) -> str:
    """A tabular of LaTeX for booktabs, with its title as a comment."""
    rows = rows_of(results)
    lines = [
        f"% {rows.title}",
        rf"\begin{{tabular}}{{l{'r' * (len(rows.head) - 1)}}}",
        r"\toprule",
        " & ".join(_latex(cell) for cell in rows.head) + r" \\",
        r"\midrule",
        *(
            " & ".join([rows.labels.get(name) or _latex(name), *map(_latex, cells)]) + r" \\"
            for name, *cells in rows.rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def as_csv(results: Mapping[str, Result]) -> str:
    """A row for each result and parameter, as numbers of full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["result", "parameter", "mean", "sd", "q05", "median", "q95", "unit"])
    for source, result in results.items():
        d = result.diagnostics
        evidence = [repr(d.log_evidence), repr(d.log_evidence_error)]
        writer.writerow([source, "log_evidence", *evidence, *[""] * 4])
        for name, s in result.summaries().items():
            numbers = (repr(float(x)) for x in (s.mean, s.sd, s.q05, s.median, s.q95))
            writer.writerow([source, name, *numbers, result.columns.units[name]])
    return out.getvalue()


WRITERS: dict[str, Callable[[Mapping[str, Result]], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
}


def _labels(result: Result) -> dict[str, str]:
    """What LaTeX shows for a parameter whose label is made for it."""
    return {
        p.name: p.label
        for p in result.columns.parameters
        if p.size is None and p.label.count("$") == 2
    }


def _numbers(s: ParameterSummary) -> Sequence[str]:
    return [f"{x:.4g}" for x in (s.mean, s.sd, s.q05, s.median, s.q95)]


def _evidence_in_words(result: Result) -> str:
    d = result.diagnostics
    return f"{result.name}: log-evidence {d.log_evidence:.3f} ± {d.log_evidence_error:.3f}"


def _quantities(result: Result) -> dict[str, str]:
    """What is shown of one of several results, by name."""
    d, counts = result.diagnostics, result.counts
    return {
        "log-evidence": f"{d.log_evidence:.3f} ± {d.log_evidence_error:.3f}",
        "effective draws": f"{d.ess:,.0f}",
        "evaluations": f"{counts.n_likelihood_evaluations:,}",
        "to be trusted": "yes" if result.converged else "no",
        **{name: f"{s.mean:.4g} ± {s.sd:.2g}" for name, s in result.summaries().items()},
    }


def _latex(text: str) -> str:
    """Text and numbers as LaTeX sets them."""
    text = SPECIAL.sub(r"\\\1", text)
    text = EXPONENT.sub(lambda m: rf"${m[1]}\times10^{{{int(m[2])}}}$", text)
    text = NEGATIVE.sub(r"$-$\1", text)
    return text.replace("±", r"$\pm$")
