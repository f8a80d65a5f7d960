"""The latent map: every parameter through its prior to a standard normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.priors import Prior

NAMED_COLUMNS = 12
"""A message names at most so many parameters."""


@dataclass(frozen=True)
class Parameter:
    """A free parameter: one prior for each of its `size` independent components."""

    name: str
    prior: Prior
    size: int | None = None
    label: str | None = None
    unit: str | None = None

    @property
    def columns(self) -> int:
        """How many columns of θ this parameter takes."""
        return 1 if self.size is None else self.size

    @property
    def column_names(self) -> tuple[str, ...]:
        """`name` for a scalar, `name[0]`, `name[1]`, … for a vector."""
        if self.size is None:
            return (self.name,)
        return tuple(f"{self.name}[{i}]" for i in range(self.size))


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

    def slices(self) -> dict[str, slice]:
        """Which columns of θ each parameter takes."""
        ends = np.cumsum([p.columns for p in self.parameters])
        return {
            p.name: slice(int(end) - p.columns, int(end))
            for p, end in zip(self.parameters, ends, strict=True)
        }

    def _by_block(self, method: str, *arrays: Array) -> Array:
        out = np.empty(arrays[0].shape)
        for parameter, where in zip(self.parameters, self.slices().values(), strict=True):
            blocks = (np.ascontiguousarray(array[:, where]) for array in arrays)
            out[:, where] = getattr(parameter.prior, method)(*blocks)
        return out

    def from_latent(self, z: Array) -> Array:
        """θ of shape (n, d) from latent z of shape (n, d)."""
        return self._by_block("from_latent", z)

    def to_latent(self, theta: Array) -> Array:
        """Latent z of shape (n, d) from θ of shape (n, d)."""
        return self._by_block("to_latent", theta)

    def latent_slope(self, z: Array, theta: Array) -> Array:
        """dθ/dz of shape (n, d), for θ = from_latent(z)."""
        return self._by_block("latent_slope", z, theta)

    def log_density(self, theta: Array) -> Array:
        """log prior density of θ of shape (n, d), summed over columns: (n,)."""
        return self._by_block("log_density", theta).sum(axis=1)

    def in_words(self, z: Array) -> str:
        """The parameters at one latent point z (d,): `a = 1.2, k = 0.3`."""
        return point_in_words(self.column_names, self.from_latent(z[None])[0])


def point_in_words(names: Sequence[str], values: Sequence[float] | Array) -> str:
    """`a = 1.2, k = 0.3` for the columns of one θ; no more than `NAMED_COLUMNS` of them."""
    shown = [f"{name} = {value:.6g}" for name, value in zip(names, values, strict=True)]
    more = len(shown) - NAMED_COLUMNS
    return ", ".join(shown[:NAMED_COLUMNS]) + (f", … and {more} more" if more > 0 else "")
