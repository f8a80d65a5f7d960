"""Exchanges of columns: laws of groups, and one labelling for each set of equal points."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nfanneal.anneal.exchanges import (
    Exchanges,
    closed,
    exchanging,
    from_codes,
    identity,
    product,
    same_group,
)

MOST = 400  # signed permutations of four columns: 384


@st.composite
def generators(draw):
    d = draw(st.integers(1, 4))
    codes = []
    for _ in range(draw(st.integers(1, 3))):
        permutation = np.array(draw(st.permutations(range(d))))
        signs = np.array(draw(st.lists(st.sampled_from([-1, 1]), min_size=d, max_size=d)))
        codes.append((permutation + 1) * signs)
    return from_codes(codes, d)


@given(generators())
def test_a_closed_group_is_a_group(given):
    group = closed(given, MOST)
    d = given.permutations.shape[1]
    codes = {code.tobytes() for code in group.codes}
    assert len(codes) == len(group)
    np.testing.assert_array_equal(group.codes[0], identity(d).codes[0])
    assert all(code.tobytes() in codes for code in given.codes)
    for one in group.codes:
        reached = {product(one, other).tobytes() for other in group.codes}
        assert reached == codes  # closed, and every element has an inverse
    assert 2**d * math.factorial(d) % len(group) == 0


@given(generators(), st.integers(0, 2**32 - 1))
def test_codes_images_and_products_agree(given, seed):
    d = given.permutations.shape[1]
    z = np.random.default_rng(seed).standard_normal((5, d))
    first, then = given.rows([0]), given.rows([-1])
    both = from_codes([product(first.codes[0], then.codes[0])], d)
    np.testing.assert_array_equal(both.images(z)[0], then.images(first.images(z)[0])[0])
    which = np.arange(5) % len(given)
    expected = given.images(z)[which, np.arange(5)]
    np.testing.assert_array_equal(given.applied(which, z), expected)


@given(generators(), st.integers(0, 2**32 - 1))
def test_all_images_of_a_point_have_the_same_first_one(given, seed):
    group = closed(given, MOST)
    z = np.random.default_rng(seed).standard_normal((6, given.permutations.shape[1]))
    smallest = group.applied(group.smallest(z), z)
    everything = group.images(z)
    for image in everything:
        np.testing.assert_array_equal(group.applied(group.smallest(image), image), smallest)
    for i, row in enumerate(smallest):
        assert tuple(row) == min(map(tuple, everything[:, i]))


@given(st.integers(2, 5))
def test_transpositions_make_all_permutations(n):
    steps = from_codes([exchanging(n, [(0, i)]) for i in range(1, n)], n)
    assert len(closed(steps, 120)) == math.factorial(n)
    assert closed(steps, math.factorial(n) - 1) is None


@settings(max_examples=20)
@given(generators())
def test_the_same_group_whatever_it_was_made_of(given):
    group = closed(given, MOST)
    assert same_group(group, group.rows(np.arange(len(group))[::-1]))
    assert same_group(group, identity(given.permutations.shape[1])) == (len(group) == 1)


def test_ties_are_decided_by_the_next_column():
    swap = exchanging(4, [(0, 1), (2, 3)])
    group = closed(from_codes([swap], 4), 2)
    z = np.array([[1.0, 1.0, 3.0, 2.0], [1.0, 1.0, 2.0, 3.0], [0.0, 1.0, 3.0, 2.0]])
    np.testing.assert_array_equal(group.smallest(z), [1, 0, 0])
    assert group.smallest(z[:0]).shape == (0,)


def test_which_columns_are_moved():
    both = from_codes([exchanging(3, [(0, 2)]), exchanging(3, mirrored=[1])], 3)
    np.testing.assert_array_equal(both.moved, [[True, False, True], [False, True, False]])
    assert isinstance(both.rows([0]), Exchanges)
