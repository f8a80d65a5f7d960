"""What pruning did."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from nfanneal.report.summary import _print_warnings, finite
from nfanneal.results.result import Pruning, Result


def pruning_json(result: Result) -> dict[str, Any]:
    """What `nfanneal prune --json` prints; empty if the result was not pruned."""
    p = result.pruning
    if p is None:
        return {}
    return finite(
        {
            "method": p.method,
            "n_changed": len(p.changed),
            "n_samples": len(p.original_log_weight),
            "lost_share": p.lost_share,
            "bias": p.bias,
            "clustered": p.clustered,
            "before": dict(p.before),
            "after": dict(p.after),
            "converged": result.converged,
            "warnings": list(result.warnings),
        }
    )


def print_pruning(result: Result, console: Console) -> None:
    """Print what pruning changed, and what it cost."""
    p = result.pruning
    if p is None:
        return
    verb = {"ess": "dropped", "psis": "smoothed", "truncate": "clipped"}.get(p.method, "changed")
    table = Table(title=f"{result.name}: pruned by {p.method}", title_justify="left")
    for heading in ("", "before", "after"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("log-evidence", *(f"{n['log_evidence']:.4f}" for n in (p.before, p.after)))
    table.add_row("its error", *(f"{n['log_evidence_error']:.4f}" for n in (p.before, p.after)))
    table.add_row("effective sample size", *(f"{n['ess']:.0f}" for n in (p.before, p.after)))
    table.add_row("Pareto k", *(f"{n['pareto_k']:.2f}" for n in (p.before, p.after)))
    console.print(table)
    console.print(
        f"{verb} {len(p.changed)} of {len(p.original_log_weight)} draws, {_cost_of(p)}",
        soft_wrap=True,
    )
    _print_warnings(result, console)


def _cost_of(p: Pruning) -> str:
    rise = p.after["log_evidence"] - p.before["log_evidence"]
    if rise > 0.0:
        return f"which raised the log-evidence by {rise:.4f}"
    return (
        f"with {p.lost_share:.2%} of the weight: this may have lowered the log-evidence by "
        f"{p.bias:.4f}"
    )
