"""Stages of a run: anneal, draw, let points walk; again with more effort where that is amiss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from nfanneal.anneal.bridge import Witness
from nfanneal.anneal.coverage import hardly_drawn, with_error
from nfanneal.anneal.final_draws import (
    FinalDraws,
    LatentDraws,
    around_heavy,
    drawn_until,
    final_draws,
)
from nfanneal.anneal.journal import Journal
from nfanneal.anneal.loop import anneal
from nfanneal.anneal.outcome import AnnealResult, outcome_of
from nfanneal.anneal.patches import can_be_patched, patched
from nfanneal.anneal.progress import GoingOn, LevelInfo, Observer
from nfanneal.anneal.second_opinion import Allowance, kept_back, second_opinion
from nfanneal.anneal.settings import MOST_EFFORT
from nfanneal.anneal.state import State, affords
from nfanneal.anneal.weights import evidence, systematic_resample
from nfanneal.arrays import Array
from nfanneal.results.diagnosis import UNCOVERED_LIMIT
from nfanneal.results.draws import in_latent
from nfanneal.results.records import Columns
from nfanneal.runs.settings import Settings
from nfanneal.runs.stage import Stage, Task, left_of
from nfanneal.runs.symmetry import kept_draws, made_symmetric
from nfanneal.runs.verdict import Verdict, verdict
from nfanneal.target import Spent, Target

MOST_PER_EFFECTIVE = 100
"""Draws per effective one that are made at most, where an ESS is wanted."""
SEEN, SEEN_CHEAPLY = 1 / 8, 1 / 4
"""Final draws at least, as a share of the annealing's evaluations: where calls are dear, and where

they are cheap beside the training: there twice as many effective draws take a tenth more time."""
MORE_DRAWS = 2
MOST_PATCHES, LESS = 4, 1.1
"""Times that a stage's proposal is patched, for as long as the error is so many times less."""
STILL_UNSEEN = 0.5
"""A patch covers what was met, not what is beyond: so much that follows from it still is unseen.

A thin ridge had lost 4 % at its ends, of which no point that was met told any more. What the tail
of the weights has beyond them is told by the new weights."""
MOST_REFINEMENTS = 2
"""Times that draws are added where the bridge's error is too large."""
CHANCE = 2.0
"""A drift of fewer times the bridge's error may be none."""


def last_stage(task: Task, columns: Columns, seed: np.random.SeedSequence) -> Stage:
    """Stages with twice the effort each, until the draws are what is wanted and nothing speaks

    against them, or no more effort is allowed: at the most, some more where something does. An
    earlier result is extended in one.

    Raises:
        ModelError: the model raised, or its likelihood is zero wherever it was evaluated.
    """
    snapshot = task.journal.snapshot
    if snapshot is not None:  # stages that a run had behind it when it was stopped
        seed.spawn(snapshot.state.stage)
    further: tuple[State, tuple[LevelInfo, ...]] | None = None
    while True:
        (own,) = seed.spawn(1)
        stage = _stage(task, own, further)
        if task.earlier:
            return stage
        choice_seed, patch_seed = own.spawn(2)
        stage, said = _mended(task, stage, columns, patch_seed)
        lacking, side = said.lacking, None if said.tail is None else said.tail.side
        if not lacking:
            return stage
        walked = _known_of_the_posterior(stage, np.random.default_rng(choice_seed))
        doubted = bool(said.doubt)
        state = stage.annealed.going_on(stage.spent, stage.n_failed, walked, side, doubted)
        # a budget must have room for as many draws again, and more, or the end is worse than this
        draws = MORE_DRAWS * stage.fresh
        if state is None or not affords(state, draws, task.settings.anneal):
            task.observe(GoingOn(0, lacking))
            return stage
        task.observe(GoingOn(state.effort, lacking, part=state.side is not None))
        further = (state, stage.annealed.history)


def _mended(
    task: Task, stage: Stage, columns: Columns, seed: np.random.SeedSequence
) -> tuple[Stage, Verdict]:
    """The stage with a proposal that is patched for as long as that mends it, and its verdict."""
    said = verdict(task, stage, stage.final.draws.log_weight, columns)
    for patch_seed in seed.spawn(MOST_PATCHES):
        if not said.lacking or not _can_be_patched(task, stage, said):
            break
        before, error = stage.final, said.diagnostics.log_evidence_error
        stage = _patched(task, stage, said, patch_seed)
        if stage.final is before:
            break
        said = verdict(task, stage, stage.final.draws.log_weight, columns)
        if said.diagnostics.log_evidence_error > error / LESS:
            break
    return stage, said


def _known_of_the_posterior(stage: Stage, rng: np.random.Generator) -> Array | None:
    """Where points walked to, and draws of the prior for the mass that these alone saw."""
    walked = None if stage.opinion is None else stage.opinion.walked.z
    state, log_weight = stage.annealed.state, stage.final.draws.log_weight
    if walked is None or state.seen is None:
        return walked
    log_evidence = evidence(log_weight).log_evidence
    seen = hardly_drawn(state.seen, stage.final.proposal, log_evidence)
    mass, error = with_error(seen.share)
    if mass < UNCOVERED_LIMIT or mass <= 2.0 * error:
        return walked
    n = math.ceil(len(walked) * mass / (1.0 + mass))
    both = np.concatenate([walked, seen.z[systematic_resample(seen.share, n, rng)]])
    return rng.permutation(both)


def _can_be_patched(task: Task, stage: Stage, said: Verdict) -> bool:
    left, settings = left_of(task.settings, stage.n_evaluations), task.settings.anneal
    left -= kept_back(task.target, settings.walkers * stage.annealed.state.effort, left)
    return can_be_patched(stage.final, said.met, task.target, left)


def _patched(task: Task, stage: Stage, said: Verdict, seed: np.random.SeedSequence) -> Stage:
    """The stage with draws of a proposal that has a patch, and with what walks from these say.

    Where it is no use, only what was asked is more than it was.
    """
    effort = stage.annealed.state.effort
    task.observe(GoingOn(effort, said.lacking, patch=True))
    patch_seed, draw_seed, walk_seed, more_seed = seed.spawn(4)
    target, settings, final = task.target, task.settings, stage.final
    found = patched(final, said.met, target, patch_seed, task.observe)
    annealed, proposal = stage.annealed.after_patch(found), found.proposal
    if proposal is None:
        return replace(stage, annealed=annealed)
    unkept = Spent(evaluations=len(final.draws.z)) + final.spent
    n_failed, opinion, unseen = int(final.draws.failed.sum()), stage.opinion, stage.unseen
    if opinion is not None:
        unkept, n_failed = unkept + opinion.spent, n_failed + opinion.n_failed
        unseen = STILL_UNSEEN * max(opinion.witness.met, stage.unseen)
    annealed = annealed.having_spent(unkept, n_failed)
    stage = replace(stage, annealed=annealed, opinion=None, unseen=unseen)
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))

    def draw(n: int) -> LatentDraws:
        return final_draws(target, proposal, n, generator, task.observe)

    drawn_from = replace(stage.annealed, proposal=proposal)
    final = _enough_draws(target, settings, drawn_from, stage.searched, draw)
    stage = with_opinion(replace(stage, final=final), target, settings, walk_seed, task.observe)
    return _refined(stage, task, more_seed)


def _stage(
    task: Task,
    seed: np.random.SeedSequence,
    further: tuple[State, tuple[LevelInfo, ...]] | None,
) -> Stage:
    target, settings, earlier, observe = task.target, task.settings, task.earlier, task.observe
    anneal_seed, draw_seed, symmetry_seed, walk_seed, more_seed = seed.spawn(5)
    if earlier and not earlier.rounds:
        annealed = _as_it_was(task.journal)
    else:
        annealed = anneal(
            target,
            settings.flow,
            earlier.settings(settings.anneal) if earlier else settings.anneal,
            anneal_seed,
            observe,
            journal=task.journal,
            further=further,
        )
    annealed, symmetry, searched = made_symmetric(
        target, annealed, settings.anneal, symmetry_seed, earlier, observe
    )
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))

    def draw(n: int) -> LatentDraws:
        return final_draws(target, annealed.proposal, n, generator, observe)

    extends = earlier if earlier and not earlier.rounds else None
    kept = kept_draws(extends, settings.fold, task.problem.latent) if extends else None
    if kept:
        final = FinalDraws(in_latent(kept, task.problem.latent), annealed.proposal)
    else:
        final = _enough_draws(target, settings, annealed, searched, draw)
    if earlier:
        wanted = earlier.target_ess or 0.0
        final = drawn_until(final, wanted, math.ceil(MOST_PER_EFFECTIVE * wanted), draw)
    stage = Stage(annealed, symmetry, searched, final, kept, None)
    if settings.most_samples > settings.samples:
        left = left_of(settings, stage.n_evaluations)
        stage = replace(stage, final=around_heavy(final, target, left, generator, observe))
    stage = with_opinion(stage, target, settings, walk_seed, observe)
    return stage if earlier else _refined(stage, task, more_seed)


def _refined(stage: Stage, task: Task, seed: np.random.SeedSequence) -> Stage:
    """More draws where these and the walked points together know the evidence too roughly."""
    settings, opinion = task.settings, stage.opinion
    generator = torch.Generator().manual_seed(int(seed.generate_state(1, np.uint64)[0]))
    for _ in range(MOST_REFINEMENTS):
        n, rough = len(stage.final.draws.z), 0.0
        if opinion is not None:
            rough = _roughness(opinion.witness, settings.enough_error)
        left = left_of(settings, stage.n_evaluations)
        more = min(math.ceil((1.05 * rough**2 - 1.0) * n), n, settings.most_samples - n)
        if opinion is None or rough <= 1.0 or more < 1 or more > left:
            break
        fresh = final_draws(task.target, stage.final.proposal, more, generator, task.observe)
        stage = replace(stage, final=stage.final.followed_by(fresh))
        opinion = opinion.of(stage.final.draws, stage.drawn)
        stage = replace(stage, opinion=opinion)
    return stage


def _roughness(witness: Witness, wanted: float) -> float:
    """How many times too large that of chance is which more draws make smaller; 0 if in vain.

    Of a drift too, which has chance of its own: the more draws, the less the walk counts.
    """
    if abs(witness.drift) < CHANCE * witness.noise:
        return math.hypot(witness.noise, witness.drift) / wanted
    room = wanted**2 - witness.drift**2
    return witness.noise / math.sqrt(room) if room > 0.0 else 0.0


def with_opinion(
    stage: Stage,
    target: Target,
    settings: Settings,
    seed: np.random.SeedSequence,
    observe: Observer,
) -> Stage:
    """The stage with what points say that walk from its draws."""
    opinion = second_opinion(
        target,
        stage.final,
        stage.annealed.archive,
        Allowance(
            settings.anneal.walkers * stage.annealed.state.effort,
            left_of(settings, stage.n_evaluations),
            taken=stage.annealed.n_evaluations if settings.anneal.moves else 0.0,
        ),
        seed,
        stage.drawn,
        observe,
    )
    return replace(stage, opinion=opinion)


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

    At least a share of the evaluations that the annealing took, so that the weights have seen what
    the proposal draws rarely: few draws, all of them effective, may lack a funnel's neck. In all at
    most as many as the annealing took, and as the budget has left, of which a search for symmetries
    took some, but for the second opinion; `samples` in any case. Where that will not do, a better
    proposal is to come, as long as there is more effort to make.
    """
    left = left_of(settings, annealed.n_evaluations + searched)
    left -= kept_back(target, settings.anneal.walkers * annealed.state.effort, left)
    affordable = min(annealed.n_evaluations, left)
    most = int(max(min(settings.most_samples, affordable), settings.samples))
    share = SEEN_CHEAPLY if settings.anneal.moves else SEEN
    taken = annealed.history[-1].n_evaluations  # draws before a patch are none of the annealing's
    least = min(max(settings.samples, int(share * taken)), most)
    first = FinalDraws(draw(least), annealed.proposal)
    in_vain = annealed.state.effort >= MOST_EFFORT or left < annealed.n_evaluations
    wanted, error = settings.enough_ess, settings.enough_error
    return drawn_until(first, wanted, most, draw, error, in_vain=in_vain)
