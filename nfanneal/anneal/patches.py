"""Patches: local proposals where the final one hardly ever draws.

A flow is no better than the points that it is trained on, and misses some of a curved sheet. What
was met there since, by the path, by walking points and by the draws themselves, says where: local
components around these points, shaped by the curvature, draw there in its place. Their own draws
show what is still missing, and so on for a few rounds. It takes a second or two where another stage
takes twenty, and is given up where it does not help.

Source: Cappé et al. (2004), Population Monte Carlo, doi:10.1198/106186004X12803, for components
around points that were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.bridge import Walked
from nfanneal.anneal.coverage import RARE, Rare
from nfanneal.anneal.final_draws import FinalDraws, with_local
from nfanneal.anneal.local import local_points
from nfanneal.anneal.progress import Observer
from nfanneal.anneal.proposals.base import Mixture, Proposal, log_standard_normal
from nfanneal.anneal.proposals.symmetrized import unsymmetrized
from nfanneal.anneal.scout import scouts
from nfanneal.anneal.weights import evidence, normalized, systematic_resample
from nfanneal.arrays import rows_of
from nfanneal.target import Spent, Target

CENTRES = 128
"""Points that get a component of their own in a round, at most."""
WIDE = (1.0,)
"""All components are as wide as the curvature says: shorter steps leave more of it out."""
MOST_TIMES = 5
ENOUGH = 0.01
"""Where draws that are rare have no larger share of the weight, nothing more is to be mended."""
EVERY = 2
"""Every second point that is rare has no part in the first round, and tells what it came to."""
HELPS, SOON = 0.87, 2
"""A patch is of no use if more than such a share of these, by their mass, is rare still after so

many rounds. In eight dimensions .2 to .7 is, in forty-five more than .9."""
TIMES_MISSING, LEAST_SHARE, MOST_SHARE = 2.0, 0.05, 0.2
"""Share of the draws that a round's own ones have: so many times what is missing, within limits."""
LATER = 0.5
"""Later rounds have so much less."""
MOST_DRAWS = 4
"""With it, a budget must have room for so many times the draws that there are."""


@dataclass(frozen=True)
class Patched:
    """A `proposal` that has a `patch`, or None where that is no use, and what was `spent` on it.

    `n_failed` draws failed. Those that the patch was made from are not to be kept: where their
    weights were large by chance, it has made these smaller.
    """

    proposal: Proposal | None
    patch: Mixture | None
    spent: Spent
    n_failed: int


def can_be_patched(final: FinalDraws, met: Sequence[Rare], target: Target, most: float) -> bool:
    """Whether there is something to mend, at a bearable price and with no more than `most` draws.

    `met` are points where `final` hardly draws, by several sources for all of the posterior each.
    """
    if not scouts(target) or MOST_DRAWS * len(final.draws.z) > most:
        return False
    used = [rows_of(part, slice(1, None, EVERY)) for part in (rare_draws(final), *met)]
    return max(part.mass for part in used) >= ENOUGH


def rare_draws(final: FinalDraws) -> Rare:
    """Draws that are rare, by their weights."""
    return _draws_at(final, _rare_rows(final))


def _rare_rows(final: FinalDraws) -> NDArray[np.int64]:
    log_weight = final.draws.log_weight
    heavy = log_weight - evidence(log_weight).log_evidence > math.log(RARE)
    return np.flatnonzero(heavy & np.isfinite(final.draws.z).all(axis=1))


def _draws_at(final: FinalDraws, rows: NDArray[np.int64]) -> Rare:
    z = final.draws.z[rows]
    log_joint = log_standard_normal(z) + final.draws.log_likelihood[rows]
    return Rare(z, log_joint, normalized(final.draws.log_weight)[rows])


def walked_rarely(walked: Walked, log_evidence: float) -> Rare:
    """Points that walked to where the proposal that they began from hardly draws."""
    log_joint = log_standard_normal(walked.z) + walked.log_likelihood
    share = np.full(len(walked.z), 1.0 / len(walked.z))
    heavy = walked.log_weight - log_evidence > math.log(RARE)
    return rows_of(Rare(walked.z, log_joint, share), heavy)


def patched(
    final: FinalDraws,
    met: Sequence[Rare],
    target: Target,
    seed: np.random.SeedSequence,
    observe: Observer = lambda event: None,
) -> Patched:
    """The proposal of `final` and local components where it hardly draws."""
    draw_seed, choice_seed = seed.spawn(2)
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))
    rng = np.random.default_rng(choice_seed)
    rare, kept_out = [rare_draws(final), *met], _rare_rows(final)[::EVERY]
    left_out = [rows_of(part, slice(None, None, EVERY)) for part in rare]
    used = [rows_of(part, slice(1, None, EVERY)) for part in rare]
    log_evidence = evidence(final.draws.log_weight).log_evidence
    now, times, missing = replace(final, spent=Spent()), 0, max(part.mass for part in rare)
    still = 1.0
    while times < MOST_TIMES and missing >= ENOUGH and (times < SOON or still <= HELPS):
        share = min(max(TIMES_MISSING * missing, LEAST_SHARE), MOST_SHARE) * (LATER if times else 1)
        following = _round(now, used, share, target, rng, generator, observe)
        if following is None:
            break
        now, times = following, times + 1
        used = [_draws_at(now, np.setdiff1d(_rare_rows(now), kept_out))]
        still, missing = _still_rare(left_out, now.proposal, log_evidence), used[0].mass
    more = rows_of(now.draws, slice(len(final.draws.z), None))
    spent, n_failed = now.spent + Spent(evaluations=len(more.z)), int(more.failed.sum())
    if still > HELPS:
        return Patched(None, None, spent, n_failed)
    return Patched(now.proposal, _patch(now.proposal, times), spent, n_failed)


def _still_rare(left_out: Sequence[Rare], proposal: Proposal, log_evidence: float) -> float:
    """What share of these points, by their mass, this proposal hardly draws either."""
    after = sum(part.under(proposal, log_evidence).mass for part in left_out)
    return after / max(sum(part.mass for part in left_out), math.ulp(0.0))


def _round(
    final: FinalDraws,
    rare: Sequence[Rare],
    share: float,
    target: Target,
    rng: np.random.Generator,
    generator: torch.Generator,
    observe: Observer,
) -> FinalDraws | None:
    """The draws and such a share of local ones around some rare points, weighted together.

    None if there are none with a likelihood.
    """
    z = np.concatenate([part.z for part in rare])
    weights = np.concatenate([part.share for part in rare])
    rows = np.unique(systematic_resample(weights, CENTRES, rng))
    found, spent = local_points(target, z[rows])
    if not len(found.z):
        return None
    more = math.ceil(share / (1.0 - share) * len(final.draws.z))
    grown = with_local(final, found.mixture(1.0, WIDE), more, target, generator, observe)
    return replace(grown, spent=grown.spent + spent)


def _patch(proposal: Proposal, times: int) -> Mixture:
    """What so many rounds have put in front of the components of a mixture."""
    mixture = unsymmetrized(proposal)
    assert isinstance(mixture, Mixture)
    weights = np.asarray(mixture.weights[:times])
    return Mixture(mixture.components[:times], tuple((weights / weights.sum()).tolist()))
