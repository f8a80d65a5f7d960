"""Proposals for one side of a coordinate: of any proposal, by a map from the whole space to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import log_ndtr, ndtri_exp

from nfanneal.anneal.proposals.base import Proposal
from nfanneal.arrays import Array, Bools

NEAREST = -1e-300
"""The largest log of a share: at the edge itself it would be 0, and its place at infinity."""


@dataclass(frozen=True)
class Side:
    """The points z whose coordinate `column` is at most `edge`, or at least if `above`.

    The map from the whole space keeps all other coordinates, and takes N(0, 1) of this one to N(0,
    1) on that side alone.
    """

    column: int
    edge: float
    above: bool

    @property
    def log_share(self) -> float:
        """Log of the share of N(0, I) that it has."""
        return float(log_ndtr(-self.edge if self.above else self.edge))

    def holds(self, z: Array) -> Bools:
        """Which of the points z (n, d) are in it."""
        column = z[:, self.column]
        return np.asarray(column >= self.edge if self.above else column <= self.edge)

    def into(self, whole: Array) -> tuple[Array, Array]:
        """Where points (n, d) of the whole space come to, and the logs (n,) of the map's slope."""
        log_tail = self.log_share + log_ndtr(self._outwards(whole))
        edge = -self.edge if self.above else self.edge  # rounding must not get beyond it
        z = self._at(whole, np.minimum(ndtri_exp(np.minimum(log_tail, NEAREST)), edge))
        return z, self._log_slope(whole, z)

    def out_of(self, z: Array) -> tuple[Array, Array]:
        """Where points z (n, d) of this side come from, and the logs (n,) of the map's slope."""
        log_tail = log_ndtr(self._outwards(z)) - self.log_share
        whole = self._at(z, ndtri_exp(np.minimum(log_tail, NEAREST)))
        return whole, self._log_slope(whole, z)

    def _outwards(self, z: Array) -> Array:
        """The coordinate, turned so that this side is the lower one."""
        return np.asarray(-z[:, self.column] if self.above else z[:, self.column])

    def _at(self, z: Array, outwards: Array) -> Array:
        """Points z with another value of the coordinate, so turned."""
        moved = z.copy()
        moved[:, self.column] = -outwards if self.above else outwards
        return moved

    def _log_slope(self, whole: Array, z: Array) -> Array:
        """Shares of N(0, 1) stay what they are, but for a factor."""
        return self.log_share + 0.5 * (self._outwards(z) ** 2 - self._outwards(whole) ** 2)


@dataclass(frozen=True)
class Truncated:
    """A proposal of the whole space, mapped to one side of a coordinate: there is nothing else."""

    base: Proposal
    side: Side

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""
        return self.side.into(self.base.draw(n, generator))[0]

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,): −inf on the other side."""
        log_q = np.full(len(z), -np.inf)
        inside = self.side.holds(z)
        if not inside.any():
            return log_q
        whole, log_slope = self.side.out_of(z[inside])
        log_q[inside] = self.base.log_density(whole) - log_slope
        return log_q
