"""Training a flow at one level: forward KL on the pool, reverse KL on fresh draws, or both."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.optim.adam import adam

from nfanneal.anneal.gradients import bounded
from nfanneal.anneal.proposals.flow import FlowProposal, in_chunks
from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.weights import systematic_resample
from nfanneal.arrays import Array
from nfanneal.errors import ModelError
from nfanneal.runtime.threads import default_threads, over_threads, torch_threads
from nfanneal.target import Spent, Target

CHECK_EVERY = 25
"""Steps between looks at the held-out points."""
WORTH_SPLITTING = 8192
"""A batch of so many numbers is split in two, whatever the number of threads, for the same sums."""

Term = tuple[torch.Tensor, tuple[torch.Tensor, ...]]
"""A part of the loss with its gradient."""


@dataclass(frozen=True)
class Training:
    """What training did: loss per step, best held-out loss, gradients of log L spent."""

    losses: Array
    held_out: float
    spent: Spent


@dataclass(frozen=True)
class Moments:
    """What Adam remembers of each of a flow's parameters: moments of the gradient, and steps.

    Adam is called as a function, since its class imports torch's compiler, which takes a second.
    """

    first: list[torch.Tensor]
    second: list[torch.Tensor]
    steps: list[torch.Tensor]


@dataclass(frozen=True)
class WeightedPoints:
    """Whitened points (n, d) in float32 with weights (n,)."""

    y: torch.Tensor
    weights: Array


def train(
    proposal: FlowProposal,
    points: WeightedPoints,
    held_out: WeightedPoints,
    target: Target,
    beta: float,
    settings: AnnealSettings,
    *,
    steps: int,
    seed: np.random.SeedSequence,
    progress: Callable[[int, int], None],
) -> Training:
    """Train `proposal.flow` in place at inverse temperature `beta`.

    Forward KL: −E_points[log q]; reverse KL: E_q[log q − log prior − β·log L] with gradients of
    log L (Wang, Chi & Dinner 2025, arXiv:2505.03652); hybrid: their sum. Keeps the state with the
    best loss on the `held_out` points (forward, hybrid): few points are overfitted fast.
    """
    flow = proposal.flow
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    chosen = systematic_resample(points.weights, steps * settings.batch, rng)
    indices = torch.from_numpy(chosen)
    moments = _no_moments(flow)
    best, best_state = math.inf, copy.deepcopy(flow.state_dict())
    losses = np.empty(steps)
    spent = Spent()
    parts = 2 if settings.batch * target.dimension >= WORTH_SPLITTING else 1
    with torch_threads(1):
        for step in range(steps):
            terms: list[Term] = []
            if settings.objective != "reverse_kl":
                batch = indices[step * settings.batch : (step + 1) * settings.batch]
                of_part = partial(_forward_kl, flow, points.y, len(batch))
                terms += over_threads(of_part, batch.chunk(parts))
            if settings.needs_gradient:
                loss, used = _reverse_kl(proposal, target, beta, settings.batch, generator)
                terms.append(_term(flow, loss))
                spent += used
            losses[step] = _descend(
                flow, moments, _rate(settings.learning_rate, step / steps), terms
            )
            last = step == steps - 1
            if settings.objective != "reverse_kl" and (
                last or step % CHECK_EVERY == CHECK_EVERY - 1
            ):
                score = _held_out_loss(flow, held_out)
                if score < best:
                    best, best_state = score, copy.deepcopy(flow.state_dict())
                progress(step + 1, steps)
    if math.isfinite(best):
        flow.load_state_dict(best_state)
    return Training(losses, best, spent)


def _no_moments(flow: torch.nn.Module) -> Moments:
    parameters = list(flow.parameters())
    return Moments(
        [torch.zeros_like(p) for p in parameters],
        [torch.zeros_like(p) for p in parameters],
        [torch.zeros((), device=p.device) for p in parameters],
    )


def _rate(peak: float, progress: float) -> float:
    """Cosine decay of the learning rate to 2 % of its peak."""
    return peak * max(0.02, 0.5 * (1.0 + math.cos(math.pi * progress)))


def _forward_kl(flow: torch.nn.Module, y: torch.Tensor, n: int, rows: torch.Tensor) -> Term:
    """What some `rows` of a batch of n points add to −E[log q]."""
    return _term(flow, -flow().log_prob(y[rows]).sum() / n)


def _term(flow: torch.nn.Module, loss: torch.Tensor) -> Term:
    """A part of the loss, and its gradient by the flow's parameters."""
    return loss.detach(), torch.autograd.grad(loss, list(flow.parameters()))


def _descend(flow: torch.nn.Module, moments: Moments, rate: float, terms: Sequence[Term]) -> float:
    """One step of Adam along the terms' sum; skipped if it or its gradient is not finite."""
    loss = math.fsum(float(term) for term, _ in terms)
    for parameter, *slopes in zip(flow.parameters(), *(g for _, g in terms), strict=True):
        parameter.grad = torch.stack(slopes).sum(dim=0)
    norm = torch.nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
    if math.isfinite(loss) and bool(torch.isfinite(norm)):
        _adam(list(flow.parameters()), moments, rate)
    return loss


@torch.no_grad()
def _adam(parameters: list[torch.nn.Parameter], moments: Moments, rate: float) -> None:
    """Change the parameters by their gradients.

    Source: Kingma & Ba (2015), arXiv:1412.6980, with its defaults.
    """
    adam(
        parameters,
        [p.grad for p in parameters if p.grad is not None],
        moments.first,
        moments.second,
        [],
        moments.steps,
        fused=True,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=rate,
        weight_decay=0.0,
        eps=1e-8,
        maximize=False,
    )


def _held_out_loss(flow: torch.nn.Module, held_out: WeightedPoints) -> float:
    """Weighted −log q over the held-out points that carry weight; inf if none does."""
    weights = held_out.weights
    if not weights.any():
        return math.inf
    used = np.flatnonzero(weights > 1e-3 / max(len(weights), 1) * weights.sum())
    log_q = in_chunks(flow().log_prob, held_out.y[torch.from_numpy(used)]).double().numpy()
    return -float(weights[used] @ log_q / weights[used].sum())


def _reverse_kl(
    proposal: FlowProposal, target: Target, beta: float, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, Spent]:
    """A loss whose gradient is that of E_q[log q − log prior − β·log L] on n fresh draws.

    The target enters by its gradient at the draws, so only log L's values and gradients are
    needed. Draws where the model failed contribute nothing; where only the gradient of log L was
    dropped, log q and the prior still do: without them the flow would leave such places.
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
    slope = bounded((beta * evaluation.gradient - z) @ proposal.cholesky)
    good = np.isfinite(evaluation.log_likelihood) & np.isfinite(slope).all(axis=1)
    pull = (torch.from_numpy(slope.astype(np.float32)) * y).sum(-1)
    per_draw = (log_q - pull)[torch.from_numpy(good)]
    return per_draw.mean() if len(per_draw) else log_q.sum() * 0.0, evaluation.spent
