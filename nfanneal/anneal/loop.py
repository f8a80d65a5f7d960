"""The level loop: draw, evaluate, pool, choose the next β, train; then rounds at β = 1."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.events import Activity, LevelInfo, Observer
from nfanneal.anneal.final import final_mixture
from nfanneal.anneal.pool import Generation, Pool, make_generation, tempered
from nfanneal.anneal.schedule import SCHEDULES, LevelView
from nfanneal.anneal.scout import LocalPoints, local_points, scout
from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.target import Target
from nfanneal.anneal.training import PoolSample, Training, train
from nfanneal.errors import ModelError
from nfanneal.flow import FlowSettings, make_flow
from nfanneal.proposals import FlowProposal, PriorProposal, Proposal, whitening
from nfanneal.weights import (
    effective_sample_size,
    evidence,
    normalized,
    systematic_resample,
    truncated,
)

Array = NDArray[np.float64]

PATH_POINTS = 1024
"""Draws of each level that are kept, past the pool, for the coverage check."""
EVALUATION_CHUNK = 4096
"""Points per call of the likelihood: bounds its memory and lets progress be seen."""
LOCAL_COMPONENTS = 256
"""Student-t components around scouted and pool points at each level."""
ENOUGH_POINTS = 2000
"""Effective points of the pool that make local exploration before a training superfluous."""
MOST_EXPLORATIONS = 5
"""Rounds of local exploration before a training, at most."""
FINAL_LEVELS = 4
"""The final proposal is a mixture of the proposals of so many last levels.

Each flow overfits its own few effective points, in places of its own; their mixture does not.
"""
HOT_BETA = 0.5
"""The hot proposal of a level is the last one that was trained at this share of its β or below."""
HOT_PROPOSALS = 2
"""So many: one that is trained anew on a richer pool can lose what an older one covers."""
HOT_DRAWS = 1 / 4
"""A level draws so many points of its hot proposals too, per point of its own."""
MOST_HOLDS = 3
"""β stands still at most so many levels in a row."""
KEEP_FAILED = 1000
"""At most so many failed points are kept for the user to look at."""


@dataclass(frozen=True)
class State:
    """What the next level needs; `ladder` are the trained proposals with their β, newest last."""

    level: int
    beta: float
    rounds: int
    flow: torch.nn.Module
    proposal: Proposal
    pool: Pool
    path: tuple[Generation, ...]
    n_evaluations: int
    n_gradients: int
    failed_z: Array
    n_failed: int
    ladder: tuple[tuple[float, Proposal], ...]
    holds: int = 0
    scouted: LocalPoints | None = None

    @property
    def hot(self) -> tuple[Proposal, ...]:
        """The newest proposals of the ladder that are hot enough, see `HOT_BETA`."""
        enough = [q for beta, q in self.ladder if beta <= HOT_BETA * self.beta]
        return tuple(enough[-HOT_PROPOSALS:])


@dataclass(frozen=True)
class Means:
    """What all steps of one annealing share: the target, the settings, randomness, an observer."""

    target: Target
    settings: AnnealSettings
    generator: torch.Generator
    rng: np.random.Generator
    train_seed: np.random.SeedSequence
    observe: Observer


@dataclass(frozen=True)
class AnnealResult:
    """The final proposal, the path's thinned generations, and what was seen on the way."""

    proposal: Proposal
    path: tuple[Generation, ...]
    history: tuple[LevelInfo, ...]
    reached: float
    n_evaluations: int
    n_gradients: int
    n_failed: int
    failed_z: Array


def anneal(
    target: Target,
    flow_settings: FlowSettings,
    settings: AnnealSettings,
    seed: np.random.SeedSequence,
    observe: Observer = lambda event: None,
) -> AnnealResult:
    """Train a flow on the posterior of `target`, level by level.

    Raises:
        ModelError: the likelihood is zero or failed at every draw from the prior.
    """
    flow_seed, draw_seed, train_seed, local_seed = seed.spawn(4)
    flow = make_flow(target.dimension, flow_settings, int(flow_seed.generate_state(1)[0]))
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))
    rng = np.random.default_rng(local_seed)
    means = Means(target, settings, generator, rng, train_seed, observe)
    state = _start(target.dimension, flow)
    history: list[LevelInfo] = []
    clock = time.perf_counter()
    while True:
        state = _draw(state, means)
        if state.level == 0 and settings.scout == "auto" and target.has_information:
            state = _scout(state, means)
        info = _look(state, time.perf_counter() - clock)
        if _finished(state, info, settings):
            history.append(info)
            observe(info)
            break
        state = _explore(_advance(state, settings), means)
        if state.rounds == 1:
            state = _renew_hot(state, means)
        state, training = _train(state, means)
        info = replace(info, next_beta=state.beta, losses=training.losses)
        info = replace(info, held_out=training.held_out, seconds=time.perf_counter() - clock)
        history.append(info)
        observe(info)
    return _result(state, history)


def _start(dimension: int, flow: torch.nn.Module) -> State:
    return State(
        level=0,
        beta=0.0,
        rounds=0,
        flow=flow,
        proposal=PriorProposal(dimension),
        pool=Pool(),
        path=(),
        n_evaluations=0,
        n_gradients=0,
        failed_z=np.empty((0, dimension)),
        n_failed=0,
        ladder=((0.0, PriorProposal(dimension)),),
    )


def _draw(state: State, means: Means) -> State:
    """Draw this level's points, evaluate them, and add them to the pool.

    Points of the hot proposal keep the pool supplied where this level's flow hardly ever draws.
    """
    draws = means.settings.draws
    means.observe(Activity("drawing", 0, draws))
    if state.scouted is not None:
        state = _draw_locally(state, state.scouted, means)
    for hot in state.hot if state.level > 0 else ():
        state = _add(state, hot, int(HOT_DRAWS * draws) // len(state.hot), means)
    state = _add(state, state.proposal, draws, means)
    return replace(state, rounds=state.rounds + (state.beta == 1.0))


def _scout(state: State, means: Means) -> State:
    """Look for optima from the draws of the prior."""
    means.observe(Activity("scouting for modes", 0, 1))
    prior = state.pool.generations[0]
    found, spent = scout(means.target, prior.z, prior.log_likelihood)
    return replace(state, scouted=found, n_gradients=state.n_gradients + spent)


def _draw_locally(state: State, scouted: LocalPoints, means: Means) -> State:
    """Draw from components around scouted points and around points of the pool.

    Half of the latter are the heaviest, where the proposals under-cover the target most; the
    others are chosen by their weight.
    """
    size = LOCAL_COMPONENTS // 2
    weights = _pool_weights(state)
    heaviest = np.argsort(-weights, kind="stable")[: size // 2]
    rows = np.union1d(heaviest, systematic_resample(weights, size // 2, means.rng))
    near_pool = local_points(means.target, state.pool.z[rows])
    points = scouted.chosen(state.beta, size, means.rng).joined(near_pool)
    state = replace(state, n_gradients=state.n_gradients + len(rows))
    shared = int(means.settings.scout_share * means.settings.draws)
    return _add(state, points.mixture(state.beta), shared, means)


def _explore(state: State, means: Means) -> State:
    """Add rounds of local draws for as long as the pool is too poor to train on at its new β.

    A round costs a fraction of a training, and a flow trained on few effective points is wasted.
    The draws belong to the level before, whose points the flow is about to be trained on.
    """
    scouted, level = state.scouted, state.level
    if scouted is None:
        return state
    state = replace(state, level=level - 1)
    extra = int(means.settings.scout_share * means.settings.draws)
    for _ in range(MOST_EXPLORATIONS):
        enough = effective_sample_size(_pool_weights(state)) >= ENOUGH_POINTS
        if enough or not _affords(state, extra, means.settings):
            break
        state = _draw_locally(state, scouted, means)
    return replace(state, level=level)


def _pool_weights(state: State) -> Array:
    """Truncated weights of the pool at the state's β, (n,)."""
    return truncated(tempered(state.pool.log_base_weights(), state.pool.log_likelihood, state.beta))


def _add(state: State, proposal: Proposal, n: int, means: Means) -> State:
    """Draw n points of `proposal` into the pool."""
    z = proposal.draw(n, means.generator)
    log_likelihood, failed = evaluate_in_chunks(means.target, z, means.observe)
    if state.level == 0 and not np.isfinite(log_likelihood).any():
        raise ModelError(_nowhere(len(z), int(failed.sum())))
    generation = make_generation(state.level, proposal, z, log_likelihood)
    return replace(
        state,
        pool=state.pool.added(generation),
        path=(*state.path, generation.thinned(PATH_POINTS)),
        n_evaluations=state.n_evaluations + len(z),
        n_failed=state.n_failed + int(failed.sum()),
        failed_z=np.concatenate([state.failed_z, z[failed]])[:KEEP_FAILED],
    )


def evaluate_in_chunks(
    target: Target, z: Array, observe: Observer
) -> tuple[Array, NDArray[np.bool_]]:
    """log L (n,) and failures (n,) at z (n, d), with an event per chunk."""
    log_likelihood, failed = np.empty(len(z)), np.empty(len(z), dtype=bool)
    for start in range(0, len(z), EVALUATION_CHUNK):
        part = slice(start, min(start + EVALUATION_CHUNK, len(z)))
        evaluation = target.evaluate(z[part], False)
        log_likelihood[part], failed[part] = evaluation.log_likelihood, evaluation.failed
        observe(Activity("evaluating the model", part.stop, len(z)))
    return log_likelihood, failed


def _nowhere(n: int, n_failed: int) -> str:
    return (
        f"the likelihood is zero at all {n} draws from the prior "
        f"({n_failed} of them because the model failed); "
        "check the priors, the units of the data and the noise model with `nfanneal check`"
    )


def _look(state: State, seconds: float) -> LevelInfo:
    """How well the current flow does at its β."""
    newest = state.pool.generations[-1]
    own = tempered(
        newest.log_prior - state.pool.densities[-1][-1], newest.log_likelihood, state.beta
    )
    pooled = tempered(state.pool.log_base_weights(), state.pool.log_likelihood, state.beta)
    return LevelInfo(
        level=state.level,
        beta=state.beta,
        ess=effective_sample_size(normalized(own)) / len(own),
        truncated_ess=effective_sample_size(truncated(own)) / len(own),
        pool_ess=effective_sample_size(truncated(pooled)) / len(pooled),
        log_evidence=evidence(pooled).log_evidence,
        n_evaluations=state.n_evaluations,
        n_gradients=state.n_gradients,
        n_failed=state.n_failed,
        seconds=seconds,
    )


def _finished(state: State, info: LevelInfo, settings: AnnealSettings) -> bool:
    """Good enough at β = 1, or out of rounds, levels or evaluations."""
    if state.level >= settings.max_levels or not _affords(state, 0, settings):
        return state.level > 0
    return state.beta == 1.0 and (
        state.rounds >= settings.max_rounds or info.truncated_ess >= settings.target_ess
    )


def _affords(state: State, extra: int, settings: AnnealSettings) -> bool:
    """Whether the budget has room for `extra` evaluations and a level's own after them."""
    local = settings.scout_share if state.scouted is not None else 0.0
    level = int(settings.draws * (1.0 + HOT_DRAWS + local))
    budget = settings.max_evaluations
    return budget is None or state.n_evaluations + extra + level <= budget


def _advance(state: State, settings: AnnealSettings) -> State:
    """Choose the next β from the pool."""
    view = LevelView(
        level=state.level,
        beta=state.beta,
        log_base_weights=state.pool.log_base_weights(),
        log_likelihood=state.pool.log_likelihood,
        dimension=state.pool.generations[0].z.shape[1],
        patient=state.holds < MOST_HOLDS,
    )
    beta = 1.0 if state.beta == 1.0 else SCHEDULES[settings.schedule](view, settings)
    held = beta <= state.beta * (1.0 + 1e-6)
    return replace(state, level=state.level + 1, beta=beta, holds=state.holds + 1 if held else 0)


def _renew_hot(state: State, means: Means) -> State:
    """Train a hot proposal on the pool as it is after the first round at β = 1.

    The path's own are from before the pool knew the posterior, or much hotter than they need be.
    """
    flow, beta = state.flow, state.beta
    state, _ = _train(replace(state, beta=HOT_BETA * beta), means)
    return replace(state, flow=flow, beta=beta)


def _train(state: State, means: Means) -> tuple[State, Training]:
    """Whiten and train a copy of the flow at the state's β; it becomes the proposal."""
    settings = means.settings
    z = state.pool.z
    weights = _pool_weights(state)
    proposal = FlowProposal(copy.deepcopy(state.flow), *whitening(z, weights))
    training = train(
        proposal,
        PoolSample(proposal.whiten(z), weights),
        means.target,
        state.beta,
        settings,
        steps=settings.steps * (2 if state.rounds else 1),
        seed=means.train_seed.spawn(1)[0],
        progress=lambda done, total: means.observe(Activity("training the flow", done, total)),
    )
    state = replace(
        state,
        flow=proposal.flow,
        proposal=proposal,
        ladder=(*state.ladder, (state.beta, proposal)),
        pool=state.pool.since(state.level + 1 - settings.keep_levels),
        n_gradients=state.n_gradients + training.n_gradients,
    )
    return state, training


def _result(state: State, history: list[LevelInfo]) -> AnnealResult:
    if not isinstance(state.proposal, FlowProposal):
        raise ModelError("the budget ended before the first level was trained")
    return AnnealResult(
        proposal=final_mixture(state.pool, state.beta, FINAL_LEVELS, state.hot),
        path=state.path,
        history=tuple(history),
        reached=state.beta,
        n_evaluations=state.n_evaluations,
        n_gradients=state.n_gradients,
        n_failed=state.n_failed,
        failed_z=state.failed_z,
    )
