"""Searches for modes along the path: from the prior's draws, while it takes more, and the pool."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nfanneal.anneal.archive import Archive
from nfanneal.anneal.coverage import likeliest
from nfanneal.anneal.explore import draw_locally
from nfanneal.anneal.landscape import evaluations_uphill, modes_of, rarest, unseen, uphill
from nfanneal.anneal.progress import Activity
from nfanneal.anneal.scout import (
    LOOKED_AT,
    STARTS,
    found_often,
    in_order_of_time,
    likely_starts,
    nothing_found,
    pool_starts,
    searched,
    steps_by,
)
from nfanneal.anneal.state import Means, State, affords, level_draws, observed_values
from nfanneal.anneal.weighing import weighed
from nfanneal.arrays import Array, Bools, concatenated, rows_of
from nfanneal.target import Spent

OFTEN = 6
"""Searches from the prior go on until so many ended in every mode that weighs something."""
LOOKED_AT_PER_DRAW = 128
"""Draws of the prior that are looked at first, at most, per draw of a level."""
UNSEEN = 0.01
"""… and while so many of them end where none ended before, if there is where to begin."""
MOST_LOOKED_AT = 131_072
"""Searches from the prior end where so many draws were looked at, or evaluations made: of a

likelihood that is no fit to data, as many as so many slopes by differences take."""
LOOKED_AT_MORE = 8
"""… or so many times as many as at first, where that number is given."""
LEVELS_KEPT = 2.0
"""Levels' draws that a budget keeps for what follows the searches from the prior."""
OF_A_BUDGET, OF_A_BUDGET_LATER = 0.25, 0.05
"""What searches from the prior may take of a budget, half of it to look at draws; and others."""
SEARCH_AGAIN = 4.0
"""Optima are searched again from the pool when β has grown by such a factor."""
MOST_SEARCHES_AT_END = 2
"""… and so many times at β = 1."""


@dataclass(frozen=True)
class Draws:
    """Draws z (n, d) of the prior with log L (n,)."""

    z: Array
    log_likelihood: Array


@dataclass(frozen=True)
class Found:
    """What searches found so far, how many were begun, and the state after them."""

    archive: Archive
    state: State
    begun: int = 0


def scout_prior(state: State, means: Means) -> State:
    """Look for optima from draws of the prior, until all modes that are there were found often.

    Searches begin at draws that are better than their neighbours; of a likelihood that is no fit to
    data, not where the way rises straight to a known optimum. They go on while many end where none
    ended before. A mode that weighs something and that few ended in says that others like it may
    be there that none found: then the draws are doubled. Nothing is found where no draw has a
    likelihood.

    Source: Boender & Rinnooy Kan (1987), Bayesian stopping rules for multistart global
    optimization methods, doi:10.1007/BF02591684, for the thought.
    """
    target, before = means.target, state.n_evaluations
    first, most = STARTS[steps_by(target)]
    draws = Draws(state.pool.z, state.pool.log_likelihood)
    found, starts = Found(nothing_found(target.dimension), state), rows_of(draws, slice(0))
    looked, most_looked = _looks(means)
    step = 1 if target.ask_curvature is not None else 2 * target.dimension + 1
    while max(looked, (found.state.n_evaluations - before) / step) <= most_looked:
        left = _left(found.state, before, means)
        if not len(starts.z):
            n = min(looked - len(draws.z), left / 2.0)
            more, state = _more_of_the_prior(found.state, means, n)
            found = replace(found, state=state)
            new = more if found.begun else concatenated([draws, more])
            draws, looked = concatenated([draws, more]), 2 * looked
            starts = rows_of(new, likely_starts(new.z, new.log_likelihood))
        left = _left(found.state, before, means)
        found, starts = _search(found, starts, max(found.begun, first), left, means)
        found, rarely, more_to_see = _enough_seen(found, means)
        if found.begun >= most or left <= 0 or not (rarely or (more_to_see and len(starts.z))):
            break
    archive, seen = found.archive, likeliest(draws.z, draws.log_likelihood)
    state = replace(found.state, archive=archive, seen=seen)
    if not len(archive) or found_often(archive):
        return state
    if target.ask_curvature is None or (target.curvature_cost and _allowance(means) < math.inf):
        return state

    def told(done: int, total: int) -> None:
        means.observe(Activity("following the data in time", done, total))

    archive, asked = in_order_of_time(target, draws.z, archive, told)
    state, archive = _weighed(state.spending(asked), archive, means)
    return replace(state, archive=archive)


def _looks(means: Means) -> tuple[int, int]:
    """How many draws of the prior are looked at, at first and at most."""
    first, given = first_looks(means), means.settings.looks
    return first, MOST_LOOKED_AT if given is None else LOOKED_AT_MORE * first


def first_looks(means: Means) -> int:
    """How many draws of the prior are looked at, at first."""
    settings = means.settings
    if settings.looks is not None:
        return settings.looks
    return min(LOOKED_AT[steps_by(means.target)], LOOKED_AT_PER_DRAW * settings.draws)


def _more_of_the_prior(state: State, means: Means, n: float) -> tuple[Draws, State]:
    """n draws of the prior more, that are only looked at: few may hit a narrow mode."""
    z = state.pool.generations[0].proposal.draw(max(int(n), 0), means.generator)
    if not len(z):
        return Draws(z, np.empty(0)), state
    values, failed = observed_values(means.target, z, means.observe)
    state = replace(state, n_failed=state.n_failed + int(failed.sum()))
    return Draws(z, values), state.spending(Spent(evaluations=len(z)))


def _search(
    found: Found, starts: Draws, size: int, left: float, means: Means
) -> tuple[Found, Draws]:
    """Search from the first of the starts, and what starts are left.

    Those from where the way rises straight to a known optimum count as if a search had ended
    there. A fit to data goes other ways.
    """
    means.observe(Activity("scouting for modes", 0, 1))
    straight = means.target.ask_curvature is None and len(found.archive) > 0
    if straight and evaluations_uphill(means.target) * len(starts.z) <= left:
        found, known = _known(found, starts, means)
        starts = rows_of(starts, ~known)
    z = starts.z[:size]
    if not len(z) or left <= 0:
        return found, starts
    ended = searched(means.target, z, found.archive, left)
    state, archive = _weighed(found.state.spending(ended.spent), ended.archive, means)
    return Found(archive, state, found.begun + len(z)), rows_of(starts, slice(size, None))


def _known(found: Found, starts: Draws, means: Means) -> tuple[Found, Bools]:
    """Which starts the way leads straight up from to a known optimum, which counts them."""
    optimum, spent = uphill(means.target, found.archive, starts.z, starts.log_likelihood)
    known = optimum >= 0
    counts = np.bincount(optimum[known], minlength=len(found.archive))
    archive = replace(found.archive, found=found.archive.found + counts)
    return replace(found, archive=archive, state=found.state.spending(spent)), known


def _enough_seen(found: Found, means: Means) -> tuple[Found, bool, bool]:
    """Whether a mode that weighs something, or the best place, was found by few searches.

    And whether many searches end in modes that none ended in before.
    """
    mode, spent = modes_of(means.target, found.archive)
    found = replace(found, state=found.state.spending(spent))
    rarely = rarest(found.archive, mode) < OFTEN or not found_often(found.archive)
    return found, rarely, unseen(found.archive, mode) > UNSEEN


def _left(state: State, before: int, means: Means) -> float:
    """Evaluations left for searches from the prior, of which some were made: levels must follow."""
    budget = means.settings.max_evaluations or math.inf
    free = budget - state.n_evaluations - LEVELS_KEPT * level_draws(state, means.settings)
    spent = state.n_evaluations - before
    return max(min(_allowance(means, OF_A_BUDGET) - spent, free), 0.0)


def _allowance(means: Means, share: float = OF_A_BUDGET_LATER) -> float:
    """Evaluations that a search, or what goes with it, may take: a share of a budget, if there is.

    Searches of the prior may take what the settings give them.
    """
    settings = means.settings
    own = settings.search_evaluations or math.inf
    return min(share * (settings.max_evaluations or math.inf), own * share / OF_A_BUDGET)


def _weighed(state: State, archive: Archive, means: Means) -> tuple[State, Archive]:
    """Draw around the archive's optima that matter, to see what they weigh."""
    archive, spent, n_failed = weighed(archive, means.target, means.generator, _allowance(means))
    if not archive.matters.any():  # on plateaus no curvature says where to draw
        archive = nothing_found(means.target.dimension)
    return replace(state.spending(spent), n_failed=state.n_failed + n_failed), archive


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
    size = max(int(archive.found.sum()), STARTS[steps_by(means.target)][0]) // 4
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
    state, archive = _weighed(state, found.archive, means)
    rounds = max(state.rounds - 1, 0)  # the flow has not learned it yet
    state = replace(state, archive=archive, rounds=rounds)
    return draw_locally(state, means)
