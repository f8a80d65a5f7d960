"""Normalizing flows: how each kind is built, and how they start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import zuko

from nfanneal.anneal.proposals.autoregressive import MaskedAutoregressive
from nfanneal.anneal.proposals.spline import CompiledSpline
from nfanneal.anneal.settings import FLOW_KINDS, FlowSettings


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


def _transforms(dimension: int, settings: FlowSettings) -> list[Any]:
    kind = FLOW_KINDS[settings.kind]
    layout = _coupling if kind.coupling else _autoregressive
    if kind.spline:
        return layout(dimension, settings, CompiledSpline, _spline_shapes(settings.bins))
    return layout(dimension, settings, zuko.transforms.MonotonicAffineTransform, [(), ()])


def make_flow(dimension: int, settings: FlowSettings, seed: int) -> torch.nn.Module:
    """A flow of `dimension` features that starts as the identity; weights drawn from `seed`.

    Raises:
        ValueError: `settings.kind` is not in `FLOW_KINDS`.
    """
    if settings.kind not in FLOW_KINDS:
        raise ValueError(f"unknown flow kind '{settings.kind}'; known: {', '.join(FLOW_KINDS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transforms = _transforms(dimension, settings)
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
