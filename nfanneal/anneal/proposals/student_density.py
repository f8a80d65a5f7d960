"""The log-density of a mixture of Student-t distributions, over threads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import ModuleType

import numpy as np
from scipy.special import gammaln, logsumexp

from nfanneal.arrays import Array
from nfanneal.runtime.kernel_cache import load_module
from nfanneal.runtime.threads import over_threads

ROWS = 512
"""Points per task of a thread."""
FAR = 1e-250
"""A density, over the highest component's peak, below which logarithms are taken first."""
PAIRS = 2**18
"""Points times components per pass where logarithms are taken: bounds memory."""


@cache
def kernel() -> ModuleType:
    """The compiled functions, from the cache on disk where they are there."""
    text = (
        resources.files("nfanneal.anneal.proposals")
        .joinpath("student_kernel.py")
        .read_text("utf-8")
    )
    return load_module(text, "the density of local proposals")


@dataclass(frozen=True)
class _Components:
    """Inverse factors (k, d, d), shifts L⁻¹m (k, d) and log-heights (k,) of k components."""

    maps: Array
    shifts: Array
    log_heights: Array
    df: int


def mixture_log_density(
    z: Array, locations: Array, choleskys: Array, log_weights: Array, df: int
) -> Array:
    """log Σ_j w_j t(z; m_j, L_j·L_jᵀ, ν) of shape (n,) for z (n, d).

    The chunks, and so the result, are the same for any number of threads.

    Arguments:
        locations: m (k, d).
        choleskys: lower factors L (k, d, d).
        log_weights: log w (k,).
        df: ν, a whole number.
    """
    components = _components(locations, choleskys, log_weights, df)
    z = np.ascontiguousarray(z, dtype=np.float64)

    def of_rows(first: int) -> Array:
        return _log_densities(z[first : first + ROWS], components)

    parts = over_threads(of_rows, range(0, len(z), ROWS))
    return np.concatenate(parts) if parts else np.empty(0)


def _components(locations: Array, choleskys: Array, log_weights: Array, df: int) -> _Components:
    d = locations.shape[1]
    maps = np.ascontiguousarray(np.linalg.inv(choleskys))
    shifts = np.einsum("kij,kj->ki", maps, locations)
    log_determinants = np.log(np.diagonal(choleskys, axis1=1, axis2=2)).sum(axis=1)
    constant = gammaln(0.5 * (df + d)) - gammaln(0.5 * df) - 0.5 * d * math.log(df * math.pi)
    return _Components(maps, shifts, log_weights - log_determinants + constant, df)


def _log_densities(z: Array, components: _Components) -> Array:
    top = components.log_heights.max()
    total = np.empty(len(z))
    kernel().densities(
        z,
        components.maps,
        components.shifts,
        np.exp(components.log_heights - top),
        float(components.df),
        components.df + z.shape[1],
        total,
    )
    far = np.flatnonzero(~(total > FAR))  # nan as well
    log_density = np.log(np.where(total > FAR, total, 1.0)) + top
    step = max(PAIRS // len(components.log_heights), 1)
    for rows in np.split(far, range(step, len(far), step)):
        log_density[rows] = _by_logarithms(z[rows], components)
    return log_density


def _by_logarithms(z: Array, components: _Components) -> Array:
    """The same where products underflow."""
    k, d = components.shifts.shape
    white = z @ components.maps.reshape(k * d, d).T - components.shifts.reshape(k * d)
    squares = np.square(white.reshape(len(z), k, d)).sum(axis=2)
    powers = -0.5 * (components.df + d) * np.log1p(squares / components.df)
    return np.asarray(logsumexp(powers + components.log_heights, axis=1))
