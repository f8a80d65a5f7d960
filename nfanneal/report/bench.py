"""What the terminal and scripts are told of a bench."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nfanneal.bench.samplers.ratios import Ratio, geometric_mean
from nfanneal.bench.samplers.results import Bench, Run, Score
from nfanneal.report.summary import finite

EVIDENCE = ("log-evidence", "spread", "s", "s to sd 0.1")
DRAWS = ("ESS", "ESS/s", "distance", "calls", "gradients")


def bench_json(bench: Bench) -> dict[str, Any]:
    """Everything: per run, per sampler, settings, versions, machine."""
    found = {key: value for key, value in asdict(bench).items() if key not in ("runs", "scores")}
    found["trusted"] = bench.trusted
    found["samplers"] = {score.sampler: _score_json(score) for score in bench.scores}
    found["runs"] = [_run_json(run) for run in bench.runs]
    plain: dict[str, Any] = finite(found)
    return plain


def _score_json(score: Score) -> dict[str, Any]:
    return {key: value for key, value in asdict(score).items() if key != "sampler"}


def _run_json(run: Run) -> dict[str, Any]:
    keys = ("seconds", "beta", "log_evidence")
    path = [dict(zip(keys, step, strict=True)) for step in run.path]
    return {**asdict(run), "outcome": str(run.outcome), "path": path}


def run_line(run: Run) -> str:
    """One plain line about a run that has ended."""
    start = f"{run.sampler:<18} seed {run.seed:<4d}"
    if not run.done:
        time = "" if math.isnan(run.seconds) else f" after {run.seconds:.1f} s"
        return f"{start}  {run.outcome}{time}: {run.message}"
    error = f"± {run.error:.3f}" if math.isfinite(run.error) else " " * 7
    return (
        f"{start}  log Z {run.log_evidence:11.3f} {error}  ESS {run.ess:8,.0f}  "
        f"calls {run.n_likelihood:10,d}  {run.seconds:7.1f} s"
    )


def print_bench(bench: Bench, console: Console) -> None:
    """Print what evidence and draws of each sampler cost, and what is to be said of it."""
    console.print(_table(_title(bench), EVIDENCE, bench.scores, _evidence_cells))
    console.print(_table("draws and calls", DRAWS, bench.scores, _draws_cells))
    for score in bench.scores:
        for note in score.notes:
            console.print(f"{score.sampler}: {note}", soft_wrap=True, highlight=False)
    _print_trust(bench, console)


def ratios_json(found: Sequence[Ratio]) -> list[dict[str, Any]]:
    """The table of ratios, a row for each problem."""
    rows: list[dict[str, Any]] = finite([asdict(ratio) for ratio in found])
    return rows


def print_ratios(found: Sequence[Ratio], console: Console) -> None:
    """Print how nfanneal stands beside the best rival on each problem."""
    table = Table(title="nfanneal beside the best rival on each problem", title_justify="left")
    table.add_column("problem", overflow="fold")
    for heading in ("s to sd 0.1", "× rival", "ESS/s", "× rival", "calls"):
        table.add_column(heading, justify="right")
    for ratio in found:
        table.add_row(
            ratio.problem,
            _number(ratio.seconds, ".1f"),
            f"{_number(ratio.faster, '.1f')} {ratio.rival}".strip(),
            _number(ratio.ess_rate, ",.1f"),
            f"{_number(ratio.more, '.1f')} {ratio.ess_rival}".strip(),
            _number(ratio.calls, ",.0f"),
        )
    means = [geometric_mean([getattr(r, name) for r in found]) for name in ("faster", "more")]
    table.add_section()
    first, second = (_number(mean, ".1f") for mean in means)
    table.add_row("geometric mean", "", first, "", second, "")
    console.print(table)


def _title(bench: Bench) -> str:
    repeats = f"{len(bench.seeds)} run{'s' if len(bench.seeds) > 1 else ''} each"
    threads = f"{bench.threads} thread{'s' if bench.threads > 1 else ''}"
    return f"{bench.name}: {bench.dimension} parameters, {repeats}, {threads}"


def _table(
    title: str,
    headings: Sequence[str],
    scores: Sequence[Score],
    cells: Callable[[Score], Sequence[str]],
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("sampler", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for score in scores:
        table.add_row(score.sampler, *(cells(score) if score.n_done else ["none"]))
    return table


def _evidence_cells(score: Score) -> Sequence[str]:
    evidence, error = _number(score.log_evidence, ".3f"), _number(score.error, ".3f")
    return (
        f"{evidence} ± {error}" if evidence and error else evidence,
        _number(score.spread, ".3f"),
        _number(score.seconds, ".1f"),
        _number(score.seconds_to_wanted_sd, ".1f"),
    )


def _draws_cells(score: Score) -> Sequence[str]:
    return (
        _number(score.ess, ",.0f"),
        _number(score.ess_per_second, ",.1f"),
        _number(score.distance, ".3f"),
        _number(score.n_likelihood, ",.0f"),
        _number(score.n_gradient, ",.0f") if score.n_gradient else "",
    )


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else ""


def _print_trust(bench: Bench, console: Console) -> None:
    if bench.trusted:
        return
    reason = (
        "no run of nfanneal ended well: there is no reference for the distances"
        if bench.reference is None
        else "no run of nfanneal is to be trusted, and the distances are to its draws"
    )
    console.print(Text.assemble(("Warning: ", "bold yellow"), reason), soft_wrap=True)
