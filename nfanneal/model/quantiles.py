"""Fast prior transforms: closed-form quantiles of every prior, for samplers that ask per point.

scipy.stats takes half a millisecond per call and parameter, which a sampler that moves one
point at a time pays at every step: it would be slow by our transform, not by its own doing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nfanneal.arrays import Array, Bools
from nfanneal.model.latent import LatentMap
from nfanneal.model.priors import Prior

Tail = Callable[..., Array]

SQRT_2 = 2.0**0.5
SMALLEST, LARGEST = 1e-100, 1.0 - 2.0**-53
"""The cube's faces are pulled in by this: a quantile of 0 or 1 may be infinite."""


def _truncnormal_below(q: Array, mean: Array, sd: Array, low: Array, high: Array) -> Array:
    """Φ(x) = (1 − q)·Φ(a) + q·Φ(b), in logarithms; from above where a lies above the mean."""
    a, b = (low - mean) / sd, (high - mean) / sd
    with np.errstate(divide="ignore"):
        rest, part = np.log1p(-q), np.log(q)
    below = np.logaddexp(rest + special.log_ndtr(a), part + special.log_ndtr(b))
    above = np.logaddexp(rest + special.log_ndtr(-a), part + special.log_ndtr(-b))
    x = np.where(a < 0, special.ndtri_exp(below), -special.ndtri_exp(above))
    return np.asarray(mean + sd * np.clip(x, a, b))


QUANTILES: dict[str, tuple[Tail, Tail]] = {
    "uniform": (
        lambda q, a, b: a + (b - a) * q,
        lambda q, a, b: b - (b - a) * q,
    ),
    "loguniform": (
        lambda q, a, b: a * np.exp(q * np.log(b / a)),
        lambda q, a, b: b * np.exp(-q * np.log(b / a)),
    ),
    "normal": (
        lambda q, m, s: m + s * special.ndtri(q),
        lambda q, m, s: m - s * special.ndtri(q),
    ),
    "lognormal": (
        lambda q, m, s: np.exp(m + s * special.ndtri(q)),
        lambda q, m, s: np.exp(m - s * special.ndtri(q)),
    ),
    "halfnormal": (
        lambda q, s: s * SQRT_2 * special.erfinv(q),
        lambda q, s: s * SQRT_2 * special.erfcinv(q),
    ),
    "truncnormal": (
        _truncnormal_below,
        lambda q, m, s, a, b: -_truncnormal_below(q, -m, s, -b, -a),
    ),
    "exponential": (
        lambda q, r: -np.log1p(-q) / r,
        lambda q, r: -np.log(q) / r,
    ),
    "gamma": (
        lambda q, a, r: special.gammaincinv(a, q) / r,
        lambda q, a, r: special.gammainccinv(a, q) / r,
    ),
    "inversegamma": (
        lambda q, a, s: s / special.gammainccinv(a, q),
        lambda q, a, s: s / special.gammaincinv(a, q),
    ),
    "beta": (
        lambda q, a, b: special.betaincinv(a, b, q),
        lambda q, a, b: special.betainccinv(a, b, q),
    ),
    "studentt": (
        lambda q, v, m, s: m + s * special.stdtrit(v, q),
        lambda q, v, m, s: m - s * special.stdtrit(v, q),
    ),
    "cauchy": (
        lambda q, m, s: m - s / np.tan(np.pi * q),
        lambda q, m, s: m + s / np.tan(np.pi * q),
    ),
    "halfcauchy": (
        lambda q, s: s * np.tan(0.5 * np.pi * q),
        lambda q, s: s / np.tan(0.5 * np.pi * q),
    ),
    "laplace": (
        lambda q, m, s: m + s * np.log(2.0 * q),
        lambda q, m, s: m - s * np.log(2.0 * q),
    ),
}
"""θ from a tail's probability q ≤ ½, from below and from above, in the arguments of `PRIORS`."""


@dataclass(frozen=True)
class _Family:
    """The columns of θ whose priors are of one kind, and their arguments, (k,) each."""

    columns: NDArray[np.int64]
    below: Tail
    above: Tail
    arguments: tuple[Array, ...]

    def quantiles(self, tail: Array, lower: Bools) -> Array:
        """θ (n, k) from tail probabilities (n, k), taken from below where `lower`."""
        below = self.below(tail, *self.arguments)
        return np.where(lower, below, self.above(tail, *self.arguments))


@dataclass(frozen=True)
class Transform:
    """θ (n, d) from the unit cube or from the latent space, one call per kind of prior."""

    dimension: int
    families: tuple[_Family, ...]

    def from_cube(self, u: Array) -> Array:
        """θ (n, d) or (d,) from u of the same shape in the unit cube."""
        inside = np.clip(u, SMALLEST, LARGEST)
        lower = inside <= 0.5
        return self._quantiles(np.where(lower, inside, 1.0 - inside), lower)

    def from_latent(self, z: Array) -> Array:
        """θ (n, d) or (d,) from z of the same shape: what `LatentMap.from_latent` gives."""
        return self._quantiles(special.ndtr(-np.abs(z)), z <= 0)

    def _quantiles(self, tail: Array, lower: Bools) -> Array:
        theta = np.empty(tail.shape)
        for family in self.families:
            columns = family.columns
            theta[..., columns] = family.quantiles(tail[..., columns], lower[..., columns])
        return theta


def transform_of(latent: LatentMap) -> Transform:
    """The closed forms of a joint prior."""
    priors = [p.prior for p in latent.parameters for _ in range(p.columns)]
    by_name: dict[str, list[int]] = defaultdict(list)
    for column, prior in enumerate(priors):
        by_name[prior.name].append(column)
    families = (_family([priors[c] for c in columns], columns) for columns in by_name.values())
    return Transform(len(priors), tuple(families))


def _family(priors: list[Prior], columns: list[int]) -> _Family:
    values = np.array([list(prior.arguments.values()) for prior in priors])
    below, above = QUANTILES[priors[0].name]
    return _Family(np.array(columns), below, above, tuple(values.T.copy()))
