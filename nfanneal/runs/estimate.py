"""From a problem to a result: anneal, draw afresh, weigh, check coverage, summarise."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nfanneal.anneal.coverage import check_coverage
from nfanneal.anneal.final_draws import (
    FinalDraws,
    LatentDraws,
    around_heavy,
    drawn_until,
    final_draws,
)
from nfanneal.anneal.journal import Journal
from nfanneal.anneal.loop import AnnealResult, anneal, outcome_of
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.anneal.proposals.base import Proposal
from nfanneal.anneal.proposals.stored import stored
from nfanneal.anneal.second_opinion import Opinion, kept_back, second_opinion
from nfanneal.anneal.weights import evidence
from nfanneal.arrays import concatenated, rows_of
from nfanneal.model.problem import Problem
from nfanneal.results.diagnosis import Diagnostics, diagnose
from nfanneal.results.diagnostics import warnings_of
from nfanneal.results.draws import WeightedDraws, equal_weight_indices, in_latent, in_parameters
from nfanneal.results.failing import failing
from nfanneal.results.observed import observed_at
from nfanneal.results.records import Columns, Counts, NamedParameter, Provenance
from nfanneal.results.result import Result, StoredFlow
from nfanneal.results.verdicts import FAILING_LIMIT
from nfanneal.runs.consistency import ASKED, whim, whim_of
from nfanneal.runs.extension import Earlier
from nfanneal.runs.failures import why_failed
from nfanneal.runs.history import _history
from nfanneal.runs.precision import judged, precise_from_the_start
from nfanneal.runs.settings import Settings
from nfanneal.runs.symmetry import as_wanted, kept_draws, made_symmetric
from nfanneal.target import Spent, Target
from nfanneal.version import versions_of

MOST_PER_EFFECTIVE = 100
"""Draws per effective one that are made at most, where an ESS is wanted."""
LIBRARIES = ("torch", "zuko", "numpy", "scipy", "numba", "sympy", "h5py")


def estimate(
    problem: Problem,
    settings: Settings,
    spec_yaml: str = "",
    *,
    command: str = "",
    observe: Observer = lambda event: None,
    journal: Journal | None = None,
    earlier: Earlier | None = None,
) -> Result:
    """Run the whole estimation; the same problem, settings and threads give the same result.

    All that the model says goes through the `journal`; one that was resumed goes on where the
    run before it was stopped. An `earlier` result is extended, by a journal that starts there.

    Raises:
        ModelError: the model raised, or its likelihood is zero wherever it was evaluated.
    """
    journal = journal or Journal()
    seeds = np.random.SeedSequence(earlier.seed(settings) if earlier else _seed(settings, problem))
    anneal_seed, draw_seed, choice_seed, noise_seed, symmetry_seed, walk_seed = seeds.spawn(6)
    pilot_seed, judge_seed = seeds.spawn(2)
    odd = "" if problem.goes_by_steps or earlier else _whim(problem)
    problem, piloted = _precise(problem, settings, earlier, pilot_seed, observe)
    target = journal.recorded(problem.target)
    if earlier and not earlier.rounds:
        annealed = _as_it_was(journal)
    else:
        annealing = earlier.settings(settings.anneal) if earlier else settings.anneal
        annealed = anneal(target, settings.flow, annealing, anneal_seed, observe, journal=journal)
    annealed, symmetry, searched = made_symmetric(
        target, annealed, settings.anneal, symmetry_seed, earlier, observe
    )
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))

    def draw(n: int) -> LatentDraws:
        return final_draws(target, annealed.proposal, n, generator, observe)

    extends = earlier if earlier and not earlier.rounds else None
    kept = kept_draws(extends, settings.fold, problem.latent) if extends else None
    if kept:
        final = FinalDraws(in_latent(kept, problem.latent), annealed.proposal)
    else:
        final = _enough_draws(target, settings, annealed, searched, draw)
    if earlier:
        wanted = earlier.target_ess or 0.0
        final = drawn_until(final, wanted, math.ceil(MOST_PER_EFFECTIVE * wanted), draw)
    if settings.most_samples > settings.samples:
        left = _left(settings, annealed.n_evaluations + searched + _fresh(final, kept))
        final = around_heavy(final, target, left, generator, observe)
    left = _left(settings, annealed.n_evaluations + searched + _fresh(final, kept))
    solved = judged(problem, final, judge_seed, left, fixed=kept is not None)
    problem, final, precision = solved.problem, solved.final, solved.precision
    target = journal.recorded(problem.target)
    annealed = _having_spent(annealed, piloted + solved.spent)
    draws, failed = _of_parameters(final, annealed.proposal, kept, problem), final.draws.failed
    draws, symmetry = as_wanted(draws, symmetry, settings.fold, problem.latent)
    annealed = _after(annealed, final)
    left = _left(settings, annealed.n_evaluations + searched + _fresh(final, kept))
    opinion = second_opinion(
        target, final, annealed.archive, settings.anneal.walkers, left, walk_seed, observe
    )
    annealed = annealed if opinion is None else _with_opinion(annealed, opinion)
    observe(Activity("checking coverage", 0, 1))
    diagnostics = replace(
        _diagnostics(draws, annealed, opinion),
        tightening=problem.tightening,
        solver_change=precision.change,
        solver_spread=precision.spread,
        whim=odd or _whim_of_final(problem, final),
        **_failures(problem, final),
    )
    if earlier:
        diagnostics = earlier.cautious(diagnostics)
    chosen = equal_weight_indices(draws.log_weight, np.random.default_rng(choice_seed))
    posterior = draws.theta[chosen]
    noise = np.random.default_rng(noise_seed)
    failed_theta = problem.latent.from_latent(annealed.failed_z)
    made = Result(
        name=problem.name,
        spec_yaml=spec_yaml,
        columns=_columns(problem),
        draws=draws,
        posterior=posterior,
        posterior_index=chosen,
        diagnostics=diagnostics,
        warnings=(),
        history=_history(annealed.history),
        observed=observed_at(problem, posterior, noise, observe, journal=journal),
        flow=StoredFlow(*stored(annealed.proposal, settings.flow)),
        counts=Counts(
            n_likelihood_evaluations=annealed.n_evaluations + searched + _fresh(final, kept),
            n_gradient_evaluations=annealed.n_gradients,
            n_failed=annealed.n_failed + int(failed.sum()),
            n_gradients_dropped=annealed.n_dropped,
        ),
        failed_theta=np.concatenate([failed_theta, draws.theta[failed]]),
        provenance=Provenance(settings.seed, journal.seconds, versions_of(LIBRARIES), command),
        symmetry=symmetry,
    )
    return replace(made, warnings=warnings_of(made))


def _columns(problem: Problem) -> Columns:
    return Columns(
        tuple(
            NamedParameter(p.name, p.size, p.label or p.name, p.unit or "")
            for p in problem.latent.parameters
        )
    )


def _fresh(final: FinalDraws, kept: WeightedDraws | None) -> int:
    """How many draws were evaluated, past those that an earlier result had."""
    return len(final.draws.z) - (0 if kept is None else len(kept.theta))


def _of_parameters(
    final: FinalDraws, drawn_from: Proposal, kept: WeightedDraws | None, problem: Problem
) -> WeightedDraws:
    """The final draws of θ; those that were kept stay as they stood but for a new proposal."""
    if kept is None:
        return in_parameters(final.draws, problem.latent)
    n = len(kept.theta)
    if final.proposal is not drawn_from:
        kept = kept.weighted(final.draws.log_ratio[:n])
    fresh = in_parameters(rows_of(final.draws, slice(n, None)), problem.latent)
    return concatenated([kept, fresh])


def _after(annealed: AnnealResult, final: FinalDraws) -> AnnealResult:
    """The annealing, with the proposal and the gradients of the final draws."""
    return _having_spent(replace(annealed, proposal=final.proposal), final.spent)


def _with_opinion(annealed: AnnealResult, opinion: Opinion) -> AnnealResult:
    """The annealing, with what its second opinion took."""
    annealed = replace(annealed, n_failed=annealed.n_failed + opinion.n_failed)
    return _having_spent(annealed, opinion.spent)


def _having_spent(annealed: AnnealResult, spent: Spent) -> AnnealResult:
    """The annealing, with evaluations and gradients that others took."""
    return replace(
        annealed,
        n_evaluations=annealed.n_evaluations + spent.evaluations,
        n_gradients=annealed.n_gradients + spent.gradients,
        n_dropped=annealed.n_dropped + spent.dropped,
    )


def _precise(
    problem: Problem,
    settings: Settings,
    earlier: Earlier | None,
    seed: np.random.SeedSequence,
    observe: Observer,
) -> tuple[Problem, Spent]:
    """The problem with tolerances as tight as they have to be, and what it took to know."""
    if earlier:
        return problem.tightened(earlier.result.diagnostics.tightening), Spent()
    observe(Activity("checking the solver", 0, 1))
    return precise_from_the_start(problem, seed, _left(settings, 0))


def _whim_of_final(problem: Problem, final: FinalDraws) -> str:
    """Whether a model says the same of a few final draws as it did of them among all."""
    draws = final.draws
    rows = np.flatnonzero(np.isfinite(draws.log_likelihood))[:ASKED]
    if problem.goes_by_steps or not len(rows):
        return ""
    n = min(problem.chunk, len(draws.z))
    return whim_of(problem, draws.z[rows], draws.log_likelihood[rows], n)


def _seed(settings: Settings, problem: Problem) -> list[int]:
    """The seed, and a number of the problem: else all problems would have the same luck."""
    names = "\n".join([problem.name, *problem.latent.column_names])
    return [settings.seed, zlib.crc32(names.encode())]


def _whim(problem: Problem) -> str:
    """In what a model is no function of its parameters, as far as a few draws can tell."""
    z = np.random.default_rng(0).standard_normal((ASKED, problem.latent.dimension))
    return whim(problem, z)


def _failures(problem: Problem, final: FinalDraws) -> dict[str, Any]:
    """How much of the posterior may lie where the model fails, and why it does there."""
    draws, latent = final.draws, problem.latent
    known = np.asarray(np.isfinite(draws.z).all(axis=1))
    theta = latent.from_latent(np.where(known[:, None], draws.z, 0.0))
    found = failing(theta, draws.z, draws.log_ratio, draws.log_likelihood, draws.failed)
    if not found.mass > FAILING_LIMIT:
        return {"failing_mass": found.mass}
    return {
        "failing_mass": found.mass,
        "failing_column": float(found.column),
        "failing_above": found.above,
        "failing_near": found.near,
        "failing_why": why_failed(problem, draws.z[found.rows]),
    }


def _as_it_was(journal: Journal) -> AnnealResult:
    """The annealing that a journal starts after."""
    if journal.snapshot is None:
        raise ValueError("the journal does not start from a result")
    return outcome_of(journal.snapshot.state, journal.snapshot.history)


def _enough_draws(
    target: Target,
    settings: Settings,
    annealed: AnnealResult,
    searched: int,
    draw: Callable[[int], LatentDraws],
) -> FinalDraws:
    """The final draws, and more until enough are effective: they are cheap beside the training.

    In all at most as many as the annealing took, and as the budget has left, of which a search
    for symmetries took some, but for the second opinion; `samples` in any case.
    """
    left = _left(settings, annealed.n_evaluations + searched)
    left -= kept_back(target, settings.anneal.walkers, left)
    affordable = min(annealed.n_evaluations, left)
    most = int(max(min(settings.most_samples, affordable), settings.samples))
    first = FinalDraws(draw(settings.samples), annealed.proposal)
    return drawn_until(first, settings.enough_ess, most, draw)


def _left(settings: Settings, spent: int) -> float:
    """The evaluations that the budget has left."""
    budget = settings.anneal.max_evaluations
    return math.inf if budget is None else budget - spent


def _diagnostics(
    draws: WeightedDraws, annealed: AnnealResult, opinion: Opinion | None
) -> Diagnostics:
    log_evidence = evidence(draws.log_weight).log_evidence
    coverage = check_coverage(annealed.path, annealed.proposal, log_evidence)
    return diagnose(
        draws.log_weight,
        uncovered=(coverage.uncovered_mass, coverage.uncovered_error),
        path_evidence=(coverage.path_evidence.log_evidence, coverage.path_evidence.error),
        reached_beta=annealed.reached,
        walked=None if opinion is None else opinion.witness,
    )
