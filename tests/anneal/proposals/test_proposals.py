"""Flows and proposals: laws that hold for every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_t

from nfanneal.anneal.proposals.architectures import make_flow
from nfanneal.anneal.proposals.base import Mixture, PriorProposal, log_standard_normal
from nfanneal.anneal.proposals.flow import FlowProposal, whitening
from nfanneal.anneal.proposals.stored import restored, stored
from nfanneal.anneal.proposals.student import StudentMixture
from nfanneal.anneal.settings import FLOW_KINDS, FlowSettings, default_flow_settings

SMALL = {"transforms": 2, "bins": 4, "hidden": (8, 8)}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disturbed(kind: str, dimension: int) -> torch.nn.Module:
    """A flow with random weights, far from the identity."""
    flow = make_flow(dimension, FlowSettings(kind, **SMALL), seed=1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator(2)))
    return flow


@pytest.mark.parametrize("kind", FLOW_KINDS)
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_starts_as_the_identity(kind: str, dimension: int) -> None:
    flow = make_flow(dimension, FlowSettings(kind, **SMALL), seed=0)
    x = torch.randn(64, dimension, generator=generator())
    # weights of the last layer start at a hundredth, not at zero
    torch.testing.assert_close(flow().transform(x), x, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("kind", FLOW_KINDS)
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_inverse_undoes_the_transform(kind: str, dimension: int) -> None:
    transform = disturbed(kind, dimension)().transform
    x = torch.randn(64, dimension, generator=generator())
    # float32 through several splines
    torch.testing.assert_close(transform.inv(transform(x)), x, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["nsf", "maf"])
@pytest.mark.parametrize("dimension", [1, 2, 5, 17])
def test_fast_inverse_is_that_of_many_passes(kind: str, dimension: int) -> None:
    """zuko's own inverse, a pass per feature, is taken where gradients are asked for."""
    transform = disturbed(kind, dimension)().transform
    y = torch.randn(64, dimension, generator=generator())
    with torch.no_grad():
        fast = transform.inv(y)
    slow = transform.inv(y)
    assert slow.requires_grad
    # rounding of float32, amplified by steep parts of the splines
    torch.testing.assert_close(fast, slow.detach(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", FLOW_KINDS)
@pytest.mark.parametrize("dimension", [1, 2])
def test_density_integrates_to_one(kind: str, dimension: int) -> None:
    settings = FlowSettings(kind, **SMALL)
    flow, mean = disturbed(kind, dimension), np.full(dimension, 0.5)
    proposal = FlowProposal(flow, mean, np.eye(dimension), settings)
    wide = PriorProposal(dimension).draw(100_000, generator(3)) * 4.0
    log_wide = log_standard_normal(wide / 4.0) - dimension * np.log(4.0)
    ratio = np.exp(proposal.log_density(wide) - log_wide)
    error = ratio.std() / np.sqrt(len(ratio))
    assert abs(ratio.mean() - 1.0) < 5.0 * error
    assert error < 0.05


@pytest.mark.parametrize("kind", FLOW_KINDS)
def test_the_seed_decides(kind: str) -> None:
    one, same, other = (make_flow(3, FlowSettings(kind, **SMALL), s) for s in (7, 7, 8))
    states = [torch.cat([p.flatten() for p in f.parameters()]) for f in (one, same, other)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_an_unknown_kind_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"unknown flow kind 'nfs'; known: nsf, maf"):
        make_flow(2, FlowSettings("nfs", **SMALL), seed=0)


def test_defaults_keep_what_is_given() -> None:
    settings = default_flow_settings(3, bins=5)
    assert (settings.kind, settings.bins) == ("nsf", 5)


def student_mixture(k: int, d: int) -> StudentMixture:
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((k, d, d))
    scales = 0.1 * roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(d)
    weights = rng.dirichlet(np.ones(k))
    locations = rng.standard_normal((k, d))
    return StudentMixture(locations, np.linalg.cholesky(scales), np.log(weights), 5.0)


@pytest.mark.parametrize("d", [1, 2, 3, 8])
@pytest.mark.parametrize("far", [2.0, 1e30])
def test_student_mixture_matches_scipy(d: int, far: float) -> None:
    """Far away every component's density underflows as a product."""
    mixture = student_mixture(k=4, d=d)
    z = far * np.random.default_rng(1).standard_normal((200, d))
    scales = mixture.choleskys @ mixture.choleskys.transpose(0, 2, 1)
    parts = [
        weight + multivariate_t(location, scale, df=5.0).logpdf(z)
        for weight, location, scale in zip(
            mixture.log_weights, mixture.locations, scales, strict=True
        )
    ]
    expected = logsumexp(parts, axis=0)
    np.testing.assert_allclose(mixture.log_density(z), expected, rtol=1e-10, atol=1e-10)


def test_student_mixture_draws_follow_its_density() -> None:
    mixture = student_mixture(k=3, d=2)
    z = mixture.draw(200_000, generator(4))
    expected = np.exp(mixture.log_weights) @ mixture.locations
    error = z.std(axis=0) / np.sqrt(len(z))
    assert np.all(np.abs(z.mean(axis=0) - expected) < 5.0 * error)
    # E_q[N(z)/q(z)] = 1 where q covers N
    ratio = np.exp(log_standard_normal(z) - mixture.log_density(z))
    assert abs(ratio.mean() - 1.0) < 5.0 * ratio.std() / np.sqrt(len(z))


def test_mixture_is_the_weighted_sum() -> None:
    parts = (PriorProposal(2), student_mixture(k=2, d=2))
    mixture = Mixture(parts, (0.25, 0.75))
    z = mixture.draw(1000, generator(5))
    expected = sum(w * np.exp(p.log_density(z)) for w, p in zip((0.25, 0.75), parts, strict=True))
    np.testing.assert_allclose(np.exp(mixture.log_density(z)), expected, rtol=1e-10)


def test_whitening_gives_mean_and_covariance() -> None:
    rng = np.random.default_rng(6)
    z, weights = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 3)), rng.random(500)
    weights /= weights.sum()
    mean, cholesky = whitening(z, weights)
    np.testing.assert_allclose(mean, np.average(z, axis=0, weights=weights), rtol=1e-12)
    expected = np.cov(z.T, aweights=weights, bias=True)
    np.testing.assert_allclose(cholesky @ cholesky.T, expected, rtol=1e-6)  # the ridge is 1e-9


def test_whitening_survives_a_single_point() -> None:
    _, cholesky = whitening(np.ones((5, 2)), np.eye(5)[0])
    assert np.all(np.isfinite(cholesky))


def test_stored_proposals_come_back() -> None:
    settings = FlowSettings("nsf", **SMALL)
    flow = FlowProposal(disturbed("nsf", 2), np.array([1.0, 2.0]), np.diag([0.5, 2.0]), settings)
    proposal = Mixture((flow, student_mixture(2, 2), PriorProposal(2)), (0.5, 0.3, 0.2))
    again = restored(*stored(proposal))
    z = proposal.draw(100, generator(7))
    np.testing.assert_array_equal(again.log_density(z), proposal.log_density(z))
