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

from nfanneal.arrays import Array

PARETO_LIMIT = 0.7
"""Estimates from weights with a larger tail index k̂ cannot be trusted."""
HEAVIEST = 0.95
"""A tail of index 1 has no mean; its mass is told as if it were no heavier than this."""


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
    tail = _tail(log_weights)
    if tail is None:
        return math.nan
    exceedances = tail.exceedances[tail.exceedances > 0]
    if len(exceedances) < 5:
        return -math.inf
    return _generalized_pareto(exceedances)[0]


def pareto_smoothed(log_weights: Array) -> Array:
    """Log-weights (n,) whose largest min(n/5, 3√n) are quantiles of their generalised Pareto fit.

    Their order stays, and none exceeds the largest raw weight; too few or flat weights come back
    as they are.

    Source: Vehtari et al. (2024), arXiv:1507.02646, section 2.
    """
    tail = _tail(log_weights)
    if tail is None or (tail.exceedances > 0).sum() < 5:
        return log_weights
    shape, scale = _generalized_pareto(tail.exceedances[tail.exceedances > 0])
    m = len(tail.rows)
    survival = 1.0 - (np.arange(m) + 0.5) / m
    smooth = _quantiles(shape, scale, survival)
    smoothed = log_weights.copy()
    smoothed[tail.rows] = np.minimum(np.log(tail.threshold + smooth), 0.0) + tail.top
    return smoothed


def mass_beyond(log_weights: Array) -> float:
    """The share of all weight that draws beyond the largest one stand for, by the tail's fit.

    Of n draws one has on average a weight past the quantile 1 − 1/n, and what such draws have is
    the mean of the generalised Pareto density from there on. A heavy tail has much of its mass in
    weights that n draws hardly ever hit: their mean is then nearly always too low. 0 where the
    weights have no tail.

    Source: the mean excess (σ + k·x)/(1 − k), Embrechts et al. (1997), Modelling Extremal Events,
    theorem 3.4.13.
    """
    tail = _tail(log_weights)
    if tail is None or (tail.exceedances > 0).sum() < 5:
        return 0.0
    exceedances = tail.exceedances[tail.exceedances > 0]
    shape, scale = _generalized_pareto(exceedances)
    past = float(_quantiles(shape, scale, np.array(1.0 / len(exceedances))))
    excess = (scale + shape * past) / (1.0 - min(shape, HEAVIEST))
    total = float(np.exp(log_weights - tail.top).sum())
    return min((tail.threshold + past + excess) / total, 1.0)


@dataclass(frozen=True)
class _Tail:
    """The largest weights in units of the largest: rows, threshold, and what exceeds it."""

    rows: NDArray[np.int64]
    threshold: float
    exceedances: Array
    top: float


def tail_size(n: int) -> int:
    """How many of n weights are the tail."""
    return math.ceil(min(0.2 * n, 3.0 * math.sqrt(n)))


def _tail(log_weights: Array) -> _Tail | None:
    n = len(log_weights)
    size = tail_size(n)
    order = np.argsort(log_weights, kind="stable")
    order = order[np.isfinite(log_weights[order])]
    if len(order) < max(size + 1, 25):
        return None
    top = float(log_weights[order[-1]])
    scaled = np.exp(log_weights[order[-size - 1 :]] - top)
    return _Tail(order[-size:], float(scaled[0]), scaled[1:] - scaled[0], top)


def _generalized_pareto(exceedances: Array) -> tuple[float, float]:
    """Shape k and scale σ of a generalised Pareto density from sorted exceedances (m,).

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
    return (m * k + 10 * 0.5) / (m + 10), -k / theta_hat


def _quantiles(shape: float, scale: float, survival: Array) -> Array:
    """Exceedances of a generalised Pareto density that such a share is above."""
    log_s = np.log(survival)
    return np.asarray(scale * (np.expm1(-shape * log_s) / shape if shape else -log_s))


def systematic_resample(weights: Array, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of `size` equal-weight draws, by systematic resampling, in random order.

    Source: Douc & Cappé (2005), Comparison of resampling schemes, arXiv:cs/0507025.
    """
    cumulative = np.cumsum(weights)
    points = (rng.random() + np.arange(size)) / size * cumulative[-1]
    chosen = np.minimum(np.searchsorted(cumulative, points), len(weights) - 1)
    return rng.permutation(chosen)


def tempered(log_base_weights: Array, log_likelihood: Array, beta: float) -> Array:
    """log-weights of the target prior·L^β, (n,); a likelihood of zero has no weight for β > 0."""
    if beta == 0.0:
        return log_base_weights
    return log_base_weights + beta * log_likelihood
