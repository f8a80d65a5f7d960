"""Several runs of one problem as one result, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from nfanneal.anneal.exchanges import same_group
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.weights import mixture_log_density
from nfanneal.arrays import concatenated
from nfanneal.errors import ResultError
from nfanneal.model.executors.choice import Workers
from nfanneal.model.latent import LatentMap
from nfanneal.results.diagnosis import OF_FAILURES, OF_THE_SOLVER, Diagnostics
from nfanneal.results.draws import WeightedDraws, equal_weight_indices
from nfanneal.results.identity import COMBINING, SAME_DATA, differences, result_identity
from nfanneal.results.observed import observed_at
from nfanneal.results.rebuild import refuse_other_model, revived_problem, stored_proposal
from nfanneal.results.result import Combination, ObservedData, Result, StoredFlow
from nfanneal.results.sample import with_draws
from nfanneal.results.symmetry import Symmetry, all_modes
from nfanneal.spec.load import spec_from_text

LEAST_P_VALUE = 0.01
"""Runs disagree if chance makes so large a spread this rarely."""


def combine(
    results: Sequence[Result],
    sources: Sequence[str],
    model_file: Path | None = None,
    workers: Workers | None = None,
) -> Result:
    """All draws of repeated runs under their common mixture of proposals.

    Every draw is weighted by the balance heuristic, so a mode that one run's flow misses is
    weighted rightly if another's covers it. Folded draws stay so if all runs are folded alike.

    Raises:
        ResultError: fewer than two runs, a pruned one, or runs of different problems.

    Source: Veach & Guibas (1995), Optimally combining sampling techniques, section 3.2.
    """
    _refuse(results, sources)
    first = results[0]
    symmetry = _common_symmetry(results)
    draws = _reweighted(results, symmetry)
    choice_seed, noise_seed = np.random.SeedSequence([first.provenance.seed, len(results)]).spawn(2)
    chosen = equal_weight_indices(draws.log_weight, np.random.default_rng(choice_seed))
    observed: Mapping[str, ObservedData] = {}
    if first.observed:
        problem = revived_problem(first, model_file, workers)
        if model_file is not None:
            for other in results[1:]:
                refuse_other_model(other, problem, model_file)
        noise = np.random.default_rng(noise_seed)
        observed = observed_at(problem, draws.theta[chosen], noise)
    agreement = agreement_of(results)
    counts = concatenated([r.counts for r in results])
    pooled = replace(first, diagnostics=_pooled(results), counts=counts)
    made = with_draws(pooled, draws, chosen, observed)
    return replace(
        made,
        warnings=(*_disagreement(agreement), *made.warnings),
        history=concatenated([r.history for r in results]),
        flow=_mixed_flow(results),
        failed_theta=np.concatenate([r.failed_theta for r in results]),
        provenance=replace(
            first.provenance,
            wall_time=sum(r.provenance.wall_time for r in results),
            origin="combine",
            sources=tuple(sources),
            finished=max(r.provenance.finished for r in results),
            host="; ".join(dict.fromkeys(r.provenance.host for r in results)),
        ),
        combination=agreement,
        symmetry=symmetry,
    )


def _refuse(results: Sequence[Result], sources: Sequence[str]) -> None:
    if len(results) < 2:
        raise ResultError("combining takes at least two results")
    first = result_identity(results[0])
    for result, source in zip(results, sources, strict=True):
        if result.pruning is not None:
            raise ResultError(f"{source}: has been pruned; combine the results as they were")
        own = result_identity(result)
        if differences(first, own, COMBINING):
            raise ResultError(
                f"{source}: another problem than {sources[0]}: model, priors or noise differ; "
                "`nfanneal compare` compares different models"
            )
        if differences(first, own, SAME_DATA):
            raise ResultError(f"{source}: other data than {sources[0]}")
    seeds = [(r.provenance.seed, r.draws.log_weight[:5].tobytes()) for r in results]
    if len(set(seeds)) < len(seeds):
        raise ResultError("two of the results are the same run (same seed, same draws)")


def _common_symmetry(results: Sequence[Result]) -> Symmetry | None:
    """The largest that a run found; folded if all are, by the same one.

    The mixture of their proposals is the same at all images of a draw only then.
    """
    found = [r.symmetry for r in results if r.symmetry is not None]
    if not found:
        return None
    largest = max(found, key=lambda symmetry: symmetry.copies)
    alike = len(found) == len(results) and all(
        same_group(largest.group, other.group) and other.folded for other in found
    )
    return replace(largest, folded=alike, n_evaluations=sum(s.n_evaluations for s in found))


def _reweighted(results: Sequence[Result], symmetry: Symmetry | None) -> WeightedDraws:
    """All draws, weighted under the mixture of all proposals.

    One on a bound of its prior, where only rounding puts it, has no place in the latent space: it
    is weighted as if no other run could have drawn it.
    """
    latent = LatentMap(spec_from_text(results[0].spec_yaml).meaning.free)
    if symmetry is not None and symmetry.folded:
        draws = concatenated([r.draws for r in results])
    else:
        draws = concatenated(
            [all_modes(r.draws, r.symmetry, latent, r.provenance.seed) for r in results]
        )
    counts = [len(r.draws.log_weight) for r in results]
    z = latent.to_latent(draws.theta)
    inside = np.isfinite(z).all(axis=1)
    log_ratio = draws.log_ratio + np.log(sum(counts)) - np.repeat(np.log(counts), counts)
    log_q = [stored_proposal(r).log_density(z[inside]) for r in results]
    log_ratio[inside] = log_standard_normal(z[inside]) - mixture_log_density(log_q, counts)
    return draws.weighted(log_ratio)


def agreement_of(results: Sequence[Result]) -> Combination:
    """χ² of the log-evidences against their errors."""
    values = np.array([r.diagnostics.log_evidence for r in results])
    errors = np.array([r.diagnostics.log_evidence_error for r in results])
    precision = 1.0 / np.maximum(errors, 1e-12) ** 2
    mean = (precision @ values) / precision.sum()
    chi_square = float(precision @ (values - mean) ** 2)
    return Combination(values, errors, chi_square, float(chi2.sf(chi_square, len(values) - 1)))


def _disagreement(agreement: Combination) -> tuple[str, ...]:
    if agreement.p_value >= LEAST_P_VALUE:
        return ()
    return (
        f"the runs disagree: their log-evidences range from {agreement.log_evidences.min():.3f} to "
        f"{agreement.log_evidences.max():.3f}, more than their errors allow (chi-square "
        f"{agreement.chi_square:.1f}, p = {agreement.p_value:.2g}): some run missed a mode, or "
        "its error is too small. Run each with more draws per level (anneal.draws)",
    )


def _pooled(results: Sequence[Result]) -> Diagnostics:
    """What the runs' annealing paths said, and the worst that was said of the model.

    The rest follows from the weights. The paths' log-evidences count by their precision, so that a
    poor run does not blunt a good one's.
    """
    all_of = [r.diagnostics for r in results]
    k = len(all_of)
    path = np.array([d.path_log_evidence for d in all_of])
    errors = np.array([d.path_log_evidence_error for d in all_of])
    precision = 1.0 / np.maximum(errors, 1e-12) ** 2
    uncovered = np.array([d.uncovered_error for d in all_of])
    roughest = max(all_of, key=lambda d: float(np.nan_to_num(abs(d.solver_change), nan=-1.0)))
    failing = max(all_of, key=lambda d: d.failing_mass)
    return replace(
        all_of[0],
        **{name: getattr(roughest, name) for name in OF_THE_SOLVER},
        **{name: getattr(failing, name) for name in OF_FAILURES},
        whim=next((d.whim for d in all_of if d.whim), ""),
        uncovered_mass=sum(d.uncovered_mass for d in all_of) / k,
        uncovered_error=float(np.sqrt(np.sum(uncovered**2))) / k,
        path_log_evidence=float(precision @ path / precision.sum()),
        path_log_evidence_error=float(precision.sum() ** -0.5),
        reached_beta=min(d.reached_beta for d in all_of),
    )


def _mixed_flow(results: Sequence[Result]) -> StoredFlow:
    """The mixture of the runs' proposals, in proportion to their draws."""
    counts = np.array([len(r.draws.log_weight) for r in results], dtype=float)
    arrays = {
        f"{i}.{name}": array for i, r in enumerate(results) for name, array in r.flow.arrays.items()
    }
    layout = {
        "kind": "mixture",
        "weights": (counts / counts.sum()).tolist(),
        "components": [dict(r.flow.layout) for r in results],
    }
    return StoredFlow(layout, arrays)
