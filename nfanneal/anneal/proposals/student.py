"""Mixtures of Student-t distributions as proposals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nfanneal.anneal.proposals.student_density import mixture_log_density
from nfanneal.arrays import Array


@dataclass(frozen=True)
class StudentMixture:
    """A mixture of k Student-t distributions with `df` degrees of freedom, a whole number.

    Arguments:
        locations: (k, d).
        choleskys: lower factors L_j of the scale matrices, (k, d, d).
        log_weights: normalised, (k,).
    """

    locations: Array
    choleskys: Array
    log_weights: Array
    df: float

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""
        d = self.locations.shape[1]
        weights = torch.from_numpy(np.exp(self.log_weights))
        which = torch.multinomial(weights, n, replacement=True, generator=generator).numpy()
        normal = torch.randn(n, d, generator=generator, dtype=torch.float64).numpy()
        squares = torch.randn(n, round(self.df), generator=generator, dtype=torch.float64) ** 2
        scale = np.sqrt(self.df / squares.sum(dim=1).numpy())
        steps = np.einsum("nij,nj->ni", self.choleskys[which], normal)
        return self.locations[which] + scale[:, None] * steps

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,)."""
        df = round(self.df)
        return mixture_log_density(z, self.locations, self.choleskys, self.log_weights, df)
