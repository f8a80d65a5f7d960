"""The compiled spline as a torch transform, a drop-in for zuko's `MonotonicRQSTransform`.

The same map as zuko's from the same unconstrained numbers, several times faster on a CPU: torch
spends its time there on dozens of passes over small arrays, and the kernel makes one.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Transform, constraints

from nfanneal.runtime.kernel_cache import load_module

BOUND = 5.0
"""The spline is the identity outside [−BOUND, BOUND]."""
SCALE = -1.0 / math.log(1e-3)
"""Squashes the unconstrained numbers so that no slope falls below 1e-3."""


@cache
def kernel() -> ModuleType:
    """The compiled functions, from the cache on disk where they are there."""
    text = (
        resources.files("nfanneal.anneal.proposals").joinpath("spline_kernel.py").read_text("utf-8")
    )
    return load_module(text, "the flow's splines")


class CompiledSpline(Transform):
    """y = spline(x), element by element, for x (…) in float32.

    Arguments:
        raw: unconstrained widths, heights and inner slopes, (…, 3K−1), for K bins.

    Source: Durkan et al. (2019), Neural spline flows, arXiv:1906.04032.
    """

    domain = constraints.real
    codomain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, raw: Tensor) -> None:
        super().__init__()
        self.raw = raw

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and log |dy/dx|, both with the shape of x."""
        y, ladj = _Forward.apply(x, self._raw_of(x))
        return y, ladj

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx| with the shape of x."""
        return self.call_and_ladj(x)[1]

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        x: Tensor = _Inverse.apply(y, self._raw_of(y))
        return x

    def _raw_of(self, x: Tensor) -> Tensor:
        return self.raw.expand(*x.shape, self.raw.shape[-1])


def _rows(raw: Tensor) -> tuple[Tensor, Tensor]:
    """`raw` as rows (m, 3K−1), and the exponentials of its squashed first 2K columns (m, 2K)."""
    rows = raw.detach().contiguous().view(-1, raw.shape[-1])
    sizes = rows[:, : 2 * ((raw.shape[-1] + 1) // 3)]
    squash = sizes.abs().mul_(2.0 * SCALE).add_(1.0)
    return rows, torch.div(sizes, squash, out=squash).exp_()


def _flat(x: Tensor) -> Tensor:
    return x.detach().contiguous().view(-1)


def _apply(name: str, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Run `forward` or `inverse` at x: the image, log |dy/dx|, and what `backward` needs."""
    rows, shares = _rows(raw)
    flat = _flat(x)
    image, ladj = torch.empty_like(flat), torch.empty_like(flat)
    bins = torch.empty(len(flat), dtype=torch.int32)
    arrays = (a.numpy() for a in (shares, image, ladj, bins))
    getattr(kernel(), name)(flat.numpy(), rows.numpy(), BOUND, SCALE, *arrays)
    return image.view(x.shape), ladj.view(x.shape), (rows, shares, bins)


def _pull_back(
    x: Tensor, saved: tuple[Tensor, ...], by_y: Tensor, by_ladj: Tensor
) -> tuple[Tensor, Tensor]:
    """Derivatives by x and by the raw rows, from those by y and by log |dy/dx|."""
    rows, shares, bins = saved
    flat = _flat(x)
    by_x, by_raw = torch.empty_like(flat), torch.empty_like(rows)
    arrays = (shares, bins, _flat(by_y), _flat(by_ladj), by_x, by_raw)
    kernel().backward(flat.numpy(), rows.numpy(), BOUND, SCALE, *(a.numpy() for a in arrays))
    return by_x.view(x.shape), by_raw.view(*x.shape, rows.shape[1])


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        y, ladj, saved = _apply("forward", x, raw)
        ctx.save_for_backward(x, *saved)
        return y, ladj

    @staticmethod
    def backward(ctx: Any, by_y: Tensor, by_ladj: Tensor) -> tuple[Tensor, Tensor]:
        x, *saved = ctx.saved_tensors
        return _pull_back(x, tuple(saved), by_y, by_ladj)


class _Inverse(torch.autograd.Function):
    """By the implicit function theorem: dx = (dy − ∂spline/∂raw·draw)/slope."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, raw: Tensor) -> Tensor:
        x, ladj, saved = _apply("inverse", y, raw)
        ctx.save_for_backward(x, ladj, *saved)
        return x

    @staticmethod
    def backward(ctx: Any, by_x: Tensor) -> tuple[Tensor, Tensor]:
        x, ladj, *saved = ctx.saved_tensors
        by_y = by_x * torch.exp(-ladj)
        _, by_raw = _pull_back(x, tuple(saved), -by_y, torch.zeros_like(by_y))
        return by_y, by_raw
