"""How precise log L must be, and whether it is: a likelihood held against one solved more finely.

An error of the solver that is small beside a state can be large beside the noise of precise data.
What counts is what it does to log L where the posterior is: before the annealing, at the ends of a
few local searches; after it, at draws of the posterior. Tolerances are tightened until a finer
solver changes log L by no more than `ENOUGH` there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from nfanneal.anneal.final_draws import FinalDraws
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.scout import nothing_found, scouts, searched
from nfanneal.anneal.weights import systematic_resample, truncated
from nfanneal.arrays import Array
from nfanneal.model.problem import Problem
from nfanneal.target import Spent

ENOUGH = 0.01
"""Change of log L, in nats (root mean square), by a finer solver that is as good as none."""
FINER = 100.0
"""Tolerances of the finer solver are so many times smaller."""
TIGHTER, TIGHTEST = 10.0, 1e6
PILOTS, SEARCHES, GOOD = 512, 16, 10.0
"""Draws of the prior, searches from the best of them, and how far below the best an end counts."""
PILOTS_SHARE = 0.05
"""No pilots where they could take more of the budget than this."""
JUDGED = 64
"""Draws of the posterior that are solved again."""


@dataclass(frozen=True)
class Precision:
    """What a finer solver would change at draws of the posterior.

    `change` is that of the log-evidence, `spread` the standard deviation of that of log L: both in
    nats, nan where nothing is solved.
    """

    change: float = math.nan
    spread: float = math.nan


def precise_from_the_start(
    problem: Problem, seed: np.random.SeedSequence, budget: float
) -> tuple[Problem, Spent]:
    """The problem with tolerances that suit its data, as far as pilot searches can tell.

    Searches for optima begin at the best of some draws of the prior; their ends are like the
    posterior, noise parameters included.
    """
    target = problem.target
    most = PILOTS + 60 * SEARCHES
    if not problem.goes_by_steps or not scouts(target) or PILOTS_SHARE * budget < most:
        return problem, Spent()
    z = np.random.default_rng(seed).standard_normal((PILOTS, target.dimension))
    joint = log_standard_normal(z) + target.evaluate(z, False).log_likelihood
    spent = Spent(evaluations=PILOTS)
    best = np.argsort(-joint)[:SEARCHES]
    best = best[np.isfinite(joint[best])]
    if not len(best):
        return problem, spent
    found = searched(target, z[best], nothing_found(target.dimension))
    ends = found.archive.points
    near = ends.log_joint > ends.log_joint.max(initial=-np.inf) - GOOD
    spent += found.spent
    if not near.any():
        return problem, spent
    return tight_enough(problem, ends.z[near], spent)


def tight_enough(problem: Problem, z: Array, spent: Spent) -> tuple[Problem, Spent]:
    """The problem with tolerances that are tight enough at z (n, d).

    If none of those that are tried is, the best of them is taken, if it is much better.
    """
    best, least = problem, math.inf
    factor = 1.0
    while factor * problem.tightening <= TIGHTEST:
        tried = problem.tightened(factor)
        judged = judge(tried, z)
        spent += Spent(evaluations=2 * len(z))
        rough = math.hypot(judged.change, judged.spread)
        if not rough > ENOUGH:
            return tried, spent
        if rough < least / TIGHTER:
            best, least = tried, rough
        factor *= TIGHTER
    return best, spent


def judge(problem: Problem, z: Array) -> Precision:
    """What a finer solver changes at points z (n, d) of equal weight."""
    now = problem.evaluate(z, False).log_likelihood
    finer = problem.precise(FINER).evaluate(z, False).log_likelihood
    known = np.isfinite(now)
    if not known.any():
        return Precision()
    change = finer[known] - now[known]
    mean = float(logsumexp(change) - math.log(len(change)))
    solved = change[np.isfinite(change)]
    return Precision(mean, float(solved.std()) if len(solved) else math.inf)


def judge_draws(problem: Problem, final: FinalDraws, rng: np.random.Generator) -> Precision:
    """The same of final draws: of such as they are by weight, and of such as the proposal draws.

    Draws that a rough solver gives no weight, and a finer one would, are among the latter only.
    """
    by_weight = judge(problem, _of_posterior(final, rng))
    inside = np.flatnonzero(np.isfinite(final.draws.z).all(axis=1))
    rows = rng.permutation(inside)[:JUDGED]
    z, log_ratio = final.draws.z[rows], final.draws.log_ratio[rows]
    now = problem.evaluate(z, False).log_likelihood
    finer = problem.precise(FINER).evaluate(z, False).log_likelihood
    before, after = (float(logsumexp(log_ratio + log_l)) for log_l in (now, finer))
    change = after - before if np.isfinite([before, after]).any() else 0.0
    if abs(change) > max(abs(by_weight.change), ENOUGH):
        return Precision(change, by_weight.spread)
    return by_weight


@dataclass(frozen=True)
class Judged:
    """Final draws whose log L is as precise as it has to be, and the problem that it is of."""

    problem: Problem
    final: FinalDraws
    precision: Precision
    spent: Spent


def judged(
    problem: Problem, final: FinalDraws, seed: np.random.SeedSequence, budget: float, *, fixed: bool
) -> Judged:
    """Final draws held against a finer solver, and solved again where it makes a difference.

    Draws that are `fixed`, or that the budget does not allow to be solved again, stay as they are.
    """
    rng, spent = np.random.default_rng(seed), Spent(evaluations=4 * JUDGED)
    if not problem.goes_by_steps:
        return Judged(problem, final, Precision(), Spent())
    if budget < spent.evaluations:
        return Judged(problem, final, Precision(), Spent())
    precision = judge_draws(problem, final, rng)
    if not math.hypot(precision.change, precision.spread) > ENOUGH:
        return Judged(problem, final, precision, spent)
    tight, spent = tight_enough(problem, _of_posterior(final, rng), spent)
    again = Spent(evaluations=len(final.draws.z) + 4 * JUDGED)
    if fixed or tight is problem or budget < (spent + again).evaluations:
        return Judged(problem, final, precision, spent)
    found = tight.evaluate(final.draws.finite_z, False)
    draws = replace(final.draws, log_likelihood=found.log_likelihood, failed=found.failed)
    final = replace(final, draws=draws)
    return Judged(tight, final, judge_draws(tight, final, rng), spent + again)


def _of_posterior(final: FinalDraws, rng: np.random.Generator) -> Array:
    """`JUDGED` draws z by weight, in which no single one rules."""
    inside = np.isfinite(final.draws.z).all(axis=1)
    log_weight = np.where(inside, final.draws.log_weight, -np.inf)
    return final.draws.z[systematic_resample(truncated(log_weight), JUDGED, rng)]
