"""Where a pool is poor: local draws around scouted points, and moved points to train on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.hmc import moved
from nfanneal.anneal.local import local_points
from nfanneal.anneal.metropolis import STEPS, walked
from nfanneal.anneal.progress import Activity, LevelInfo
from nfanneal.anneal.proposals.flow import FlowProposal
from nfanneal.anneal.scout import most_starts, pool_starts, scout, searched
from nfanneal.anneal.state import Means, State, add, affords, observed_values, pool_weights
from nfanneal.anneal.training import WeightedPoints
from nfanneal.anneal.weighing import weighed
from nfanneal.anneal.weights import effective_sample_size, systematic_resample
from nfanneal.arrays import Array, concatenated

MORE_OF_THE_PRIOR = 3
"""Draws of the prior that are only looked at, per point of a level: few may hit a narrow mode."""
MOST_OF_A_BUDGET = 0.05
SEARCH_AGAIN = 4.0
"""Optima are searched again from the pool when β has grown by such a factor."""
MOST_SEARCHES_AT_END = 2
"""… and so many times at β = 1."""
ENOUGH_EXPLORED = 2000
"""Effective points of the pool that make local exploration before a training superfluous."""
MOST_EXPLORATIONS = 5
"""Rounds of local exploration before a training, at most."""
ENOUGH_TO_TRAIN = 1000
"""Effective points of the pool, per dimension, that a flow is trained on as they are."""
ENOUGH_TO_MOVE = 2000
"""Effective points of the pool that need be left where points are moved."""
MOVED_POINTS = 8192
"""So many points are moved before a training, at most, if the pool has few effective ones."""


def scout_prior(state: State, means: Means) -> State:
    """Look for optima from draws of the prior: those of the level, and more of them."""
    prior, most = state.pool.generations[0], _allowance(means)
    n = int(min(MORE_OF_THE_PRIOR * means.settings.draws, most))
    more = prior.proposal.draw(n, means.generator)
    log_likelihood, failed = observed_values(means.target, more, means.observe)
    state = replace(
        state, n_evaluations=state.n_evaluations + n, n_failed=state.n_failed + int(failed.sum())
    )
    means.observe(Activity("scouting for modes", 0, 1))
    z = np.concatenate([prior.z, more])
    found = scout(means.target, z, np.concatenate([prior.log_likelihood, log_likelihood]), most)
    return _weighed(replace(state.spending(found.spent), archive=found.archive), means)


def _allowance(means: Means) -> float:
    """Evaluations that a search, or what goes with it, may take of a budget."""
    return MOST_OF_A_BUDGET * (means.settings.max_evaluations or math.inf)


def _weighed(state: State, means: Means) -> State:
    """Draw around the archive's optima that matter, to see what they weigh."""
    if state.archive is None:
        return state
    archive, spent, n_failed = weighed(
        state.archive, means.target, means.generator, _allowance(means)
    )
    n_failed += state.n_failed
    return replace(state.spending(spent), archive=archive, n_failed=n_failed)


def scout_pool(state: State, means: Means) -> State:
    """Look for optima from the pool, and draw around those that are new and matter.

    Often enough on the path that no stage of it is passed over, and at β = 1.
    """
    archive, pool = state.archive, state.pool
    due = state.beta >= min(SEARCH_AGAIN * state.searched_at, 1.0)
    most = _allowance(means)
    affordable = most == math.inf or affords(state, 2 * int(most), means.settings)
    if archive is None or not due or not affordable:
        return state
    if state.searches_at_end >= MOST_SEARCHES_AT_END:
        return state
    means.observe(Activity("scouting for modes", 0, 1))
    base, log_l = pool.log_base_weights(), pool.log_likelihood
    size = most_starts(means.target) // 4
    starts = pool_starts(pool.z, base, log_l, size, archive)
    found = searched(means.target, starts, archive, most)
    state = replace(
        state.spending(found.spent),
        archive=found.archive,
        searched_at=state.beta,
        searches_at_end=state.searches_at_end + (state.beta == 1.0),
    )
    if not found.news:
        return state
    state = _weighed(state, means)
    state = replace(state, rounds=max(state.rounds - 1, 0))  # the flow has not learned it yet
    return draw_locally(state, means)


def draw_locally(state: State, means: Means) -> State:
    """Draw from components around optima, and around as many points of the pool.

    Half of the latter are the heaviest, where the proposals under-cover the target most; the
    others are chosen by their weight. There are none where their curvature does not come for free.
    """
    archive, size = state.archive, means.settings.local_components // 2
    if archive is None or not len(archive):
        return state
    points = archive.chosen(state.beta, size, means.rng)
    if means.target.has_information:
        weights = pool_weights(state)
        heaviest = np.argsort(-weights, kind="stable")[: size // 2]
        rows = np.union1d(heaviest, systematic_resample(weights, size // 2, means.rng))
        near_pool, spent = local_points(means.target, state.pool.z[rows])
        points, state = concatenated([points, near_pool]), state.spending(spent)
    shared = int(means.settings.scout_share * means.settings.draws)
    return add(state, points.mixture(state.beta), shared, means)


def explore(state: State, means: Means) -> State:
    """Add rounds of local draws for as long as the pool is too poor to train on at its new β.

    A round costs a fraction of a training, and a flow trained on few effective points is wasted.
    The draws belong to the level before, whose points the flow is about to be trained on.
    """
    level = state.level
    if state.archive is None or not means.target.has_information:
        return state
    state = replace(state, level=level - 1)
    extra = int(means.settings.scout_share * means.settings.draws)
    for _ in range(MOST_EXPLORATIONS):
        enough = effective_sample_size(pool_weights(state)) >= ENOUGH_EXPLORED
        if enough or not affords(state, extra, means.settings):
            break
        state = draw_locally(state, means)
    return replace(state, level=level)


def moves_points(state: State, info: LevelInfo, means: Means) -> bool:
    """Whether points are moved before a flow is trained on them, as far as the budget allows.

    Where the newest flow, as `info` has it, is as good as the last one should be, its draws are.
    """
    settings = means.settings
    wanted = settings.moves > 0 and settings.objective != "reverse_kl"
    wanted = wanted and info.truncated_ess < settings.target_ess
    if not (wanted and walks(means.target)):
        return wanted
    return affords(state, _points_to_move(means) * STEPS * settings.moves, settings)


def _points_to_move(means: Means) -> int:
    """Not more than are drawn at a level, where each of their steps takes an evaluation."""
    return min(MOVED_POINTS, means.settings.draws) if walks(means.target) else MOVED_POINTS


def training_points(
    state: State,
    info: LevelInfo,
    proposal: FlowProposal,
    rows: NDArray[np.int64],
    weights: Array,
    means: Means,
) -> tuple[State, WeightedPoints]:
    """The pool's points in `rows`, or moved ones where few of them are effective."""
    z = state.pool.z[rows]
    enough, count = ENOUGH_TO_TRAIN * z.shape[1], _points_to_move(means)
    if walks(means.target):
        enough = min(enough, count)
    few = effective_sample_size(weights) < enough
    if not (few and moves_points(state, info, means)):
        return state, WeightedPoints(proposal.whiten(z), weights)
    means.observe(Activity("spreading points", 0, means.settings.moves))
    state, end = _moved(
        state, proposal, rows[systematic_resample(weights, count, means.rng)], means
    )
    return state, WeightedPoints(proposal.whiten(end), np.full(len(end), 1.0 / len(end)))


def _moved(
    state: State, proposal: FlowProposal, rows: NDArray[np.int64], means: Means
) -> tuple[State, Array]:
    """The pool's points in `rows` moved under prior·L^β."""
    start, moves, target = state.pool.z[rows], means.settings.moves, means.target
    if not walks(target):
        end, spent = moved(target, start, state.beta, proposal.cholesky, moves, means.rng)
        return state.spending(spent), end
    walk = walked(
        lambda z: observed_values(target, z, means.observe),
        start,
        state.pool.log_likelihood[rows],
        state.beta,
        proposal.cholesky,
        moves,
        means.rng,
    )
    counted = replace(
        state,
        n_evaluations=state.n_evaluations + walk.n_evaluations,
        n_failed=state.n_failed + walk.n_failed,
    )
    return counted, walk.z


class Differentiated(Protocol):
    """Which derivatives a model has."""

    @property
    def differentiable(self) -> bool:
        """Whether it has gradients."""

    @property
    def has_information(self) -> bool:
        """Whether it has the Fisher information, as ODE models do."""


def walks(model: Differentiated) -> bool:
    """Whether its points move by Metropolis steps, not by gradients.

    They do where there are none, and in ODE models: steps along differences of points follow
    ridges that Hamiltonian paths leave, and values take a fraction of a gradient's time.
    """
    return model.has_information or not model.differentiable
