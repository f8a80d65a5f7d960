"""Models of the same data against each other: Bayes factors, probabilities, cross-validation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from nfanneal.arrays import Array
from nfanneal.errors import ResultError
from nfanneal.results.identity import SAME_DATA, differences, result_identity
from nfanneal.results.result import Result

KASS_RAFTERY = (
    (2.0, "not worth more than a bare mention"),
    (6.0, "positive"),
    (10.0, "strong"),
    (math.inf, "very strong"),
)
"""Words for 2·ln B up to these limits. Source: Kass & Raftery (1995), section 3.2."""
JEFFREYS = (
    (0.5, "barely worth mentioning"),
    (1.0, "substantial"),
    (1.5, "strong"),
    (2.0, "very strong"),
    (math.inf, "decisive"),
)
"""Words for log10 B up to these limits. Source: Jeffreys (1961), appendix B."""
REPEATS = 4000
"""Draws of the log-evidences within their errors that give the probabilities' errors."""


@dataclass(frozen=True)
class CrossValidation:
    """Expected log predictive density by leave-one-out, with what ArviZ says of it."""

    elpd: float
    error: float
    n_parameters: float
    n_bad: int


@dataclass(frozen=True)
class Comparison:
    """One model of a comparison; Bayes factors are those of the best model over this one."""

    name: str
    source: str
    log_evidence: float
    error: float
    log_bayes_factor: float
    log_bayes_factor_error: float
    prior_probability: float
    probability: float
    probability_error: float
    kass_raftery: str
    jeffreys: str
    trusted: bool
    has_data: bool
    loo: CrossValidation | None


def compare(
    results: Mapping[str, Result], prior_odds: Sequence[float] | None = None, *, any_data: bool
) -> list[Comparison]:
    """Compare results, by their file's name; the best model comes first.

    Raises:
        ResultError: fewer than two, data that differ (unless `any_data`), or odds that do not
            fit.
    """
    if len(results) < 2:
        raise ResultError("comparing takes at least two results")
    if not any_data:
        _refuse_other_data(results)
    odds = np.ones(len(results)) if prior_odds is None else np.asarray(prior_odds, dtype=float)
    if len(odds) != len(results) or not (np.isfinite(odds).all() and (odds > 0).all()):
        raise ResultError(f"prior odds must be {len(results)} positive numbers, one per result")
    prior = odds / odds.sum()
    values = np.array([r.diagnostics.log_evidence for r in results.values()])
    errors = np.array([r.diagnostics.log_evidence_error for r in results.values()])
    best = int(np.argmax(values))
    probabilities = _probabilities(values, prior)
    spread = np.random.default_rng(0).standard_normal((REPEATS, len(values))) * errors
    repeated = np.array([_probabilities(values + s, prior) for s in spread])
    rows = []
    for i, (source, result) in enumerate(results.items()):
        gap = float(values[best] - values[i])
        rows.append(
            Comparison(
                name=result.name,
                source=source,
                log_evidence=float(values[i]),
                error=float(errors[i]),
                log_bayes_factor=gap,
                log_bayes_factor_error=0.0 if i == best else math.hypot(errors[i], errors[best]),
                prior_probability=float(prior[i]),
                probability=float(probabilities[i]),
                probability_error=float(repeated[:, i].std()),
                kass_raftery="" if i == best else in_words(2.0 * gap, KASS_RAFTERY),
                jeffreys="" if i == best else in_words(gap / math.log(10.0), JEFFREYS),
                trusted=result.converged,
                has_data=bool(result.observed),
                loo=leave_one_out(result),
            )
        )
    return sorted(rows, key=lambda row: -row.log_evidence)


def in_words(size: float, scale: Sequence[tuple[float, str]]) -> str:
    """The word of the first limit that is not exceeded."""
    return next(word for limit, word in scale if size <= limit)


def _probabilities(log_evidences: Array, prior: Array) -> Array:
    """Posterior model probabilities, (k,)."""
    joint = log_evidences + np.log(prior)
    return np.asarray(np.exp(joint - logsumexp(joint)))


def _refuse_other_data(results: Mapping[str, Result]) -> None:
    (first, one), *others = results.items()
    its = result_identity(one)
    for source, result in others:
        if differences(its, result_identity(result), SAME_DATA):
            raise ResultError(
                f"{source}: not the data of {first}; Bayes factors compare models of the same "
                "data (--any-data compares all the same)"
            )


def leave_one_out(result: Result) -> CrossValidation | None:
    """Leave-one-out by ArviZ from pointwise log-likelihoods; None without data or ArviZ.

    Source: Vehtari, Gelman & Gabry (2017), arXiv:1507.04544.
    """
    if not result.observed:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import arviz  # noqa: PLC0415
    except ImportError:
        return None
    pointwise = np.concatenate([o.pointwise for o in result.observed.values()], axis=1)
    draws = result.posterior[:, 0]
    groups: dict[str, Any] = {
        "posterior": {"parameter": draws[None]},
        "log_likelihood": {"y": pointwise[None]},
    }
    modern = int(arviz.__version__.split(".")[0]) >= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # high Pareto k is counted below
        data = arviz.from_dict(groups) if modern else arviz.from_dict(**groups)
        found = arviz.loo(data, pointwise=True)
    elpd, count = (found.elpd, found.p) if modern else (found.elpd_loo, found.p_loo)
    bad = int(np.sum(np.asarray(found.pareto_k) > found.good_k))
    return CrossValidation(float(elpd), float(found.se), float(count), bad)
