"""Symmetries in a run: looked for when annealing has ended, used by the final proposal."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nfanneal.anneal.exchanges import Exchanges
from nfanneal.anneal.outcome import AnnealResult
from nfanneal.anneal.progress import Activity, Observer
from nfanneal.anneal.proposals.symmetrized import symmetrized
from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.symmetry import find_symmetry
from nfanneal.model.latent import LatentMap
from nfanneal.results.draws import WeightedDraws
from nfanneal.results.symmetry import Symmetry, all_modes, folded
from nfanneal.runs.extension import Earlier
from nfanneal.target import Target


def made_symmetric(
    target: Target,
    annealed: AnnealResult,
    settings: AnnealSettings,
    seed: np.random.SeedSequence,
    earlier: Earlier | None = None,
    observe: Observer = lambda event: None,
) -> tuple[AnnealResult, Symmetry | None, int]:
    """The annealing with a final proposal that is symmetric where the posterior is.

    And what was found, and how many evaluations that took: no more than the budget has left. A
    result that is extended by draws alone keeps the proposal that its draws are of, one that is
    extended by rounds the symmetry that it knows.
    """
    known = earlier.result.symmetry if earlier else None
    if earlier and not earlier.rounds:
        return annealed, known, 0
    if known is not None:
        return _under(annealed, known.group), replace(known, folded=False), 0
    observe(Activity("looking for symmetries", 0, 1))
    budget = settings.max_evaluations
    found = find_symmetry(
        target,
        np.concatenate([generation.z for generation in annealed.path]),
        np.concatenate([generation.log_likelihood for generation in annealed.path]),
        np.random.default_rng(seed),
        math.inf if budget is None else max(budget - annealed.n_evaluations, 0),
        annealed.archive,
    )
    if not found.any:
        return annealed, None, found.n_evaluations
    told = Symmetry(found.group, found.generators, found.used, False, found.n_evaluations)
    return _under(annealed, found.group), told, found.n_evaluations


def _under(annealed: AnnealResult, group: Exchanges) -> AnnealResult:
    return replace(annealed, proposal=symmetrized(annealed.proposal, group))


def as_wanted(
    draws: WeightedDraws, symmetry: Symmetry | None, fold: bool, latent: LatentMap
) -> tuple[WeightedDraws, Symmetry | None]:
    """All draws in one labelling if they are to be folded, and a symmetry that says so."""
    if symmetry is None:
        return draws, None
    if not fold:
        return draws, replace(symmetry, folded=False)
    return folded(draws, symmetry, latent), replace(symmetry, folded=True)


def kept_draws(earlier: Earlier, fold: bool, latent: LatentMap) -> WeightedDraws:
    """The draws of a result that is extended: of all modes, unless they are to be folded again."""
    result = earlier.result
    if fold:
        return result.draws
    return all_modes(result.draws, result.symmetry, latent, result.provenance.seed)
