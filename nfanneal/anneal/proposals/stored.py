"""Proposals: distributions over the latent space with draws and an exact density.

A proposal draws latent points z of shape (n, d) and gives their log-density. A flow learns
whitened coordinates y with z = mean + L·y, in float32; everything outside it is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from nfanneal.anneal.proposals.architectures import FlowSettings, make_flow
from nfanneal.anneal.proposals.student_density import mixture_log_density
from nfanneal.runtime.threads import over_threads, torch_threads

Array = NDArray[np.float64]

CHUNK = 2048
"""Points per pass of a flow: bounds memory, and fits the processor's cache."""


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


@dataclass(frozen=True)
class StudentMixture:
    """A mixture of k Student-t distributions with `df` degrees of freedom, a whole number.

    Arguments:
        locations: (k, d).
        choleskys: lower factors L_j of the scale matrices, (k, d, d).
        log_weights: normalised, (k,).
    """

    locations: Array
    choleskys: Array
    log_weights: Array
    df: float

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d)."""
        d = self.locations.shape[1]
        weights = torch.from_numpy(np.exp(self.log_weights))
        which = torch.multinomial(weights, n, replacement=True, generator=generator).numpy()
        normal = torch.randn(n, d, generator=generator, dtype=torch.float64).numpy()
        squares = torch.randn(n, round(self.df), generator=generator, dtype=torch.float64) ** 2
        scale = np.sqrt(self.df / squares.sum(dim=1).numpy())
        steps = np.einsum("nij,nj->ni", self.choleskys[which], normal)
        return self.locations[which] + scale[:, None] * steps

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,)."""
        df = round(self.df)
        return mixture_log_density(z, self.locations, self.choleskys, self.log_weights, df)


@dataclass(frozen=True)
class Mixture:
    """A mixture of proposals with `weights` that sum to one."""

    components: tuple[Proposal, ...]
    weights: tuple[float, ...]

    def draw(self, n: int, generator: torch.Generator) -> Array:
        """Draw z of shape (n, d): the components' shares of n are drawn, their order shuffled."""
        weights = torch.tensor(self.weights, dtype=torch.float64)
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        counts = torch.bincount(which, minlength=len(self.weights)).tolist()
        parts = [c.draw(k, generator) for c, k in zip(self.components, counts, strict=True) if k]
        return np.concatenate(parts)[torch.randperm(n, generator=generator).numpy()]

    def log_density(self, z: Array) -> Array:
        """log q(z) of shape (n,)."""
        parts = [
            math.log(weight) + component.log_density(z)
            for component, weight in zip(self.components, self.weights, strict=True)
        ]
        return np.asarray(logsumexp(np.stack(parts), axis=0))


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


def stored(proposal: Proposal, settings: FlowSettings) -> tuple[dict[str, Any], dict[str, Any]]:
    """A proposal as plain data: its layout (JSON values) and its arrays by name."""
    if isinstance(proposal, Mixture):
        layout: dict[str, Any] = {"kind": "mixture", "weights": list(proposal.weights)}
        arrays: dict[str, Any] = {}
        layout["components"] = []
        for i, component in enumerate(proposal.components):
            part, own = stored(component, settings)
            layout["components"].append(part)
            arrays |= {f"{i}.{name}": array for name, array in own.items()}
        return layout, arrays
    if isinstance(proposal, FlowProposal):
        arrays = {"mean": proposal.mean, "cholesky": proposal.cholesky}
        arrays |= {f"flow.{k}": v.numpy() for k, v in proposal.flow.state_dict().items()}
        return {"kind": "flow", "flow": {**vars(settings), "hidden": list(settings.hidden)}}, arrays
    if isinstance(proposal, StudentMixture):
        names = ("locations", "choleskys", "log_weights")
        return {"kind": "student", "df": proposal.df}, {n: getattr(proposal, n) for n in names}
    if isinstance(proposal, PriorProposal):
        return {"kind": "prior", "dimension": proposal.dimension}, {}
    raise TypeError(f"cannot store a {type(proposal).__name__}")


def restored(layout: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]) -> Proposal:
    """The proposal that `stored` took apart."""
    if layout["kind"] == "mixture":
        parts: Sequence[Mapping[str, Any]] = layout["components"]
        components = tuple(
            restored(part, _with_prefix(arrays, f"{i}.")) for i, part in enumerate(parts)
        )
        return Mixture(components, tuple(layout["weights"]))
    if layout["kind"] == "prior":
        return PriorProposal(layout["dimension"])
    if layout["kind"] == "student":
        plain = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
        return StudentMixture(df=layout["df"], **plain)
    given = dict(layout["flow"])
    settings = FlowSettings(**{**given, "hidden": tuple(given["hidden"])})
    mean = np.asarray(arrays["mean"], dtype=np.float64)
    flow = make_flow(len(mean), settings, seed=0)
    state = flow.state_dict()
    weights = _with_prefix(arrays, "flow.")
    flow.load_state_dict({k: torch.from_numpy(weights[k]).to(v.dtype) for k, v in state.items()})
    return FlowProposal(flow, mean, np.asarray(arrays["cholesky"], dtype=np.float64))


def _with_prefix(
    arrays: Mapping[str, NDArray[np.generic]], prefix: str
) -> dict[str, NDArray[np.generic]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
