"""Importance weights: effective sample size, evidence and its error, mixtures, tail diagnostics.

Log-weights may be −inf (a draw of zero likelihood): such draws count in every denominator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]


def normalized(log_weights: Array) -> Array:
    """Weights of shape (n,) that sum to one; all zero if every log-weight is −inf."""
    top = np.max(log_weights, initial=-np.inf)
    if top == -np.inf:
        return np.zeros_like(log_weights)
    weights = np.exp(log_weights - top)
    return weights / weights.sum()


def truncated(log_weights: Array) -> Array:
    """Normalised weights clipped at √n times their mean, then normalised again.

    Source: Ionides (2008), Truncated importance sampling, doi:10.1198/106186008X320456.
    """
    weights = normalized(log_weights)
    clipped = np.minimum(weights, 1.0 / math.sqrt(max(len(weights), 1)))
    total = clipped.sum()
    return clipped / total if total > 0 else clipped


def effective_sample_size(weights: Array) -> float:
    """Kish's (Σw)²/Σw² of weights of shape (n,); 0 if all weights are zero."""
    square = float(np.sum(weights**2))
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0


@dataclass(frozen=True)
class Evidence:
    """log Z and its standard error, from importance weights."""

    log_evidence: float
    error: float


def evidence(log_weights: Array) -> Evidence:
    """log Z = log mean(w) with the error sd(w)/(mean(w)·√n) (delta method)."""
    n = len(log_weights)
    log_mean = float(logsumexp(log_weights)) - math.log(n)
    ess = effective_sample_size(normalized(log_weights))
    error = math.sqrt(max(n / ess - 1.0, 0.0) / (n - 1)) if ess > 0 and n > 1 else math.inf
    return Evidence(log_mean, error)


def mixture_log_density(log_densities: Sequence[Array], counts: Sequence[int]) -> Array:
    """log Σ_j (n_j/n) q_j(z): the balance heuristic's common proposal density.

    Arguments:
        log_densities: log q_j at the same points, each of shape (n,).
        counts: how many of all draws came from each q_j.

    Source: Veach & Guibas (1995), Optimally combining sampling techniques, section 3.2.
    """
    share = np.log(np.asarray(counts, dtype=float)) - math.log(sum(counts))
    return np.asarray(logsumexp(np.stack(log_densities) + share[:, None], axis=0))


def pareto_k(log_weights: Array) -> float:
    """Tail index k̂ of the largest weights; above 0.7 the estimates cannot be trusted.

    The generalised Pareto fit is to the largest min(n/5, 3√n) weights. nan for fewer than 25
    positive weights, −inf if the tail is flat (all weights equal).

    Source: Vehtari et al. (2024), Pareto smoothed importance sampling, arXiv:1507.02646.
    """
    finite = np.sort(log_weights[np.isfinite(log_weights)])
    n = len(log_weights)
    tail = math.ceil(min(0.2 * n, 3.0 * math.sqrt(n)))
    if len(finite) < max(tail + 1, 25):
        return math.nan
    scaled = np.exp(finite[-tail - 1 :] - finite[-1])
    exceedances = scaled[1:] - scaled[0]
    exceedances = exceedances[exceedances > 0]
    if len(exceedances) < 5:
        return -math.inf
    return _generalized_pareto_shape(exceedances)


def _generalized_pareto_shape(exceedances: Array) -> float:
    """Shape k of a generalised Pareto density from sorted exceedances of shape (m,).

    Source: Zhang & Stephens (2009), doi:10.1198/tech.2009.08017, with the weak prior k ≈ 0.5
    worth ten observations of Vehtari et al., appendix C.
    """
    m = len(exceedances)
    candidates = 30 + int(math.sqrt(m))
    quartile = exceedances[int(m / 4 + 0.5) - 1]
    index = np.arange(1, candidates + 1) - 0.5
    theta = 1.0 / exceedances[-1] + (1.0 - np.sqrt(candidates / index)) / (3.0 * quartile)
    shape = np.mean(np.log1p(-theta[:, None] * exceedances), axis=1)
    log_likelihood = m * (np.log(-theta / shape) - shape - 1.0)
    theta_hat = float(np.sum(theta * normalized(log_likelihood)))
    k = float(np.mean(np.log1p(-theta_hat * exceedances)))
    return (m * k + 10 * 0.5) / (m + 10)


def systematic_resample(weights: Array, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of `size` equal-weight draws, by systematic resampling, in random order.

    Source: Douc & Cappé (2005), Comparison of resampling schemes, arXiv:cs/0507025.
    """
    cumulative = np.cumsum(weights)
    points = (rng.random() + np.arange(size)) / size * cumulative[-1]
    chosen = np.minimum(np.searchsorted(cumulative, points), len(weights) - 1)
    return rng.permutation(chosen)
