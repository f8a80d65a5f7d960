"""A flow as a proposal: whitened coordinates y with z = mean + L·y, in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve_triangular

from nfanneal.anneal.settings import FlowSettings
from nfanneal.arrays import Array
from nfanneal.runtime.threads import over_threads, torch_threads

CHUNK = 2048
"""Points per pass of a flow: bounds memory, and fits the processor's cache."""


@dataclass(frozen=True)
class FlowProposal:
    """z = mean + L·y with y from the flow; `mean` (d,) and `cholesky` L (d, d), lower.

    `settings` say how the flow was made.
    """

    flow: torch.nn.Module
    mean: Array
    cholesky: Array
    settings: FlowSettings

    def whiten(self, z: Array) -> torch.Tensor:
        """y = L⁻¹(z − mean) of shape (n, d), in float32."""
        inverse = solve_triangular(self.cholesky, np.eye(len(self.mean)), lower=True)
        return torch.from_numpy(((z - self.mean) @ inverse.T).astype(np.float32))

    @property
    def log_determinant(self) -> float:
        """log |det L|."""
        return float(np.log(np.diag(self.cholesky)).sum())

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""
        noise = torch.randn(n, len(self.mean), generator=generator)
        y = in_chunks(self.flow().transform.inv, noise)
        return self.mean + y.double().numpy() @ self.cholesky.T

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,), by the change of variables; −inf where the flow overflows."""
        log_y = in_chunks(self.flow().log_prob, self.whiten(z))
        log_q = log_y.double().numpy() - self.log_determinant
        return np.where(np.isnan(log_q), -np.inf, log_q)


def in_chunks(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """`function` of the rows of x (n, …) without gradients, a chunk per thread at a time.

    The chunks, and so the result, are the same for any number of threads.
    """

    def of_chunk(chunk: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return function(chunk)

    with torch_threads(1):
        return torch.cat(over_threads(of_chunk, x.split(CHUNK)))


def whitening(z: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted mean (d,) and lower Cholesky factor (d, d) of the covariance of z (n, d).

    `weights` sum to one. A small multiple of the identity keeps degenerate clouds factorable.
    """
    mean = weights @ z
    centred = z - mean
    covariance = (centred * weights[:, None]).T @ centred
    scale = float(np.trace(covariance)) / len(mean)
    floor = max(1e-9 * scale, 1e-20) * np.eye(len(mean))
    return mean, np.asarray(np.linalg.cholesky(covariance + floor), dtype=np.float64)
