"""What optima weigh: draws around each say what mass it has, whatever its curvature says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy.special import logsumexp

from nfanneal.anneal.archive import Archive
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.weights import effective_sample_size, normalized
from nfanneal.arrays import rows_of
from nfanneal.target import Spent, Target

DRAWS_EACH = 64
"""Draws around each optimum."""
AT_ONCE = 64
"""Optima that are weighed at a time, the heaviest that matter …"""
MOST_TIMES = 4
"""… and so many times, as others come to matter where these prove light."""


def weighed(
    archive: Archive, target: Target, generator: torch.Generator, most: float = math.inf
) -> tuple[Archive, Spent, int]:
    """The archive with what draws say of its optima that matter; what it took, and failures.

    No more than so many evaluations are made at `most`.
    """
    spent, n_failed = Spent(), 0
    for _ in range(MOST_TIMES):
        left = int(min((most - spent.evaluations) / DRAWS_EACH, AT_ONCE))
        rows = np.flatnonzero(archive.matters & np.isnan(archive.drawn))[:left]
        if not len(rows):
            break
        few = rows_of(archive, rows)
        mixture = few.components(few.z, np.zeros(len(few)))
        z = mixture.draw(DRAWS_EACH * len(few), generator)
        found = target.evaluate(z, False)
        log_weight = log_standard_normal(z) + found.log_likelihood - mixture.log_density(z)
        mode = few.modes(z)
        drawn, effective = archive.drawn.copy(), archive.effective.copy()
        for k, row in enumerate(rows):
            own = log_weight[mode == k]
            drawn[row] = logsumexp(own) - np.log(len(z)) if len(own) else -np.inf
            effective[row] = effective_sample_size(normalized(own))
        archive = replace(archive, drawn=drawn, effective=effective)
        spent += Spent(evaluations=len(z))
        n_failed += int(found.failed.sum())
    order = np.argsort(-archive.log_masses, kind="stable")
    return rows_of(archive, order), spent, n_failed
