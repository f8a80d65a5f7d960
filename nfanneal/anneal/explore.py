"""Where a pool is poor: local draws around scouted points, and moved points to train on."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.hmc import moved
from nfanneal.anneal.local import local_points
from nfanneal.anneal.progress import Activity, LevelInfo
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.proposals.flow import FlowProposal
from nfanneal.anneal.settings import FEW_DIMENSIONS
from nfanneal.anneal.state import (
    Means,
    State,
    add,
    affords,
    level_draws,
    observed_values,
    pool_weights,
)
from nfanneal.anneal.training import WeightedPoints
from nfanneal.anneal.walk import Ways, begun, round_evaluations, round_of
from nfanneal.anneal.weights import effective_sample_size, systematic_resample
from nfanneal.arrays import Array, concatenated
from nfanneal.target import Spent

MOST_EXPLORATIONS = 5
"""Rounds of local exploration before a training, at most."""
FEWEST_TO_TRAIN, ENOUGH_TO_TRAIN = 30, 1000
"""Points are moved before a training where the pool has fewer effective ones than this, per

dimension: on the path, and at β = 1 where the first effort was not enough."""
MOST_MOVED = 8192
"""So many points are moved before a training, at most."""
HELD_OUT = 8
"""One point in this many is held out of the training."""
WALKED_SHARE = 0.5
"""Such a share of the points that are moved go on from where others walked before."""


def draw_locally(state: State, means: Means) -> State:
    """Draw from components around optima, and around as many points of the pool.

    Half of the latter are the heaviest, where the proposals under-cover the target most; the
    others are chosen by their weight. There are none where their curvature does not come for free.
    """
    archive, size = state.archive, means.settings.local_components // 2
    if archive is None or not len(archive):
        return state
    means.observe(Activity("drawing around optima", 0, 1))
    points = archive.chosen(state.beta, size, means.rng)
    if means.target.has_information:
        weights = pool_weights(state)
        heaviest = np.argsort(-weights, kind="stable")[: size // 2]
        rows = np.union1d(heaviest, systematic_resample(weights, size // 2, means.rng))
        near_pool, spent = local_points(means.target, state.pool.z[rows])
        points, state = concatenated([points, near_pool]), state.spending(spent)
    shared = int(means.settings.scout_share * level_draws(state, means.settings))
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
    draws = level_draws(state, means.settings)
    extra = int(means.settings.scout_share * draws)
    for _ in range(MOST_EXPLORATIONS):
        enough = (
            effective_sample_size(pool_weights(state))
            >= means.settings.enough_points * state.effort
        )
        if enough or not affords(state, extra, means.settings):
            break
        state = draw_locally(state, means)
    return replace(state, level=level)


def _moves_points(state: State, info: LevelInfo, means: Means) -> bool:
    """Whether points may be moved before a flow is trained on them, as far as the budget allows.

    Where the newest flow, as `info` has it, is as good as the last one should be, its draws are,
    unless walked points have spoken against them.
    """
    settings = means.settings
    wanted = settings.moves > 0 and settings.objective != "reverse_kl"
    wanted = wanted and (info.truncated_ess < settings.target_ess or state.walked is not None)
    if not (wanted and walks(means.target)):
        return wanted
    each = round_evaluations(by_gradients=False) * settings.moves
    return affords(state, _points_to_move(state, means) * each, settings)


def _points_to_move(state: State, means: Means) -> int:
    return min(MOST_MOVED, level_draws(state, means.settings))


def training_points(
    state: State,
    info: LevelInfo,
    proposal: FlowProposal,
    rows: NDArray[np.int64],
    weights: Array,
    means: Means,
) -> tuple[State, WeightedPoints, WeightedPoints | None]:
    """The pool's points in `rows`, or moved ones where few of them are effective.

    And where walked points have spoken against what the pool says; then some of them, which the
    training does not see, have to tell how good it is, too: the pool's know nothing of the rest.
    """
    z = state.pool.z[rows]
    thorough = state.effort > 1 and state.beta == 1.0
    each = ENOUGH_TO_TRAIN if thorough else FEWEST_TO_TRAIN
    few = effective_sample_size(weights) < each * z.shape[1]
    if not ((few or state.walked is not None) and _moves_points(state, info, means)):
        return state, WeightedPoints(proposal.whiten(z), weights), None
    spoken_against = state.walked is not None
    means.observe(Activity("spreading points", 0, means.settings.moves))
    chosen = rows[systematic_resample(weights, _points_to_move(state, means), means.rng)]
    state, end = _moved(state, proposal, chosen, means)
    y = proposal.whiten(means.rng.permutation(end))
    n = len(end) // HELD_OUT if spoken_against else 0
    held_out, others = (WeightedPoints(p, np.full(len(p), 1.0 / len(end))) for p in (y[:n], y[n:]))
    return state, others, held_out if n else None


def _moved(
    state: State, proposal: FlowProposal, rows: NDArray[np.int64], means: Means
) -> tuple[State, Array]:
    """The pool's points in `rows` moved under prior·L^β, and those on that walked before."""
    target, moves = means.target, means.settings.moves
    z, log_likelihood = state.pool.z[rows], state.pool.log_likelihood[rows]
    if state.walked is not None:
        n = int(WALKED_SHARE * len(z))
        z[:n] = state.walked[np.arange(n) % len(state.walked)]
        log_likelihood[:n], failed = observed_values(target, z[:n], means.observe)
        state = replace(state, n_failed=state.n_failed + int(failed.sum()))
        state = state.spending(Spent(evaluations=n))
    if not walks(target):
        end, spent = moved(target, z, state.beta, proposal.cholesky, moves, means.rng)
        return replace(state.spending(spent), walked=_kept(state, end)), end
    log_ratio = log_standard_normal(z) - state.proposal.log_density(z)
    walk = begun(z, log_likelihood, log_ratio, state.beta)
    mode = state.archive.modes(z, state.beta) if state.archive else np.zeros(len(z), dtype=np.int64)
    ways = Ways(target, state.proposal, mode, False, means.rng, means.generator)
    for _ in range(moves):
        walk = round_of(walk, ways)
    state = replace(state.spending(walk.spent), n_failed=state.n_failed + walk.failed)
    return replace(state, walked=_kept(state, walk.z)), walk.z


def _kept(state: State, end: Array) -> Array | None:
    """Points that go on from here at the next round: those that walk under the posterior."""
    return end if state.beta == 1.0 else state.walked


class Differentiated(Protocol):
    """Which derivatives a model has, of how many parameters."""

    @property
    def dimension(self) -> int:
        """How many columns its parameters have."""

    @property
    def differentiable(self) -> bool:
        """Whether it has gradients."""

    @property
    def has_information(self) -> bool:
        """Whether it has the Fisher information, as ODE models do."""


def walks(model: Differentiated) -> bool:
    """Whether its points move by Metropolis steps, not by gradients.

    They do where there are none, in ODE models and in few dimensions: steps along differences of
    points follow ridges that Hamiltonian paths leave, and values take a fraction of a gradient's
    time.
    """
    by_values = model.has_information or not model.differentiable
    return by_values or model.dimension <= FEW_DIMENSIONS
