"""Thin tails: where a few of many draws stand for a share of the posterior, there may be more.

A proposal that draws a funnel's neck, but hardly ever where the posterior is in it, gives nearly
all of these draws no weight. What the others sum up to is as a rule far too little, and nothing
else need speak against it: walked points are as slow to get into the neck. So the next stage begins
with an annealing of what is there alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.proposals.truncated import Side
from nfanneal.anneal.weights import (
    PARETO_LIMIT,
    effective_sample_size,
    normalized,
    pareto_k,
    tail_size,
)
from nfanneal.arrays import Array

MOST_MASS = 0.05
"""A tail has at most such a share of the posterior."""
MUCH = 0.12
"""It is thin if it has so much of the evidence's variance: of twenty posteriors without necks the

tails that small have at most 0.10;"""
MORE = 3.0
"""then it may have so many times as much as its weights say."""
MANY, HOPELESS = 4000, 0.003
"""Or if of so many draws in it, at least, no larger share is effective: in those twenty posteriors

such tails have at most 0.0006 of the mass;"""
FAR_BELOW = 0.02
"""nor a fiftieth of the share of all draws that is effective: where that is 3 %, in a hierarchy of

45 parameters, a covered tail has a fourteenth of it;"""
FAR_MORE = 10.0
"""then so many times as much: of three necks one had 1.6 times, one nine, one fourteen."""
SURELY = 2.0
"""The tail index of its weights is so many standard errors above the limit, at least."""
MOSTLY = 0.5
"""A tail is on a side if more than such a share of its mass is."""
FARTHEST = 35.0
"""Beyond it the prior has no share that a number can hold."""
FEWEST, SIZES = 50, 30
"""Draws of the smallest tail that is looked at, and how many sizes are, up to half of all draws."""


@dataclass(frozen=True)
class Tail:
    """The draws on one side of a coordinate.

    They are `drawn` of all draws, `effective` of them, and have a `mass` of the posterior. `row` is
    the draw at the edge.
    """

    side: Side
    row: int
    drawn: int
    mass: float
    effective: float

    @property
    def variance(self) -> float:
        """What it adds to the variance of the log-evidence."""
        return self.mass**2 / self.effective


@dataclass(frozen=True)
class Drawn:
    """How n draws were made, as far as it matters to their tails.

    `fitted` are the chances (n,) that each is one of a proposal that was fitted: those of the prior
    and of hot proposals are everywhere, and say nothing where they are drawn in vain. They are only
    asked for where there is something to say. On the sides that were `annealed` by themselves a
    proposal has looked for what there is. `unseen` is a share of the posterior that nobody has
    seen, at least, by what was said of the proposal before it was patched.
    """

    fitted: Callable[[], Array]
    annealed: tuple[Side, ...] = ()
    unseen: float = 0.0


def uncertain_tail(z: Array, log_weight: Array, error: float, drawn: Drawn) -> Tail | None:
    """A tail of draws z (n, d) with log-weights (n,) of which nobody knows what it has, if any.

    Its weights have a heavy tail, and it has much of the variance, or is drawn in vain. And what it
    may have is more than an `error` of the log-evidence. On a side that was annealed by itself
    draws in vain say nothing.

    Source: the standard error (1 + k)/√m of a tail index k from m exceedances, Smith (1987),
    Estimating tails of probability distributions, doi:10.1214/aos/1176350499.
    """
    weights = normalized(log_weight)
    total = float((weights**2).sum())
    tails = list(_tails(z, weights))
    thinnest = max((tail.variance for tail in tails), default=0.0)
    thin = [tail for tail in tails if tail.variance == thinnest >= MUCH * total]
    hopeless = _hopeless(weights)
    suspects = [(MORE * tail.mass, tail, False) for tail in thin]
    suspects += [
        (FAR_MORE * tail.mass, tail, True)
        for tail in tails
        if _in_vain(tail, tail.drawn, hopeless) and not _mostly_in(drawn.annealed, tail, z, weights)
    ]
    suspects = sorted((s for s in suspects if s[0] > error), key=lambda suspect: -suspect[0])
    found = _confirmed(z, log_weight, [s[1:] for s in suspects], drawn, hopeless)
    return next(found, None)


def mass_in_vain(z: Array, log_weight: Array, drawn: Drawn) -> float:
    """The most mass of a tail that is drawn in vain, by its weights, on a side that was annealed.

    Its own proposal has looked there, and yet it may lack a part of that.
    """
    weights = normalized(log_weight)
    hopeless = _hopeless(weights)
    there = [
        tail
        for tail in (_tails(z, weights) if drawn.annealed else ())
        if _in_vain(tail, tail.drawn, hopeless) and _mostly_in(drawn.annealed, tail, z, weights)
    ]
    there.sort(key=lambda tail: -tail.mass)
    found = _confirmed(z, log_weight, [(tail, True) for tail in there], drawn, hopeless)
    return next((tail.mass for tail in found), 0.0)


def _confirmed(
    z: Array,
    log_weight: Array,
    suspects: Sequence[tuple[Tail, bool]],
    drawn: Drawn,
    hopeless: float,
) -> Iterator[Tail]:
    """The tails, in turn, that are suspect for their draws of what was fitted alone.

    With each is given whether it is suspect because these are in vain.
    """
    if not suspects:
        return
    fitted = drawn.fitted()
    for tail, in_vain in suspects:
        rows = _rows(z, tail)
        n = round(float(fitted[rows].sum()))
        if (not in_vain or _in_vain(tail, n, hopeless)) and _heavy(log_weight[rows], n):
            yield tail


def _hopeless(weights: Array) -> float:
    """The share of effective ones below which draws with these weights (n,) are in vain."""
    return min(HOPELESS, FAR_BELOW * effective_sample_size(weights) / max(len(weights), 1))


def _in_vain(tail: Tail, n: int, hopeless: float) -> bool:
    """Whether hardly any of many draws in a tail is effective, if n of them count."""
    return n >= MANY and tail.effective < hopeless * n


def _heavy(log_weight: Array, n: int) -> bool:
    """Whether the n largest log-weights (m,) of draws have a heavy tail, for sure."""
    largest = np.sort(log_weight)[len(log_weight) - n :]
    k = pareto_k(largest)
    return k - SURELY * (1.0 + k) / math.sqrt(tail_size(max(n, 1))) >= PARETO_LIMIT


def _mostly_in(sides: Sequence[Side], tail: Tail, z: Array, weights: Array) -> bool:
    """Whether most of the mass of a tail is on one of the sides."""
    inside = np.where(tail.side.holds(z), weights, 0.0)
    return any(float(inside[side.holds(z)].sum()) > MOSTLY * tail.mass for side in sides)


def _tails(z: Array, weights: Array) -> Iterator[Tail]:
    """All tails that are looked at and have some, but no more than `MOST_MASS`."""
    if len(z) < 2 * FEWEST or not weights.any():
        return
    sizes = np.unique(np.geomspace(FEWEST, len(z) / 2, SIZES).astype(int))
    for column in range(z.shape[1]):
        order = np.argsort(z[:, column], kind="stable")
        for above, rows in ((False, order), (True, order[::-1])):
            mass = np.cumsum(weights[rows])[sizes - 1]
            square = np.cumsum(weights[rows] ** 2)[sizes - 1]
            for size, m, s in zip(sizes, mass, square, strict=True):
                row = int(rows[size - 1])
                side = Side(column, float(z[row, column]), above)
                if s > 0.0 and m <= MOST_MASS and abs(side.edge) < FARTHEST:
                    yield Tail(side, row, int(size), float(m), float(m**2 / s))


def _rows(z: Array, tail: Tail) -> NDArray[np.int64]:
    order = np.argsort(z[:, tail.side.column], kind="stable")
    return (order[::-1] if tail.side.above else order)[: tail.drawn]
