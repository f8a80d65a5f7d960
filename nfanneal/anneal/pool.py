"""The pool: all points evaluated at the last few levels, under one common proposal density."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nfanneal.anneal.proposals.base import Proposal, log_standard_normal
from nfanneal.anneal.weights import mixture_log_density
from nfanneal.arrays import Array


@dataclass(frozen=True)
class Generation:
    """The points z (n, d) drawn from one proposal at a level, with log L (n,), log prior (n,)."""

    level: int
    proposal: Proposal
    z: Array
    log_likelihood: Array
    log_prior: Array

    def thinned(self, n: int) -> Generation:
        """The first n points (draws are exchangeable)."""
        return replace(
            self,
            z=self.z[:n],
            log_likelihood=self.log_likelihood[:n],
            log_prior=self.log_prior[:n],
        )


def make_generation(level: int, proposal: Proposal, z: Array, log_likelihood: Array) -> Generation:
    """A generation from draws z (n, d) of `proposal` and their log-likelihood (n,)."""
    return Generation(level, proposal, z, log_likelihood, log_standard_normal(z))


@dataclass(frozen=True)
class Pool:
    """Generations and `densities[i][j]`: log q_j at the points of generation i."""

    generations: tuple[Generation, ...] = ()
    densities: tuple[tuple[Array, ...], ...] = ()

    def added(self, generation: Generation) -> Pool:
        """This pool and one more generation: only the new densities are computed."""
        proposal, known = generation.proposal, [old.proposal for old in self.generations]
        same = next((j for j, other in enumerate(known) if other is proposal), None)
        rows = tuple(
            (*row, proposal.log_density(old.z) if same is None else row[same])
            for row, old in zip(self.densities, self.generations, strict=True)
        )
        fresh = {id(q): q.log_density(generation.z) for q in (*known, proposal)}
        new_row = tuple(fresh[id(q)] for q in (*known, proposal))
        return Pool((*self.generations, generation), (*rows, new_row))

    def since(self, level: int) -> Pool:
        """The pool of the generations from `level` on."""
        first = sum(generation.level < level for generation in self.generations)
        return Pool(self.generations[first:], tuple(row[first:] for row in self.densities[first:]))

    @property
    def z(self) -> Array:
        """All points, (n, d)."""
        return np.concatenate([g.z for g in self.generations])

    @property
    def log_likelihood(self) -> Array:
        """log L of all points, (n,)."""
        return np.concatenate([g.log_likelihood for g in self.generations])

    def log_base_weights(self) -> Array:
        """log prior − log mixture of all proposals, (n,): the weights at β = 0."""
        counts = [len(g.z) for g in self.generations]
        log_mixture = np.concatenate([mixture_log_density(row, counts) for row in self.densities])
        return np.concatenate([g.log_prior for g in self.generations]) - log_mixture
