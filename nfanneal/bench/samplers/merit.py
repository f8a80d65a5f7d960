"""Figures of merit: what a log-evidence and a draw cost, and how far marginals are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import wasserstein_distance

from nfanneal.anneal.weights import effective_sample_size, normalized
from nfanneal.arrays import Array
from nfanneal.results.summaries import summarize

WANTED_SD = 0.1
"""The standard deviation of the log-evidence whose price is told."""
ENOUGH_REPEATS = 3
"""Fewer repeats say too little of their spread."""


def spread(values: Sequence[float]) -> float:
    """Standard deviation of log-evidences over repeats; nan for fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def evidence_sd(values: Sequence[float], errors: Sequence[float]) -> float:
    """How far off one run is: the larger of its reported error and of the spread over repeats.

    The spread counts from three repeats on; the reported error is the median of the runs'.
    """
    reported = float(np.median(errors)) if len(errors) else math.nan
    if len(values) < ENOUGH_REPEATS:
        return reported
    return float(np.fmax(reported, spread(values)))


def seconds_to_wanted_sd(seconds: Sequence[float], sd: float) -> float:
    """Wall time until the log-evidence has a standard deviation of 0.1, by averaging runs.

    median(seconds) · max(1, (sd/0.1)²): the variance of a mean falls with the number of runs. A
    run that is better than 0.1 is not credited with a shorter one that nobody made.
    """
    if not len(seconds) or math.isnan(sd):
        return math.nan
    return float(np.median(seconds)) * max(1.0, (sd / WANTED_SD) ** 2)


def ess_per_second(ess: Sequence[float], seconds: Sequence[float]) -> float:
    """Median over runs of effective samples per second of wall time."""
    rates = [e / s for e, s in zip(ess, seconds, strict=True) if s > 0]
    return float(np.median(rates)) if rates else math.nan


def marginal_distance(
    theta: Array, log_weight: Array, reference: Array, reference_log_weight: Array
) -> float:
    """The largest distance of one-dimensional marginals, in posterior standard deviations.

    Of each column of θ (n, d) the 1-Wasserstein distance ∫|F − G| to the reference (m, d), over
    the reference's standard deviation. Two samples of one distribution are some 1/√ESS apart.
    """
    weights, reference_weights = normalized(log_weight), normalized(reference_log_weight)
    mine, others = weights > 0, reference_weights > 0
    if not mine.any() or not others.any():
        return math.nan
    distances = []
    for column, wanted in zip(theta[mine].T, reference[others].T, strict=True):
        sd = summarize(wanted, reference_weights[others]).sd
        gap = wasserstein_distance(column, wanted, weights[mine], reference_weights[others])
        distances.append(float(gap) / sd if sd > 0 else math.nan)
    return max(distances)


def pooled(log_weights: Sequence[Array]) -> Array:
    """Log-weights of several runs' draws together: each run's mean weight is its own estimate."""
    shares = [w - math.log(len(w)) for w in log_weights]
    return np.concatenate(shares)


def pooled_ess(log_weights: Sequence[Array]) -> float:
    """Kish's effective sample size of the runs' draws together."""
    return effective_sample_size(normalized(pooled(log_weights)))
