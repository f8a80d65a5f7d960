"""A second opinion on the final draws: points that begin at them walk, and the bridge to these."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from nfanneal.anneal.archive import Archive
from nfanneal.anneal.bridge import UNSEEN, Walked, Witness, witness
from nfanneal.anneal.coverage import RARE
from nfanneal.anneal.explore import walks
from nfanneal.anneal.final_draws import FinalDraws, LatentDraws
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.anneal.settings import FEW_DIMENSIONS, FEWEST_WALKERS
from nfanneal.anneal.tails import Drawn, mass_in_vain
from nfanneal.anneal.walk import (
    MOST_ROUNDS,
    Ways,
    begun,
    most_evaluations,
    round_evaluations,
    walk_apart,
)
from nfanneal.anneal.weights import evidence, systematic_resample, truncated
from nfanneal.arrays import rows_of
from nfanneal.target import Spent, Target

FEWEST_ROUNDS = 2
"""Rounds that points walk in any case."""


def kept_back(target: Target, walkers: int, left: float) -> float:
    """What of a budget is not for more final draws: as a rule no more than half of what is left."""
    return min(walkers * most_evaluations(not walks(target)), left / 2.0)


@dataclass(frozen=True)
class Allowance:
    """So many points may walk, as the budget has evaluations `left`; and after `FEWEST_ROUNDS`

    they go no further than so many evaluations allow as the annealing has `taken`: none where calls
    are so dear that no points walk on its way.
    """

    walkers: int
    left: float = math.inf
    taken: float = math.inf


@dataclass(frozen=True)
class Opinion:
    """What the walked points say, and what they took."""

    witness: Witness
    spent: Spent
    n_failed: int
    walked: Walked

    def of(self, draws: LatentDraws, drawn: Drawn) -> Opinion:
        """What the same points say of more draws."""
        return replace(self, witness=_witness(draws, self.walked, drawn))


def second_opinion(
    target: Target,
    final: FinalDraws,
    archive: Archive | None,
    allowed: Allowance,
    seed: np.random.SeedSequence,
    drawn: Drawn,
    observe: Observer = lambda event: None,
) -> Opinion | None:
    """Let points walk from the final draws, as many and as far as is allowed.

    What a tail may yet lack on a side that was annealed, or a patch, as `drawn` says, is in the
    error.

    None if too few evaluations are left of the budget, or no points are wanted.
    """
    by_gradients = not walks(target)
    n = int(min(allowed.walkers, allowed.left // most_evaluations(by_gradients)))
    if n < FEWEST_WALKERS:
        return None
    rounds = min(allowed.taken, allowed.left) / (n * round_evaluations(by_gradients))
    # random walks, of steps of 1/√d, mix in a time that grows with d
    most = MOST_ROUNDS if by_gradients else MOST_ROUNDS * max(target.dimension / FEW_DIMENSIONS, 1)
    walk_seed, draw_seed = seed.spawn(2)
    rng = np.random.default_rng(walk_seed)
    inside = np.flatnonzero(np.isfinite(final.draws.z).all(axis=1))
    draws = rows_of(final.draws, inside)
    rows = systematic_resample(truncated(draws.log_weight), n, rng)
    start = begun(draws.z[rows], draws.log_likelihood[rows], draws.log_ratio[rows])
    mode = archive.modes(start.z) if archive else np.zeros(n, dtype=np.int64)  # none: no optima
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))
    ways = Ways(target, final.proposal, mode, by_gradients, rng, generator)
    log_rare = math.log(RARE) + evidence(final.draws.log_weight).log_evidence
    walked, walk = walk_apart(
        start,
        ways,
        rows,
        log_rare,
        lambda done, total: observe(Activity("second opinion", done, total)),
        int(min(max(rounds, FEWEST_ROUNDS), most)),
    )
    said = _witness(final.draws, walked, drawn)
    return Opinion(said, walk.spent, walk.failed, walked)


def _witness(draws: LatentDraws, walked: Walked, drawn: Drawn) -> Witness:
    z = draws.finite_z
    found = witness(z, draws.log_weight, walked)
    unseen = max(UNSEEN * mass_in_vain(z, draws.log_weight, drawn), drawn.unseen)
    return replace(found, unseen=unseen, unseen_error=0.0) if unseen > found.unseen else found
