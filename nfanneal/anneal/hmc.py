"""Moves: Hamiltonian Monte Carlo spreads resampled points before a flow is trained on them.

A pool holds few effective points in many dimensions, and a flow overfits to them. Moved points are
as many distinct ones as are wanted. They have no known density, so they only ever train a flow:
weights and evidence never see them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nfanneal.anneal.gradients import bounded
from nfanneal.arrays import Array
from nfanneal.errors import ModelError
from nfanneal.target import Spent, Target

LEAPS = 5
"""Leapfrog steps of a transition."""
ACCEPTANCE = 0.75
"""The step size is steered towards this mean acceptance."""
FIRST_STEP = 0.5
"""First step size in units of d^(-1/4), for a target whitened by the proposal's mean and factor."""
GAIN = 1.0
"""How fast the logarithm of the step size follows the acceptance."""


@dataclass(frozen=True)
class Ensemble:
    """Points z (n, d) with the log-density (n,) and its whitened gradient (n, d) there.

    `spent` are the gradients that it took to get there from the ensemble before.
    """

    z: Array
    log_density: Array
    force: Array
    spent: Spent


def moved(
    target: Target,
    z: Array,
    beta: float,
    cholesky: Array,
    transitions: int,
    rng: np.random.Generator,
) -> tuple[Array, Spent]:
    """Points z (n, d) after `transitions` that leave prior·L^β invariant.

    The momenta's covariance is (L·Lᵀ)⁻¹ for the factor `cholesky` L (d, d) of the points' own
    covariance. Forces are bounded, and 0 where a gradient is not finite: both are functions of
    the position alone, under which leapfrog steps stay reversible. Returns the points, and the
    gradients that were spent.

    Source: Neal (2011), MCMC using Hamiltonian dynamics, arXiv:1206.1901, section 5.2.
    """
    ensemble = _at(target, z, beta, cholesky)
    spent = ensemble.spent
    step = FIRST_STEP / z.shape[1] ** 0.25
    for _ in range(transitions):
        ensemble, acceptance = _transition(target, ensemble, beta, cholesky, step, rng)
        step *= math.exp(GAIN * (acceptance - ACCEPTANCE))
        spent += ensemble.spent
    return ensemble.z, spent


def _at(target: Target, z: Array, beta: float, cholesky: Array) -> Ensemble:
    """The tempered log-density and the force; where the likelihood is zero both are useless."""
    evaluation = target.evaluate(z, True)
    if evaluation.gradient is None:
        raise ModelError("the model gave no gradient")
    log_density = beta * evaluation.log_likelihood - 0.5 * np.einsum("ij,ij->i", z, z)
    force = bounded((beta * evaluation.gradient - z) @ cholesky)
    return Ensemble(z, log_density, force, evaluation.spent)


def _transition(
    target: Target,
    start: Ensemble,
    beta: float,
    cholesky: Array,
    step: float,
    rng: np.random.Generator,
) -> tuple[Ensemble, float]:
    """One transition of every point: its new state, and the mean acceptance.

    Step sizes differ from point to point, over two decades: what suits a wide part of the target
    overshoots in a narrow one.
    """
    n, d = start.z.shape
    epsilon = step * np.exp(-rng.exponential(1.0, (n, 1)))
    momentum = rng.standard_normal((n, d))
    end, p, spent = start, momentum, Spent()
    for _ in range(LEAPS):
        half = p + 0.5 * epsilon * end.force
        end = _at(target, end.z + epsilon * (half @ cholesky.T), beta, cholesky)
        p = half + 0.5 * epsilon * end.force
        spent += end.spent
    kinetic = 0.5 * (np.einsum("ij,ij->i", momentum, momentum) - np.einsum("ij,ij->i", p, p))
    with np.errstate(invalid="ignore", over="ignore"):
        log_ratio = end.log_density - start.log_density + kinetic
    probability = np.exp(np.minimum(np.where(np.isnan(log_ratio), -np.inf, log_ratio), 0.0))
    taken = rng.random(n) < probability
    chosen = Ensemble(
        np.where(taken[:, None], end.z, start.z),
        np.where(taken, end.log_density, start.log_density),
        np.where(taken[:, None], end.force, start.force),
        spent,
    )
    return chosen, float(probability.mean())
