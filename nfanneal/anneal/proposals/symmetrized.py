"""A proposal made symmetric: a posterior with equal modes needs only one of them to be learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from nfanneal.anneal.exchanges import Exchanges, same_group
from nfanneal.anneal.proposals.base import Mixture, Proposal
from nfanneal.arrays import Array

IMAGES = 2**19
"""Images per call of the base's density: bounds memory."""


@dataclass(frozen=True)
class Symmetrized:
    """The mean of a base proposal over a group of exchanges of columns.

    `permutations` (g, d) and `signs` (g, d) are all elements of the group, each of which takes z to
    signs·z[permutation]; the identity is the first. The density is the same at all g images of a
    point. It is exact whether or not the posterior has this symmetry.
    """

    base: Proposal
    permutations: NDArray[np.int64]
    signs: Array

    @property
    def group(self) -> Exchanges:
        """The elements of the group."""
        return Exchanges(self.permutations, self.signs)

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d): draws of the base, each moved by a random element.

        Every element moves as many draws as any other, but for one.
        """
        z = self.base.draw(n, generator)
        return self.group.applied(balanced(n, len(self.permutations), generator), z)

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,)."""
        rows = max(IMAGES // len(self.permutations), 1)
        parts = [self._log_density(z[i : i + rows]) for i in range(0, max(len(z), 1), rows)]
        return np.concatenate(parts)

    def _log_density(self, z: Array) -> Array:
        images = self.group.images(z)
        log_q = self.base.log_density(images.reshape(-1, z.shape[1])).reshape(images.shape[:2])
        return np.asarray(logsumexp(log_q, axis=0) - math.log(len(images)))


def balanced(n: int, size: int, generator: torch.Generator) -> NDArray[np.int64]:
    """n numbers below `size` in random order, each as often as any other, but for one: (n,)."""
    first = int(torch.randint(size, (1,), generator=generator))
    order = torch.randperm(n, generator=generator).numpy()
    return np.asarray((order + first) % size, dtype=np.int64)


def symmetrized(base: Proposal, group: Exchanges) -> Symmetrized:
    """A proposal made symmetric under a group.

    Parts of it that are so already are taken as they were before: the mean over the same group is
    the same, and costs its size squared otherwise.
    """
    return Symmetrized(_plain(base, group), group.permutations, group.signs)


def _plain(proposal: Proposal, group: Exchanges) -> Proposal:
    if isinstance(proposal, Symmetrized) and same_group(proposal.group, group):
        return _plain(proposal.base, group)
    if isinstance(proposal, Mixture):
        return replace(proposal, components=tuple(_plain(c, group) for c in proposal.components))
    return proposal


def unsymmetrized(proposal: Proposal) -> Proposal:
    """What a proposal was before it was made symmetric; itself if it is not."""
    return proposal.base if isinstance(proposal, Symmetrized) else proposal


def like(other: Proposal, base: Proposal) -> Proposal:
    """A proposal made symmetric as another is; itself if that is not."""
    return symmetrized(base, other.group) if isinstance(other, Symmetrized) else base
