"""Normalizing flows over the latent space, and the proposals built from them.

A proposal draws latent points z of shape (n, d) and gives their exact log-density. The flow learns
whitened coordinates y with z = mean + L·y, in float32; everything outside it is float64.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import zuko
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Array = NDArray[np.float64]

CHUNK = 4096
"""Points per pass of a flow: bounds memory, and fits the processor's cache."""


@dataclass(frozen=True)
class FlowSettings:
    """Which flow: a name in `FLOWS`, how many transforms, spline bins and hidden layer widths."""

    kind: str
    transforms: int
    bins: int
    hidden: tuple[int, ...]


def default_flow_settings(
    dimension: int,
    *,
    kind: str = "nsf",
    transforms: int | None = None,
    bins: int | None = None,
    hidden: tuple[int, ...] | None = None,
) -> FlowSettings:
    """Fill in what is None by the dimension d of the latent space."""
    width = 64 if dimension <= 16 else 128
    coupling = kind in ("coupling_nsf", "realnvp")
    return FlowSettings(
        kind=kind,
        transforms=transforms or (6 if coupling else 4 if dimension <= 16 else 3),
        bins=bins or (12 if dimension <= 4 else 8),
        hidden=hidden or (width, width),
    )


def _spline_shapes(bins: int) -> list[tuple[int, ...]]:
    return [(bins,), (bins,), (bins - 1,)]


def _autoregressive(
    dimension: int, settings: FlowSettings, univariate: Callable[..., Any], shapes: list[Any]
) -> list[Any]:
    """Masked autoregressive transforms with alternating orders (zuko's MAF layout)."""
    forward = torch.arange(dimension)
    orders = (forward, torch.flipud(forward))
    return [
        zuko.flows.MaskedAutoregressiveTransform(
            dimension,
            0,
            order=orders[i % 2],
            univariate=univariate,
            shapes=shapes,
            hidden_features=settings.hidden,
        )
        for i in range(settings.transforms)
    ]


def _coupling(
    dimension: int, settings: FlowSettings, univariate: Callable[..., Any], shapes: list[Any]
) -> list[Any]:
    """Coupling transforms; the halves are drawn anew for each pair of transforms."""
    transforms = []
    for i in range(settings.transforms):
        if i % 2 == 0:
            mask = torch.randperm(dimension) % 2 == 0
        transforms.append(
            zuko.flows.GeneralCouplingTransform(
                dimension,
                0,
                mask=mask if i % 2 == 0 else ~mask,
                univariate=univariate,
                shapes=shapes,
                hidden_features=settings.hidden,
            )
        )
    return transforms


_SPLINE = zuko.transforms.MonotonicRQSTransform
_AFFINE = zuko.transforms.MonotonicAffineTransform

FLOWS: dict[str, Callable[[int, FlowSettings], list[Any]]] = {
    "nsf": lambda d, s: _autoregressive(d, s, _SPLINE, _spline_shapes(s.bins)),
    "maf": lambda d, s: _autoregressive(d, s, _AFFINE, [(), ()]),
    "coupling_nsf": lambda d, s: _coupling(d, s, _SPLINE, _spline_shapes(s.bins)),
    "realnvp": lambda d, s: _coupling(d, s, _AFFINE, [(), ()]),
}


def make_flow(dimension: int, settings: FlowSettings, seed: int) -> torch.nn.Module:
    """A flow of `dimension` features that starts as the identity; weights drawn from `seed`.

    Raises:
        ValueError: `settings.kind` is not in `FLOWS`.
    """
    if settings.kind not in FLOWS:
        raise ValueError(f"unknown flow kind '{settings.kind}'; known: {', '.join(FLOWS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transforms = FLOWS[settings.kind](dimension, settings)
    for transform in transforms:
        _start_at_identity(transform)
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(dimension), torch.ones(dimension), buffer=True
    )
    return zuko.flows.Flow(transforms, base)


def _start_at_identity(transform: torch.nn.Module) -> None:
    """Make a transform's univariate parameters (nearly) zero, where splines are the identity.

    A transform of one feature has no network: all its parameters are univariate ones.
    """
    layers = [m for m in transform.modules() if isinstance(getattr(m, "weight", None), torch.Tensor)]
    with torch.no_grad():
        if layers:
            layers[-1].weight.mul_(1e-2)
            layers[-1].bias.zero_()
        else:
            for parameter in transform.parameters():
                parameter.zero_()


class Proposal(Protocol):
    """A distribution over the latent space with draws and an exact density."""

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,) for z of shape (n, d)."""


def log_standard_normal(z: Array) -> Array:
    """log N(z; 0, I) of shape (n,) for z of shape (n, d)."""
    d = z.shape[1]
    return np.asarray(-0.5 * np.einsum("ij,ij->i", z, z) - 0.5 * d * math.log(2.0 * math.pi))


@dataclass(frozen=True)
class PriorProposal:
    """The prior: N(0, I) in the latent space."""

    dimension: int

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""
        return torch.randn(n, self.dimension, generator=generator, dtype=torch.float64).numpy()

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,)."""
        return log_standard_normal(z)


@dataclass(frozen=True)
class FlowProposal:
    """z = mean + L·y with y from the flow; `mean` (d,) and `cholesky` L (d, d), lower."""

    flow: torch.nn.Module
    mean: Array
    cholesky: Array

    def whiten(self, z: Array) -> torch.Tensor:
        """y = L⁻¹(z − mean) of shape (n, d), in float32."""
        y = solve_triangular(self.cholesky, (z - self.mean).T, lower=True, check_finite=False).T
        return torch.from_numpy(np.ascontiguousarray(y, dtype=np.float32))

    @property
    def log_determinant(self) -> float:
        """log |det L|."""
        return float(np.log(np.diag(self.cholesky)).sum())

    @torch.no_grad()
    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""
        inverse = self.flow().transform.inv
        noise = torch.randn(n, len(self.mean), generator=generator)
        y = torch.cat([inverse(chunk) for chunk in noise.split(CHUNK)])
        return self.mean + y.double().numpy() @ self.cholesky.T

    @torch.no_grad()
    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,), by the change of variables; −inf where the flow overflows."""
        flow = self.flow()
        log_y = torch.cat([flow.log_prob(chunk) for chunk in self.whiten(z).split(CHUNK)])
        log_q = log_y.double().numpy() - self.log_determinant
        return np.where(np.isnan(log_q), -np.inf, log_q)

    def frozen_copy(self) -> FlowProposal:
        """The same proposal with its own copy of the flow, for later training to leave alone."""
        return FlowProposal(copy.deepcopy(self.flow), self.mean, self.cholesky)


def whitening(z: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted mean (d,) and lower Cholesky factor (d, d) of the covariance of z (n, d).

    `weights` sum to one. A small multiple of the identity keeps degenerate clouds factorable.
    """
    mean = weights @ z
    centred = z - mean
    covariance = (centred * weights[:, None]).T @ centred
    scale = float(np.trace(covariance)) / len(mean)
    floor = max(1e-9 * scale, 1e-20) * np.eye(len(mean))
    return mean, np.linalg.cholesky(covariance + floor)


def stored(proposal: FlowProposal, settings: FlowSettings) -> tuple[dict[str, Any], dict[str, Any]]:
    """A proposal as plain data: its layout (JSON values) and its arrays by name."""
    arrays: dict[str, Any] = {"mean": proposal.mean, "cholesky": proposal.cholesky}
    arrays |= {f"flow.{k}": v.numpy() for k, v in proposal.flow.state_dict().items()}
    return {**vars(settings), "hidden": list(settings.hidden)}, arrays
