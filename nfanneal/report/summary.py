"""What the terminal shows: tables of a result, and the progress of a run."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.model.latent import point_in_words
from nfanneal.results.diagnostics import About, listed
from nfanneal.results.modes import find_modes, telling_apart
from nfanneal.results.records import Counts
from nfanneal.results.result import Result
from nfanneal.results.symmetry import in_words, symmetry_as_json
from nfanneal.runs.failures import reasons_in_words

SHOWN_PARAMETERS = 40
SHOWN_MODES = 20
COLUMNS_OF_MODES = 3
"""So many parameters say where a mode is: those that tell the modes apart best."""


def summary_json(result: Result) -> dict[str, Any]:
    """The contract of `nfanneal summary --json`; numbers that are not finite become None."""
    d, counts = result.diagnostics, result.counts
    return finite(
        {
            "name": result.name,
            "log_evidence": d.log_evidence,
            "log_evidence_error": d.log_evidence_error,
            **_numbers(result, About.DRAWS),
            **_numbers(result, About.PATH),
            "n_samples": d.n_samples,
            "n_posterior": len(result.posterior),
            "n_likelihood_evaluations": counts.n_likelihood_evaluations,
            "n_gradient_evaluations": counts.n_gradient_evaluations,
            "n_gradients_dropped": counts.n_gradients_dropped,
            **_numbers(result, About.MODEL),
            "first_failed": _first_failed(result),
            "wall_time_s": result.provenance.wall_time,
            "failures": dict(result.provenance.failures),
            "profile_s": dict(result.provenance.profile),
            "converged": result.converged,
            "warnings": list(result.warnings),
            "symmetry": symmetry_as_json(result.symmetry, result.columns.names),
            "modes": _modes_json(result),
            "parameters": {name: vars(s) for name, s in result.summaries().items()},
        }
    )


def _numbers(result: Result, about: About) -> dict[str, float]:
    return {key: n for entry in listed(about) for key, n in entry.numbers(result).items()}


def _modes_json(result: Result) -> list[dict[str, Any]]:
    modes = find_modes(result)
    names = result.columns.names
    return [
        {"mass": mass, "mass_error": error, "means": dict(zip(names, mean, strict=True))}
        for mass, error, mean in zip(
            modes.masses.tolist(), modes.errors.tolist(), modes.means.tolist(), strict=True
        )
    ]


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
    _print_modes(result, console)
    _print_symmetry(result, console)
    _print_failures(result, console)
    _print_warnings(result, console)


def _print_modes(result: Result, console: Console) -> None:
    """The posterior's modes, where there are several: their masses, and where they are."""
    modes = find_modes(result)
    count = len(modes.masses)
    if count == 1:
        return
    told = sorted(telling_apart(result, modes)[:COLUMNS_OF_MODES])
    table = Table(title=f"{count} modes", title_justify="left")
    table.add_column("mass", justify="right")
    for column in told:
        table.add_column(f"mean {result.columns.names[column]}", justify="right")
    for mass, error, mean in list(zip(modes.masses, modes.errors, modes.means, strict=True))[
        :SHOWN_MODES
    ]:
        table.add_row(f"{mass:.3f} ± {error:.3f}", *(f"{mean[column]:.4g}" for column in told))
    console.print(table)
    if count > SHOWN_MODES:
        console.print(f"… and {count - SHOWN_MODES} more; all of them with --json")


def _print_symmetry(result: Result, console: Console) -> None:
    """What can be exchanged without a difference."""
    if result.symmetry is None:
        return
    for text in in_words(result.symmetry, result.columns.names):
        console.print(f"Symmetry: {text}", soft_wrap=True, highlight=False, markup=False)


def _print_warnings(result: Result, console: Console) -> None:
    for text in result.warnings:
        console.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)
    if result.converged:
        console.print(Text("No diagnostic speaks against this result.", style="green"))
    else:
        console.print(Text("Do not trust this result as it is.", style="bold red"))


def _evidence_table(result: Result) -> Table:
    d = result.diagnostics
    table = Table(title=result.name, show_header=False, title_justify="left", box=None)
    path, draws, model = (
        [entry.on_terminal(result) for entry in listed(about)]
        for about in (About.PATH, About.DRAWS, About.MODEL)
    )
    rows = [
        ("log-evidence", f"{d.log_evidence:.4f} ± {d.log_evidence_error:.4f}"),
        *path,
        *draws,
        ("likelihood evaluations", _evaluations(result.counts)),
        *model,
        ("wall time", f"{result.provenance.wall_time:.0f} s"),
    ]
    for name, text in rows:
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


def _print_failures(result: Result, console: Console) -> None:
    """Where the model failed first, and what became of gradients that are not finite."""
    first, dropped = _first_failed(result), result.counts.n_gradients_dropped
    if why := result.provenance.failures:
        console.print(f"It failed: {reasons_in_words(why)}", soft_wrap=True, highlight=False)
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


def print_profile(result: Result, console: Console) -> None:
    """Seconds of a run by activity, and their shares."""
    profile = result.provenance.profile
    total = sum(profile.values()) or 1.0
    table = Table("activity", box=None, header_style="bold")
    for heading in ("s", "share"):
        table.add_column(heading, justify="right")
    for doing, seconds in profile.items():
        table.add_row(doing, f"{seconds:.1f}", f"{seconds / total:.0%}")
    console.print(table)
