"""A result's problem again: its likelihood rebuilt from the file, its proposal, predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.final_draws import final_draws, refuse_zero
from nfanneal.anneal.proposals.stored import Proposal, restored
from nfanneal.anneal.weights import effective_sample_size, normalized, systematic_resample
from nfanneal.errors import ModelError, ResultError
from nfanneal.model.likelihood import DataLikelihood
from nfanneal.model.ode_model import OdeSimulator
from nfanneal.model.problem import Problem
from nfanneal.results.result import (
    ObservedData,
    Prediction,
    Result,
    WeightedDraws,
    equal_weight_indices,
    joined,
    rediagnosed,
    warnings_of,
)
from nfanneal.runs.estimate import observed_at
from nfanneal.spec import CheckedSpec, PythonSpec, spec_from_text, within
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.table import Observations

Array = NDArray[np.float64]

BATCH = 10_000
RECHECKED = 16
"""So many stored draws are evaluated again to see that a Python file is the result's model."""
SAME = 1e-6
"""Relative difference of log-likelihoods that may come from another machine's rounding."""
MOST_PER_DRAW = 100
"""Equal-weight draws cost at most so many draws of the proposal each."""


def checked_spec(result: Result, model_file: Path | None = None) -> CheckedSpec:
    """The spec that a result was made from.

    Raises:
        ResultError: the model is a Python file and none was given: no file is run because a
            result names it.
    """
    checked = spec_from_text(result.spec_yaml)
    if not isinstance(checked.spec.model, PythonSpec):
        if model_file is not None:
            raise ResultError(
                f"--model {model_file}: the model is an ODE, which the result holds itself"
            )
        return checked
    if model_file is None:
        raise ResultError(
            f"the model is the Python file '{checked.spec.model.file}', which runs only if you "
            "name it: --model FILE"
        )
    if not model_file.is_file():
        raise ResultError(f"--model {model_file}: no such file")
    return spec_from_text(result.spec_yaml, overrides=[f"model.file={model_file.resolve()}"])


def revived_problem(result: Result, model_file: Path | None = None) -> Problem:
    """The problem of a result, with the data that the result holds.

    Raises:
        ResultError: a Python model, and no file was given or another model's.
        ModelError: the Python model cannot be imported.
    """
    checked = checked_spec(result, model_file)
    problem = build_problem(checked, _observations(checked, result) if result.observed else None)
    if model_file is not None:
        refuse_other_model(result, problem, model_file)
    return problem


def refuse_other_model(result: Result, problem: Problem, model_file: Path) -> None:
    """The model must give the log-likelihoods that the result holds, at a few of its draws.

    Raises:
        ResultError: it does not.
    """
    difference = first_difference(result, problem)
    if difference:
        raise ResultError(
            f"--model {model_file}: not the model of this result: {difference}; name the file as "
            "it was"
        )


def first_difference(result: Result, problem: Problem) -> str | None:
    """Where a problem's log-likelihood or log-prior is not what the result holds, if anywhere.

    A few of its draws are looked at.
    """
    draws = result.draws
    rows = np.flatnonzero(np.isfinite(draws.log_likelihood))[:RECHECKED]
    theta = draws.theta[rows]
    pairs = {
        "log-likelihood": (
            problem.likelihood.evaluate(theta, False).log_likelihood,
            draws.log_likelihood[rows],
        ),
        "log-prior": (problem.latent.log_density(theta), draws.log_prior[rows]),
    }
    for what, (found, held) in pairs.items():
        other = np.flatnonzero(~np.isclose(found, held, rtol=SAME, atol=SAME))
        if len(other):
            i = int(other[0])
            return (
                f"at the result's draw {rows[i]} its {what} is {found[i]:.6g}, the result says "
                f"{held[i]:.6g}"
            )
    return None


def _observations(checked: CheckedSpec, result: Result) -> dict[str, Observations]:
    """The data of each experiment that the result holds."""
    found = {}
    for experiment in checked.meaning.experiments:
        names = tuple(n.observable for n in experiment.noise)
        cells = [result.observed[within(name, experiment.name)] for name in names]
        times = np.unique(np.concatenate([o.times for o in cells]))
        index = tuple(np.searchsorted(times, o.times) for o in cells)
        values = tuple(o.values for o in cells)
        found[experiment.name] = Observations(times, names, index, values)
    return found


def stored_proposal(result: Result) -> Proposal:
    """The final proposal of a result."""
    return restored(result.flow.layout, result.flow.arrays)


def sample(
    result: Result,
    n: int,
    *,
    seed: int,
    resampled: bool = False,
    append: bool = False,
    model_file: Path | None = None,
) -> Result:
    """A result from fresh draws of the saved proposal.

    With n weighted draws, or, `resampled`, with as many as n equal-weight posterior draws take.
    `append` keeps the result's own draws before them: they come from the same proposal.

    Raises:
        ResultError: a Python model, and no file was given; or a pruned result to append to.
        ModelError: the weights are too uneven for n equal-weight draws.
    """
    if append and result.pruning is not None:
        raise ResultError("the result has been pruned: fresh draws cannot be added to it")
    problem, proposal = revived_problem(result, model_file), stored_proposal(result)
    draw_seed, choice_seed, noise_seed = np.random.SeedSequence([seed, 1]).spawn(3)
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))
    parts: list[WeightedDraws] = []
    failed = 0
    expected = math.ceil(1.1 * n / max(result.diagnostics.ess_fraction, 1.0 / MOST_PER_DRAW))
    while _wanting(parts, n, resampled):
        wanted = expected if resampled else n - sum(len(p.log_weight) for p in parts)
        size = min(BATCH, wanted)
        draws, bad = final_draws(problem, proposal, size, generator)
        parts.append(draws)
        refuse_zero(parts)
        failed += int(bad.sum())
    fresh = sum(len(part.log_weight) for part in parts)
    draws = joined([result.draws, *parts] if append else parts)
    rng = np.random.default_rng(choice_seed)
    if resampled:
        chosen = systematic_resample(normalized(draws.log_weight), n, rng)
    else:
        chosen = equal_weight_indices(draws.log_weight, rng)
    noise = np.random.default_rng(noise_seed)
    observed = observed_at(problem, draws.theta[chosen], noise)
    made = with_draws(result, draws, chosen, observed)
    return replace(
        made,
        origin="sample",
        seed=seed,
        n_likelihood_evaluations=result.n_likelihood_evaluations + fresh,
        n_failed=result.n_failed + failed,
    )


def _wanting(parts: Sequence[WeightedDraws], n: int, resampled: bool) -> bool:
    """Whether more draws are needed: by their number, or by their ESS."""
    drawn = sum(len(p.log_weight) for p in parts)
    if not resampled or not parts:
        return drawn < n
    if drawn > MOST_PER_DRAW * n + BATCH:
        raise ModelError(f"{drawn:,} draws are not worth {n:,} equal-weight ones; train more")
    return effective_sample_size(normalized(joined(parts).log_weight)) < n


def with_draws(
    result: Result,
    draws: WeightedDraws,
    chosen: NDArray[np.int64],
    observed: Mapping[str, ObservedData],
) -> Result:
    """`result` with other draws, of which `chosen` are the posterior ones.

    What was said of its own weights, pruning and agreement of runs, does not hold for these.
    """
    diagnostics = rediagnosed(result.diagnostics, draws.log_weight)
    return replace(
        result,
        draws=draws,
        posterior=draws.theta[chosen],
        posterior_index=chosen,
        diagnostics=diagnostics,
        warnings=warnings_of(diagnostics),
        observed=observed,
        pruning=None,
        combination=None,
    )


def predict(
    problem: Problem, theta: Array, times: Mapping[str, Array], rng: np.random.Generator
) -> dict[str, Prediction]:
    """Predictive trajectories of every observable at θ (n, d) and increasing times.

    `times` are those of each experiment, as `times_of` gives them.

    Raises:
        ResultError: the model gives a log-likelihood, not predictions.
    """
    likelihood = predicting(problem)
    found = likelihood.predict(theta, tuple(times.values()))
    bad = found.failed[:, None]
    filled = np.where(bad[:, :, None], 1.0, found.values)
    noises = {series.name: series for series in likelihood.series}
    predictions, first = {}, 0
    for experiment, own in times.items():
        at = slice(first, first + len(own))
        first += len(own)
        for k, observable in enumerate(likelihood.simulator.observables):
            name, noisy = within(observable, experiment), None
            if name in noises:
                everywhere = replace(
                    noises[name], time_index=np.arange(len(own)), values=np.zeros(len(own))
                )
                noisy = np.where(bad, np.nan, everywhere.draw(theta, filled[:, at], rng))
            clean = np.where(bad, np.nan, found.values[:, at, k])
            predictions[name] = Prediction(own, clean, noisy)
    return predictions


def predicting(problem: Problem) -> DataLikelihood:
    """The likelihood of a problem whose model predicts.

    Raises:
        ResultError: it gives a log-likelihood, not predictions.
    """
    if not isinstance(problem.likelihood, DataLikelihood):
        raise ResultError("the model gives a log-likelihood only; there is nothing to predict")
    return problem.likelihood


def times_of(result: Result, problem: Problem) -> dict[str, Array]:
    """The times of the data of each experiment, whose name is '' where the spec names none.

    Raises:
        ResultError: the model gives a log-likelihood, not predictions.
    """
    names = spec_from_text(result.spec_yaml).data
    return dict(zip(names, predicting(problem).times, strict=True))


def starts_of(result: Result, problem: Problem) -> dict[str, float]:
    """The time before which the model predicts nothing, by experiment; −inf if there is none."""
    simulator, names = predicting(problem).simulator, times_of(result, problem)
    if not isinstance(simulator, OdeSimulator):
        return dict.fromkeys(names, -math.inf)
    return {n: e.settings.start for n, e in zip(names, simulator.experiments, strict=True)}


def prior_draws(problem: Problem, n: int, rng: np.random.Generator) -> Array:
    """θ (n, d) from the prior."""
    return problem.latent.from_latent(rng.standard_normal((n, problem.latent.dimension)))


def thinned_posterior(result: Result, n: int, rng: np.random.Generator) -> Array:
    """At most n of the posterior draws θ (n, d)."""
    chosen = rng.permutation(len(result.posterior))[:n]
    return result.posterior[np.sort(chosen)]
