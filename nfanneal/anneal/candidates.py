"""Exchanges of columns that may leave a posterior as it is: each undoes itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, islice, product

import numpy as np

from nfanneal.anneal.exchanges import Code, Exchanges, exchanging, from_codes
from nfanneal.target import Target

MOST_SUBSETS = 6
"""Of more vectors than these, subsets are not tried: all of them together, and each by itself."""
MOST_PAIRS_OF_SIGNS = 16
"""Dimensions up to which two columns at once change their signs."""

Pairs = tuple[tuple[int, int], ...]


def candidates(target: Target, most: int) -> Exchanges:
    """At most `most` exchanges to be tried: those of columns first, then changes of sign.

    All products of disjoint transpositions of columns with equal priors, if they are not too many;
    else components of vectors that are exchanged together, whole vectors, single transpositions
    and, of scalars, two at once, as many as there is room for.
    """
    d = target.dimension
    number = math.prod(involutions(len(c)) for c in target.exchangeable) - 1
    pairs = _all_involutions(target.exchangeable) if number <= most else _likely(target)
    exchanges = list(islice(_distinct(exchanging(d, each) for each in pairs), most))
    signs = [exchanging(d, mirrored=[a]) for a in range(d)]
    if d <= MOST_PAIRS_OF_SIGNS:
        signs += [exchanging(d, mirrored=both) for both in combinations(range(d), 2)]
    room = most - len(exchanges)
    return from_codes([*exchanges, *signs[:room]], d)


@cache
def involutions(n: int) -> int:
    """How many permutations of n things undo themselves, the identity included."""
    return 1 if n < 2 else involutions(n - 1) + (n - 1) * involutions(n - 2)


def _all_involutions(classes: Sequence[Sequence[int]]) -> Iterator[Pairs]:
    """Every product of disjoint transpositions within the classes, but the identity."""
    for parts in product(*(list(_matchings(tuple(c))) for c in classes)):
        pairs = tuple(pair for part in parts for pair in part)
        if pairs:
            yield pairs


def _matchings(columns: tuple[int, ...]) -> Iterator[Pairs]:
    """Every set of disjoint pairs of columns, the empty one included."""
    if len(columns) < 2:
        yield ()
        return
    first, *others = columns
    yield from _matchings(tuple(others))
    for partner in others:
        rest = tuple(c for c in others if c != partner)
        for pairs in _matchings(rest):
            yield ((first, partner), *pairs)


def _likely(target: Target) -> Iterator[Pairs]:
    """Products of transpositions that models have, the likeliest first."""
    within = {column: i for i, c in enumerate(target.exchangeable) for column in c}
    in_vectors = {column for vector in target.vectors for column in vector}
    by_length: dict[int, list[tuple[int, ...]]] = {}
    for vector in target.vectors:
        by_length.setdefault(len(vector), []).append(vector)
    for length, vectors in by_length.items():
        for chosen in _subsets(vectors):
            for i, j in combinations(range(length), 2):
                yield tuple((vector[i], vector[j]) for vector in chosen)
        for one, other in combinations(vectors, 2):
            if all(within.get(a) == within.get(b) for a, b in zip(one, other, strict=True)):
                yield tuple(zip(one, other, strict=True))
    classes = target.exchangeable
    scalars = [[c for c in columns if c not in in_vectors] for columns in classes]
    single = [pair for columns in scalars for pair in combinations(columns, 2)]
    yield from ((pair,) for pair in single)
    yield from ((pair,) for columns in classes for pair in combinations(columns, 2))
    yield from (pair for pair in combinations(single, 2) if not set(pair[0]) & set(pair[1]))


def _subsets(vectors: Sequence[tuple[int, ...]]) -> Iterator[Sequence[tuple[int, ...]]]:
    """Subsets of vectors, larger ones first."""
    n = len(vectors)
    sizes = range(n, 0, -1) if n <= MOST_SUBSETS else (n, 1)
    for size in dict.fromkeys(sizes):
        yield from combinations(vectors, size)


def _distinct(codes: Iterator[Code]) -> Iterator[Code]:
    seen: set[bytes] = set()
    for code in codes:
        key = np.asarray(code).tobytes()
        if key not in seen:
            seen.add(key)
            yield code
