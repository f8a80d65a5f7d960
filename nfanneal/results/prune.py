"""Pruning: take the largest importance weights out, or down, and say what that costs.

A few draws of enormous weight ruin the variance of everything. Dropping them lowers the variance
and biases the evidence by the posterior mass that they stood for; if they lie together they are a
mode that the flow under-covers, and more training is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.weights import (
    effective_sample_size,
    evidence,
    normalized,
    pareto_k,
    pareto_smoothed,
    systematic_resample,
)
from nfanneal.arrays import Array
from nfanneal.errors import ResultError
from nfanneal.results.diagnosis import rediagnosed
from nfanneal.results.diagnostics import warnings_of
from nfanneal.results.result import Pruning, Result

FEWEST_IN_A_CLUSTER = 5
OUTLIER = 10.0
"""A weight this many times the mean is an outlier."""
COMPARED = 500
"""Draws whose distances are compared, at most, of the dropped and of the kept."""
CLUSTERED = 0.4
"""Dropped draws cluster if they are this much closer to each other than to the kept ones."""
NEARER_SHARE = 0.2
"""Distances are compared at this quantile: up to five lost modes are seen."""


@dataclass(frozen=True)
class Weights:
    """New log-weights (n,) and the draws whose weights changed."""

    log_weight: Array
    changed: NDArray[np.int64]


def drop_by_ess(log_weight: Array, max_bias: float | None = None) -> Weights:
    """Drop the largest weights, in order, until the ESS is as large as that can make it.

    Stops before the dropped share of all weight would bias the log-evidence by more than
    `max_bias`; None takes the log-evidence's own error, since more bias than there is noise to
    remove is no gain. A dropped draw gets a weight of zero and stays in every denominator.

    Source: Wang, Chi & Dinner (2025), arXiv:2505.03652 (pruning by ESS).
    """
    max_bias = evidence(log_weight).error if max_bias is None else max_bias
    order = np.argsort(-log_weight, kind="stable")
    weights = normalized(log_weight)[order]
    rest = np.cumsum(weights[::-1])[::-1]  # what is left after dropping those before
    squares = np.cumsum(weights[::-1] ** 2)[::-1]
    ess = np.divide(rest**2, squares, out=np.zeros_like(rest), where=squares > 0)
    bias = -np.log(np.maximum(rest, 1e-300))
    allowed = max(int(np.searchsorted(bias, max_bias, side="right")), 1)
    dropped = np.sort(order[: int(np.argmax(ess[:allowed]))])
    pruned = log_weight.copy()
    pruned[dropped] = -np.inf
    return Weights(pruned, dropped)


def smooth(log_weight: Array, max_bias: float | None = None) -> Weights:
    """Pareto-smooth the largest weights; `max_bias` does not apply."""
    smoothed = pareto_smoothed(log_weight)
    return Weights(smoothed, np.flatnonzero(smoothed != log_weight))


def clip(log_weight: Array, max_bias: float | None = None) -> Weights:
    """Clip weights at √n times their mean; `max_bias` does not apply.

    Source: Ionides (2008), Truncated importance sampling, doi:10.1198/106186008X320456.
    """
    n = len(log_weight)
    limit = evidence(log_weight).log_evidence + 0.5 * math.log(n)
    return Weights(np.minimum(log_weight, limit), np.flatnonzero(log_weight > limit))


METHODS: dict[str, Callable[[Array, float | None], Weights]] = {
    "ess": drop_by_ess,
    "psis": smooth,
    "truncate": clip,
}


def prune(
    result: Result, method: str = "ess", *, max_bias: float | None = None, source: str = ""
) -> Result:
    """A copy of `result` with pruned weights; evidence, moments and diagnostics follow.

    Posterior draws are thinned to the new weights.

    Raises:
        ValueError: there is no such method.
        ResultError: the result has been pruned before.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method '{method}'; known: {', '.join(METHODS)}")
    if result.pruning is not None:
        raise ResultError("this result has been pruned already; prune the original one")
    old = result.draws.log_weight
    pruned = METHODS[method](old, max_bias)
    pruning = Pruning(
        method=method,
        changed=pruned.changed,
        original_log_weight=old,
        lost_share=_lost_share(old, pruned.log_weight),
        clustered=is_cluster(result.draws.theta, old, suspects(old)),
        before=_numbers(old),
        after=_numbers(pruned.log_weight),
    )
    cluster = (_about_cluster(pruning),) if pruning.clustered else ()
    draws = replace(result.draws, log_weight=pruned.log_weight)
    diagnostics = rediagnosed(result.diagnostics, pruned.log_weight)
    thinned = _thinned(replace(result, draws=draws, diagnostics=diagnostics), old)
    return replace(
        thinned,
        warnings=(*cluster, *warnings_of(thinned)),
        pruning=pruning,
        provenance=replace(result.provenance, origin="prune", sources=(source,) if source else ()),
    )


def _lost_share(before: Array, after: Array) -> float:
    """Share of all weight that is gone; 0 if there is more than before."""
    ratio = math.exp(evidence(after).log_evidence - evidence(before).log_evidence)
    return min(max(1.0 - ratio, 0.0), 1.0 - 1e-12)


def _numbers(log_weight: Array) -> dict[str, float]:
    estimate = evidence(log_weight)
    return {
        "log_evidence": estimate.log_evidence,
        "log_evidence_error": estimate.error,
        "ess": effective_sample_size(normalized(log_weight)),
        "pareto_k": pareto_k(log_weight),
    }


def _thinned(result: Result, old: Array) -> Result:
    """Posterior draws kept with probability ∝ new/old weight: equal weights stay equal."""
    new, index = result.draws.log_weight, result.posterior_index
    log_ratio = new[index] - old[index]
    rng = np.random.default_rng([result.provenance.seed, len(index)])
    kept = np.log(rng.random(len(index))) < log_ratio - log_ratio.max()
    kept[np.argmax(log_ratio)] = True
    observed = {
        name: replace(data, pointwise=data.pointwise[kept], replicates=data.replicates[kept])
        for name, data in result.observed.items()
    }
    return replace(
        result,
        posterior=result.posterior[kept],
        posterior_index=index[kept],
        observed=observed,
    )


def suspects(log_weight: Array) -> NDArray[np.int64]:
    """The draws that pruning without a limit would drop and whose weights are outliers."""
    dropped = drop_by_ess(log_weight, math.inf).changed
    return dropped[normalized(log_weight)[dropped] > OUTLIER / len(log_weight)]


def is_cluster(theta: Array, log_weight: Array, dropped: NDArray[np.int64]) -> bool:
    """Whether the dropped draws of θ (n, d) lie closer to each other than to the kept posterior.

    Outliers in the tails lie apart from each other, all around; draws of an under-covered mode
    lie together. Distances are in units of the kept draws' standard deviations.
    """
    if len(dropped) < FEWEST_IN_A_CLUSTER:
        return False
    rng = np.random.default_rng(len(dropped))
    weights = normalized(log_weight)
    weights[dropped] = 0.0
    if not weights.any():
        return True
    kept = theta[systematic_resample(weights, COMPARED, rng)]
    scale = kept.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    chosen = theta[rng.permutation(dropped)[:COMPARED]] / scale
    among = np.linalg.norm(chosen[:, None] - chosen[None], axis=2)
    np.fill_diagonal(among, np.nan)
    apart = np.linalg.norm(chosen[:, None] - (kept / scale)[None], axis=2)
    share = 0.5 if theta.shape[1] == 1 else NEARER_SHARE  # a line has but two tails
    ratio = np.nanquantile(among, share, axis=1) / np.quantile(apart, share, axis=1)
    return float(np.median(ratio)) < CLUSTERED


def _about_cluster(pruning: Pruning) -> str:
    outliers = suspects(pruning.original_log_weight)
    share = normalized(pruning.original_log_weight)[outliers].sum()
    return (
        f"the {len(outliers)} draws of outlying weight lie together and carry {share:.1%} of the "
        "posterior: they look like a mode that the flow under-covers, which pruning would "
        "delete. Train more instead (anneal.max_rounds, anneal.draws)"
    )
