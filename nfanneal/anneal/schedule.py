"""Schedules: how the inverse temperature β moves from level to level.

Each schedule is a function of a `LevelView` and the settings; `SCHEDULES` names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.weights import effective_sample_size, tempered, truncated
from nfanneal.arrays import Array

ESS_CEILING = 0.3
"""No step needs the pool's ESS to stay above this share."""
MINIMUM_POINTS = 100
"""A level never trains on fewer effective points than this times √d, unless it stands still."""


@dataclass(frozen=True)
class LevelView:
    """What a schedule may look at: the level's number and β, the pool's weights, log L, and d.

    `mode` (n,) says which of the modes that count each point belongs to, −1 for none. `patient` is
    False when β has stood still for long enough. No step needs to leave more than `enough`
    effective points.
    """

    level: int
    beta: float
    log_base_weights: Array
    log_likelihood: Array
    dimension: int
    mode: NDArray[np.int64] | None = None
    patient: bool = True
    enough: float = math.inf

    def truncated_ess(self, beta: float) -> float:
        """ESS of the truncated weights at `beta`, as a share of the pool."""
        weights = self._weights(beta)
        return effective_sample_size(weights) / len(weights)

    def effective_by_mode(self, beta: float) -> Array:
        """Effective points of every mode at `beta`, (k,)."""
        if self.mode is None:
            return np.empty(0)
        inside = self.mode >= 0
        mode, weights = self.mode[inside], self._weights(beta)[inside]
        squares = np.maximum(np.bincount(mode, weights**2), 1e-300)
        return np.asarray(np.bincount(mode, weights) ** 2 / squares)

    def _weights(self, beta: float) -> Array:
        return truncated(tempered(self.log_base_weights, self.log_likelihood, beta))


def ess_schedule(view: LevelView, settings: AnnealSettings) -> float:
    """The largest β at which the pool keeps `relative_ess` of the ESS it has now.

    The step is measured against what the current flows reach, not against 1; β stands still
    while the pool holds too few effective points, so that the next level adds to them, for as
    long as the view is patient. Every mode keeps that share of its own effective points, too, or
    enough of them.
    """
    n = len(view.log_likelihood)
    minimum = MINIMUM_POINTS * math.sqrt(view.dimension) / n if view.patient else 0.0
    wanted = settings.relative_ess * view.truncated_ess(view.beta)
    target = max(min(wanted, ESS_CEILING, view.enough / n), minimum)
    if not view.patient:
        return largest_beta(view.truncated_ess, target, view.beta)
    most = min(MINIMUM_POINTS * math.sqrt(view.dimension), view.enough)
    now = view.effective_by_mode(view.beta)
    there, least = now > 0, np.minimum(settings.relative_ess * now[now > 0], most)

    def kept(beta: float) -> float:
        of_modes = view.effective_by_mode(beta)[there] / least
        return min(view.truncated_ess(beta), float(of_modes.min(initial=np.inf)) * target)

    return largest_beta(kept, target, view.beta)


def largest_beta(ess: Callable[[float], float], target: float, beta: float) -> float:
    """Largest β' in [β, 1] with ess(β') ≥ target, by bisection in log β; β if there is none."""
    if ess(1.0) >= target:
        return 1.0
    low, high = max(beta, 1e-12), 1.0
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if ess(middle) >= target else (low, middle)
    return max(low, beta)


def adaann_schedule(view: LevelView, settings: AnnealSettings) -> float:
    """β + τ/sd(log L), the sd under the current tempered target.

    Source: Cobian et al. (2023), AdaAnn, arXiv:2202.00792, equation 10.
    """
    weights = truncated(tempered(view.log_base_weights, view.log_likelihood, view.beta))
    weights = np.where(np.isfinite(view.log_likelihood), weights, 0.0)
    weights /= weights.sum()
    finite = np.where(weights > 0, view.log_likelihood, 0.0)
    sd = math.sqrt(float(weights @ (finite - weights @ finite) ** 2))
    return min(1.0, view.beta + settings.tolerance / max(sd, 1e-300))


def linear_schedule(view: LevelView, settings: AnnealSettings) -> float:
    """β = k/K for level k of K."""
    return min(1.0, (view.level + 1) / settings.levels)


def geometric_schedule(view: LevelView, settings: AnnealSettings) -> float:
    """β grows by a constant factor from `first_beta` to 1 in K levels."""
    exponent = 1.0 - view.level / max(settings.levels - 1, 1)
    return min(1.0, settings.first_beta ** max(exponent, 0.0))


def no_schedule(view: LevelView, settings: AnnealSettings) -> float:
    """β = 1 at once: no annealing, to see what annealing buys."""
    return 1.0


SCHEDULES: dict[str, Callable[[LevelView, AnnealSettings], float]] = {
    "ess": ess_schedule,
    "linear": linear_schedule,
    "geometric": geometric_schedule,
    "adaann": adaann_schedule,
    "none": no_schedule,
}
