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

    What is counted at a time began at the last datum of the observable before it, or at the start.
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

    def of(self, sums: Array) -> Array:
        """What was counted (n, m, k, …), from sums since the start (n, s, k, …)."""
        if not self.counted:
            return sums
        found = sums[:, np.searchsorted(self.solved, self.times)]
        for each in self.counted:
            begins = last_before(each.times, self.times)
            after = np.flatnonzero(np.isfinite(begins))
            before = np.searchsorted(self.solved, begins[after])
            found[:, after, each.observable] -= sums[:, before, each.observable]
        return found


def last_before(moments: Array, times: Array) -> Array:
    """The last of increasing moments (c,) before each time (m,); −inf where there is none."""
    return np.concatenate([[-np.inf], moments])[np.searchsorted(moments, times)]


def between(counted: Counted, times: Array, counts: Array, asked: NDArray[np.int64]) -> Array:
    """Counts (n, c) from each of the `asked` times to the next, from those since the last datum.

    Arguments:
        counted: the observable, whose data are among the times.
        times: (m,), increasing; `counts` (n, m) are since the last datum before each.
        asked: rows (c,) of the times, increasing. The first count is since the last datum.
    """
    own = np.flatnonzero(np.isin(times, counted.times))
    known = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts[:, own], axis=1)], axis=1)
    sums = counts + known[:, np.searchsorted(times[own], times)]
    steps = np.diff(sums[:, asked], axis=1)
    return np.concatenate([counts[:, asked[:1]], steps], axis=1)
