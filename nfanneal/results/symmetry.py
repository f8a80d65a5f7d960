"""Symmetries of a result: what they are in words, and draws folded into one labelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.exchanges import Exchanges
from nfanneal.arrays import Bools
from nfanneal.model.latent import LatentMap
from nfanneal.results.draws import WeightedDraws

IMAGES = 2**18
"""Images of draws that are compared at a time: bounds memory."""

SHOWN = 8
"""Exchanges that are told one by one."""


@dataclass(frozen=True)
class Symmetry:
    """What exchanges of columns leave the posterior as it is, and whether draws were folded.

    `group` are the elements that the proposal is symmetric under, the identity first; `generators`
    are what was found, of which those that are not `used` would make the group too large. Signs are
    those of the latent space: a mirrored column changes sides of its prior's median.
    """

    group: Exchanges
    generators: Exchanges
    used: Bools
    folded: bool
    n_evaluations: int

    @property
    def copies(self) -> int:
        """How many equal copies of a point there are, by the elements that are used."""
        return len(self.group)

    @property
    def complete(self) -> bool:
        """Whether all that was found is used."""
        return bool(self.used.all())


@dataclass(frozen=True)
class Exchange:
    """Columns of θ by name: pairs that are exchanged together, and those that are mirrored."""

    exchanged: tuple[tuple[str, str], ...]
    mirrored: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """`a[0] and a[1] can be exchanged together with b[0] and b[1]: 2 equal copies`."""
        parts = []
        if self.exchanged:
            pairs = [f"{a} and {b}" for a, b in self.exchanged]
            others = f" together with {_listed(pairs[1:])}" if pairs[1:] else ""
            parts.append(f"{pairs[0]} can be exchanged{others}")
        if self.mirrored:
            whose = "its prior's median" if len(self.mirrored) == 1 else "their priors' medians"
            together = " together" if len(self.mirrored) > 1 else ""
            parts.append(f"{_listed(self.mirrored)} can be mirrored{together} at {whose}")
        return f"{' while '.join(parts)}: 2 equal copies"


def exchanges_of(symmetry: Symmetry, names: Sequence[str]) -> tuple[Exchange, ...]:
    """What was found, in terms of the columns' names (d,)."""
    found = []
    rows = zip(symmetry.generators.permutations, symmetry.generators.signs, strict=True)
    for permutation, signs in rows:
        pairs = [(names[i], names[j]) for i, j in enumerate(permutation.tolist()) if i < j]
        mirrored = [names[i] for i in np.flatnonzero(signs < 0).tolist()]
        found.append(Exchange(tuple(pairs), tuple(mirrored)))
    return tuple(found)


def in_words(symmetry: Symmetry, names: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each of the first exchanges that were found, and what they come to together.

    Copies that are far apart are equal modes; a single mode can be its own copy.
    """
    exchanges = exchanges_of(symmetry, names)
    lines = [each.in_words for each in exchanges[:SHOWN]]
    if len(exchanges) > SHOWN:
        more = len(exchanges) - SHOWN
        lines.append(f"and {more} more such exchange{'s' if more > 1 else ''}")
    if not symmetry.complete:
        lines.append(f"together: more than {symmetry.copies} equal copies of every point, of which "
                     f"the final proposal knows {symmetry.copies}")  # fmt: skip
    elif len(lines) > 1:
        lines.append(f"together: {symmetry.copies} equal copies of every point")
    if symmetry.folded:
        known = "" if symmetry.complete else f", of the {symmetry.copies} that are known"
        lines.append(
            f"every draw has been moved to one of its copies{known} (output.symmetry: fold)"
        )
    return tuple(lines)


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def folded(draws: WeightedDraws, symmetry: Symmetry, latent: LatentMap) -> WeightedDraws:
    """Every draw moved to that of its images whose latent point comes first, column by column.

    So the first column that is exchanged ascends, ties are decided by the next: one labelling, for
    any group. Weights stay as they are. A draw z of q with the weight p(z)/q(z) gives, for any
    function f of the folded point F(z), the right mean ∫ p·f(F(z)): that is all that is asked of a
    folded draw. As p and a symmetric q are the same at z and F(z), the densities beside it are
    those of the point at which it now is.
    """
    z = latent.to_latent(draws.theta)
    rows = max(IMAGES // symmetry.copies, 1)
    parts = [symmetry.group.smallest(z[i : i + rows]) for i in range(0, len(z), rows)]
    return _moved(draws, np.concatenate(parts), symmetry.group, latent)


def all_modes(
    draws: WeightedDraws, symmetry: Symmetry | None, latent: LatentMap, seed: int
) -> WeightedDraws:
    """A result's draws over all equal modes: folded ones are moved by random elements again.

    They then are draws of its proposal, as they were before.
    """
    if symmetry is None or not symmetry.folded:
        return draws
    rng = np.random.default_rng([seed, 5, len(draws.theta)])
    which = rng.permutation(np.arange(len(draws.theta)) % symmetry.copies)
    return _moved(draws, which, symmetry.group, latent)


def _moved(
    draws: WeightedDraws, which: NDArray[np.int64], group: Exchanges, latent: LatentMap
) -> WeightedDraws:
    """Draws of θ (n, d) moved by one element each, `which` (n,).

    Columns that are exchanged have equal priors, so that values of θ are exchanged as they stand;
    mirrored ones go by way of z, and the density of the prior is another there. Draws on a bound
    of their prior, where only rounding puts them, have no z and are not mirrored.
    """
    theta = np.take_along_axis(draws.theta, group.permutations[which], axis=1)
    mirrored = (group.signs[which] < 0).any(axis=1)
    if not mirrored.any():
        return replace(draws, theta=theta)
    z = latent.to_latent(draws.theta)
    outside = mirrored & ~np.isfinite(z).all(axis=1)
    theta[outside] = draws.theta[outside]
    rows = np.flatnonzero(mirrored & ~outside)
    whole = latent.from_latent(group.applied(which[rows], z[rows]))
    signs = group.signs[which[rows]]
    theta[rows] = np.where(signs < 0, whole, theta[rows])
    log_prior = draws.log_prior.copy()
    log_prior[rows] = latent.log_density(theta[rows])
    shift = np.zeros(len(theta))
    shift[rows] = log_prior[rows] - draws.log_prior[rows]
    return replace(draws, theta=theta, log_prior=log_prior, log_proposal=draws.log_proposal + shift)


def symmetry_as_json(symmetry: Symmetry | None, names: Sequence[str]) -> dict[str, object] | None:
    """A symmetry as plain data; None if there is none."""
    if symmetry is None:
        return None
    return {
        "copies": symmetry.copies,
        "complete": symmetry.complete,
        "folded": symmetry.folded,
        "n_evaluations": symmetry.n_evaluations,
        "generators": [
            {
                "exchanged": [list(pair) for pair in each.exchanged],
                "mirrored": list(each.mirrored),
                "copies": 2,
            }
            for each in exchanges_of(symmetry, names)
        ],
    }


def refuse_forged(symmetry: Symmetry, dimension: int) -> None:
    """Raise a ValueError if a record that was read is none of a symmetry in so many columns."""
    for each in (symmetry.group, symmetry.generators):
        shape = (len(each.permutations), dimension)
        if each.permutations.shape != shape or each.signs.shape != shape:
            raise ValueError("a symmetry of other columns")
        if (np.sort(each.permutations, axis=1) != np.arange(dimension)).any():
            raise ValueError("a symmetry that is no permutation")
        if (np.abs(each.signs) != 1.0).any():
            raise ValueError("a symmetry whose signs are none")
    if not len(symmetry.group) or symmetry.used.shape != (len(symmetry.generators),):
        raise ValueError("a symmetry without elements")
