"""What the terminal shows: tables of a result, and the progress of a run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from nfanneal.anneal.progress import Activity, Event, LevelInfo
from nfanneal.anneal.weights import PARETO_LIMIT
from nfanneal.model.priors import point_in_words
from nfanneal.results.compare import Comparison
from nfanneal.results.result import Pruning, Result

SHOWN_LEVELS = 12
SHOWN_PARAMETERS = 40


def summary_json(result: Result) -> dict[str, Any]:
    """The contract of `nfanneal summary --json`; numbers that are not finite become None."""
    d = result.diagnostics
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
            "n_likelihood_evaluations": result.n_likelihood_evaluations,
            "n_gradient_evaluations": result.n_gradient_evaluations,
            "n_gradients_dropped": result.n_gradients_dropped,
            "n_failed": result.n_failed,
            "failed_fraction": result.n_failed / max(result.n_likelihood_evaluations, 1),
            "first_failed": _first_failed(result),
            "wall_time_s": result.wall_time,
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
    if len(result.column_names) > SHOWN_PARAMETERS:
        hidden = len(result.column_names) - SHOWN_PARAMETERS
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
        "likelihood evaluations": f"{result.n_likelihood_evaluations:,}"
        + (
            f" and {result.n_gradient_evaluations:,} gradients"
            if result.n_gradient_evaluations
            else ""
        ),
        "failed evaluations": _failures(result),
        "wall time": f"{result.wall_time:.0f} s",
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _first_failed(result: Result) -> dict[str, float] | None:
    """The first θ that the model failed at, by the names of its columns."""
    if not len(result.failed_theta):
        return None
    return dict(zip(result.column_names, result.failed_theta[0].tolist(), strict=True))


def _failures(result: Result) -> str:
    share = result.n_failed / max(result.n_likelihood_evaluations, 1)
    return f"{result.n_failed:,}" + (f" ({100 * share:.2g}%)" if result.n_failed else "")


def _print_failures(result: Result, console: Console) -> None:
    """Where the model failed first, and what became of gradients that are not finite."""
    first, dropped = _first_failed(result), result.n_gradients_dropped
    if first is not None:
        where = point_in_words(list(first), list(first.values()))
        console.print(f"The model failed first at {where}", soft_wrap=True, highlight=False)
    if dropped:
        share = 100 * dropped / max(result.n_gradient_evaluations, 1)
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
    units = result.column_units
    for name, s in list(result.summaries().items())[:SHOWN_PARAMETERS]:
        numbers = (f"{v:.4g}" for v in (s.mean, s.sd, s.q05, s.median, s.q95))
        table.add_row(name, *numbers, units[name])
    return table


def level_line(info: LevelInfo) -> str:
    """One plain line about a level."""
    rate = info.n_evaluations / info.seconds if info.seconds > 0 else 0.0
    return (
        f"level {info.level:3d}  beta {info.beta:9.3e}  ESS {info.truncated_ess:6.1%}  "
        f"log Z(beta) {info.log_evidence:11.3f}  evaluations {info.n_evaluations:9,d} "
        f"({rate:,.0f}/s)  {info.seconds:6.1f} s"
    )


class PlainProgress:
    """One line per level, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        """Show a level; pass over activities."""
        if isinstance(event, LevelInfo):
            self._console.print(level_line(event), soft_wrap=True, highlight=False)


class LiveProgress:
    """A table of the last levels and what is being done now, redrawn in place."""

    def __init__(self, console: Console, name: str) -> None:
        self._levels: list[LevelInfo] = []
        self._name = name
        self._start = time.perf_counter()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("elapsed {task.fields[elapsed]:.0f} s"),
        )
        self._task = self._progress.add_task("starting", total=1, elapsed=0.0)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4)

    def __enter__(self) -> LiveProgress:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.update(self._task, visible=False)
        self._live.__exit__(None, None, None)

    def __call__(self, event: Event) -> None:
        """Take in a level or an activity."""
        elapsed = time.perf_counter() - self._start
        if isinstance(event, LevelInfo):
            self._levels.append(event)
        elif isinstance(event, Activity):
            self._progress.update(
                self._task,
                description=event.doing,
                completed=event.done,
                total=max(event.total, 1),
                elapsed=elapsed,
            )

    def _render(self) -> Group:
        table = Table(title=self._name, title_justify="left")
        for heading in ("level", "beta", "ESS", "log Z(beta)", "evaluations", "per second", "s"):
            table.add_column(heading, justify="right")
        for info in self._levels[-SHOWN_LEVELS:]:
            rate = info.n_evaluations / max(info.seconds, 1e-9)
            table.add_row(
                str(info.level),
                f"{info.beta:.3e}",
                f"{info.truncated_ess:.1%}",
                f"{info.log_evidence:.3f}",
                f"{info.n_evaluations:,}",
                f"{rate:,.0f}",
                f"{info.seconds:.1f}",
            )
        return Group(table, self._progress)


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


def combination_json(result: Result) -> dict[str, Any]:
    """What `nfanneal combine --json` prints: the summary, and how the runs agree."""
    c = result.combination
    if c is None:
        return summary_json(result)
    agreement = {
        "runs": [
            {"file": file, "log_evidence": float(value), "log_evidence_error": float(error)}
            for file, value, error in zip(result.sources, c.log_evidences, c.errors, strict=True)
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
        for file, value, error in zip(result.sources, c.log_evidences, c.errors, strict=True):
            table.add_row(file, f"{value:.4f} ± {error:.4f}")
        console.print(table)
        console.print(
            f"spread against errors: chi-square {c.chi_square:.2f} with "
            f"{len(c.errors) - 1} degrees of freedom, p = {c.p_value:.2g}"
        )
    print_summary(result, console)


def comparison_json(rows: Sequence[Comparison]) -> dict[str, Any]:
    """What `nfanneal compare --json` prints."""
    models = [{**vars(r), "loo": None if r.loo is None else vars(r.loo)} for r in rows]
    return {"models": [finite(model) for model in models]}


def print_comparison(rows: Sequence[Comparison], console: Console) -> None:
    """Print the models, that of the largest evidence first."""
    table = Table(title="models of the same data, the largest evidence first", title_justify="left")
    table.add_column("result", overflow="fold")
    for heading in ("log-evidence", "log Bayes f.", "probability", "LOO elpd"):
        table.add_column(heading, justify="right", no_wrap=True)
    best, *others = rows
    for r in rows:
        table.add_row(
            r.source if r.trusted else f"{r.source} (!)",
            f"{r.log_evidence:.3f} ± {r.error:.3f}",
            "" if r is best else f"{r.log_bayes_factor:.3f} ± {r.log_bayes_factor_error:.3f}",
            f"{r.probability:.3f} ± {r.probability_error:.3f}",
            "" if r.loo is None else f"{r.loo.elpd:.1f} ± {r.loo.error:.1f}",
        )
    console.print(table)
    for r in others:
        console.print(
            f"{best.source} over {r.source}: {r.kass_raftery} (Kass & Raftery), "
            f"{r.jeffreys} (Jeffreys)",
            soft_wrap=True,
        )
    if len({r.prior_probability for r in rows}) > 1:
        shown = ", ".join(f"{r.source} {r.prior_probability:.3g}" for r in rows)
        console.print(f"prior probabilities: {shown}", soft_wrap=True)
    for text in comparison_warnings(rows):
        console.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)


def comparison_warnings(rows: Sequence[Comparison]) -> list[str]:
    """What speaks against a comparison."""
    found = [
        f"{r.source} is not to be trusted: see `nfanneal summary {r.source}`"
        for r in rows
        if not r.trusted
    ]
    found += [
        f"{r.source}: leave-one-out is unsure at {r.loo.n_bad} data (Pareto k)"
        for r in rows
        if r.loo is not None and r.loo.n_bad
    ]
    if not all(r.has_data for r in rows):
        found.append(
            "not all of the results hold data (a Python log_likelihood has its own): see to it "
            "yourself that they are the same"
        )
    elif all(r.loo is None for r in rows):
        found.append("no leave-one-out without ArviZ: pip install 'nfanneal[arviz]'")
    return found


def _best_and_median(report: Mapping[str, Any]) -> str:
    best, median = report["best_log_likelihood"], report["median_log_likelihood"]
    return "finite nowhere" if best is None else f"{best:.4g} / {median:.4g}"


def print_check(report: Mapping[str, Any], console: Console) -> None:
    """Print what `nfanneal check` found."""
    table = Table(show_header=False, box=None)
    gradients, stiff = report["gradients_per_second"], report["stiff_fraction"]
    rows = {
        "parameters": ", ".join(report["parameters"]),
        "data": f"{report['n_data']} cells" if report["n_data"] else "none (the model's own)",
        "evaluations per second": f"{report['evaluations_per_second']:,.0f}",
        "gradients per second": f"{gradients:,.0f}" if gradients else "no gradient",
        "failed": f"{report['failed_fraction']:.1%} of {report['n_draws']} prior draws",
        "stiff": "" if stiff is None else f"{stiff:.1%} of the trajectories",
        "zero likelihood": f"{report['zero_fraction']:.1%}",
        "log-likelihood, best / median": _best_and_median(report),
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, text)
    console.print(table)
    for text in report["warnings"]:
        console.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)
