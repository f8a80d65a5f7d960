"""Runs that were combined, and whether they agree."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from nfanneal.report.summary import finite, print_summary, summary_json
from nfanneal.results.result import Result


def combination_json(result: Result) -> dict[str, Any]:
    """What `nfanneal combine --json` prints: the summary, and how the runs agree."""
    c = result.combination
    if c is None:
        return summary_json(result)
    agreement = {
        "runs": [
            {"file": file, "log_evidence": float(value), "log_evidence_error": float(error)}
            for file, value, error in zip(
                result.provenance.sources, c.log_evidences, c.errors, strict=True
            )
        ],
        "chi_square": c.chi_square,
        "p_value": c.p_value,
    }
    return summary_json(result) | finite(agreement)


def print_combination(result: Result, console: Console) -> None:
    """Print the runs' log-evidences, whether they agree, and the pooled summary."""
    c = result.combination
    if c is not None:
        table = Table(title="runs", title_justify="left")
        table.add_column("file")
        table.add_column("log-evidence", justify="right")
        for file, value, error in zip(
            result.provenance.sources, c.log_evidences, c.errors, strict=True
        ):
            table.add_row(file, f"{value:.4f} ± {error:.4f}")
        console.print(table)
        console.print(
            f"spread against errors: chi-square {c.chi_square:.2f} with "
            f"{len(c.errors) - 1} degrees of freedom, p = {c.p_value:.2g}"
        )
    print_summary(result, console)
