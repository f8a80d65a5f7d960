"""Weighted draws."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.final_draws import LatentDraws
from nfanneal.anneal.weights import effective_sample_size, normalized, systematic_resample
from nfanneal.arrays import Array
from nfanneal.model.latent import LatentMap


@dataclass(frozen=True)
class WeightedDraws:
    """All n final draws: θ (n, d), log-weights (n,), and what these are made of (n,).

    `log_prior` and `log_proposal` are densities of θ, in natural coordinates:
    log_weight = log_prior + log_likelihood − log_proposal, and its log-mean-exp is log Z.
    """

    theta: Array
    log_weight: Array
    log_prior: Array
    log_likelihood: Array
    log_proposal: Array

    @property
    def log_ratio(self) -> Array:
        """log prior − log proposal (n,); −inf where rounding left no density of the prior."""
        with np.errstate(invalid="ignore"):
            log_ratio = self.log_prior - self.log_proposal
        return np.where(np.isneginf(self.log_prior), -np.inf, log_ratio)

    def weighted(self, log_ratio: Array) -> WeightedDraws:
        """The same draws as those of another proposal, by log prior − log proposal (n,)."""
        known = np.where(np.isneginf(log_ratio), 0.0, log_ratio)
        return replace(
            self,
            log_weight=log_ratio + self.log_likelihood,
            log_proposal=np.where(
                np.isneginf(log_ratio), self.log_proposal, self.log_prior - known
            ),
        )


def in_parameters(draws: LatentDraws, latent: LatentMap) -> WeightedDraws:
    """Latent draws as those of θ, with the prior's density there."""
    theta = latent.from_latent(draws.z)
    log_prior = latent.log_density(theta)
    return WeightedDraws(
        theta=theta,
        log_weight=draws.log_weight,
        log_prior=log_prior,
        log_likelihood=draws.log_likelihood,
        log_proposal=log_prior - draws.log_ratio,
    )


def in_latent(draws: WeightedDraws, latent: LatentMap) -> LatentDraws:
    """Draws of θ as latent ones; where the model failed at them has been counted before."""
    nowhere = np.zeros(len(draws.theta), dtype=bool)
    z = latent.to_latent(draws.theta)
    return LatentDraws(z, draws.log_ratio, draws.log_likelihood, nowhere)


def equal_weight_indices(log_weight: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of ⌈ESS⌉ equal-weight draws: no more than the weights are worth."""
    weights = normalized(log_weight)
    size = max(1, math.ceil(effective_sample_size(weights)))
    return systematic_resample(weights, size, rng)
