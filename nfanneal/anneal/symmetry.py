"""Symmetries of a posterior: exchanges and changes of sign of columns that leave log L as it is.

The latent prior N(0, I) is the same after any permutation and any change of sign, so that only the
likelihood decides. Candidates are tried at one point, and what passes there at others. An exchange
that is found wrongly would cost effective draws where a proposal is made symmetric, but no bias;
where draws are folded it would be wrong by as much as log L differs, so that one must hold wherever
it is looked at, by points that would tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from nfanneal.anneal.archive import Archive
from nfanneal.anneal.candidates import candidates
from nfanneal.anneal.exchanges import Code, Exchanges, closed, from_codes, identity, product
from nfanneal.arrays import Array, Bools, rows_of
from nfanneal.errors import ModelError
from nfanneal.target import Target

MOST_EVALUATIONS = 5000
"""Of the likelihood, for the whole search, up to `FEW_COLUMNS` columns;"""
FEW_COLUMNS = 32
FEWER_EVALUATIONS = 2000
"""for more columns."""
MOST_ELEMENTS = 120
"""A group that is used has at most so many elements: each costs a density per draw,"""
FEW_ELEMENTS = 8
"""and so many where exchanges lead to places that the coldest points are at in any case."""
FAR = 2.0
"""Images lead away if cold points are so many times farther from them than from each other."""
HEAVIEST = 16
"""So many optima, of the largest mass, say whether an exchange leads from mode to mode."""
LEVEL = 0.1
"""There is no valley where the log posterior halfway is lower by no more than this."""
MOST_SAID = 4000
"""Elements of a larger group that are remembered as told."""
CANDIDATES_SHARE = 0.8
"""Share of the evaluations that candidates may take."""
POINTS = 16
"""Points at which an exchange must hold."""
LEAST_POINTS = 4
LEAST_TELLING = 3
"""So many of them, at least, must be such that a wrong exchange would show."""
DEEPER, DEEP = 4, 50.0
"""So many points more. Those whose log L is further below the best tell of nothing but rounding."""
COLDEST = 64
"""Half of the points are among so many of the largest log L."""
EXACT, SOLVED = 1e-9, 1e-5
"""What log L may differ by, over 1 + |log L|: of a function, and where an ODE is solved.

Where two rate constants can be exchanged, an ODE can go other ways to the same observables, which
are then equal to the solver's tolerance only: for A → B → C, of which only C is observed, log L
differs by 1e-9 to 4e-6. Exchanged species that play the same part give the same bits.
"""
LARGEST_TOLERANCE = 0.05
"""Nowhere more than this: it is what a folded draw's log-weight may be wrong by."""
CLEAR = 10.0
"""log L depends on a column where moving it changes log L by so many tolerances."""
APART = 1e-3
"""An exchange of values that are nearer than this tells nothing."""


@dataclass(frozen=True)
class Found:
    """What leaves the posterior as it is.

    `group` are all elements that are used, the identity first: at most `MOST_ELEMENTS`, of which
    those beyond `FEW_ELEMENTS` lead to modes that the coldest points are not in;
    `generators` are what was found, none of which follows from those before it. Those beyond `used`
    would make the group too large.
    """

    group: Exchanges
    generators: Exchanges
    used: Bools
    n_evaluations: int

    @property
    def permutations(self) -> NDArray[np.int64]:
        """Of the group, (g, d): z' = signs·z[permutation]."""
        return self.group.permutations

    @property
    def signs(self) -> Array:
        """Of the group, (g, d), ±1."""
        return self.group.signs

    @property
    def any(self) -> bool:
        """Whether there is a symmetry."""
        return len(self.generators) > 0


def find_symmetry(
    target: Target,
    z: Array,
    log_likelihood: Array,
    rng: np.random.Generator,
    most: float = MOST_EVALUATIONS,
    archive: Archive | None = None,
) -> Found:
    """Look for symmetries by points z (n, d) with log L (n,), with at most `most` evaluations.

    The points should be draws of the annealing's path, the coldest included. What leaves every
    known optimum of an `archive` in its own mode is passed over.
    """
    d = target.dimension
    limit = MOST_EVALUATIONS if d <= FEW_COLUMNS else FEWER_EVALUATIONS
    rows, coldest = _chosen(z, log_likelihood, rng)
    left = int(min(most, limit))
    search = _Search(target, z[rows], log_likelihood[rows], z[coldest], archive, left)
    if len(search.z) < LEAST_POINTS:
        return search.found([])
    tried = candidates(target, int(CANDIDATES_SHARE * search.left))
    passed = search.screened(tried)
    told = search.told(passed)
    order = np.lexsort((told.moved.sum(axis=1), (told.signs < 0).any(axis=1)))
    return search.found(list(told.codes[order]))


def _chosen(
    z: Array, log_likelihood: Array, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of distinct points, and of the coldest.

    Half of `POINTS` are among these, the others from the better half of all; and a few more from
    the worse half, where it shows if something is cut off on one side.
    """
    good = np.flatnonzero(np.isfinite(log_likelihood) & np.isfinite(z).all(axis=1))
    _, first = np.unique(z[good], axis=0, return_index=True)
    rows = good[np.sort(first)]
    rows = rows[np.argsort(-log_likelihood[rows], kind="stable")]
    cold = rng.permutation(rows[:COLDEST])[: POINTS // 2]
    better = (len(rows) + 1) // 2
    deep = rows[better:][log_likelihood[rows[better:]] > log_likelihood[rows[:1]] - DEEP]
    deep = rng.permutation(deep)[:DEEPER]
    warm = rng.permutation(rows[:better])
    warm = warm[~np.isin(warm, cold)][: POINTS - len(cold)]
    return np.concatenate([cold, warm, deep]), rows[:COLDEST]


@dataclass
class _Search:
    """The points z (k, d) of a search, log L there (k,), the `coldest` of all (c, d), the optima

    that are known, and how many evaluations are left."""

    target: Target
    z: Array
    log_likelihood: Array
    coldest: Array
    archive: Archive | None
    left: int
    spent: int = field(default=0, init=False)

    @property
    def tolerance(self) -> Array:
        """What log L may differ by at each point, (k,)."""
        share = SOLVED if self.target.has_information else EXACT
        return np.minimum(share * (1.0 + np.abs(self.log_likelihood)), LARGEST_TOLERANCE)

    def differences(self, images: Array, rows: NDArray[np.int64], factor: float = 1.0) -> Bools:
        """Whether log L at images (m, d) of the points `rows` (m,) is not what it is there.

        A model that raises at one of them ends the search, not a run that has come so far.
        """
        self.spent += len(images)
        self.left -= len(images)
        try:
            found = self.target.evaluate(images, False).log_likelihood
        except ModelError:
            self.left = 0
            return np.ones(len(images), dtype=bool)
        return ~(np.abs(found - self.log_likelihood[rows]) <= factor * self.tolerance[rows])

    def screened(self, tried: Exchanges) -> Exchanges:
        """Those that hold at the point where exchanged values are farthest apart."""
        if not len(tried):
            return tried
        row = int(np.argmax([_nearest(z, self.target) for z in self.z]))
        images = tried.images(self.z[[row]])[:, 0]
        rows = np.full(len(images), row)
        return tried.rows(~self.differences(images, rows))

    def told(self, passed: Exchanges) -> Exchanges:
        """Those that change columns on which log L depends, at enough of the points.

        A pair of columns is seen to be exchanged where log L depends on both, and they differ.
        """
        columns = np.flatnonzero(passed.moved.any(axis=0))
        n_points = min(len(self.z), self.left // (2 * max(len(columns), 1)))
        if n_points < LEAST_TELLING:
            return passed.rows(slice(0))
        depends = np.zeros((len(self.z), self.target.dimension), dtype=bool)
        if len(columns):
            where = np.repeat(np.arange(n_points), len(columns))
            which = np.tile(columns, n_points)
            images = self.z[where].copy()
            images[np.arange(len(images)), which] -= np.where(self.z[where, which] < 0, -1.0, 1.0)
            depends[where, which] = self.differences(images, where, CLEAR)
        kept = [self._tells(passed.rows([i]), depends) for i in range(len(passed))]
        return passed.rows(np.array(kept, dtype=bool))

    def _tells(self, exchange: Exchanges, depends: Bools) -> bool:
        """Whether a wrong exchange would show in each of the columns that it changes."""
        apart = np.abs(exchange.images(self.z)[0] - self.z) > APART
        both = depends & depends[:, exchange.permutations[0]] & apart
        return bool((both.sum(axis=0) >= LEAST_TELLING)[exchange.moved[0]].all())

    def holds(self, exchange: Exchanges) -> bool:
        """Whether log L is the same at the images of all points."""
        rows = np.arange(len(self.z))
        return (
            self.left >= len(rows) and not self.differences(exchange.images(self.z)[0], rows).any()
        )

    def leads_away(self, exchange: Exchanges) -> bool:
        """Whether the images of the coldest points are farther from these than they are themselves.

        They are not if there is but one mode, or if all of its copies are known.
        """
        scale = self.coldest.std(axis=0)
        points = self.coldest / np.where(scale > 0, scale, 1.0)
        images = exchange.images(self.coldest)[0] / np.where(scale > 0, scale, 1.0)
        among = cdist(points, points)
        np.fill_diagonal(among, np.inf)
        apart = np.median(cdist(images, points).min(axis=1))
        return bool(apart > FAR * np.median(among.min(axis=1)))

    def stays(self, exchange: Exchanges) -> bool:
        """Whether there is no valley between any of the heaviest optima and its image."""
        if self.archive is None or not len(self.archive):
            return False
        heaviest = np.argsort(-self.archive.log_masses, kind="stable")[:HEAVIEST]
        optima = rows_of(self.archive.points, heaviest)
        half = 0.5 * (optima.z + exchange.images(optima.z)[0])
        if self.left < len(half):
            return False
        self.spent += len(half)
        self.left -= len(half)
        try:
            log_likelihood = self.target.evaluate(half, False).log_likelihood
        except ModelError:
            self.left = 0
            return False
        height = log_likelihood - 0.5 * np.einsum("kd,kd->k", half, half)
        return bool((height >= optima.log_joint - LEVEL).all())

    def found(self, codes: list[Code]) -> Found:
        """The group that the codes (d,) generate that hold, one after the other."""
        d = self.target.dimension
        group, generators, used, said = identity(d), list[Code](), list[bool](), _Said(d)
        for code in codes:
            if said.implies(code) or not self.holds(from_codes([code], d)):
                continue
            own = [g for g, is_used in zip(generators, used, strict=True) if is_used]
            exchange = from_codes([code], d)
            if self.stays(exchange):
                said.add(code)
                continue
            most = MOST_ELEMENTS if self.leads_away(exchange) else FEW_ELEMENTS
            larger = closed(from_codes([*own, code], d), most)
            group = group if larger is None else larger
            generators.append(code)
            used.append(larger is not None)
            said.add(code)
        return Found(group, from_codes(generators, d), np.array(used, dtype=bool), self.spent)


class _Said:
    """What follows from exchanges that have been found, as far as it is easily seen.

    Their group may be far too large to be written down: these are its elements that come from one
    of them by way of others (t·x·t), and products of such that move different columns.
    """

    def __init__(self, dimension: int) -> None:
        self._nothing = np.arange(1, dimension + 1)
        self._generators: list[Code] = []
        self._known: dict[bytes, Code] = {}

    def implies(self, code: Code) -> bool:
        """Whether a code (d,) follows."""
        if code.tobytes() in self._known:
            return True
        left = code
        for part in self._known.values():
            moved = part != self._nothing
            if (left[moved] == part[moved]).all():
                left = product(left, part)
        return bool((left == self._nothing).all())

    def add(self, code: Code) -> None:
        """One more that holds."""
        self._generators.append(code)
        waiting = [code, *(_by_way_of(code, x) for x in self._known.values())]
        while waiting and len(self._known) < MOST_SAID:
            x = waiting.pop()
            if x.tobytes() not in self._known:
                self._known[x.tobytes()] = x
                waiting += [_by_way_of(t, x) for t in self._generators]


def _by_way_of(t: Code, x: Code) -> Code:
    return product(product(t, x), t)


def _nearest(z: Array, target: Target) -> float:
    """How near the nearest two values are that may be exchanged, or one and its mirror image."""
    gaps = [float(np.diff(np.sort(z[list(c)])).min()) for c in target.exchangeable]
    return min([float(2.0 * np.abs(z).min()), *gaps])
