"""Fresh draws of a result's proposal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.final_draws import final_draws, refuse_zero
from nfanneal.anneal.weights import effective_sample_size, normalized, systematic_resample
from nfanneal.arrays import concatenated
from nfanneal.errors import ModelError, ResultError
from nfanneal.model.executors.choice import Workers
from nfanneal.results.diagnosis import rediagnosed
from nfanneal.results.diagnostics import warnings_of
from nfanneal.results.draws import WeightedDraws, equal_weight_indices, in_parameters
from nfanneal.results.observed import observed_at
from nfanneal.results.rebuild import revived_problem, stored_proposal
from nfanneal.results.result import ObservedData, Result
from nfanneal.results.symmetry import folded

BATCH = 10_000
MOST_PER_DRAW = 100
"""Equal-weight draws cost at most so many draws of the proposal each."""


def sample(
    result: Result,
    n: int,
    *,
    seed: int,
    resampled: bool = False,
    append: bool = False,
    model_file: Path | None = None,
    workers: Workers | None = None,
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
    problem, proposal = revived_problem(result, model_file, workers), stored_proposal(result)
    draw_seed, choice_seed, noise_seed = np.random.SeedSequence([seed, 1]).spawn(3)
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))
    parts: list[WeightedDraws] = []
    failed = 0
    expected = math.ceil(1.1 * n / max(result.diagnostics.ess_fraction, 1.0 / MOST_PER_DRAW))
    while _wanting(parts, n, resampled):
        wanted = expected if resampled else n - sum(len(p.log_weight) for p in parts)
        size = min(BATCH, wanted)
        drawn = final_draws(problem.target, proposal, size, generator)
        part = in_parameters(drawn, problem.latent)
        if result.symmetry is not None and result.symmetry.folded:
            part = folded(part, result.symmetry, problem.latent)
        parts.append(part)
        refuse_zero([part.log_likelihood for part in parts])
        failed += int(drawn.failed.sum())
    fresh = sum(len(part.log_weight) for part in parts)
    draws = concatenated([result.draws, *parts] if append else parts)
    rng = np.random.default_rng(choice_seed)
    if resampled:
        chosen = systematic_resample(normalized(draws.log_weight), n, rng)
    else:
        chosen = equal_weight_indices(draws.log_weight, rng)
    noise = np.random.default_rng(noise_seed)
    observed = observed_at(problem, draws.theta[chosen], noise)
    counts = replace(
        result.counts,
        n_likelihood_evaluations=result.counts.n_likelihood_evaluations + fresh,
        n_failed=result.counts.n_failed + failed,
    )
    made = replace(
        result, counts=counts, provenance=replace(result.provenance, origin="sample", seed=seed)
    )
    return with_draws(made, draws, chosen, observed)


def _wanting(parts: Sequence[WeightedDraws], n: int, resampled: bool) -> bool:
    """Whether more draws are needed: by their number, or by their ESS."""
    drawn = sum(len(p.log_weight) for p in parts)
    if not resampled or not parts:
        return drawn < n
    if drawn > MOST_PER_DRAW * n + BATCH:
        raise ModelError(f"{drawn:,} draws are not worth {n:,} equal-weight ones; train more")
    return effective_sample_size(normalized(concatenated(parts).log_weight)) < n


def with_draws(
    result: Result,
    draws: WeightedDraws,
    chosen: NDArray[np.int64],
    observed: Mapping[str, ObservedData],
) -> Result:
    """`result` with other draws, of which `chosen` are the posterior ones.

    What was said of its own weights, pruning and agreement of runs, does not hold for these.
    """
    made = replace(
        result,
        draws=draws,
        posterior=draws.theta[chosen],
        posterior_index=chosen,
        diagnostics=rediagnosed(result.diagnostics, draws.log_weight),
        observed=observed,
        pruning=None,
        combination=None,
    )
    return replace(made, warnings=warnings_of(made))
