"""Final draws: fresh ones, more until enough are effective, and local ones around heavy ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from nfanneal.anneal.local import STIFFNESS, LocalPoints, local_points
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.anneal.proposals.base import Mixture, PriorProposal, Proposal, log_standard_normal
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.proposals.symmetrized import like, unsymmetrized
from nfanneal.anneal.scout import scouts
from nfanneal.anneal.state import observed_values
from nfanneal.anneal.weights import effective_sample_size, evidence, normalized
from nfanneal.arrays import Array, Bools, concatenated
from nfanneal.errors import ModelError
from nfanneal.target import Spent, Target

FEWEST_MORE = 100
HEAVY = 0.02
"""A draw with a larger share of the weight than this one is heavy."""
AROUND = 1024
"""Draws around the heavy ones, each time."""
MOST_TIMES = 5
BOUND = 40.0
"""Beyond it a normal distribution has no share that a number can hold."""


@dataclass(frozen=True)
class LatentDraws:
    """n draws z (n, d), their log L and where the model failed (n,).

    `log_ratio` (n,) is log N(z; 0, I) − log q(z) for the proposal q that they are weighted under.
    z is not finite where rounding put a stored draw on a bound of its prior.
    """

    z: Array
    log_ratio: Array
    log_likelihood: Array
    failed: Bools

    @property
    def log_weight(self) -> Array:
        """Log importance weights (n,), whose log-mean-exp is log Z."""
        return self.log_ratio + self.log_likelihood

    @property
    def finite_z(self) -> Array:
        """z (n, d), but for bounds as far out as a number between 0 and 1 can tell."""
        return np.nan_to_num(self.z, posinf=BOUND, neginf=-BOUND)


@dataclass(frozen=True)
class FinalDraws:
    """Draws weighted under `proposal`, and the gradients that were spent on them."""

    draws: LatentDraws
    proposal: Proposal
    spent: Spent = field(default_factory=Spent)

    def followed_by(self, draws: LatentDraws) -> FinalDraws:
        """These draws and others after them."""
        return replace(self, draws=concatenated([self.draws, draws]))


def final_draws(
    target: Target,
    proposal: Proposal,
    n: int,
    generator: torch.Generator,
    observe: Observer = lambda event: None,
    *,
    weighted_by: Proposal | None = None,
) -> LatentDraws:
    """n fresh draws of a proposal.

    They are weighted as draws of `weighted_by`, if it is given, of which the proposal is a part.
    """
    observe(Activity("drawing from the final flow", 0, n))
    z = proposal.draw(n, generator)
    log_likelihood, failed = observed_values(target, z, observe)
    log_ratio = log_standard_normal(z) - (weighted_by or proposal).log_density(z)
    return LatentDraws(z, log_ratio, log_likelihood, failed)


def fitted_share(final: FinalDraws, wide: Sequence[Proposal]) -> Array:
    """The chances (n,) that draws are of neither the prior nor one of the `wide` proposals."""
    proposal, draws = unsymmetrized(final.proposal), final.draws
    fitted, inside = np.ones(len(draws.z)), np.isfinite(draws.z).all(axis=1)
    z = draws.z[inside]
    log_q = log_standard_normal(z) - draws.log_ratio[inside]
    mixture = proposal if isinstance(proposal, Mixture) else Mixture((), ())
    for part, weight in zip(mixture.components, mixture.weights, strict=True):
        if isinstance(part, PriorProposal) or any(part is each for each in wide):
            log_density = like(final.proposal, part).log_density(z)
            fitted[inside] -= np.exp(np.log(weight) + log_density - log_q)
    return np.maximum(fitted, 0.0)


def drawn_until(
    first: FinalDraws,
    wanted: float,
    most: int,
    draw: Callable[[int], LatentDraws],
    error: float = math.inf,
    *,
    in_vain: bool = True,
) -> FinalDraws:
    """Draws are added until so many of them are effective, or there are `most`.

    And until the error of the log-evidence by their weights is no larger than `error`. Unless draws
    may be made `in_vain`, none are added where it seems to take more than `most`.

    Raises:
        ModelError: none of the first has a likelihood above zero.
    """
    final = first
    refuse_zero([final.draws.log_likelihood])
    while True:
        n = len(final.draws.z)
        ess = effective_sample_size(normalized(final.draws.log_weight))
        times = max(wanted / ess, (evidence(final.draws.log_weight).error / error) ** 2)
        if times <= 1.0 or n >= most or (times * n > most and not in_vain):
            return final
        missing = max(math.ceil((1.02 * times - 1.0) * n), FEWEST_MORE)
        final = final.followed_by(draw(min(missing, n, most - n)))


def around_heavy(
    final: FinalDraws,
    target: Target,
    most: float,
    generator: torch.Generator,
    observe: Observer = lambda event: None,
) -> FinalDraws:
    """The draws, and as long as one of them is heavy, local ones around it, at most `most`.

    A heavy draw stands for a part of the posterior that the proposal hardly ever draws from. Draws
    around it, shaped by the curvature there, say how much that part has. All are weighted
    under the mixture of what they were drawn from. Parts that no draw hit stay unseen, so that
    this makes the evidence too low by what they have; without it, it is so most of the time, and
    far too high now and then. Where curvatures are too dear the draws stay as they are.

    Source: Cornuet et al. (2012), Adaptive multiple importance sampling, arXiv:0907.1254.
    """
    for time in range(MOST_TIMES if scouts(target) else 0):
        heavy = normalized(final.draws.log_weight) > HEAVY
        if not heavy.any() or (time + 1) * AROUND > most:
            break
        found, spent = local_points(target, final.draws.z[heavy])
        final = replace(final, spent=final.spent + spent)
        if not len(found.z):
            break
        final = with_local(final, _around(found), AROUND, target, generator, observe)
    return final


def _around(points: LocalPoints) -> StudentMixture:
    """A component of every stiffness around every point."""
    names = ("z", "log_likelihood", "information")
    parts = (np.repeat(getattr(points, name), len(STIFFNESS), axis=0) for name in names)
    return LocalPoints(*parts).mixture(1.0)


def with_local(
    final: FinalDraws,
    around: StudentMixture,
    more: int,
    target: Target,
    generator: torch.Generator,
    observe: Observer,
) -> FinalDraws:
    """The draws and so many `more` local ones, all weighted under the mixture of both proposals.

    Where the proposal is symmetric, so are the local one and the mixture.
    """
    draws, n = final.draws, len(final.draws.z)
    share = more / (n + more)
    old, local = unsymmetrized(final.proposal), like(final.proposal, around)
    components = old.components if isinstance(old, Mixture) else (old,)
    weights = old.weights if isinstance(old, Mixture) else (1.0,)
    # the last of a final mixture are its hot ones, and stay so
    mixture = Mixture((around, *components), (share, *((1.0 - share) * w for w in weights)))
    proposal = like(final.proposal, mixture)
    log_local = np.full(n, -np.inf)
    inside = np.isfinite(draws.z).all(axis=1)
    z = draws.z[inside]
    log_local[inside] = local.log_density(z) - log_standard_normal(z)
    log_mixture = np.logaddexp(math.log1p(-share) - draws.log_ratio, math.log(share) + log_local)
    reweighted = replace(draws, log_ratio=-log_mixture)
    fresh = final_draws(target, local, more, generator, observe, weighted_by=proposal)
    return replace(final, draws=reweighted, proposal=proposal).followed_by(fresh)


def refuse_zero(parts: Sequence[Array]) -> None:
    """Complain where log L (n,) of draws says that none has any weight, in none of the parts.

    Raises:
        ModelError: no draw has a likelihood above zero.
    """
    if not any(np.isfinite(log_likelihood).any() for log_likelihood in parts):
        n = sum(map(len, parts))
        raise ModelError(f"the likelihood is zero at all {n} final draws")
