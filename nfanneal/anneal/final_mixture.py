"""The final proposal: a mixture of the last levels' proposals, fitted to the newest points."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from nfanneal.anneal.pool import Pool
from nfanneal.anneal.proposals.base import Mixture, PriorProposal, Proposal
from nfanneal.anneal.weights import normalized, tempered, truncated
from nfanneal.arrays import Array

LEAST_SHARE = 0.05
"""Share of the fitted part that is spread evenly over its components."""
ITERATIONS = 200
DEFENSIVE_SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
"""What the hot proposals and the prior may have in all."""
PREMIUM = 1.15
"""The variance of the weights, as the newest points see it, may grow by such a factor for it."""


def final_mixture(pool: Pool, beta: float, levels: int, hot: tuple[Proposal, ...]) -> Mixture:
    """The mixture of the proposals of the pool's last `levels` that fits its newest points best.

    The newest level's points took no part in any training, so that an overfitted flow gets no
    credit for its own training points. No likelihood is evaluated. The `hot` proposals and the
    prior bound the weights in the far tails, which a flow trained at β = 1 draws too rarely, with
    weights that no error estimate sees. They get the largest share that hardly costs effective
    draws among the newest points, since those miss the same tails and would have too little. Every
    proposal must have drawn points of the pool, whose densities are known.

    Source: Hesterberg (1995), Weighted average importance sampling and defensive mixture
    distributions, doi:10.1080/00401706.1995.10484303.
    """
    newest = pool.generations[-1].level
    last = [i for i, g in enumerate(pool.generations) if g.level == newest]
    own = Pool(
        tuple(pool.generations[i] for i in last),
        tuple(tuple(pool.densities[i][j] for j in last) for i in last),
    )
    log_weights = tempered(own.log_base_weights(), own.log_likelihood, beta)
    prior = PriorProposal(own.z.shape[1])
    column = {id(g.proposal): j for j, g in enumerate(pool.generations)}
    hotter = [column[id(q)] for q in hot if q != prior]
    recent = {column[id(g.proposal)] for g in pool.generations if g.level > max(newest - levels, 0)}
    fitted = [j for j in sorted(recent - {*hotter}) if pool.generations[j].proposal != prior]

    def log_densities(columns: list[int]) -> list[Array]:
        return [np.concatenate([pool.densities[i][j] for i in last]) for j in columns]

    log_q = np.stack(log_densities(fitted))
    shares = mixture_shares(log_q, truncated(log_weights))
    shares = (1.0 - LEAST_SHARE) * shares + LEAST_SHARE / len(shares)
    log_fitted = logsumexp(log_q + np.log(shares)[:, None], axis=0)
    log_prior = np.concatenate([g.log_prior for g in own.generations])
    defence = [*(pool.generations[j].proposal for j in hotter), prior]
    log_defence = logsumexp([*log_densities(hotter), log_prior], axis=0) - np.log(len(defence))
    log_target = tempered(log_prior, own.log_likelihood, beta)
    share = defensive_share(log_fitted, log_defence, log_target, log_weights)
    proposals = (*(pool.generations[j].proposal for j in fitted), *defence)
    evenly = [share / len(defence)] * len(defence)
    return Mixture(proposals, (*((1.0 - share) * shares).tolist(), *evenly))


def defensive_share(
    log_fitted: Array, log_defence: Array, log_target: Array, log_weights: Array
) -> float:
    """The largest of `DEFENSIVE_SHARES` at which the weights vary little more than at the best.

    Arguments: log densities (n,) of both parts of a mixture and of the target, up to a constant,
    at points with log-weights (n,) under the target.
    """
    weights = normalized(log_weights)
    used = weights > 0
    if not used.any():
        return DEFENSIVE_SHARES[-1]
    squares = []  # the mean square of the weights under the mixture, but for a constant
    for share in DEFENSIVE_SHARES:
        parts = log_fitted[used] + np.log1p(-share), log_defence[used] + np.log(share)
        log_ratio = log_target[used] - np.logaddexp(*parts)
        squares.append(logsumexp(log_ratio, b=weights[used]))
    cheap = np.flatnonzero(np.array(squares) <= min(squares) + np.log(PREMIUM))
    return DEFENSIVE_SHARES[int(cheap[-1])]


def mixture_shares(log_densities: Array, weights: Array) -> Array:
    """Shares α (k,) that maximise Σ_i w_i log Σ_j α_j q_j(z_i), for log q (k, n) and w (n,).

    Source: the EM iteration for mixture proportions, Cappé et al. (2008), Adaptive importance
    sampling in general mixture classes, arXiv:0710.4242.
    """
    used = (weights > 0) & np.isfinite(log_densities).any(axis=0)
    log_q, w = log_densities[:, used], weights[used] / max(weights[used].sum(), 1e-300)
    density = np.exp(log_q - log_q.max(axis=0, initial=-np.inf))
    shares = np.full(len(density), 1.0 / len(density))
    for _ in range(ITERATIONS if len(w) else 0):
        shares = shares * (density @ (w / np.maximum(shares @ density, 1e-300)))
        shares = shares / shares.sum()
    return shares
