"""Observables that count since the datum before: which times are solved for, and differences.

Reported cases, births or catches are what came together between two reports, not a rate at one
time. The model keeps their sum since the start as a state, of which differences are predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nfanneal.arrays import Array


@dataclass(frozen=True)
class Counted:
    """An observable (its number) whose predictions are differences, and the times of its data."""

    observable: int
    times: Array


@dataclass(frozen=True)
class Counting:
    """What is asked at `times` (m,), increasing, of observables some of which are counted.

    What is counted at the time of one of its own data began at that before it; at any other time,
    at the last time before that was asked or of a datum. The first of all began at the start.
    """

    times: Array
    counted: Sequence[Counted]

    @cached_property
    def solved(self) -> Array:
        """The times (s,) at which trajectories must be known."""
        if not self.counted or not len(self.times):
            return self.times
        own = [each.times[each.times <= self.times[-1]] for each in self.counted]
        return np.unique(np.concatenate([self.times, *own]))

    @cached_property
    def _asked(self) -> NDArray[np.int64]:
        return np.searchsorted(self.solved, self.times)

    def _before(self, counted: Counted) -> NDArray[np.int64]:
        """Which of the solved times (m,) a count began at; −1: at the start."""
        begins = np.union1d(counted.times, self.times)
        begins = np.where(
            np.isin(self.times, counted.times),
            _last_before(counted.times, self.times),
            _last_before(begins, self.times),
        )
        return np.where(np.isfinite(begins), np.searchsorted(self.solved, begins), -1)

    def of(self, sums: Array) -> Array:
        """What was counted (n, m, k, …), from sums since the start (n, s, k, …)."""
        if not self.counted:
            return sums
        found = sums[:, self._asked]
        for each in self.counted:
            before = self._before(each)
            after = np.flatnonzero(before >= 0)
            found[:, after, each.observable] -= sums[:, before[after], each.observable]
        return found


def _last_before(moments: Array, times: Array) -> Array:
    """The last of increasing moments (c,) before each time (m,); −inf where there is none."""
    return np.concatenate([[-np.inf], moments])[np.searchsorted(moments, times)]
