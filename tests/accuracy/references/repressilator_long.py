"""The log-evidence of configs/repressilator_long.yaml by population Monte Carlo, without flows.

    python tests/accuracy/references/repressilator_long.py SEED > seed.json

A sixteenth of 65,536 draws from the prior start a least-squares search, and a quarter one in the
order of time if few of those end near the best place. Student-t components around 4,000 of the
ends are the first proposal. 25 times, 50,000 draws are weighted; 4,000 points of the last four
generations, chosen by their weights and shaped by the Fisher information there, are the next
proposal. The evidence is that of 400,000 fresh draws of all components of the last ten
generations: no single one of them covers thin parts as well, and in one of a hundred generations
a single draw weighs more than all others.

Source: Cappé et al. (2004), Population Monte Carlo, doi:10.1198/106186004X12803.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp

import nfanneal.anneal.scout as scouting
from nfanneal.anneal import local
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.weights import (
    effective_sample_size,
    evidence,
    normalized,
    pareto_k,
    systematic_resample,
)
from nfanneal.arrays import concatenated
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import read_spec

CONFIG = Path(__file__).parents[3] / "configs" / "repressilator_long.yaml"
STARTS, COMPONENTS, DRAWS, GENERATIONS, KEPT = 65_536, 4000, 50_000, 25, 4
LAST, FRESH, CHUNK = 10, 400_000, 20_000
STIFFNESS = (1.0, 10.0, 100.0, 1000.0)
"""Prior curvatures of the components, in turn; the last are shorter than the program's."""


def tempered(log_weights, least):
    """Weights ∝ w^b with the largest b ≤ 1 that leaves `least` effective points."""
    b = 1.0
    while True:
        weights = np.exp(b * log_weights - logsumexp(b * log_weights))
        if 1.0 / (weights**2).sum() >= least or b < 0.05:
            return weights
        b *= 0.9


def weighted(target, proposal, n, generator):
    """n draws of the proposal, (n, d), and their log-weights, (n,)."""
    z = proposal.draw(n, generator)
    log_weight = target.evaluate(z, False).log_likelihood + log_standard_normal(z)
    return z, log_weight - proposal.log_density(z)


def main(seed):
    target = build_problem(read_spec(CONFIG)).target
    local.STIFFNESS = STIFFNESS
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    prior = rng.standard_normal((STARTS, target.dimension))
    ends, spent = scouting.scout(target, prior, target.evaluate(prior, False).log_likelihood)
    centres, estimates, kept, last = ends.chosen(1.0, COMPONENTS, rng), [], [], []
    for generation in range(GENERATIONS):
        last = [*last[1 - LAST :], centres]
        kept = [*kept[1 - KEPT :], weighted(target, centres.mixture(1.0), DRAWS, generator)]
        found = evidence(kept[-1][1])
        estimates.append(round(found.log_evidence, 4))
        print(generation, found, file=sys.stderr, flush=True)
        points, log_weights = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        heaviest = np.argsort(-log_weights)[: COMPONENTS // 4]
        weights = tempered(log_weights, 2 * COMPONENTS)
        rows = np.union1d(heaviest, systematic_resample(weights, 3 * COMPONENTS // 4, rng))
        centres, more = local.local_points(target, points[rows])
        spent += more
    proposal = concatenated(last).mixture(1.0)
    parts = [weighted(target, proposal, CHUNK, generator)[1] for _ in range(FRESH // CHUNK)]
    log_weight = np.concatenate(parts)
    final = evidence(log_weight)
    found = {"seed": seed, "log_evidence": final.log_evidence, "error": final.error}
    found |= {"ess": effective_sample_size(normalized(log_weight))}
    found |= {"pareto_k": pareto_k(log_weight), "gradients": spent.gradients}
    found |= {"evaluations": STARTS + GENERATIONS * DRAWS + FRESH}
    print(json.dumps(found | {"generations": estimates}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
