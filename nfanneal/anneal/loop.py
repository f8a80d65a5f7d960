"""The level loop: draw, evaluate, pool, choose the next β, train; then rounds at β = 1."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.contest import trained, untrained
from nfanneal.anneal.explore import (
    HELD_OUT,
    draw_locally,
    explore,
    training_points,
)
from nfanneal.anneal.journal import Journal, Within
from nfanneal.anneal.outcome import AnnealResult, result_of
from nfanneal.anneal.pool import Pool
from nfanneal.anneal.progress import Activity, Event, LevelInfo, Observer
from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.anneal.proposals.flow import whitening
from nfanneal.anneal.proposals.truncated import Side, Truncated
from nfanneal.anneal.restricted import restricted
from nfanneal.anneal.schedule import SCHEDULES, LevelView
from nfanneal.anneal.scout import scouts
from nfanneal.anneal.searches import LOOKED_AT_MORE, first_looks, scout_pool, scout_prior
from nfanneal.anneal.settings import LEAST_ROUNDS, MOST_EFFORT, AnnealSettings, FlowSettings
from nfanneal.anneal.snapshot import Snapshot, randomness_of, set_randomness
from nfanneal.anneal.state import (
    HOT_BETA,
    HOT_DRAWS,
    KEEP_FAILED,
    PART_DRAWS,
    Means,
    State,
    add,
    affords,
    level_draws,
    pool_weights,
)
from nfanneal.anneal.training import Training, WeightedPoints, train
from nfanneal.anneal.weights import (
    PARETO_LIMIT,
    effective_sample_size,
    evidence,
    normalized,
    pareto_k,
    tempered,
    truncated,
)
from nfanneal.errors import NowhereError
from nfanneal.target import Spent, Target

LEAST_ESS = 0.1
"""Share of a level's draws that must be effective before a flow is to be trusted."""
POOR_ESS = 0.02
"""A flow so poor at its own β says that the next ones take more."""
MOST_FIRST_DRAWS = 16_384
"""Draws of the prior until one has a likelihood, at most; none more if the model failed at all."""
FEWEST_LEVELS = 8
"""A part of the space is only annealed where the budget has room for so many levels."""
MOST_HOLDS = 3
"""β stands still at most so many levels in a row."""


def anneal(
    target: Target,
    flow_settings: FlowSettings,
    settings: AnnealSettings,
    seed: np.random.SeedSequence,
    observe: Observer = lambda event: None,
    *,
    journal: Journal | Within | None = None,
    further: tuple[State, tuple[LevelInfo, ...]] | None = None,
) -> AnnealResult:
    """Train a flow on the posterior of `target`, level by level.

    A stage goes `further` than one that ended, if there was one. A `journal` is told where every
    level starts. One that was resumed says where to go on: with the same settings and threads, the
    result has the same bits as if nothing had been stopped.

    Raises:
        ModelError: the likelihood is zero or failed at every draw from the prior.
    """
    flow_seed, draw_seed, train_seed, local_seed = seed.spawn(4)
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))
    rng = np.random.default_rng(local_seed)
    means = Means(target, settings, generator, rng, train_seed, observe)
    journal, within = journal or Journal(), None
    state = _start(target.dimension, flow_settings, settings, int(flow_seed.generate_state(1)[0]))
    history = list[LevelInfo]()
    if further is not None:
        state, history = further[0], list(further[1])
    if journal.snapshot is not None and journal.snapshot.state.stage >= state.stage:
        state, history = journal.snapshot.state, list(journal.snapshot.history)
        set_randomness(means, journal.snapshot.randomness)
        within = journal.snapshot.within
    while True:
        start = Snapshot(state, tuple(history), randomness_of(means), within)
        journal.begin(start)
        within = None
        if state.side is not None:
            state = _with_part(state, state.side, flow_settings, means, Within(journal, start))
        state = _draw(state, means)
        if state.level == 0 and settings.scout == "auto" and scouts(target):
            state = scout_prior(state, means)
        info = _look(state, journal.seconds)
        state = scout_pool(state, means)
        if _finished(state, info, settings):
            history.append(info)
            observe(info)
            break
        state = explore(_advance(state, info, means), means)
        if state.rounds == 1:
            state = _renew_hot(state, info, means)
        state, training = _train(state, info, means)
        info = replace(info, next_beta=state.beta, losses=training.losses)
        info = replace(info, held_out=training.held_out, seconds=journal.seconds)
        history.append(info)
        observe(info)
    return result_of(state, history)


def _start(dimension: int, flow: FlowSettings, settings: AnnealSettings, seed: int) -> State:
    return State(
        level=0,
        beta=0.0,
        rounds=0,
        flows=untrained(dimension, flow, seed),
        proposal=PriorProposal(dimension),
        pool=Pool(),
        path=(),
        n_evaluations=0,
        n_gradients=0,
        failed_z=np.empty((0, dimension)),
        n_failed=0,
        ladder=((0.0, PriorProposal(dimension)),),
        effort=settings.effort,
    )


def _draw(state: State, means: Means) -> State:
    """Draw this level's points, evaluate them, and add them to the pool.

    Points of the hot proposal keep the pool supplied where this level's flow hardly ever draws.
    """
    draws = level_draws(state, means.settings)
    means.observe(Activity("drawing", 0, draws))
    state = draw_locally(state, means)
    for hot in state.hot if state.level > 0 else ():
        state = add(state, hot, int(HOT_DRAWS * draws) // len(state.hot), means)
    for part in state.beside:
        state = add(state, part, int(PART_DRAWS * draws) // len(state.beside), means)
    state = add(state, state.proposal, draws, means)
    while state.level == 0 and not np.isfinite(state.pool.log_likelihood).any():
        n = len(state.pool.log_likelihood)
        hopeless = n >= MOST_FIRST_DRAWS or state.n_failed == n
        if hopeless or not affords(state, n, means.settings):
            raise NowhereError(_nowhere(state, means.target))
        state = add(state, state.proposal, n, means)
    return replace(state, rounds=state.rounds + (state.beta == 1.0))


def _with_part(
    state: State, side: Side, flow: FlowSettings, means: Means, journal: Within
) -> State:
    """The state with a proposal for one side of a coordinate, annealed there by itself.

    It is a first attempt, whose draws join the pool. Searches have been all over the prior before:
    of this side's no more draws are looked at than were of the whole at first. Where they have no
    likelihood there is no proposal, and what spoke for it still does.
    """
    state, budget = replace(state, side=None), means.settings.max_evaluations
    left = None if budget is None else (budget - state.n_evaluations) // 2
    looks = max(first_looks(means) // LOOKED_AT_MORE, 1)
    settings = replace(means.settings, extra_rounds=0, max_evaluations=left, looks=looks)
    if left is not None and left < FEWEST_LEVELS * settings.draws:
        return state

    def observe(event: Event) -> None:
        if isinstance(event, Activity):
            means.observe(event)

    try:
        target, seed = restricted(means.target, side), means.train_seed.spawn(1)[0]
        found = anneal(target, flow, settings, seed, observe, journal=journal)
    except NowhereError:
        return state
    end = found.state
    failed = side.into(end.failed_z)[0]
    return replace(
        state,
        parts=(*state.parts, Truncated(found.proposal, side)),
        n_failed=state.n_failed + end.n_failed,
        failed_z=np.concatenate([state.failed_z, failed])[:KEEP_FAILED],
    ).spending(Spent(end.n_gradients, end.n_dropped, end.n_evaluations))


def _nowhere(state: State, target: Target) -> str:
    z, n_failed = state.pool.z, state.n_failed
    row = state.failed_z[0] if n_failed else z[0]
    advice = "" if n_failed == len(z) else ", or draw more (anneal.draws)"
    why = f"\n  there: {told}" if n_failed and (told := target.why_failed(row)) else ""
    return (
        f"the likelihood is zero at all {len(z)} draws from the prior ({n_failed} of them "
        f"because the model failed), such as {target.in_words(row)}; check the priors, the "
        f"units of the data and the noise model with `nfanneal check`{advice}{why}"
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
        pareto_k=pareto_k(own),
        log_evidence=evidence(pooled).log_evidence,
        n_evaluations=state.n_evaluations,
        n_gradients=state.n_gradients,
        n_failed=state.n_failed,
        seconds=seconds,
    )


def _finished(state: State, info: LevelInfo, settings: AnnealSettings) -> bool:
    """Good enough at β = 1, or out of rounds, levels or evaluations."""
    if state.level >= settings.max_levels or not affords(state, 0, settings):
        return state.level > 0
    light_tailed = not info.pareto_k >= PARETO_LIMIT
    good = info.truncated_ess >= settings.target_ess and light_tailed
    enough = state.rounds >= (1 if state.stage == 0 else LEAST_ROUNDS) and good
    trusted = info.ess >= LEAST_ESS and light_tailed
    most = settings.max_rounds + (0 if trusted else settings.extra_rounds)
    return state.beta == 1.0 and (enough or state.rounds >= most)


def _advance(state: State, info: LevelInfo, means: Means) -> State:
    """Choose the next β from the pool."""
    settings = means.settings
    view = LevelView(
        level=state.level,
        beta=state.beta,
        log_base_weights=state.pool.log_base_weights(),
        log_likelihood=state.pool.log_likelihood,
        dimension=state.pool.generations[0].z.shape[1],
        mode=_modes_that_count(state),
        patient=state.holds < MOST_HOLDS,
        enough=settings.enough_points * state.effort,
    )
    beta = 1.0 if state.beta == 1.0 else SCHEDULES[settings.schedule](view, settings)
    held = state.beta < 1.0 and beta <= state.beta * (1.0 + 1e-6)
    poor = held or (state.level > 0 and info.truncated_ess < POOR_ESS)
    poor = poor or state.rounds >= settings.max_rounds
    return replace(
        state,
        level=state.level + 1,
        beta=beta,
        holds=state.holds + 1 if held else 0,
        effort=_effort(state, poor, settings),
    )


def _effort(state: State, poor: bool, settings: AnnealSettings) -> int:
    """Twice as much after a poor level; on the path less again after a good one."""
    if poor:
        return min(2 * state.effort, MOST_EFFORT)
    return state.effort if state.beta == 1.0 else max(state.effort // 2, settings.effort)


def _modes_that_count(state: State) -> NDArray[np.int64] | None:
    """Which mode a step of β must not starve each of the pool's points belongs to, if any."""
    if state.archive is None or len(state.archive) < 2:
        return None
    return state.archive.weighty(state.pool.z, state.beta)


def _renew_hot(state: State, info: LevelInfo, means: Means) -> State:
    """Train a hot proposal on the pool as it is after the first round at β = 1.

    The path's own are from before the pool knew the posterior, or much hotter than they need be.
    """
    flows, beta, pool = state.flows, state.beta, state.pool
    state, _ = _train(replace(state, beta=HOT_BETA * beta), info, means)
    return replace(state, flows=flows, beta=beta, pool=pool)


def _train(state: State, info: LevelInfo, means: Means) -> tuple[State, Training]:
    """Whiten and train copies of the flows at the state's β; the best becomes the proposal."""
    settings = means.settings
    z = state.pool.z
    weights = pool_weights(state)
    if state.archive is not None and len(state.archive) > 1:
        weights = state.archive.balanced(weights, z, state.beta)
    around, share = z, weights
    if state.walked is not None:  # they may be where the pool has nothing
        around = np.concatenate([z, state.walked])
        share = np.concatenate([0.5 * weights, np.full(len(state.walked), 0.5 / len(state.walked))])
    mean, cholesky = whitening(around, share)
    coordinates = replace(state.flows.newest[0], mean=mean, cholesky=cholesky)
    order = means.rng.permutation(len(z))
    held_out, others = np.split(order, [len(z) // HELD_OUT])
    if not weights[others].any():  # all weight is that of a single held-out point
        others = order
    state, points, walked = training_points(
        state, info, coordinates, others, weights[others], means
    )
    train_one = partial(
        train,
        points=points,
        held_out=walked or WeightedPoints(coordinates.whiten(z[held_out]), weights[held_out]),
        target=means.target,
        beta=state.beta,
        settings=settings,
        steps=settings.steps * state.effort * (2 if state.rounds else 1),
        seed=means.train_seed.spawn(1)[0],
        progress=lambda done, total: means.observe(Activity("training the flow", done, total)),
    )
    flows, proposal, training = trained(state.flows, (mean, cholesky), train_one)
    state = replace(
        state,
        flows=flows,
        proposal=proposal,
        ladder=(*state.ladder, (state.beta, proposal)),
        pool=state.pool.since(state.level + 1 - settings.keep_levels),
    ).spending(training.spent)
    return state, training
