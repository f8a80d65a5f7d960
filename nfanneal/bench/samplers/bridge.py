"""The evidence from posterior draws alone, by bridge sampling with a Gaussian.

Sources: Meng & Wong (1996), Simulating ratios of normalizing constants via a simple identity,
Statistica Sinica 6, 831; Gronau et al. (2017), A tutorial on bridge sampling, arXiv:1703.05984;
for the error Frühwirth-Schnatter (2004), doi:10.1111/j.1368-423X.2004.00125.x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit, logsumexp

from nfanneal.anneal.weights import Evidence
from nfanneal.arrays import Array

ITERATIONS = 1000
MOST_DRAWS = 4096
"""Of the Gaussian: each costs a call of the likelihood."""
TOLERANCE = 1e-10
WINDOW = 5.0
"""The sum of autocorrelations ends at the first lag beyond so many autocorrelation times."""


@dataclass(frozen=True)
class _Gaussian:
    mean: Array
    cholesky: Array

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """z of shape (n, d)."""
        return np.asarray(self.mean + rng.standard_normal((n, len(self.mean))) @ self.cholesky.T)

    def log_density(self, z: Array) -> Array:
        """log q(z), (n,)."""
        y = solve_triangular(self.cholesky, (z - self.mean).T, lower=True)
        constant = np.log(np.diag(self.cholesky)).sum() + 0.5 * len(y) * math.log(2.0 * math.pi)
        return np.asarray(-0.5 * np.einsum("ij,ij->j", y, y) - constant)


def bridge_evidence(
    chains: Array,
    log_target: Array,
    evaluate: Callable[[Array], Array],
    rng: np.random.Generator,
) -> Evidence:
    """log Z of an unnormalised density from chains that sample it, and its error.

    A Gaussian is fitted to the first half of the chains in time; the second half and draws of
    the Gaussian (as many, at most 4,096) make the estimate: the fit does not bias it. The error
    takes the autocorrelation of the chains into account. Nothing is known of modes that no chain
    visited.

    Arguments:
        chains: z, (steps, walkers, d).
        log_target: the unnormalised log-density there, (steps, walkers).
        evaluate: the same at new points: (n, d) → (n,); −inf is a density of zero.
    """
    half = len(chains) // 2
    d = chains.shape[2]
    gaussian = _fitted(chains[:half].reshape(-1, d))
    walkers = chains.shape[1]
    from_target = log_target[half:] - _by_chain(gaussian, chains[half:])
    drawn = gaussian.draw(min(from_target.size, MOST_DRAWS), rng)
    from_gaussian = evaluate(drawn) - gaussian.log_density(drawn)
    tau = autocorrelation_time(from_target)
    n, m = from_target.size / tau, len(from_gaussian)
    log_odds = math.log(n / m)  # of the target's share among all draws, each at its worth
    log_z = _iterated(from_target.ravel(), from_gaussian, log_odds)
    if not math.isfinite(log_z):
        return Evidence(math.nan, math.inf)
    # f of the identity, over common constants: bounded, so that the variances exist
    of_gaussian = expit(from_gaussian - log_z + log_odds)
    of_target = expit(-(from_target - log_z + log_odds))
    tau = autocorrelation_time(of_target)
    variance = _relative_variance(of_gaussian) / m
    variance += _relative_variance(of_target) * tau / (len(of_target) * walkers)
    return Evidence(log_z, math.sqrt(variance))


def _fitted(z: Array) -> _Gaussian:
    covariance = np.cov(z.T).reshape(z.shape[1], z.shape[1])
    jitter = 1e-12 * np.trace(covariance) / len(covariance)
    return _Gaussian(z.mean(axis=0), np.linalg.cholesky(covariance + jitter * np.eye(z.shape[1])))


def _by_chain(gaussian: _Gaussian, chains: Array) -> Array:
    steps, walkers, d = chains.shape
    return gaussian.log_density(chains.reshape(-1, d)).reshape(steps, walkers)


def _iterated(from_target: Array, from_gaussian: Array, log_odds: float) -> float:
    """The fixed point of Meng & Wong's equation 4.1 for log Z, from log-ratios p/q (n,) and (m,).

    With s the target's share, Z = Σ_q [p/q / (s·p/q + (1 − s)·Z)]/m over Σ_p [1/(…)]/n.
    """
    log_z = float(np.median(from_target))
    for _ in range(ITERATIONS):
        above = logsumexp(-np.logaddexp(log_odds, log_z - from_gaussian)) - math.log(
            len(from_gaussian)
        )
        below = logsumexp(-np.logaddexp(log_odds + from_target, log_z)) - math.log(len(from_target))
        previous, log_z = log_z, float(above - below)
        if abs(log_z - previous) < TOLERANCE:
            return log_z
        if not math.isfinite(log_z):
            break
    return math.nan


def _relative_variance(values: Array) -> float:
    """Var/mean²."""
    mean = float(values.mean())
    return float(values.var()) / mean**2 if mean > 0 else math.inf


def autocorrelation_time(values: Array) -> float:
    """Integrated autocorrelation time of chains (steps, walkers), in steps; at least 1.

    τ = 1 + 2 Σ ρ(t), the autocorrelation averaged over walkers and the sum cut off at the first
    lag M ≥ 5·τ(M). Source: Sokal (1997), Monte Carlo methods in statistical mechanics, section 3.
    """
    steps = len(values)
    centred = values - values.mean()
    size = 1 << (2 * steps - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    covariance = np.fft.irfft(power, size, axis=0)[:steps].mean(axis=1)
    if covariance[0] <= 0:
        return 1.0
    tau = 2.0 * np.cumsum(covariance / covariance[0]) - 1.0
    beyond = np.flatnonzero(np.arange(steps) >= WINDOW * tau)
    return max(1.0, float(tau[beyond[0] if len(beyond) else -1]))
