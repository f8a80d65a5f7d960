"""What the terminal shows: tables of a result, and the progress of a run."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.anneal.weights import PARETO_LIMIT
from nfanneal.model.latent import point_in_words
from nfanneal.results.records import Counts
from nfanneal.results.result import Result

SHOWN_PARAMETERS = 40


def summary_json(result: Result) -> dict[str, Any]:
    """The contract of `nfanneal summary --json`; numbers that are not finite become None."""
    d, counts = result.diagnostics, result.counts
    return finite(
        {
            "name": result.name,
            "log_evidence": d.log_evidence,
            "log_evidence_error": d.log_evidence_error,
            "ess": d.ess,
            "ess_fraction": d.ess_fraction,
            "pareto_k": d.pareto_k,
            "largest_weight": d.largest_weight,
            "uncovered_mass": d.uncovered_mass,
            "path_log_evidence": d.path_log_evidence,
            "path_log_evidence_error": d.path_log_evidence_error,
            "n_samples": d.n_samples,
            "n_posterior": len(result.posterior),
            "n_likelihood_evaluations": counts.n_likelihood_evaluations,
            "n_gradient_evaluations": counts.n_gradient_evaluations,
            "n_gradients_dropped": counts.n_gradients_dropped,
            "n_failed": counts.n_failed,
            "failed_fraction": counts.failed_fraction,
            "first_failed": _first_failed(result),
            "wall_time_s": result.provenance.wall_time,
            "converged": result.converged,
            "warnings": list(result.warnings),
            "parameters": {name: vars(s) for name, s in result.summaries().items()},
        }
    )


def finite(value: Any) -> Any:
    """Plain data for JSON: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_summary(result: Result, console: Console) -> None:
    """Print evidence, diagnostics and the parameter table."""
    console.print(_evidence_table(result))
    console.print(_parameter_table(result))
    hidden = len(result.columns.names) - SHOWN_PARAMETERS
    if hidden > 0:
        console.print(f"… and {hidden} more; all of them with --json")
    _print_failures(result, console)
    _print_warnings(result, console)


def _print_warnings(result: Result, console: Console) -> None:
    for text in result.warnings:
        console.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)
    if result.converged:
        console.print(Text("No diagnostic speaks against this result.", style="green"))
    else:
        console.print(Text("Do not trust this result as it is.", style="bold red"))


def _tail_index(k: float) -> str:
    shown = f"{k:.3f}" if round(k, 2) == PARETO_LIMIT else f"{k:.2f}"
    return f"{shown} (good below {PARETO_LIMIT})"


def _evidence_table(result: Result) -> Table:
    d = result.diagnostics
    table = Table(title=result.name, show_header=False, title_justify="left", box=None)
    rows = {
        "log-evidence": f"{d.log_evidence:.4f} ± {d.log_evidence_error:.4f}",
        "  the path's own estimate": f"{d.path_log_evidence:.3f} ± {d.path_log_evidence_error:.3f}",
        "effective sample size": f"{d.ess:.0f} of {d.n_samples} draws ({d.ess_fraction:.1%})",
        "Pareto k of the weights": _tail_index(d.pareto_k),
        "largest share of one draw": f"{d.largest_weight:.2%}",
        "under-covered posterior mass": f"{d.uncovered_mass:.2%} ± {d.uncovered_error:.2%}",
        "likelihood evaluations": _evaluations(result.counts),
        "failed evaluations": _failures(result.counts),
        "wall time": f"{result.provenance.wall_time:.0f} s",
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _first_failed(result: Result) -> dict[str, float] | None:
    """The first θ that the model failed at, by the names of its columns."""
    if not len(result.failed_theta):
        return None
    return dict(zip(result.columns.names, result.failed_theta[0].tolist(), strict=True))


def _evaluations(counts: Counts) -> str:
    gradients = counts.n_gradient_evaluations
    beside = f" and {gradients:,} gradients" if gradients else ""
    return f"{counts.n_likelihood_evaluations:,}{beside}"


def _failures(counts: Counts) -> str:
    share = f" ({100 * counts.failed_fraction:.2g}%)" if counts.n_failed else ""
    return f"{counts.n_failed:,}{share}"


def _print_failures(result: Result, console: Console) -> None:
    """Where the model failed first, and what became of gradients that are not finite."""
    first, dropped = _first_failed(result), result.counts.n_gradients_dropped
    if first is not None:
        where = point_in_words(list(first), list(first.values()))
        console.print(f"The model failed first at {where}", soft_wrap=True, highlight=False)
    if dropped:
        share = 100 * dropped / max(result.counts.n_gradient_evaluations, 1)
        console.print(
            f"{dropped:,} gradients ({share:.2g}%) were not finite and were dropped",
            soft_wrap=True,
            highlight=False,
        )


def _parameter_table(result: Result) -> Table:
    table = Table(title="posterior", title_justify="left")
    table.add_column("parameter")
    for heading in ("mean", "sd", "5 %", "median", "95 %"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    units = result.columns.units
    for name, s in list(result.summaries().items())[:SHOWN_PARAMETERS]:
        numbers = (f"{v:.4g}" for v in (s.mean, s.sd, s.q05, s.median, s.q95))
        table.add_row(name, *numbers, units[name])
    return table
