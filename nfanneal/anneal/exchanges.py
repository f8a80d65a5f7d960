"""Exchanges of latent columns: permutations with changes of sign, which leave N(0, I) as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nfanneal.arrays import Array

Code = NDArray[np.int64]
"""An exchange as one row (d,): the column that comes to each place, from 1 on, with its sign."""


@dataclass(frozen=True)
class Exchanges:
    """k exchanges z' = signs·z[permutation]: `permutations` (k, d) and `signs` (k, d), ±1."""

    permutations: NDArray[np.int64]
    signs: Array

    def __len__(self) -> int:
        """How many there are."""
        return len(self.permutations)

    def images(self, z: Array) -> Array:
        """Every exchange of every point: (k, n, d) for z (n, d)."""
        moved = z[:, self.permutations] * self.signs
        return np.ascontiguousarray(moved.transpose(1, 0, 2))

    def applied(self, which: NDArray[np.int64], z: Array) -> Array:
        """One exchange for each point: `which` (n,) of them for z (n, d)."""
        moved = np.take_along_axis(z, self.permutations[which], axis=1)
        return moved * self.signs[which]

    def smallest(self, z: Array) -> NDArray[np.int64]:
        """Which exchange makes each point z (n, d) the first in lexicographic order, (n,).

        Of a group, the points that come first among all their images hold one of each set of equal
        points, whatever the group is.
        """
        if not len(z):
            return np.zeros(0, dtype=np.int64)
        images = self.images(z)
        left = np.ones(images.shape[:2], dtype=bool)
        for column in range(z.shape[1]):
            values = np.where(left, images[:, :, column], np.inf)
            left &= values == values.min(axis=0)
        return np.argmax(left, axis=0)

    def rows(self, which: Any) -> Exchanges:
        """Some of them, by an index, a slice or a mask."""
        return Exchanges(self.permutations[which], self.signs[which])

    @property
    def codes(self) -> NDArray[np.int64]:
        """All of them as codes, (k, d)."""
        return np.asarray((self.permutations + 1) * self.signs, dtype=np.int64)

    @property
    def moved(self) -> NDArray[np.bool_]:
        """Which columns each of them changes, (k, d)."""
        home = np.arange(self.permutations.shape[1])
        return np.asarray((self.permutations != home) | (self.signs < 0))


def identity(dimension: int) -> Exchanges:
    """The one that changes nothing."""
    return Exchanges(np.arange(dimension)[None], np.ones((1, dimension)))


def exchanging(
    dimension: int, pairs: Sequence[tuple[int, int]] = (), mirrored: Sequence[int] = ()
) -> Code:
    """The code of an exchange of pairs of columns; others change their sign."""
    code = np.arange(1, dimension + 1)
    for a, b in pairs:
        code[a], code[b] = b + 1, a + 1
    code[list(mirrored)] *= -1
    return code


def from_codes(codes: Sequence[Code], dimension: int) -> Exchanges:
    """Exchanges from their codes, each (d,)."""
    rows = np.asarray(codes, dtype=np.int64).reshape(-1, dimension)
    return Exchanges(np.abs(rows) - 1, np.sign(rows).astype(np.float64))


def product(first: Code, then: Code) -> Code:
    """What `first` and then `then` come to."""
    return np.asarray(np.sign(then) * first[np.abs(then) - 1], dtype=np.int64)


def closed(generators: Exchanges, most: int) -> Exchanges | None:
    """The group of all products, the identity first; None if it has more than `most` elements."""
    dimension = generators.permutations.shape[1]
    steps = list(generators.codes)
    newest = [exchanging(dimension)]
    known = {newest[0].tobytes(): newest[0]}
    while newest:
        reached = [product(code, step) for code in newest for step in steps]
        newest = []
        for code in reached:
            if code.tobytes() not in known:
                known[code.tobytes()] = code
                newest.append(code)
        if len(known) > most:
            return None
    return from_codes(list(known.values()), dimension)


def same_group(one: Exchanges, other: Exchanges) -> bool:
    """Whether two groups have the same elements, in any order."""
    sets = [{code.tobytes() for code in group.codes} for group in (one, other)]
    return sets[0] == sets[1]
