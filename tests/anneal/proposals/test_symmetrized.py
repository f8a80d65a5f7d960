"""Proposals that are the same at all images of a point."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import chi2

from nfanneal.anneal.exchanges import closed, exchanging, from_codes, identity
from nfanneal.anneal.proposals import symmetrized as module
from nfanneal.anneal.proposals.base import Mixture, PriorProposal, log_standard_normal
from nfanneal.anneal.proposals.stored import restored, stored
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.proposals.symmetrized import (
    Symmetrized,
    balanced,
    like,
    symmetrized,
    unsymmetrized,
)

SWAP = closed(from_codes([exchanging(2, [(0, 1)])], 2), 2)
SQUARE = closed(from_codes([exchanging(2, [(0, 1)]), exchanging(2, mirrored=[0])], 2), 8)
THREE = closed(from_codes([exchanging(3, [(0, 1)]), exchanging(3, [(1, 2)])], 3), 6)
GROUPS = {"swap": SWAP, "square": SQUARE, "three": THREE}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def off_centre(d: int) -> StudentMixture:
    """One component away from all that is symmetric."""
    location = np.arange(1, d + 1)[None] * 0.7 - 0.2
    cholesky = np.diag(np.linspace(0.3, 0.6, d))[None]
    return StudentMixture(location, cholesky, np.zeros(1), 5.0)


@pytest.mark.parametrize("name", GROUPS)
def test_density_is_the_mean_over_the_images(name: str) -> None:
    group = GROUPS[name]
    d = group.permutations.shape[1]
    base = off_centre(d)
    proposal = Symmetrized(base, group.permutations, group.signs)
    z = np.random.default_rng(1).standard_normal((50, d))
    parts = [base.log_density(s * z[:, p])
             for p, s in zip(group.permutations, group.signs, strict=True)]  # fmt: skip
    expected = logsumexp(parts, axis=0) - np.log(len(group))
    np.testing.assert_allclose(proposal.log_density(z), expected, rtol=1e-12)
    for image in group.images(z):
        np.testing.assert_allclose(proposal.log_density(image), expected, rtol=1e-12)


@pytest.mark.parametrize("name", GROUPS)
def test_density_integrates_to_one_and_draws_follow_it(name: str) -> None:
    """Within five standard errors (false alarm 1e-6 each)."""
    group = GROUPS[name]
    d = group.permutations.shape[1]
    proposal = Symmetrized(off_centre(d), group.permutations, group.signs)
    wide = PriorProposal(d).draw(200_000, generator(3)) * 3.0
    log_wide = log_standard_normal(wide / 3.0) - d * np.log(3.0)
    ratio = np.exp(proposal.log_density(wide) - log_wide)
    error = ratio.std() / np.sqrt(len(ratio))
    assert error < 0.02
    assert abs(ratio.mean() - 1.0) < 5.0 * error
    z = proposal.draw(100_000, generator(4))
    inverse = np.exp(log_standard_normal(z) - proposal.log_density(z))
    assert abs(inverse.mean() - 1.0) < 5.0 * inverse.std() / np.sqrt(len(z))
    np.testing.assert_allclose(z.mean(axis=0), z.mean(), atol=0.03)  # some 6 standard errors


def test_draws_are_in_each_image_equally_often() -> None:
    """χ² of the six orders of 12,000 draws, of which any may end in each: false alarm 1e-4."""
    narrow = StudentMixture(np.array([[0.0, 5.0, 10.0]]), 0.1 * np.eye(3)[None], np.zeros(1), 8.0)
    proposal = Symmetrized(narrow, THREE.permutations, THREE.signs)
    orders = np.argsort(proposal.draw(12_000, generator(5)), axis=1)
    _, counts = np.unique(orders @ [9, 3, 1], return_counts=True)
    np.testing.assert_array_equal(counts, [2000] * 6)  # balanced, even
    which = np.concatenate([balanced(7, 3, generator(s)) for s in range(2000)])
    counts = np.bincount(which, minlength=3)
    assert ((counts - len(which) / 3) ** 2).sum() / (len(which) / 3) < chi2.ppf(1 - 1e-4, 2)


def test_every_element_moves_as_many_draws_as_any_other() -> None:
    for n in (0, 1, 5, 6, 100):
        counts = np.bincount(balanced(n, 6, generator(n)), minlength=6)
        assert counts.max() - counts.min() <= 1
    firsts = {int(balanced(3, 6, generator(s))[0]) for s in range(100)}
    assert firsts == set(range(6))


def test_draws_follow_from_the_generator() -> None:
    proposal = Symmetrized(off_centre(3), THREE.permutations, THREE.signs)
    one, same, other = (proposal.draw(10, generator(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_many_images_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = Symmetrized(off_centre(3), THREE.permutations, THREE.signs)
    z = np.random.default_rng(1).standard_normal((40, 3))
    whole = proposal.log_density(z)
    assert proposal.log_density(z[:0]).shape == (0,)
    monkeypatch.setattr(module, "IMAGES", 60)
    np.testing.assert_allclose(proposal.log_density(z), whole, rtol=1e-13)


def test_zero_density_stays_zero() -> None:
    class Nowhere:
        def log_density(self, z):
            return np.full(len(z), -np.inf)

    proposal = Symmetrized(Nowhere(), SWAP.permutations, SWAP.signs)
    np.testing.assert_array_equal(proposal.log_density(np.ones((3, 2))), -np.inf)


def test_what_is_symmetric_already_is_not_made_so_twice() -> None:
    base, z = off_centre(3), np.random.default_rng(1).standard_normal((20, 3))
    once = symmetrized(base, THREE)
    assert symmetrized(once, THREE).base is base
    mixed = symmetrized(Mixture((once, PriorProposal(3)), (0.7, 0.3)), THREE)
    assert mixed.base.components[0] is base
    dear = Symmetrized(Mixture((once, PriorProposal(3)), (0.7, 0.3)), *vars(THREE).values())
    np.testing.assert_allclose(mixed.log_density(z), dear.log_density(z), rtol=1e-12)
    other = symmetrized(once, closed(from_codes([exchanging(3, mirrored=[0])], 3), 2))
    assert other.base is once
    assert unsymmetrized(once) is base
    assert unsymmetrized(base) is base
    assert like(base, once) is once
    assert like(once, PriorProposal(3)).base == PriorProposal(3)
    alone = symmetrized(base, identity(3))
    np.testing.assert_allclose(alone.log_density(z), base.log_density(z), rtol=1e-12)


def test_a_stored_one_comes_back() -> None:
    base = Mixture((off_centre(2), PriorProposal(2)), (0.8, 0.2))
    proposal = Mixture((symmetrized(base, SQUARE), PriorProposal(2)), (0.5, 0.5))
    again = restored(*stored(proposal))
    z = proposal.draw(100, generator(7))
    np.testing.assert_array_equal(again.log_density(z), proposal.log_density(z))
    np.testing.assert_array_equal(again.draw(50, generator(8)), proposal.draw(50, generator(8)))
