"""The final proposal: a mixture of the last levels' proposals, fitted to the newest points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.pool import Pool, tempered
from nfanneal.proposals import Mixture, Proposal
from nfanneal.weights import truncated

Array = NDArray[np.float64]

LEAST_SHARE = 0.05
"""Share of the mixture that is spread evenly over its components."""
ITERATIONS = 200
HOT_SHARE = 0.15
"""Share of the hot proposals."""


def final_mixture(pool: Pool, beta: float, levels: int, hot: tuple[Proposal, ...]) -> Mixture:
    """The mixture of the proposals of the pool's last `levels` that fits its newest points best.

    The newest level's points took no part in any training, so that an overfitted flow gets no
    credit for its own training points. No likelihood is evaluated. The `hot` proposals get
    `HOT_SHARE` in any case, which bounds the weights in the far tails: a flow trained at β = 1
    draws them too rarely, with weights that no error estimate sees.

    Source: Hesterberg (1995), Weighted average importance sampling and defensive mixture
    distributions, doi:10.1080/00401706.1995.10484303.
    """
    newest = pool.generations[-1].level
    last = [i for i, g in enumerate(pool.generations) if g.level == newest]
    own = Pool(
        tuple(pool.generations[i] for i in last),
        tuple(tuple(pool.densities[i][j] for j in last) for i in last),
    )
    weights = truncated(tempered(own.log_base_weights(), own.log_likelihood, beta))
    columns = {
        id(g.proposal): j
        for j, g in enumerate(pool.generations)
        if g.level > max(newest - levels, 0) and all(g.proposal is not q for q in hot)
    }
    chosen = list(columns.values())
    log_q = np.stack([np.concatenate([pool.densities[i][j] for i in last]) for j in chosen])
    shares = mixture_shares(log_q, weights)
    shares = (1.0 - LEAST_SHARE) * shares + LEAST_SHARE / len(shares)
    proposals = (*(pool.generations[j].proposal for j in chosen), *hot)
    hot_shares = [HOT_SHARE / len(hot)] * len(hot)
    return Mixture(proposals, (*((1.0 - HOT_SHARE) * shares).tolist(), *hot_shares))


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
