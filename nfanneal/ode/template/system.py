"""A system as `nfanneal.ode.kernels` writes it: here exponential decay."""

import numpy as np
from numba import njit

from nfanneal.ode.template.options import INLINE, LINEAR_INLINE, STRICT

GRADIENT = True
N, P = 1, 1
FIXED, PARTIALS = 1, 2
ACTIVE = np.array([0], dtype=np.int64)
"""The columns of θ that the states depend on: sensitivities have no others."""


@njit(**STRICT)
def prepare(theta, fixed):
    """What depends on θ alone, once per trajectory."""
    fixed[0] = -theta[0]


@njit(**STRICT)
def initial(theta, y):
    y[0] = 1.0


@njit(**STRICT)
def initial_slopes(theta, s):
    s[:] = 0.0


@njit(**INLINE)
def rhs(t, y, theta, fixed, dy, partials):
    """f, and with sensitivities the entries of ∂f/∂y and ∂f/∂θ that are not zero everywhere."""
    dy[0] = fixed[0] * y[0]
    partials[0] = fixed[0]
    partials[1] = -y[0]


@njit(**LINEAR_INLINE)
def variation(partials, s, ds):
    for q in range(P):
        ds[q] = partials[0] * s[q]
    ds[0] += partials[1]


@njit(**INLINE)
def observe(t, y, theta, fixed, values):
    values[0] = y[0]


@njit(**INLINE)
def observe_slopes(t, y, s, theta, fixed, slopes):
    slopes[:, :] = 0.0
    for q in range(P):
        slopes[0, ACTIVE[q]] += s[q]
