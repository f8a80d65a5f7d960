"""The compiled spline against zuko's in float64: values, log-slopes and all derivatives."""

from __future__ import annotations

import pytest
import torch
import zuko
from hypothesis import given, settings
from hypothesis import strategies as st

from nfanneal.anneal.proposals.spline import CompiledSpline


def reference(raw: torch.Tensor) -> torch.distributions.Transform:
    bins = (raw.shape[-1] + 1) // 3
    return zuko.transforms.MonotonicRQSTransform(*raw.split([bins, bins, bins - 1], dim=-1))


def batch(bins: int, spread: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """x (300, 3), some of it outside the spline's interval, and raw numbers (300, 3, 3K−1)."""
    generator = torch.Generator().manual_seed(seed)
    x = 3.0 * torch.randn(300, 3, generator=generator)
    return x, spread * torch.randn(300, 3, 3 * bins - 1, generator=generator)


def both(x: torch.Tensor, raw: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Leaves of ours in float32 and of the reference in float64."""
    leaves = [x.clone().requires_grad_(), raw.clone().requires_grad_()]
    return leaves, [leaf.detach().double().requires_grad_() for leaf in leaves]


@pytest.mark.parametrize("bins", [2, 8, 16])
@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_values_and_derivatives_match_zuko(bins: int, spread: float) -> None:
    (x, raw), (x64, raw64) = both(*batch(bins, spread))
    ours = CompiledSpline(raw).call_and_ladj(x)
    theirs = reference(raw64).call_and_ladj(x64)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.double(), other, atol=1e-4, rtol=1e-4)
    slopes = [torch.randn(x.shape, generator=torch.Generator().manual_seed(k)) for k in (1, 2)]
    sum((s * value).sum() for s, value in zip(slopes, ours, strict=True)).backward()
    sum((s * value).sum() for s, value in zip(slopes, theirs, strict=True)).backward()
    for mine, other in ((x, x64), (raw, raw64)):
        torch.testing.assert_close(mine.grad.double(), other.grad, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("bins", [2, 8])
def test_inverse_and_its_derivatives_match_zuko(bins: int) -> None:
    (y, raw), (y64, raw64) = both(*batch(bins, 1.0))
    ours, theirs = CompiledSpline(raw).inv(y), reference(raw64).inv(y64)
    torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=1e-4)
    slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    (slope * ours).sum().backward()
    (slope * theirs).sum().backward()
    for mine, other in ((y, y64), (raw, raw64)):
        torch.testing.assert_close(mine.grad.double(), other.grad, atol=2e-3, rtol=1e-3)


@given(
    st.floats(-8.0, 8.0, width=32),
    st.lists(st.floats(-50.0, 50.0, width=32), min_size=11, max_size=11),
)
@settings(deadline=None, max_examples=200)
def test_it_rises_and_inverts_for_any_numbers(x: float, numbers: list[float]) -> None:
    spline = CompiledSpline(torch.tensor([numbers]))
    y, ladj = spline.call_and_ladj(torch.tensor([x]))
    assert torch.isfinite(y).all()
    assert torch.isfinite(ladj).all()
    # float32: an error of 1e-6 of the interval, divided by the slope, is all that is lost
    tolerance = 1e-5 * (1.0 + float(torch.exp(-ladj)))
    torch.testing.assert_close(spline.inv(y), torch.tensor([x]), atol=tolerance, rtol=0.0)


def test_one_spline_serves_many_rows() -> None:
    x, raw = batch(4, 1.0)
    shared = CompiledSpline(raw[0])(x)
    torch.testing.assert_close(shared, CompiledSpline(raw[:1].expand(300, 3, 11))(x))
