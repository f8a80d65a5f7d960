"""The data of one experiment, as the likelihood takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nfanneal.arrays import Array


@dataclass(frozen=True)
class Observations:
    """Data cells of several observables at unique, increasing `times` (m,).

    Per observable, `time_index` says which time each of its c cells belongs to (replicates share
    one) and `values` holds the cells.
    """

    times: Array
    names: tuple[str, ...]
    time_index: tuple[NDArray[np.int64], ...]
    values: tuple[Array, ...]

    @property
    def n_data(self) -> int:
        """Number of cells that are not missing."""
        return sum(len(v) for v in self.values)
