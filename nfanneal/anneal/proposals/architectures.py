"""Normalizing flows: which kinds there are, their defaults, and how they start."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import zuko

from nfanneal.anneal.proposals.autoregressive import MaskedAutoregressive
from nfanneal.anneal.proposals.spline import CompiledSpline


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
    light: bool = False,
) -> FlowSettings:
    """Fill in what is None by the dimension d of the latent space; half as deep if `light`."""
    width = 64 if dimension <= 32 else 128
    coupling = kind in ("coupling_nsf", "realnvp")
    deep = 6 if coupling else 5 if dimension <= 2 else 4
    return FlowSettings(
        kind=kind,
        transforms=transforms or (math.ceil(deep / 2) if light else deep),
        bins=bins or (16 if dimension <= 2 else 12 if dimension <= 4 else 8),
        hidden=hidden or (width, width),
    )


def _spline_shapes(bins: int) -> list[tuple[int, ...]]:
    """Widths, heights and inner slopes of a spline's bins, in one array."""
    return [(3 * bins - 1,)]


def _autoregressive(
    dimension: int, settings: FlowSettings, univariate: Callable[..., Any], shapes: list[Any]
) -> list[Any]:
    """Masked autoregressive transforms with alternating orders (zuko's MAF layout)."""
    forward = torch.arange(dimension)
    orders = (forward, torch.flipud(forward))
    return [
        MaskedAutoregressive(
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


_SPLINE = CompiledSpline
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
    weighted = (m for m in transform.modules() if hasattr(m, "weight"))
    layers = [m for m in weighted if isinstance(m.weight, torch.Tensor)]
    with torch.no_grad():
        if layers:
            layers[-1].weight.mul_(1e-2)
            layers[-1].bias.zero_()
        else:
            for parameter in transform.parameters():
                parameter.zero_()
