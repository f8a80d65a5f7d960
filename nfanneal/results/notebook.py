"""A result as a notebook shows it: HTML without style of its own."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Protocol

from nfanneal.results.diagnosis import Diagnostics
from nfanneal.results.records import Columns
from nfanneal.results.summaries import ParameterSummary

SHOWN = 40
"""Parameters."""
HEAD = ("parameter", "mean", "sd", "5 %", "median", "95 %", "unit")


class Shown(Protocol):
    """What is shown of a result."""

    @property
    def name(self) -> str:
        """Of the problem."""
        ...

    @property
    def diagnostics(self) -> Diagnostics:
        """Evidence and what speaks for it."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against it."""
        ...

    @property
    def columns(self) -> Columns:
        """The parameters."""
        ...

    def summaries(self) -> dict[str, ParameterSummary]:
        """Of every column of θ."""
        ...


def as_html(result: Shown) -> str:
    """Verdict, evidence and the parameters of a result; everything of the user's is escaped."""
    d, summaries = result.diagnostics, result.summaries()
    verdict = (
        "<p>No diagnostic speaks against this result.</p>"
        if not result.warnings
        else "<p><b>Do not trust this result as it is:</b></p><ul>"
        + "".join(f"<li>{escape(text)}</li>" for text in result.warnings)
        + "</ul>"
    )
    hidden = len(summaries) - SHOWN
    more = f"<p>… and {hidden} more parameters</p>" if hidden > 0 else ""
    return (
        f"<div><p><b>{escape(result.name)}</b>: log-evidence {d.log_evidence:.4f} ± "
        f"{d.log_evidence_error:.4f}; {d.ess:,.0f} of {d.n_samples:,} draws are effective</p>"
        f"{_table(summaries, result.columns.units)}{more}{verdict}</div>"
    )


def _table(summaries: Mapping[str, ParameterSummary], units: Mapping[str, str]) -> str:
    head = "".join(f"<th>{text}</th>" for text in HEAD)
    rows = [
        (name, *(f"{x:.4g}" for x in (s.mean, s.sd, s.q05, s.median, s.q95)), units[name])
        for name, s in list(summaries.items())[:SHOWN]
    ]
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
