"""The result of a run: weighted draws, evidence, diagnostics, and whether to trust them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array
from nfanneal.results.diagnosis import Diagnostics
from nfanneal.results.draws import WeightedDraws
from nfanneal.results.notebook import as_html
from nfanneal.results.records import Columns, Counts, Provenance
from nfanneal.results.summaries import ParameterSummary, summarize
from nfanneal.results.symmetry import Symmetry


@dataclass(frozen=True)
class History:
    """One row per level, and the loss of every training step with the level it belongs to."""

    levels: Mapping[str, Array]
    losses: Array
    loss_levels: NDArray[np.int64]
    seconds: Array


@dataclass(frozen=True)
class ObservedData:
    """The data of one observable: c cells at their times, noisy replicates and pointwise log L."""

    times: Array
    values: Array
    pointwise: Array
    replicates: Array


@dataclass(frozen=True)
class Prediction:
    """Trajectories of one observable at times (m,): (n, m) without noise and with it.

    nan where the model failed; `noisy` is None if the observable has no noise model.
    """

    times: Array
    clean: Array
    noisy: Array | None


@dataclass(frozen=True)
class Pruning:
    """What pruning changed: the weights before, the draws it touched, and what it bought.

    `changed` are the draws whose weights were dropped, smoothed or clipped; `lost_share` is the
    share of all weight that went with them. `before` and `after` hold ESS, log-evidence, its
    error and Pareto k̂. `clustered`: the outlying draws lie together, as those of a mode do.
    """

    method: str
    changed: NDArray[np.int64]
    original_log_weight: Array
    lost_share: float
    clustered: bool
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def bias(self) -> float:
        """How far the log-evidence may have sunk: −log(1 − lost share)."""
        return -math.log1p(-self.lost_share)


@dataclass(frozen=True)
class Combination:
    """What several runs of one problem said of its log-evidence, and whether they agree.

    `chi_square` is Σ (log Z − mean)²/error² with one degree of freedom less than there are runs;
    `p_value` is the chance of so large a spread if the reported errors are right.
    """

    log_evidences: Array
    errors: Array
    chi_square: float
    p_value: float


@dataclass(frozen=True)
class StoredFlow:
    """The final proposal as plain data: what rebuilds it, and its arrays by name."""

    layout: Mapping[str, object]
    arrays: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Result:
    """Everything a run leaves behind; `nfanneal.results.store` writes and reads it.

    `name` and `spec_yaml` state the problem, `posterior` are the rows `posterior_index` of the
    draws; at `failed_theta` (k, d) the model failed.
    """

    name: str
    spec_yaml: str
    provenance: Provenance
    columns: Columns
    draws: WeightedDraws
    posterior: Array
    posterior_index: NDArray[np.int64]
    diagnostics: Diagnostics
    warnings: tuple[str, ...]
    history: History
    observed: Mapping[str, ObservedData]
    flow: StoredFlow
    counts: Counts
    failed_theta: Array
    pruning: Pruning | None = None
    combination: Combination | None = None
    symmetry: Symmetry | None = None

    @property
    def converged(self) -> bool:
        """No diagnostic says otherwise."""
        return not self.warnings

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return as_html(self)

    def summaries(self) -> dict[str, ParameterSummary]:
        """Weighted posterior summary of every column of θ."""
        weights = normalized(self.draws.log_weight)
        return {
            name: summarize(self.draws.theta[:, i], weights)
            for i, name in enumerate(self.columns.names)
        }
