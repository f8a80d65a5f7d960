"""Proposals: distributions over the latent space with draws and an exact density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.special import logsumexp

from nfanneal.arrays import Array


class Proposal(Protocol):
    """A distribution over the latent space with draws and an exact density."""

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,) for z of shape (n, d)."""


def log_standard_normal(z: Array) -> Array:
    """log N(z; 0, I) of shape (n,) for z of shape (n, d)."""
    d = z.shape[1]
    return np.asarray(-0.5 * np.einsum("ij,ij->i", z, z) - 0.5 * d * math.log(2.0 * math.pi))


@dataclass(frozen=True)
class PriorProposal:
    """The prior: N(0, I) in the latent space."""

    dimension: int

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""
        return torch.randn(n, self.dimension, generator=generator, dtype=torch.float64).numpy()

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,)."""
        return log_standard_normal(z)


@dataclass(frozen=True)
class Mixture:
    """A mixture of proposals with `weights` that sum to one."""

    components: tuple[Proposal, ...]
    weights: tuple[float, ...]

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d): the components' shares of n are drawn, their order shuffled."""
        weights = torch.tensor(self.weights, dtype=torch.float64)
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        counts = torch.bincount(which, minlength=len(self.weights)).tolist()
        parts = [c.draw(k, generator) for c, k in zip(self.components, counts, strict=True) if k]
        return np.concatenate(parts)[torch.randperm(n, generator=generator).numpy()]

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,)."""
        parts = [
            math.log(weight) + component.log_density(z)
            for component, weight in zip(self.components, self.weights, strict=True)
        ]
        return np.asarray(logsumexp(np.stack(parts), axis=0))
