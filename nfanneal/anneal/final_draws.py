"""Final draws: fresh ones, more until enough are effective, and local ones around heavy ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from nfanneal.anneal.local import STIFFNESS, LocalPoints, local_points
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.anneal.proposals.base import Mixture, Proposal, log_standard_normal
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.state import evaluate_in_chunks
from nfanneal.anneal.weights import effective_sample_size, normalized
from nfanneal.arrays import Bools
from nfanneal.errors import ModelError
from nfanneal.model.problem import Problem
from nfanneal.results.draws import WeightedDraws, joined
from nfanneal.target import Spent, Target

FEWEST_MORE = 100
HEAVY = 0.02
"""A draw with a larger share of the weight than this one is heavy."""
AROUND = 1024
"""Draws around the heavy ones, each time."""
MOST_TIMES = 5


@dataclass(frozen=True)
class FinalDraws:
    """Draws weighted under `proposal`; at which of the fresh ones, which come last, the model

    failed; and the gradients that were spent on them."""

    draws: WeightedDraws
    failed: Bools
    proposal: Proposal
    spent: Spent = field(default_factory=Spent)

    def joined(self, draws: WeightedDraws, failed: Bools) -> FinalDraws:
        """These draws and others after them."""
        both = joined([self.draws, draws])
        return replace(self, draws=both, failed=np.concatenate([self.failed, failed]))


def final_draws(
    problem: Problem,
    proposal: Proposal,
    n: int,
    generator: torch.Generator,
    observe: Observer = lambda event: None,
    *,
    target: Target | None = None,
    weighted_by: Proposal | None = None,
) -> tuple[WeightedDraws, Bools]:
    """n fresh draws of a proposal, and which of them the model failed at.

    They are evaluated by `target`, if it is given: the problem's own with a journal, say. They are
    weighted as draws of `weighted_by`, of which the proposal then is a part.
    """
    observe(Activity("drawing from the final flow", 0, n))
    z = proposal.draw(n, generator)
    log_likelihood, failed = evaluate_in_chunks(target or problem.target, z, observe)
    theta = problem.latent.from_latent(z)
    log_ratio = log_standard_normal(z) - (weighted_by or proposal).log_density(z)
    log_prior = problem.latent.log_density(theta)
    draws = WeightedDraws(
        theta=theta,
        log_weight=log_ratio + log_likelihood,
        log_prior=log_prior,
        log_likelihood=log_likelihood,
        log_proposal=log_prior - log_ratio,
    )
    return draws, failed


def drawn_until(
    first: FinalDraws,
    wanted: float,
    most: int,
    draw: Callable[[int], tuple[WeightedDraws, Bools]],
) -> FinalDraws:
    """Draws are added until so many of them are effective, or there are `most`.

    Raises:
        ModelError: none of the first has a likelihood above zero.
    """
    final = first
    refuse_zero([final.draws])
    while True:
        n = len(final.draws.log_weight)
        ess = effective_sample_size(normalized(final.draws.log_weight))
        if ess >= wanted or n >= most:
            return final
        missing = max(math.ceil(1.02 * (wanted - ess) * n / ess), FEWEST_MORE)
        final = final.joined(*draw(min(missing, n, most - n)))


def around_heavy(
    final: FinalDraws,
    problem: Problem,
    target: Target,
    most: float,
    generator: torch.Generator,
    observe: Observer = lambda event: None,
) -> FinalDraws:
    """The draws, and as long as one of them is heavy, local ones around it, at most `most`.

    A heavy draw stands for a part of the posterior that the proposal hardly ever draws from. Draws
    around it, shaped by the Fisher information there, say how much that part has. All are weighted
    under the mixture of what they were drawn from. Parts that no draw hit stay unseen, so that
    this makes the evidence too low by what they have; without it, it is so most of the time, and
    far too high now and then. Models without the Fisher information keep their draws as they are.

    Source: Cornuet et al. (2012), Adaptive multiple importance sampling, arXiv:0907.1254.
    """
    for time in range(MOST_TIMES if target.has_information else 0):
        heavy = normalized(final.draws.log_weight) > HEAVY
        if not heavy.any() or (time + 1) * AROUND > most:
            break
        found, spent = local_points(target, problem.latent.to_latent(final.draws.theta[heavy]))
        final = replace(final, spent=final.spent + spent)
        if not len(found.z):
            break
        final = _with_local(final, _around(found), problem, target, generator, observe)
    return final


def _around(points: LocalPoints) -> StudentMixture:
    """A component of every stiffness around every point."""
    names = ("z", "log_likelihood", "information")
    parts = (np.repeat(getattr(points, name), len(STIFFNESS), axis=0) for name in names)
    return LocalPoints(*parts).mixture(1.0)


def _with_local(
    final: FinalDraws,
    local: StudentMixture,
    problem: Problem,
    target: Target,
    generator: torch.Generator,
    observe: Observer,
) -> FinalDraws:
    """The draws and `AROUND` local ones, all weighted under the mixture of both proposals."""
    draws, n = final.draws, len(final.draws.log_weight)
    share = AROUND / (n + AROUND)
    old = final.proposal
    components = old.components if isinstance(old, Mixture) else (old,)
    weights = old.weights if isinstance(old, Mixture) else (1.0,)
    # the last of a final mixture are its hot ones, and stay so
    proposal = Mixture((local, *components), (share, *((1.0 - share) * w for w in weights)))
    z = problem.latent.to_latent(draws.theta)
    log_local = np.full(n, -np.inf)
    inside = np.isfinite(z).all(axis=1)  # a bound of a prior, reached by rounding, has no z
    log_local[inside] = local.log_density(z[inside]) - log_standard_normal(z[inside])
    log_mixture = np.logaddexp(math.log1p(-share) - draws.log_ratio, math.log(share) + log_local)
    reweighted = draws.weighted(-log_mixture)
    more = final_draws(
        problem, local, AROUND, generator, observe, target=target, weighted_by=proposal
    )
    return replace(final, draws=reweighted, proposal=proposal).joined(*more)


def refuse_zero(parts: Sequence[WeightedDraws]) -> None:
    """Complain of draws that have no weight, none of them in any part.

    Raises:
        ModelError: no draw has a likelihood above zero.
    """
    if not any(np.isfinite(part.log_likelihood).any() for part in parts):
        n = sum(len(part.log_likelihood) for part in parts)
        raise ModelError(f"the likelihood is zero at all {n} final draws")
