"""From a problem to a result: anneal, draw afresh, weigh, check coverage, summarise."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from nfanneal.anneal.final_draws import FinalDraws, LatentDraws
from nfanneal.anneal.journal import Journal
from nfanneal.anneal.outcome import AnnealResult
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.anneal.proposals.base import Proposal
from nfanneal.anneal.proposals.stored import stored
from nfanneal.arrays import concatenated, rows_of
from nfanneal.model.executors import Pooled
from nfanneal.model.problem import Problem
from nfanneal.results.diagnostics import warnings_of
from nfanneal.results.draws import WeightedDraws, equal_weight_indices, in_parameters
from nfanneal.results.failing import failing
from nfanneal.results.observed import observed_at
from nfanneal.results.records import Columns, Counts, NamedParameter, Provenance
from nfanneal.results.result import Result, StoredFlow
from nfanneal.results.verdicts import FAILING_LIMIT
from nfanneal.runs.consistency import (
    ASKED,
    UNASKED,
    changed_mind,
    probes,
    too_rounded,
    whim,
    whim_of,
)
from nfanneal.runs.extension import Earlier
from nfanneal.runs.failures import why_failed
from nfanneal.runs.history import _history
from nfanneal.runs.precision import judged, precise_from_the_start
from nfanneal.runs.profile import Clock
from nfanneal.runs.settings import Settings
from nfanneal.runs.stage import Stage, Task, left_of
from nfanneal.runs.stages import last_stage, with_opinion
from nfanneal.runs.symmetry import as_wanted
from nfanneal.runs.verdict import verdict
from nfanneal.runtime.machine import now, this_host
from nfanneal.target import Spent
from nfanneal.version import versions_of

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
    journal, observe = journal or Journal(), Clock(observe)
    _tell_progress(problem, observe)
    seeds = np.random.SeedSequence(earlier.seed(settings) if earlier else _seed(settings, problem))
    anneal_seed, choice_seed, noise_seed, walk_seed, pilot_seed, judge_seed = seeds.spawn(6)
    first = _first_draws(problem)
    odd = "" if problem.goes_by_steps or earlier else whim(problem, first.z)
    problem, piloted = _precise(problem, settings, earlier, pilot_seed, observe)
    columns = _columns(problem)
    task = Task(problem, journal.recorded(problem.target), settings, journal, observe, earlier)
    stage = last_stage(task, columns, anneal_seed)
    final, symmetry, kept = stage.final, stage.symmetry, stage.kept
    left = left_of(settings, stage.n_evaluations)
    solved = judged(problem, final, judge_seed, left, fixed=kept is not None)
    asked_in_vain = Spent()
    if solved.problem is not problem:
        asked_in_vain = stage.opinion.spent if stage.opinion else Spent()
        problem, stage = solved.problem, replace(stage, final=solved.final)
        target = journal.recorded(problem.target)
        stage = with_opinion(stage, target, settings, walk_seed, observe)
    final, precision = solved.final, solved.precision
    annealed = _after(stage, piloted + solved.spent + asked_in_vain)
    draws = _of_parameters(final, stage.annealed.proposal, kept, problem)
    failed = final.draws.failed
    draws, symmetry = as_wanted(draws, symmetry, settings.fold, problem.latent)
    observe(Activity("checking coverage", 0, 1))
    diagnostics = replace(
        verdict(replace(task, problem=problem), stage, draws.log_weight, columns).diagnostics,
        tightening=problem.tightening,
        solver_change=precision.change,
        solver_spread=precision.spread,
        whim=odd or _whim_of_final(problem, final, first),
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
        columns=columns,
        draws=draws,
        posterior=posterior,
        posterior_index=chosen,
        diagnostics=diagnostics,
        warnings=(),
        history=_history(annealed.history),
        observed=observed_at(problem, posterior, noise, observe, journal=journal),
        flow=StoredFlow(*stored(annealed.proposal)),
        counts=Counts(
            n_likelihood_evaluations=annealed.n_evaluations + stage.searched + stage.fresh,
            n_gradient_evaluations=annealed.n_gradients,
            n_failed=annealed.n_failed + int(failed.sum()),
            n_gradients_dropped=annealed.n_dropped,
        ),
        failed_theta=np.concatenate([failed_theta, draws.theta[failed]]),
        provenance=Provenance(
            settings.seed,
            journal.seconds,
            versions_of(LIBRARIES),
            command,
            profile=observe.seconds,
            failures=_reasons(problem),
            finished=now(),
            host=this_host(),
        ),
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


def _after(stage: Stage, others: Spent) -> AnnealResult:
    """The annealing with the proposal of the final draws, and all that was asked after it.

    But for the draws themselves, and a search for symmetries.
    """
    opinion, annealed = stage.opinion, stage.annealed
    spent = stage.final.spent + others + (Spent() if opinion is None else opinion.spent)
    return replace(
        annealed,
        proposal=stage.final.proposal,
        n_evaluations=annealed.n_evaluations + spent.evaluations,
        n_gradients=annealed.n_gradients + spent.gradients,
        n_dropped=annealed.n_dropped + spent.dropped,
        n_failed=annealed.n_failed + (0 if opinion is None else opinion.n_failed),
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
    return precise_from_the_start(problem, seed, left_of(settings, 0))


def _whim_of_final(problem: Problem, final: FinalDraws, first: LatentDraws) -> str:
    """Whether a model says the same of its first draws as at the beginning, and of a few final

    ones as it did of them among all."""
    draws = final.draws
    rows = np.flatnonzero(np.isfinite(draws.log_likelihood))[:ASKED]
    if problem.goes_by_steps or not len(rows):
        return ""
    n = min(problem.chunk, len(draws.z))
    if problem.speaks_unasked:
        return UNASKED
    return (
        changed_mind(problem, first.z, first.log_likelihood)
        or whim_of(problem, draws.z[rows], draws.log_likelihood[rows], n)
        or too_rounded(problem, draws.z[rows])
    )


def _seed(settings: Settings, problem: Problem) -> list[int]:
    """The seed, and a number of the problem: else all problems would have the same luck."""
    names = "\n".join([problem.name, *problem.latent.column_names])
    return [settings.seed, zlib.crc32(names.encode())]


def _first_draws(problem: Problem) -> LatentDraws:
    """A few draws of the prior, and what a model that may have whims says of them."""
    z = probes(problem)
    none = np.zeros(len(z))
    if problem.goes_by_steps:
        return LatentDraws(z, none, none, np.zeros(len(z), dtype=bool))
    said = problem.evaluate(z, False)
    return LatentDraws(z, none, said.log_likelihood, said.failed)


def _tell_progress(problem: Problem, observe: Observer) -> None:
    """Let those who watch see how many answers of a dear model are there."""
    if isinstance(problem.executor, Pooled):
        problem.executor.memory.progress = lambda done, total: observe(
            Activity("evaluating the model", done, total)
        )


def _reasons(problem: Problem) -> dict[str, int]:
    """Why a dear model failed, and how often; others are not asked to tell all along."""
    executor = problem.executor
    return dict(executor.memory.failures) if isinstance(executor, Pooled) else {}


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
