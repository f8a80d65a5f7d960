"""The latent map: every parameter through its prior to a standard normal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nfanneal.arrays import Array, Bools
from nfanneal.model.bounded import AnyPrior, BoundedPrior, Ends, stacked
from nfanneal.model.priors import PRIORS

Scale = Literal["linear", "log", "log10"]
NAMED_COLUMNS = 12
"""A message names at most so many parameters."""
SMALLEST, LARGEST = 1e-100, 1.0 - 2.0**-53
"""The cube's faces are pulled in by this: a quantile of 0 or 1 may be infinite."""


def element_names(name: str, size: int | None) -> tuple[str, ...]:
    """`name` for a scalar, `name[0]`, `name[1]`, … for a vector of so many elements."""
    return (name,) if size is None else tuple(f"{name}[{i}]" for i in range(size))


@dataclass(frozen=True)
class Parameter:
    """A free parameter: one prior for each of its `size` independent components.

    Figures draw it with its label and unit, on an axis of its scale.
    """

    name: str
    prior: AnyPrior
    size: int | None = None
    label: str | None = None
    unit: str | None = None
    scale: Scale = "linear"

    @property
    def columns(self) -> int:
        """How many columns of θ this parameter takes."""
        return 1 if self.size is None else self.size

    @property
    def column_names(self) -> tuple[str, ...]:
        """A name for each of its columns."""
        return element_names(self.name, self.size)


@dataclass(frozen=True)
class LatentMap:
    """The joint prior of independent parameters: θ of shape (n, d) from z ~ N(0, I_d)."""

    parameters: tuple[Parameter, ...]

    @property
    def dimension(self) -> int:
        """Number of columns d of z and θ."""
        return sum(parameter.columns for parameter in self.parameters)

    @property
    def column_names(self) -> tuple[str, ...]:
        """A name for each column of θ."""
        return tuple(name for p in self.parameters for name in p.column_names)

    @cached_property
    def transform(self) -> Transform:
        """Its closed forms, that is what `from_latent` asks."""
        return _transform_of(self)

    def slices(self) -> dict[str, slice]:
        """Which columns of θ each parameter takes."""
        ends = np.cumsum([p.columns for p in self.parameters])
        return {
            p.name: slice(int(end) - p.columns, int(end))
            for p, end in zip(self.parameters, ends, strict=True)
        }

    @property
    def exchangeable(self) -> tuple[tuple[int, ...], ...]:
        """Classes of two or more columns whose priors are equal."""
        classes: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for parameter, where in zip(self.parameters, self.slices().values(), strict=True):
            classes[parameter.prior.identity] += range(where.start, where.stop)
        return tuple(tuple(columns) for columns in classes.values() if len(columns) > 1)

    @property
    def vectors(self) -> tuple[tuple[int, ...], ...]:
        """The columns of each parameter that has several."""
        return tuple(
            tuple(range(where.start, where.stop))
            for where in self.slices().values()
            if where.stop - where.start > 1
        )

    def _by_block(self, method: str, *arrays: Array) -> Array:
        out = np.empty(arrays[0].shape)
        for parameter, where in zip(self.parameters, self.slices().values(), strict=True):
            blocks = (np.ascontiguousarray(array[:, where]) for array in arrays)
            out[:, where] = getattr(parameter.prior, method)(*blocks)
        return out

    def from_latent(self, z: Array) -> Array:
        """θ of shape (n, d) from latent z of shape (n, d)."""
        return self.transform.from_latent(z)

    def to_latent(self, theta: Array) -> Array:
        """Latent z of shape (n, d) from θ of shape (n, d)."""
        return self._by_block("to_latent", theta)

    def latent_slope(self, z: Array, theta: Array) -> Array:
        """dθ/dz of shape (n, d), for θ = from_latent(z)."""
        return self._by_block("latent_slope", z, theta)

    def log_density(self, theta: Array) -> Array:
        """log prior density of θ of shape (n, d), summed over columns: (n,)."""
        return self._by_block("log_density", theta).sum(axis=1)

    def score(self, theta: Array) -> Array:
        """Gradient of the log prior density at θ, (n, d); nan outside a prior's support."""
        return self._by_block("score", theta)

    def in_words(self, z: Array) -> str:
        """The parameters at one latent point z (d,): `a = 1.2, k = 0.3`."""
        return point_in_words(self.column_names, self.from_latent(z[None])[0])


def point_in_words(names: Sequence[str], values: Sequence[float] | Array) -> str:
    """`a = 1.2, k = 0.3` for the columns of one θ; no more than `NAMED_COLUMNS` of them."""
    shown = [f"{name} = {value:.6g}" for name, value in zip(names, values, strict=True)]
    more = len(shown) - NAMED_COLUMNS
    return ", ".join(shown[:NAMED_COLUMNS]) + (f", … and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class _Family:
    """The columns of θ whose priors are of one kind, `name`, and their arguments, (k,) each.

    `ends` are those of priors with bounds.
    """

    name: str
    columns: NDArray[np.int64]
    arguments: tuple[Array, ...]
    ends: Ends | None

    def quantiles(self, tail: Array, lower: Bools) -> Array:
        """θ (n, k) from tail probabilities (n, k), taken from below where `lower`."""
        if self.ends is None:
            return self._of_whole(tail, tail, lower)
        below, above = self.ends.probabilities(tail, lower)
        theta = self._of_whole(np.minimum(below, 0.5), np.minimum(above, 0.5), below <= above)
        return np.clip(theta, self.ends.low, self.ends.high)

    def _of_whole(self, below: Array, above: Array, lower: Bools) -> Array:
        from_below, from_above = PRIORS[self.name].tails
        with np.errstate(all="ignore"):  # a probability of 0 has θ at an end, finite or not
            theta = from_below(below, *self.arguments)
            return np.where(lower, theta, from_above(above, *self.arguments))


@dataclass(frozen=True)
class Transform:
    """θ (n, d) from the unit cube or from the latent space, one call per kind of prior.

    Walks ask for a few hundred points at a time, and other samplers for one: what a call costs
    beside its points counts.
    """

    dimension: int
    families: tuple[_Family, ...]

    def from_cube(self, u: Array) -> Array:
        """θ (n, d) or (d,) from u of the same shape in the unit cube."""
        inside = np.clip(u, SMALLEST, LARGEST)
        lower = inside <= 0.5
        return self._quantiles(np.where(lower, inside, 1.0 - inside), lower)

    def from_latent(self, z: Array) -> Array:
        """θ (n, d) or (d,) from z of the same shape."""
        return self._quantiles(special.ndtr(-np.abs(z)), z <= 0)

    def _quantiles(self, tail: Array, lower: Bools) -> Array:
        theta = np.empty(tail.shape)
        for family in self.families:
            columns = family.columns
            theta[..., columns] = family.quantiles(tail[..., columns], lower[..., columns])
        return theta


def _transform_of(latent: LatentMap) -> Transform:
    """The closed forms of a joint prior."""
    priors = [p.prior for p in latent.parameters for _ in range(p.columns)]
    by_kind: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for column, prior in enumerate(priors):
        by_kind[prior.name, isinstance(prior, BoundedPrior)].append(column)
    families = (_family([priors[c] for c in columns], columns) for columns in by_kind.values())
    return Transform(len(priors), tuple(families))


def _family(priors: list[AnyPrior], columns: list[int]) -> _Family:
    values = np.array([list(prior.arguments.values()) for prior in priors])
    ends = [prior.ends for prior in priors if isinstance(prior, BoundedPrior)]
    arguments = tuple(values.T.copy())
    cut = stacked(ends) if ends else None
    return _Family(priors[0].name, np.array(columns), arguments, cut)
