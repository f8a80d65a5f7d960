"""Gradients that steer training and moves: none of them too long."""

from __future__ import annotations

import math

import numpy as np

from nfanneal.arrays import Array

GRADIENT_LIMIT = 100.0
"""Limit on a draw's whitened gradient norm, per √d: one wild draw must not steer what follows."""


def bounded(slope: Array) -> Array:
    """Whitened gradients (n, d), those shortened that are longer than `GRADIENT_LIMIT`·√d."""
    norm = np.linalg.norm(slope, axis=1, keepdims=True)
    longest = GRADIENT_LIMIT * math.sqrt(slope.shape[1])
    return np.asarray(slope * (longest / np.maximum(norm, longest)))
