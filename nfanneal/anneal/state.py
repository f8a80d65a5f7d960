"""What annealing carries from level to level, and how points get into its pool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from nfanneal.anneal.archive import Archive
from nfanneal.anneal.contest import Flows
from nfanneal.anneal.coverage import Seen
from nfanneal.anneal.pool import Generation, Pool, make_generation
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.anneal.proposals.base import Mixture, Proposal
from nfanneal.anneal.proposals.truncated import Side, Truncated
from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.weights import tempered, truncated
from nfanneal.arrays import Array, Bools
from nfanneal.target import Spent, Target

PATH_POINTS, PATH_SHARE = 1024, 1 / 4
"""Draws of each generation that are kept, past the pool, for the coverage check: at most so many,

and such a share of a level's draws."""
HOT_BETA = 0.5
"""The hot proposal of a level is the last one that was trained at this share of its β or below."""
HOT_PROPOSALS = 2
"""So many: one that is trained anew on a richer pool can lose what an older one covers."""
HOT_DRAWS = 1 / 4
"""A level draws so many points of its hot proposals too, per point of its own."""
PART_DRAWS = 1 / 4
"""And of those that cover a part of the space, and of a patch."""
KEEP_FAILED = 1000
"""At most so many failed points are kept for the user to look at."""


@dataclass(frozen=True)
class State:
    """What the next level needs; `ladder` are the trained proposals with their β, newest last.

    `effort` says how many times as many draws and steps as at first a level has. `walked` (m, d)
    are points that walk under the posterior, from a `stage` that ended before enough was known,
    `seen` the likeliest draws of the prior. One `side` of a coordinate is to be annealed by itself,
    if any; `parts` are the proposals that came of such annealings. A `patch` draws where the final
    proposal of an earlier stage hardly did.
    """

    level: int
    beta: float
    rounds: int
    flows: Flows
    proposal: Proposal
    pool: Pool
    path: tuple[Generation, ...]
    n_evaluations: int
    n_gradients: int
    failed_z: Array
    n_failed: int
    ladder: tuple[tuple[float, Proposal], ...]
    holds: int = 0
    archive: Archive | None = None
    searched_at: float = 0.0
    searches_at_end: int = 0
    n_dropped: int = 0
    effort: int = 1
    stage: int = 0
    walked: Array | None = None
    seen: Seen | None = None
    side: Side | None = None
    parts: tuple[Truncated, ...] = ()
    patch: Mixture | None = None

    def spending(self, spent: Spent) -> State:
        """This state after so much more was asked."""
        return replace(
            self,
            n_evaluations=self.n_evaluations + spent.evaluations,
            n_gradients=self.n_gradients + spent.gradients,
            n_dropped=self.n_dropped + spent.dropped,
        )

    @property
    def beside(self) -> tuple[Proposal, ...]:
        """Proposals that levels draw of beside their own, for what these miss."""
        return self.parts if self.patch is None else (*self.parts, self.patch)

    @property
    def wide(self) -> tuple[Proposal, ...]:
        """Those that draw where hardly anything is, by design: hot ones, and what is in a patch."""
        patch = () if self.patch is None else (self.patch, *self.patch.components)
        return (*self.hot, *patch)

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


def pool_weights(state: State) -> Array:
    """Truncated weights of the pool at the state's β, (n,)."""
    return truncated(tempered(state.pool.log_base_weights(), state.pool.log_likelihood, state.beta))


def add(state: State, proposal: Proposal, n: int, means: Means) -> State:
    """Draw n points of `proposal` into the pool."""
    z = proposal.draw(n, means.generator)
    log_likelihood, failed = observed_values(means.target, z, means.observe)
    means.observe(Activity("weighing the pool", 0, 1))
    generation = make_generation(state.level, proposal, z, log_likelihood)
    kept = min(PATH_POINTS, max(int(PATH_SHARE * level_draws(state, means.settings)), 1))
    return replace(
        state,
        pool=state.pool.added(generation),
        path=(*state.path, generation.thinned(kept)),
        n_evaluations=state.n_evaluations + len(z),
        n_failed=state.n_failed + int(failed.sum()),
        failed_z=np.concatenate([state.failed_z, z[failed]])[:KEEP_FAILED],
    )


def observed_values(target: Target, z: Array, observe: Observer) -> tuple[Array, Bools]:
    """log L (n,) and failures (n,) at z (n, d), with an event per batch."""

    def told(done: int) -> None:
        observe(Activity("evaluating the model", done, len(z)))

    found = target.evaluate(z, False, told)
    return found.log_likelihood, found.failed


def level_draws(state: State, settings: AnnealSettings) -> int:
    """Points that a level draws of its own flow."""
    return settings.draws * state.effort


def affords(state: State, extra: int, settings: AnnealSettings) -> bool:
    """Whether the budget has room for `extra` evaluations and a level's own after them."""
    local = settings.scout_share if state.archive is not None else 0.0
    level = int(level_draws(state, settings) * (1.0 + HOT_DRAWS + local))
    budget = settings.max_evaluations
    return budget is None or state.n_evaluations + extra + level <= budget
