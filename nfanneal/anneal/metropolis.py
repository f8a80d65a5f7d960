"""Walks: Metropolis steps spread resampled points, of ODE models and where there is no gradient.

As Hamiltonian moves do of other models; their points, too, only ever train a flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array, Bools

Failures = Bools

STEPS = 5
"""Steps of a walk that count as one transition: as many evaluations as a Hamiltonian one takes."""
FIRST_STEP = 2.38
"""First step size in units of d^(-1/2), for a target whitened by the proposal's factor."""
ACCEPTANCE = 0.25
"""The step size is steered towards this mean acceptance."""


@dataclass(frozen=True)
class Walked:
    """Points z (n, d), and how many evaluations it took to get there and failed."""

    z: Array
    n_evaluations: int
    n_failed: int


def walked(
    log_likelihood: Callable[[Array], tuple[Array, Failures]],
    start: Array,
    log_start: Array,
    beta: float,
    cholesky: Array,
    transitions: int,
    rng: np.random.Generator,
) -> Walked:
    """Points `start` (n, d), whose log L is `log_start` (n,), after steps that leave prior·L^β as

    it is. Every other step is Gaussian with the covariance L·Lᵀ of the factor `cholesky` L (d, d),
    the others go along differences of two points of `start`, which know of modes and ridges. Step
    sizes differ from point to point, as what suits a wide part of the target is too long in a
    narrow one.

    Source: Roberts & Rosenthal (2001), Optimal scaling for various Metropolis-Hastings algorithms,
    doi:10.1214/ss/1015346320; ter Braak & Vrugt (2008), Differential evolution Markov chain with
    snooker updater, doi:10.1007/s11222-008-9104-9, for differences of earlier points.
    """
    n, d = start.shape
    z, log_density = start, _tempered(start, log_start, beta)
    size, n_failed = FIRST_STEP / math.sqrt(d), 0
    for k in range(STEPS * transitions):
        if k % 2 == 0:
            direction = rng.standard_normal((n, d)) @ cholesky.T
        else:
            first, second = rng.integers(n, size=(2, n))
            direction = (start[first] - start[second]) / math.sqrt(2.0)
        tried = z + size * np.exp(-rng.exponential(0.5, (n, 1))) * direction
        log_l, failed = log_likelihood(tried)
        n_failed += int(failed.sum())
        tried_density = _tempered(tried, log_l, beta)
        log_ratio = tried_density - log_density
        probability = np.exp(np.minimum(np.where(np.isnan(log_ratio), -np.inf, log_ratio), 0.0))
        taken = rng.random(n) < probability
        z = np.where(taken[:, None], tried, z)
        log_density = np.where(taken, tried_density, log_density)
        size *= math.exp(float(probability.mean()) - ACCEPTANCE)
    return Walked(z, n * STEPS * transitions, n_failed)


def _tempered(z: Array, log_likelihood: Array, beta: float) -> Array:
    """log of prior·L^β (n,), but for a constant."""
    return np.asarray(beta * log_likelihood - 0.5 * np.einsum("ij,ij->i", z, z))
