"""Local proposals where the final one hardly draws: what they mend, and when they are not made."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from nfanneal.anneal.coverage import Rare
from nfanneal.anneal.differences import MOST_DIMENSIONS
from nfanneal.anneal.exchanges import Exchanges
from nfanneal.anneal.final_draws import FinalDraws, final_draws
from nfanneal.anneal.patches import (
    ENOUGH,
    HELPS,
    MOST_DRAWS,
    Patched,
    can_be_patched,
    patched,
    rare_draws,
)
from nfanneal.anneal.proposals.base import Mixture, PriorProposal, log_standard_normal
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.proposals.symmetrized import Symmetrized, symmetrized
from nfanneal.anneal.weights import evidence, normalized
from nfanneal.arrays import Array
from nfanneal.target import Evaluation, Target

SD, D, N = 0.15, 3, 4000
PLACES = np.array([[1.0, 0.5, 0.0], [-1.0, -0.5, 0.0]])
NOTHING = Rare(np.empty((0, D)), np.empty(0), np.empty(0))
SWAP = Exchanges(np.array([[0, 1, 2], [0, 1, 2]]), np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]]))


def two_modes(z: Array) -> Array:
    """log L of two normal modes, one three times the other."""
    return _mixture(z, np.log([0.75, 0.25]))


def even_modes(z: Array) -> Array:
    return _mixture(z, np.log([0.5, 0.5]))


def rippled(z: Array) -> Array:
    """The same, where the curvature is that of ripples, far narrower than both."""
    across = (z / 0.02) % 1.0 - 0.5
    return two_modes(z) - 2.0 * (across**2).sum(axis=1)


def _mixture(z: Array, log_weights: Array) -> Array:
    square = ((z[:, None, :] - PLACES) ** 2).sum(axis=2) / SD**2
    return np.asarray(np.logaddexp(*(log_weights - 0.5 * square).T))


def target_of(log_likelihood) -> Target:
    def ask(z: Array, gradient: bool) -> Evaluation:
        value = log_likelihood(z)
        return Evaluation(value, np.zeros(len(z), dtype=bool))

    return Target(dimension=D, differentiable=False, ask=ask)


def exact() -> float:
    """log ∫ N(z; 0, I) L(z) dz of two normal modes: products of normal densities."""
    wide = math.hypot(1.0, SD)
    density = stats.norm.pdf(PLACES, 0.0, wide).prod(axis=1) * (SD * math.sqrt(2.0 * math.pi)) ** D
    return float(np.log(density @ [0.75, 0.25]))


def of_one_mode(target: Target, seed: int, prior: float = 0.02) -> FinalDraws:
    """Draws of a proposal that has the larger mode, and the prior for all it knows of the other."""
    one = StudentMixture(PLACES[:1], 0.2 * np.eye(D)[None], np.zeros(1), 5.0)
    proposal = Mixture((one, PriorProposal(D)), (1.0 - prior, prior))
    generator = torch.Generator().manual_seed(seed)
    return FinalDraws(final_draws(target, proposal, N, generator), proposal)


def drawn_again(target: Target, found: Patched, seed: int) -> FinalDraws:
    assert found.proposal is not None
    generator = torch.Generator().manual_seed(seed)
    return FinalDraws(final_draws(target, found.proposal, N, generator), found.proposal)


def met(mass: float = 0.25) -> Rare:
    """Points that something else met at the other mode."""
    steps = np.random.default_rng(5).normal(0.0, SD, (20, D))
    z = PLACES[1] + steps
    return Rare(z, log_standard_normal(z) + two_modes(z), np.full(20, mass / 20))


def test_what_hardly_was_drawn_is_and_the_evidence_is_right():
    """Twelve seeds: 4 errors are exceeded once in 1,300 such tests; their mean, 3.5 in 2,000.

    The first draws have next to none of a quarter, or a few with large weights.
    """
    target, off = target_of(two_modes), []
    for seed in range(12):
        first = of_one_mode(target, seed)
        rare = [met()]
        assert can_be_patched(first, rare, target, math.inf)
        found = patched(first, rare, target, np.random.SeedSequence(seed))
        final = drawn_again(target, found, seed)
        draws = final.draws
        assert rare_draws(final).mass < ENOUGH
        there = ((draws.z - PLACES[1]) ** 2).sum(axis=1) < ((draws.z - PLACES[0]) ** 2).sum(axis=1)
        share = normalized(draws.log_weight)[there].sum()
        ratio = 0.25 / 0.75  # both are as far from the middle of the prior
        assert abs(share - ratio / (1.0 + ratio)) < 0.05
        said = evidence(draws.log_weight)
        assert said.error < 0.05
        off.append((said.log_evidence - exact()) / said.error)
    assert max(map(abs, off)) < 4.0
    assert abs(np.mean(off)) < 3.5 / math.sqrt(len(off))


def test_what_was_asked_for_a_patch_is_told():
    asked = 0

    def counted(z: Array) -> Array:
        nonlocal asked
        asked += len(z)
        return two_modes(z)

    target = target_of(counted)
    first = of_one_mode(target, 1)
    asked = 0
    found = patched(first, [met()], target, np.random.SeedSequence(1))
    assert found.spent.evaluations == asked
    assert found.n_failed == 0


def test_a_patch_draws_where_its_points_were_and_is_a_part_of_the_proposal():
    target = target_of(two_modes)
    found = patched(of_one_mode(target, 1), [met()], target, np.random.SeedSequence(1))
    assert found.patch is not None
    z = found.patch.draw(2000, torch.Generator().manual_seed(1))
    assert np.median(np.linalg.norm(z - PLACES[1], axis=1)) < 3.0 * SD
    mixture = found.proposal
    assert isinstance(mixture, Mixture)
    assert isinstance(found.patch, Mixture)
    k = len(found.patch.components)
    assert mixture.components[:k] == found.patch.components
    assert isinstance(mixture.components[-1], PriorProposal)  # as it was
    assert math.isclose(sum(found.patch.weights), 1.0)


def test_a_patch_that_is_no_use_is_undone():
    """A few wide draws see the other mode; components as narrow as its ripples do not cover it."""
    places, scales = PLACES, np.array([0.2, 0.6])[:, None, None] * np.eye(D)
    proposal = StudentMixture(places, scales, np.log([0.98, 0.02]), 5.0)
    for log_likelihood, helps in ((two_modes, True), (rippled, False)):
        target, generator = target_of(log_likelihood), torch.Generator().manual_seed(2)
        first = FinalDraws(final_draws(target, proposal, N, generator), proposal)
        missing = rare_draws(first)
        assert 0.1 < missing.mass < 0.4
        found = patched(first, [], target, np.random.SeedSequence(3))
        assert (found.proposal is not None) == (found.patch is not None) == helps
        assert found.spent.evaluations > 0


def test_the_same_seed_gives_the_same_draws():
    target = target_of(two_modes)
    first = of_one_mode(target, 4)
    one, two = (patched(first, [met()], target, np.random.SeedSequence(7)) for _ in range(2))
    z = drawn_again(target, one, 1).draws.z
    np.testing.assert_array_equal(z, drawn_again(target, two, 1).draws.z)


def test_a_symmetric_proposal_stays_symmetric():
    target = target_of(even_modes)
    narrow = StudentMixture(PLACES[:1], 0.03 * np.eye(D)[None], np.zeros(1), 5.0)
    proposal = symmetrized(Mixture((narrow, PriorProposal(D)), (0.98, 0.02)), SWAP)
    generator = torch.Generator().manual_seed(1)
    first = FinalDraws(final_draws(target, proposal, N, generator), proposal)
    rare = rare_draws(first)
    assert rare.mass > ENOUGH
    found = patched(first, [], target, np.random.SeedSequence(1))
    assert isinstance(found.proposal, Symmetrized)
    final = drawn_again(target, found, 1)
    z = final.draws.z
    log_q = found.proposal.log_density(z)
    np.testing.assert_allclose(log_q, found.proposal.log_density(z * SWAP.signs[1]))
    assert rare_draws(final).mass < HELPS * rare.mass


@pytest.mark.parametrize(
    "case", ["nothing is rare", "little is rare", "no budget", "curvatures are too dear"]
)
def test_nothing_is_patched_where(case: str):
    target = target_of(two_modes)
    first, rare, most = of_one_mode(target, 1), [NOTHING, met()], MOST_DRAWS * N
    assert can_be_patched(first, rare, target, most)
    if case == "nothing is rare":
        rare = [NOTHING]
    if case == "little is rare":
        rare = [NOTHING, met(1.9 * ENOUGH)]
    if case == "no budget":
        most -= 1
    if case == "curvatures are too dear":
        target = replace(target, dimension=MOST_DIMENSIONS + 1)
    assert not can_be_patched(first, rare, target, most)
