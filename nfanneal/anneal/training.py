"""Training a flow at one level: forward KL on the pool, reverse KL on fresh draws, or both."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.target import Target
from nfanneal.errors import ModelError
from nfanneal.proposals import FlowProposal, in_chunks
from nfanneal.threads import default_threads, torch_threads
from nfanneal.weights import systematic_resample

Array = NDArray[np.float64]

CHECK_EVERY = 25
"""Steps between looks at the held-out points."""
HELD_OUT = 8
"""One pool point in this many is held out."""
GRADIENT_LIMIT = 100.0
"""Limit on a draw's whitened gradient norm, per √d: one wild draw must not steer the flow."""


@dataclass(frozen=True)
class Training:
    """What training did: loss per step, best held-out loss, draws spent on gradients."""

    losses: Array
    held_out: float
    n_gradients: int


@dataclass(frozen=True)
class PoolSample:
    """Whitened pool points (n, d) in float32 with normalised weights (n,)."""

    y: torch.Tensor
    weights: Array


def train(
    proposal: FlowProposal,
    pool: PoolSample,
    target: Target,
    beta: float,
    settings: AnnealSettings,
    *,
    steps: int,
    seed: np.random.SeedSequence,
    progress: Callable[[int, int], None],
) -> Training:
    """Train `proposal.flow` in place at inverse temperature `beta`.

    Forward KL: −E_pool[log q]; reverse KL: E_q[log q − log prior − β·log L] with gradients of
    log L (Wang, Chi & Dinner 2025, arXiv:2505.03652); hybrid: their sum. Keeps the state with the
    best loss on held-out pool points (forward, hybrid): small pools are overfitted fast.
    """
    flow = proposal.flow
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    held_out, indices = _split(pool.weights, steps * settings.batch, rng)
    optimizer = torch.optim.Adam(flow.parameters(), settings.learning_rate)
    best, best_state = math.inf, copy.deepcopy(flow.state_dict())
    losses = np.empty(steps)
    n_gradients = 0
    with torch_threads(1):
        for step in range(steps):
            _set_rate(optimizer, settings.learning_rate, step / steps)
            loss = torch.zeros(())
            if settings.objective != "reverse_kl":
                batch = indices[step * settings.batch : (step + 1) * settings.batch]
                loss = loss - flow().log_prob(pool.y[batch]).mean()
            if settings.needs_gradient:
                loss = loss + _reverse_kl(proposal, target, beta, settings.batch, generator)
                n_gradients += settings.batch
            losses[step] = _descend(flow, optimizer, loss)
            last = step == steps - 1
            if settings.objective != "reverse_kl" and (
                last or step % CHECK_EVERY == CHECK_EVERY - 1
            ):
                score = _held_out_loss(flow, pool, held_out)
                if score < best:
                    best, best_state = score, copy.deepcopy(flow.state_dict())
                progress(step + 1, steps)
    if math.isfinite(best):
        flow.load_state_dict(best_state)
    return Training(losses, best, n_gradients)


def _split(
    weights: Array, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], torch.Tensor]:
    """Held-out indices, and `size` training indices drawn by weight from the others."""
    order = rng.permutation(len(weights))
    cut = len(weights) // HELD_OUT
    held_out, others = order[:cut], order[cut:]
    chosen = systematic_resample(weights[others], size, rng)
    return held_out, torch.from_numpy(others[chosen])


def _set_rate(optimizer: torch.optim.Optimizer, peak: float, progress: float) -> None:
    """Cosine decay of the learning rate to 2 % of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = peak * max(0.02, 0.5 * (1.0 + math.cos(math.pi * progress)))


def _descend(flow: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
    """One optimiser step; skipped if the loss or its gradient is not finite."""
    optimizer.zero_grad()
    if not bool(torch.isfinite(loss)):
        return math.nan
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
    if bool(torch.isfinite(norm)):
        optimizer.step()
    return float(loss.detach())


def _held_out_loss(flow: torch.nn.Module, pool: PoolSample, held_out: NDArray[np.int64]) -> float:
    """Weighted −log q over the held-out points that carry weight."""
    weights = pool.weights[held_out]
    used = np.flatnonzero(weights > 1e-3 / max(len(held_out), 1) * weights.sum())
    y = pool.y[torch.from_numpy(held_out[used])]
    log_q = in_chunks(flow().log_prob, y).double().numpy()
    return -float(weights[used] @ log_q / weights[used].sum())


def _reverse_kl(
    proposal: FlowProposal, target: Target, beta: float, n: int, generator: torch.Generator
) -> torch.Tensor:
    """A loss whose gradient is that of E_q[log q − log prior − β·log L] on n fresh draws.

    The target enters by its gradient at the draws, so only log L's values and gradients are
    needed; draws where the model failed contribute nothing.
    """
    d = target.dimension
    distribution = proposal.flow()
    noise = torch.randn(n, d, generator=generator)
    y, log_slope = distribution.transform.inv.call_and_ladj(noise)
    log_q = distribution.base.log_prob(noise) - log_slope
    z = proposal.mean + y.detach().double().numpy() @ proposal.cholesky.T
    with torch_threads(default_threads()):
        evaluation = target.evaluate(z, True)
    if evaluation.gradient is None:
        raise ModelError("the model gave no gradient; use anneal.objective: forward_kl")
    slope = (beta * evaluation.gradient - z) @ proposal.cholesky
    norm = np.linalg.norm(slope, axis=1, keepdims=True)
    slope *= np.minimum(1.0, GRADIENT_LIMIT * math.sqrt(d) / np.maximum(norm, 1e-300))
    good = torch.from_numpy(np.isfinite(evaluation.log_likelihood) & np.isfinite(norm[:, 0]))
    pull = (torch.from_numpy(slope.astype(np.float32)) * y).sum(-1)
    per_draw = (log_q - pull)[good]
    return per_draw.mean() if len(per_draw) else log_q.sum() * 0.0
