"""The log-evidence of configs/repressilator_long.yaml by population Monte Carlo, without flows.

    python tests/references/repressilator_long.py SEED > seed.json

A quarter of 65,536 draws from the prior start a least-squares search. Student-t components around
4,000 of the ends are the first proposal. 60 times, 50,000 fresh draws are weighted; 4,000 points
of the last four generations, chosen by their weights and shaped by the Fisher information there,
are the next proposal. Every generation's evidence rests on fresh draws of a proposal that was fixed
before, so that the mean over the last 40 is unbiased, however the proposals came about.

Source: Cappé et al. (2004), Population Monte Carlo, doi:10.1198/106186004X12803.
"""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp

import nfanneal.anneal.scout as scouting
from nfanneal.api import read_spec
from nfanneal.assembly import build_problem
from nfanneal.proposals import log_standard_normal
from nfanneal.weights import systematic_resample

CONFIG = Path(__file__).parents[2] / "configs" / "repressilator_long.yaml"
STARTS, COMPONENTS, DRAWS, GENERATIONS, KEPT, LAST = 65_536, 4000, 50_000, 60, 4, 40
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


def main(seed):
    target = build_problem(read_spec(CONFIG)).target
    scouting.STIFFNESS = STIFFNESS
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    prior = rng.standard_normal((STARTS, target.dimension))
    ends, spent = scouting.scout(target, prior, target.evaluate(prior, False).log_likelihood)
    centres, estimates, kept = ends.chosen(1.0, COMPONENTS, rng), [], []
    for generation in range(GENERATIONS):
        proposal = centres.mixture(1.0)
        z = proposal.draw(DRAWS, generator)
        log_weight = target.evaluate(z, False).log_likelihood + log_standard_normal(z)
        log_weight -= proposal.log_density(z)
        estimates.append(logsumexp(log_weight) - math.log(DRAWS))
        ess = math.exp(2 * logsumexp(log_weight) - logsumexp(2 * log_weight))
        print(f"{generation} {estimates[-1]:.3f} ESS {ess:.0f}", file=sys.stderr, flush=True)
        kept = [*kept[1 - KEPT :], (z, log_weight)]
        points, log_weights = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        heaviest = np.argsort(-log_weights)[: COMPONENTS // 4]
        weights = tempered(log_weights, 2 * COMPONENTS)
        rows = np.union1d(heaviest, systematic_resample(weights, 3 * COMPONENTS // 4, rng))
        centres, more = scouting.local_points(target, points[rows])
        spent = replace(spent, gradients=spent.gradients + more.gradients)
    last = np.exp(np.array(estimates[-LAST:]))
    error = last.std(ddof=1) / last.mean() / math.sqrt(LAST)
    found = {"seed": seed, "log_evidence": math.log(last.mean()), "error": error}
    found |= {"evaluations": STARTS + GENERATIONS * DRAWS, "gradients": spent.gradients}
    print(json.dumps(found | {"generations": [round(float(e), 4) for e in estimates]}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
