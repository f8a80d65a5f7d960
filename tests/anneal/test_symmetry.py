"""Symmetries that are there are found, and no others."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from nfanneal.anneal.archive import as_found
from nfanneal.anneal.candidates import candidates, involutions
from nfanneal.anneal.exchanges import exchanging
from nfanneal.anneal.local import LocalPoints
from nfanneal.anneal.symmetry import MOST_EVALUATIONS, find_symmetry
from nfanneal.errors import ModelError
from nfanneal.model.latent import LatentMap, Parameter
from nfanneal.model.priors import make_prior
from nfanneal.target import Evaluation, Target

RNG = np.random.default_rng(0)
DATA = np.concatenate([RNG.normal(-2, 0.5, 40), RNG.normal(0.5, 0.3, 30), RNG.normal(2, 0.7, 50)])


class Counted:
    """A target whose log L is a function of z (n, d), and how often it was asked."""

    def __init__(self, function, d, exchangeable=(), vectors=(), has_information=False):
        self.asked = 0
        self.target = Target(d, self.ask, exchangeable=exchangeable, vectors=vectors,
                             has_information=has_information)  # fmt: skip
        self.function = function

    def ask(self, z, gradient):
        self.asked += len(z)
        return Evaluation(self.function(z), np.zeros(len(z), dtype=bool))

    def found(self, n=1000, seed=1, **options):
        d = self.target.dimension
        z = np.random.default_rng([2, d]).standard_normal((n, d))
        rng = np.random.default_rng(seed)
        before = self.asked
        found = find_symmetry(self.target, z, self.function(z), rng, **options)
        assert found.n_evaluations == self.asked - before <= MOST_EVALUATIONS
        np.testing.assert_array_equal(found.permutations[0], np.arange(d))
        for permutation, signs in zip(found.permutations, found.signs, strict=True):
            image = self.function(signs * z[:, permutation])
            np.testing.assert_allclose(image, self.function(z), rtol=1e-3)
        return found


def codes(found):
    return {tuple(code) for code in found.generators.codes.tolist()}


def mixture(z):
    """Three components with means, sds and weights, from data: log L (n,)."""
    mean, sd, weight = 2.0 * z[:, :3], np.exp(0.5 * z[:, 3:6] - 0.5), np.exp(z[:, 6:9])
    share = weight / weight.sum(axis=1, keepdims=True)
    terms = np.log(share / sd)[:, :, None] - 0.5 * ((DATA - mean[:, :, None]) / sd[:, :, None]) ** 2
    return logsumexp(terms, axis=1).sum(axis=1)


TRIPLES = ((0, 1, 2), (3, 4, 5), (6, 7, 8))


@pytest.mark.parametrize("classes", [TRIPLES, (tuple(range(9)),)], ids=["priors", "one prior"])
def test_three_components_can_be_exchanged_in_six_ways(classes):
    counted = Counted(mixture, 9, classes, TRIPLES)
    found = counted.found()
    assert len(found.permutations) == 6
    blocks = found.permutations.reshape(6, 3, 3) - np.arange(0, 9, 3)[:, None]
    assert (blocks == blocks[:, :1]).all()  # means, sds and weights alike
    assert {tuple(row) for row in blocks[:, 0]} == {
        (0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)
    }  # fmt: skip
    assert (found.signs == 1).all()
    assert len(found.generators) == 2


def two_gaussians(difference=0.0):
    def function(z):
        return -5.0 * ((z - 1.0) ** 2).sum(axis=1) + 2.0 * z.prod(axis=1) + difference * z[:, 0]

    return function


@pytest.mark.parametrize(
    ("optima", "used"),
    [
        ([[1.0, 1.0]], False),  # one mode, and it stays where it is
        ([[1.4, 0.7]], False),  # as far as is known of where it is
        ([[-2.0, 1.0]], True),
        ([[1.0, 1.0], [-2.0, 1.0]], True),  # of several one that has a copy is enough
        ([], True),
    ],
)
def test_an_exchange_that_leaves_every_mode_where_it_is_is_not_used(optima, used):
    def modes(z):
        """Three, of which two are each other's images."""
        centres = np.array([[1.0, 1.0], [-2.0, 1.0], [1.0, -2.0]])
        return logsumexp(-5.0 * ((z[:, None] - centres) ** 2).sum(axis=2), axis=1)

    z = np.array(optima).reshape(-1, 2)
    information = np.repeat(10.0 * np.eye(2)[None], len(z), axis=0)
    points = LocalPoints(z, modes(z), information)
    archive = as_found(points, np.ones(len(z), dtype=np.int64))
    found = Counted(modes, 2, ((0, 1),)).found(archive=archive)
    assert codes(found) == ({(2, 1)} if used else set())
    assert len(found.group) == (2 if used else 1)


def test_two_exchangeable_columns():
    found = Counted(two_gaussians(), 2, ((0, 1),)).found()
    assert codes(found) == {(2, 1)}
    np.testing.assert_array_equal(found.permutations, [[0, 1], [1, 0]])


def test_columns_with_other_priors_cannot_be_exchanged():
    found = Counted(two_gaussians(), 2).found()
    assert not found.any
    assert found.n_evaluations <= 3  # a change of one sign, of the other, of both


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("difference", "solved"), [(1e-3, False), (1e-6, False), (1e-2, True)])
def test_nearly_is_not_equal(difference, solved, seed):
    """Of log L about 10; where an ODE is solved its noise hides less than some 1e-4."""
    counted = Counted(two_gaussians(difference), 2, ((0, 1),), has_information=solved)
    assert not counted.found(seed=seed).any


@pytest.mark.parametrize("seed", range(5))
def test_nearly_equal_components_are_told_apart(seed):
    """The weight of one component is 0.1 % more than it says."""

    def function(z):
        other = z.copy()
        other[:, 6] += 1e-3
        return mixture(other)

    found = Counted(function, 9, TRIPLES, TRIPLES).found(seed=seed)
    assert codes(found) == {tuple(exchanging(9, [(1, 2), (4, 5), (7, 8)]).tolist())}


def test_noise_of_a_solver_is_no_difference():
    def function(z):
        noise = 1e-5 * np.sin(1e8 * z[:, 0])
        return two_gaussians()(z) + noise

    assert len(Counted(function, 2, ((0, 1),), has_information=True).found().group) == 2
    assert not Counted(function, 2, ((0, 1),)).found().any


def test_a_product_of_two_can_change_both_signs():
    def function(z):
        return -5.0 * (z[:, 0] * z[:, 1] - 1.0) ** 2 - 5.0 * (z[:, 2] - 1.0) ** 2

    found = Counted(function, 3).found()
    assert codes(found) == {(-1, -2, 3)}
    np.testing.assert_array_equal(found.signs, [[1, 1, 1], [-1, -1, 1]])


def test_signs_and_exchanges_together():
    def function(z):
        return -5.0 * ((z[:, :2] ** 2 - 1.0) ** 2).sum(axis=1)

    found = Counted(function, 2, ((0, 1),)).found()
    assert len(found.permutations) == 8  # of a square


def test_columns_that_change_nothing_are_not_told():
    def function(z):
        return -5.0 * ((z[:, :2] - 1.0) ** 2).sum(axis=1)

    found = Counted(function, 5, ((0, 1, 2, 3, 4),)).found()
    assert codes(found) == {(2, 1, 3, 4, 5)}
    idle = Counted(lambda z: np.zeros(len(z)), 4, ((0, 1, 2, 3),)).found()
    assert not idle.any


def test_columns_that_matter_in_few_places_let_nothing_wrong_through():
    """log L depends on the second and third column, differently, where the first is below −1."""

    def function(z):
        inside = z[:, 0] < -1.0
        return -2.0 * (z[:, 0] - 1.0) ** 2 - np.where(inside, z[:, 1] ** 2 + z[:, 2], 0.0)

    for seed in range(20):  # z[1] can be mirrored, and that may be found or not
        generators = Counted(function, 3, ((1, 2),)).found(seed=seed).generators
        assert (generators.permutations == np.arange(3)).all()
        assert (generators.signs[:, [0, 2]] == 1.0).all()


def test_a_large_group_is_told_but_not_used():
    def function(z):
        return -5.0 * ((z - 1.0) ** 2).sum(axis=1)

    found = Counted(function, 8, (tuple(range(8)),)).found()
    assert len(found.generators) == 7
    assert found.used.sum() == 2  # a single mode, which is its own copy
    assert len(found.permutations) == 6


def test_more_elements_are_used_where_copies_are_apart():
    """Eight columns whose values are 1, …, 8 in any order, seen in one order only."""

    def function(z):
        return -200.0 * ((np.sort(z, axis=1) - np.arange(1, 9)) ** 2).sum(axis=1)

    counted = Counted(function, 8, (tuple(range(8)),))
    z = np.arange(1, 9) + 0.1 * np.random.default_rng(0).standard_normal((500, 8))
    found = find_symmetry(counted.target, z, function(z), np.random.default_rng(1))
    assert len(found.generators) == 7
    assert found.used.sum() == 4
    assert len(found.permutations) == 120


def test_many_columns_take_few_evaluations():
    """Two vectors of 50 whose components are pairs: the first two of each can be exchanged."""

    def function(z):
        first, second = z[:, :50], z[:, 50:]
        weights = np.concatenate([[1.0, 1.0], np.arange(2, 50)])
        return -(weights * (first - np.exp(0.3 * second) - 0.1 * second.sum(1)[:, None]) ** 2).sum(
            1
        )

    vectors = (tuple(range(50)), tuple(range(50, 100)))
    found = Counted(function, 100, vectors, vectors).found()
    assert codes(found) == {tuple(exchanging(100, [(0, 1), (50, 51)]).tolist())}
    assert found.n_evaluations <= 2000


def test_evaluations_are_no_more_than_may_be_spent():
    for most in (0, 50, 300):
        found = Counted(mixture, 9, TRIPLES, TRIPLES).found(most=most)
        assert found.n_evaluations <= most
    assert not Counted(mixture, 9, TRIPLES, TRIPLES).found(n=3).any


def test_failures_count_as_differences():
    def function(z):
        value = two_gaussians()(z)
        return np.where(z[:, 0] > z[:, 1], -np.inf, value)

    assert not Counted(function, 2, ((0, 1),)).found().any


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_model_that_raises_ends_the_search(after):
    """At the candidates, at the columns that are moved, or at what is to hold."""
    counted, calls = Counted(mixture, 9, TRIPLES, TRIPLES), []

    def ask(z, gradient):
        calls.append(len(z))
        if len(calls) > after:
            raise ModelError("here the model ends")
        return counted.ask(z, gradient)

    z = np.random.default_rng(0).standard_normal((1000, 9))
    target = replace(counted.target, ask=ask)
    found = find_symmetry(target, z, mixture(z), np.random.default_rng(1))
    assert len(found.generators) == max(after - 2, 0)
    assert found.n_evaluations == sum(calls)


@given(st.integers(0, 2**32 - 1))
def test_the_search_follows_from_its_generator(seed):
    one, other = (Counted(two_gaussians(), 2, ((0, 1),)).found(seed=seed) for _ in range(2))
    np.testing.assert_array_equal(one.permutations, other.permutations)
    assert one.n_evaluations == other.n_evaluations


def test_candidates_are_involutions_each_once():
    target = Target(6, None, exchangeable=((0, 1, 2), (3, 4, 5)))
    tried = candidates(target, 5000)
    assert len(tried) == involutions(3) ** 2 - 1 + 6 + 15
    for row in range(len(tried)):
        code = tried.codes[row]
        assert (np.sign(code) * code[np.abs(code) - 1] == np.arange(1, 7)).all()
    assert len({code.tobytes() for code in tried.codes}) == len(tried)
    assert len(candidates(target, 4)) == 4
    assert [involutions(n) for n in range(8)] == [1, 1, 2, 4, 10, 26, 76, 232]


def test_the_latent_map_says_which_priors_are_equal():
    unit, wide = make_prior("normal", [0, 1]), make_prior("normal", [0, 2])
    latent = LatentMap(
        (
            Parameter("a", unit, 2),
            Parameter("b", wide),
            Parameter("c", make_prior("normal", {"sd": 1.0, "mean": 0.0})),
            Parameter("d", wide, 1),
            Parameter("e", make_prior("laplace", [0, 1])),
        )
    )
    assert latent.exchangeable == ((0, 1, 3), (2, 4))
    assert latent.vectors == ((0, 1),)
    assert math.prod(map(len, latent.exchangeable)) == 6
