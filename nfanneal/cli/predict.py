"""`nfanneal predict`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from nfanneal.arrays import Array
from nfanneal.cli.files import refuse_existing, write_text
from nfanneal.cli.words import nearest_word
from nfanneal.cli.workers import model_option, workers_option
from nfanneal.model.executors.choice import Workers
from nfanneal.model.problem import Problem
from nfanneal.results import store
from nfanneal.results.export import predictions_as_csv
from nfanneal.results.petab_simulation import petab_simulation
from nfanneal.results.predict import (
    at_rest,
    predict,
    prior_draws,
    spans_of,
    starts_of,
    thinned_posterior,
)
from nfanneal.results.rebuild import revived_problem
from nfanneal.results.result import Prediction, Result
from nfanneal.results.times import (
    DECLARED,
    MINDS,
    POINTS,
    between_data,
    minds_times,
    only_at_data,
)
from nfanneal.runtime.threads import set_threads

MOST_POINTS = 100_000


@click.command("predict", epilog="Example: nfanneal predict model.h5 --times 0:30:0.5 --prior")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--times", "wanted", metavar="START:STOP[:STEP]|a,b,…",
    help="When to predict; 200 times where no step is given. [200 times over the data's]",
)  # fmt: skip
@click.option("--observables", metavar="a,b", help="Which to write. [all]")
@click.option("--prior", is_flag=True, help="Predict from the prior too.")
@click.option(
    "-n", "count", type=click.IntRange(min=2), default=1000, show_default=True,
    help="Draws, at most.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="New file; the CSV goes beside it. [RESULT.predictions.h5]",
)  # fmt: skip
@click.option(
    "--petab", type=click.Path(path_type=Path), metavar="PROBLEM.yaml",
    help="Write PEtab's table of simulations of this problem too, at the best draw.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@model_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use. [all cores]")
@workers_option
@click.option("--force", is_flag=True, help="Overwrite the new files.")
def command(
    result: Path,
    wanted: str | None,
    observables: str | None,
    prior: bool,
    count: int,
    output: Path | None,
    petab: Path | None,
    seed: int,
    model: Path | None,
    threads: int | None,
    workers: Workers | None,
    force: bool,
) -> None:
    """Predict trajectories of the observables from RESULT, without noise and with it.

    Writes a copy of RESULT with the group /predictions (and /prior_predictions), and a CSV of
    means, standard deviations and quantiles at each time. With --petab, also .simulations.tsv: the
    problem's table of measurements with what the model says in place of each.
    """
    output = output or result.with_suffix(".predictions.h5")
    if output.suffix == ".csv":
        raise click.UsageError(f"-o {output}: name the HDF5 file; the CSV goes beside it")
    table = output.with_suffix(".csv")
    simulations = [] if petab is None else [output.with_suffix(".simulations.tsv")]
    for path in (output, table, *simulations):
        refuse_existing(path, force, result)
    found = store.read(result)
    set_threads(threads)
    problem = revived_problem(found, model, workers)
    rng = np.random.default_rng(seed)
    drawn = {"predictions": thinned_posterior(found, count, rng)}
    times = _from_start(
        _times(wanted, found, problem, drawn["predictions"]), starts_of(found, problem), observables
    )
    if prior:
        drawn["prior_predictions"] = prior_draws(problem, count, rng)
    groups = {
        name: _chosen(
            predict(problem, theta, times, rng, counts_at_data=wanted is None), observables
        )
        for name, theta in drawn.items()
    }
    simulated = [] if petab is None else [petab_simulation(found, problem, petab)]
    store.write(found, output, groups)
    write_text(table, predictions_as_csv(groups))
    for path, text in zip(simulations, simulated, strict=True):
        write_text(path, text)
    if at_rest(found, problem):
        click.echo(
            "data at time inf: no trajectory gets there; what is predicted for them is in the "
            "result (posterior_predictive)",
            err=True,
        )
    for path in (output, table, *simulations):
        click.echo(f"written to {path}", err=True)


def _times(wanted: str | None, found: Result, problem: Problem, theta: Array) -> dict[str, Array]:
    """Increasing times of each experiment: those that are wanted, or over its data's.

    Raises:
        click.UsageError: the model knows of its data's times only, and others are wanted.
    """
    if wanted is None:
        times, why = between_data(found, problem, theta)
        if why:
            click.echo(f"Note: predicted at the times of the data alone: {why}", err=True)
        return times
    if only_at_data(found):
        raise click.UsageError(f"--times: {DECLARED}")
    times = dict.fromkeys(spans_of(found, problem), _times_in(wanted))
    if minds_times(found, problem, theta, times):
        click.echo(
            f"Warning: {MINDS}; what is written is not what was fitted to the data", err=True
        )
    return times


def _times_in(wanted: str) -> Array:
    """Increasing times from START:STOP, START:STOP:STEP or a list.

    Raises:
        click.UsageError: the text is neither.
    """
    try:
        if ":" in wanted:
            start, stop, *steps = (float(text) for text in wanted.split(":"))
            (step,) = steps or [(stop - start) / (POINTS - 1)]
            if not stop > start and not steps:
                raise ValueError
            size = (stop - start) / step
            if size > MOST_POINTS:
                raise click.UsageError(f"--times: more than {MOST_POINTS:,} times")
            if size < 0:
                raise ValueError
            return np.asarray(start + step * np.arange(int(size + 1e-9) + 1))
        times = np.array([float(text) for text in wanted.split(",")])
    except (ValueError, ZeroDivisionError):
        raise click.UsageError(
            f"--times: '{wanted}' is neither START:STOP, START:STOP:STEP nor a list of times"
        ) from None
    if not np.isfinite(times).all():
        raise click.UsageError("--times must be finite")
    return np.unique(times)


def _from_start(
    times: Mapping[str, Array], starts: Mapping[str, float], wanted: str | None
) -> dict[str, Array]:
    """The times, but for those before the start of an experiment that nobody asks for.

    An ODE model has no values before those it starts from.
    """
    asked = [text.strip() for text in (wanted or "").split(",")]
    in_all = any(not text.endswith("]") for text in asked)
    found = dict(times)
    for name, start in starts.items():
        if not (in_all or any(text.endswith(f"[{name}]") for text in asked)):
            found[name] = times[name][times[name] >= start]
        elif len(times[name]) and times[name][0] < start:
            where = f" of {name}" if name else ""
            raise click.UsageError(
                f"--times: {times[name][0]:g} lies before {start:g}, where the model{where} "
                "starts (model.start)"
            )
    return found


def _chosen(all_of: Mapping[str, Prediction], wanted: str | None) -> dict[str, Prediction]:
    """The observables that are wanted: in all experiments, or in one as in gfp[control]."""
    if wanted is None:
        return dict(all_of)
    names = [name.strip() for name in wanted.split(",")]
    chosen: dict[str, Prediction] = {}
    for name in names:
        found = {key: all_of[key] for key in all_of if name in (key, key.partition("[")[0])}
        if not found:
            raise click.UsageError(f"no observable '{name}'{nearest_word(name, all_of)}")
        chosen |= found
    return chosen
