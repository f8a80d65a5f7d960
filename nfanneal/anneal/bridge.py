"""The second witness of the evidence: points that walk by themselves, and the bridge to them.

Importance weights only know of places that the proposal draws. Points that walk under the posterior
get into places that it does not, if these are connected to those that it does: there their weight
is large, and their share says how much is missing. The bridge between fresh draws of the proposal
and walked points is an estimate of the evidence whose terms are bounded on both sides, so that no
single draw can rule it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from nfanneal.anneal.coverage import RARE
from nfanneal.anneal.weights import Evidence, evidence, mass_beyond, normalized
from nfanneal.arrays import Array

ITERATIONS = 200
CONVERGED = 1e-10
UNSEEN = 0.5
"""What neither draws nor walked points have seen, of the share that they have where the proposal

hardly draws: over twenty runs of thin sheets and funnels 0.6 as a median, of most 0.1 to 1.4."""
QUANTILES = (0.05, 0.5, 0.95)
NOT_MOVED = 0.95
"""Points whose correlation with where they began is larger have not gone anywhere."""


@dataclass(frozen=True)
class Walked:
    """Points that walked under the posterior, m of them.

    Arguments:
        z: where they are, (m, d).
        log_likelihood: log L there, (m,).
        log_ratio: log N(z; 0, I) − log q(z) for the proposal q, (m,).
        halfway: log p(z) − log q(z) where they were halfway, (m,).
        ancestor: the number of the draw that each began at, (m,): those of one are related.
        memory: the largest correlation of what is there with what was where they began.
    """

    z: Array
    log_likelihood: Array
    log_ratio: Array
    halfway: Array
    ancestor: NDArray[np.int64]
    memory: float = 0.0

    @property
    def log_weight(self) -> Array:
        """Log importance weights (m,) that they would have as draws of the proposal."""
        return self.log_ratio + self.log_likelihood

    @property
    def yet_to_go(self) -> float:
        """How far they have to go from here, in units of the way since halfway.

        Of what decays exponentially, and is m of what it was, √m was left halfway.
        """
        halfway = math.sqrt(min(max(self.memory, 0.0), NOT_MOVED))
        return halfway / (1.0 - halfway)


@dataclass(frozen=True)
class Witness:
    """What walked points say: the bridge's log-evidence, and the mass that draws do not know of.

    That is the share of walked points where the proposal draws `RARE` times too rarely, less the
    share that the draws themselves surely have there by their weights.
    Of the error, `noise` is what more draws make smaller, `unseen` what neither witness has seen,
    `unseen_error` how well that is known, as far as it is a count of points, `met` what of it
    follows from points that were met, not from the tail of the weights beyond them, and
    `drift` how far the log-evidence moved in the second half of the walk, or has yet to move.
    `disagreement` (d,) is how many standard errors apart draws and walked points are in the mean or
    in a quantile of each column, whichever is further.
    """

    log_evidence: float
    noise: float
    unseen: float
    unseen_error: float
    met: float
    drift: float
    uncovered_mass: float
    uncovered_error: float
    disagreement: Array

    @property
    def error(self) -> float:
        """The error of the log-evidence."""
        return math.hypot(self.noise, self.drift, self.unseen)


def witness(z: Array, log_weight: Array, walked: Walked) -> Witness:
    """The second witness, from a proposal's draws z (n, d) with log-weights (n,), and a walk.

    The error has the walked points of one ancestor as one. The drift since halfway is an error of
    its own, or what is yet to come of it, if that is more; and so is half of the share that the
    weights or the walked points have, whichever is larger, where the proposal hardly draws: what
    else may be there neither has seen, and it is about as much; or what the tail of the weights has
    beyond the largest of them, if that is more.
    """
    end = bridge(log_weight, walked.log_weight, walked.ancestor)
    before = bridge(log_weight, walked.halfway, walked.ancestor)
    drift = (end.log_evidence - before.log_evidence) * max(walked.yet_to_go, 1.0)
    rare = math.log(RARE) + end.log_evidence
    under = walked.log_weight > rare
    known, known_error = _share_above(log_weight, rare)
    under_error = _clustered_error(under.astype(np.float64), walked.ancestor)
    rarely, rarely_error = max((float(under.mean()), under_error), (known, known_error))
    met, beyond = UNSEEN * rarely, mass_beyond(log_weight)
    return Witness(
        log_evidence=end.log_evidence,
        noise=end.error,
        unseen=max(met, beyond),
        unseen_error=UNSEEN * rarely_error if met >= beyond else 0.0,
        met=met,
        drift=drift,
        uncovered_mass=max(float(under.mean()) - max(known - 2.0 * known_error, 0.0), 0.0),
        uncovered_error=under_error,
        disagreement=_disagreement(z, log_weight, walked),
    )


def _share_above(log_weight: Array, log_limit: float) -> tuple[float, float]:
    """The share of all weight that draws above a limit have, and its standard error."""
    weights, above = normalized(log_weight), log_weight > log_limit
    share = float(weights[above].sum())
    return share, math.sqrt(float(weights**2 @ (above - share) ** 2))


def _disagreement(z: Array, log_weight: Array, walked: Walked) -> Array:
    """Standard errors (d,) between draws and walked points: means, and shares below quantiles.

    The error of a share is no less than it is if both have the draws' share: few points beyond a
    quantile would tell of too small a one.

    Source: Wilson (1927), doi:10.1080/01621459.1927.10502953, for that.
    """
    weights = normalized(log_weight)
    found, independent = np.zeros(z.shape[1]), _independent(walked.ancestor)
    for column in range(z.shape[1]):
        x, y = z[:, column], walked.z[:, column]
        order = np.argsort(x, kind="stable")
        cumulative = np.cumsum(weights[order])
        edges = x[order[np.searchsorted(cumulative, QUANTILES).clip(max=len(x) - 1)]]
        shares = [((x <= edge) * 1.0, (y <= edge) * 1.0) for edge in edges]
        for own, theirs in [(x, y), *shares]:
            mean = float(weights @ own)
            least = 0.0 if own is x else mean * (1.0 - mean) / independent
            square = max(_clustered_error(theirs, walked.ancestor) ** 2, least)
            square += float(weights**2 @ (own - mean) ** 2)
            apart = abs(float(theirs.mean()) - mean)
            found[column] = max(found[column], apart / math.sqrt(square) if square else 0.0)
    return found


def bridge(log_weight: Array, walked_log_weight: Array, ancestor: NDArray[np.int64]) -> Evidence:
    """log Z by the bridge between a proposal's draws and points of the posterior.

    Arguments:
        log_weight: log p/q of draws of q, (n,), with p = prior·L.
        walked_log_weight: the same of points of p, (m,).
        ancestor: which of these are related, (m,).

    Source: Meng & Wong (1996), Simulating ratios of normalizing constants via a simple identity,
    equations 4.1 and 4.2; Frühwirth-Schnatter (2004), doi:10.1111/j.1368-423X.2004.00125.x, for
    the error.
    """
    n, m = len(log_weight), _independent(ancestor)
    log_p, log_q = math.log(m / (n + m)), math.log(n / (n + m))
    log_z = evidence(log_weight).log_evidence
    for _ in range(ITERATIONS):
        of_draws = log_weight - np.logaddexp(log_p + log_weight, log_q + log_z)
        of_walked = -np.logaddexp(log_p + walked_log_weight, log_q + log_z)
        above = float(logsumexp(of_draws)) - math.log(n)
        below = float(logsumexp(of_walked)) - math.log(len(of_walked))
        change = above - below - log_z
        log_z += change
        if abs(change) < CONVERGED:
            break
    share, walked_share = np.exp(of_draws - above), np.exp(of_walked - below)
    variance = float(np.mean((share - 1.0) ** 2)) / n
    error = math.hypot(math.sqrt(variance), _clustered_error(walked_share, ancestor))
    return Evidence(log_z, error)


def _independent(ancestor: NDArray[np.int64]) -> float:
    """How many points with no common ancestor the walked ones are worth."""
    counts = np.unique(ancestor, return_counts=True)[1]
    return float(counts.sum() ** 2 / (counts**2).sum())


def _clustered_error(values: Array, ancestor: NDArray[np.int64]) -> float:
    """Standard error of the mean of values (m,), those of one ancestor taken together.

    Source: Liang & Zeger (1986), doi:10.1093/biomet/73.1.13.
    """
    _, group = np.unique(ancestor, return_inverse=True)
    sums = np.bincount(group, values - values.mean())
    return float(np.sqrt((sums**2).sum()) / len(values))
