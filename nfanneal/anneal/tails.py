"""Thin tails: where a few of many draws stand for a share of the posterior, there may be more.

A proposal that draws a funnel's neck, but hardly ever where the posterior is in it, gives nearly
all of these draws no weight. What the others sum up to is as a rule far too little, and nothing
else need speak against it: walked points are as slow to get into the neck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nfanneal.anneal.weights import (
    PARETO_LIMIT,
    effective_sample_size,
    normalized,
    pareto_k,
    tail_size,
)
from nfanneal.arrays import Array, Bools

MOST_MASS = 0.05
"""A tail has at most such a share of the posterior."""
MUCH = 0.12
"""… and is thin if it has so much of the variance: of twenty posteriors without necks the tails

that small have at most 0.08."""
SURELY = 2.0
"""The tail index of its weights is so many standard errors above the limit, at least."""
MORE = 3.0
"""It may have so many times as much as its weights say: one neck had 1.6 times, another nine."""
RAISED = 0.3
"""Such a share of a training is what an uncertain tail gets."""
FEWEST, SIZES = 50, 30
"""Draws of the smallest tail that is looked at, and how many sizes are, up to half of all draws."""


@dataclass(frozen=True)
class Tail:
    """The draws z whose coordinate `column` is at most `edge`, or at least if `above`.

    They are `drawn` of all draws, `effective` of them, and have a `mass` of the posterior. `share`
    is what they have of the variance of the evidence, `pareto_k` the tail index of their weights,
    `row` the draw at the edge.
    """

    column: int
    above: bool
    edge: float
    row: int
    drawn: int
    mass: float
    effective: float
    share: float
    pareto_k: float

    def uncertain(self, error: float) -> bool:
        """Whether nobody knows what it has: much of the error, and weights with a heavy tail.

        And whether that matters beside an `error` of the log-evidence.

        Source: the standard error (1 + k)/√m of a tail index k from m exceedances, Smith (1987),
        Estimating tails of probability distributions, doi:10.1214/aos/1176350499.
        """
        matters = MORE * self.mass > error
        spread = (1.0 + self.pareto_k) / math.sqrt(tail_size(self.drawn))
        heavy = self.pareto_k - SURELY * spread >= PARETO_LIMIT
        return self.share >= MUCH and heavy and matters

    def holds(self, z: Array) -> Bools:
        """Which of the points z (n, d) are in it."""
        column = z[:, self.column]
        return np.asarray(column >= self.edge if self.above else column <= self.edge)

    def raised(self, weights: Array, z: Array) -> Array:
        """Weights (n,) of points z (n, d) of a training, those in it raised to `RAISED` of all."""
        inside = self.holds(z)
        mass = float(weights[inside].sum())
        if not 0.0 < mass < RAISED:
            return weights
        raised = np.where(inside, weights * RAISED / mass, weights * (1.0 - RAISED) / (1.0 - mass))
        return np.asarray(raised / raised.sum())


def thinnest_tail(z: Array, log_weight: Array) -> Tail | None:
    """The tail of draws z (n, d) with log-weights (n,) that has most of the variance.

    None if the draws are too few.
    """
    n, weights = len(z), normalized(log_weight)
    total = float((weights**2).sum())
    if n < 2 * FEWEST or not total > 0.0:
        return None
    sizes = np.unique(np.geomspace(FEWEST, n / 2, SIZES).astype(int))
    found: list[tuple[float, int, bool, int]] = []
    for column in range(z.shape[1]):
        order = np.argsort(z[:, column], kind="stable")
        for above, rows in ((False, order), (True, order[::-1])):
            own = weights[rows]
            mass, square = np.cumsum(own)[sizes - 1], np.cumsum(own**2)[sizes - 1]
            share = np.where(mass <= MOST_MASS, square / total, 0.0)
            k = int(share.argmax())
            found.append((float(share[k]), column, above, int(sizes[k])))
    share_of_all, column, above, drawn = max(found, key=lambda tail: tail[0])
    rows = np.argsort(z[:, column], kind="stable")
    rows = (rows[::-1] if above else rows)[:drawn]
    return Tail(
        column=column,
        above=above,
        edge=float(z[rows[-1], column]),
        row=int(rows[-1]),
        drawn=drawn,
        mass=float(weights[rows].sum()),
        effective=effective_sample_size(weights[rows]),
        share=share_of_all,
        pareto_k=pareto_k(log_weight[rows]),
    )
