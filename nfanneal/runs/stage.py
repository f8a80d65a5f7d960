"""A stage of a run: what it shares with the others, and what it came to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nfanneal.anneal.final_draws import FinalDraws, fitted_share
from nfanneal.anneal.journal import Journal
from nfanneal.anneal.outcome import AnnealResult
from nfanneal.anneal.progress import Observer
from nfanneal.anneal.second_opinion import Opinion
from nfanneal.anneal.tails import Drawn
from nfanneal.model.problem import Problem
from nfanneal.results.draws import WeightedDraws
from nfanneal.results.symmetry import Symmetry
from nfanneal.runs.extension import Earlier
from nfanneal.runs.settings import Settings
from nfanneal.target import Spent, Target


@dataclass(frozen=True)
class Task:
    """What all stages share. `target` is that of the problem, through the journal."""

    problem: Problem
    target: Target
    settings: Settings
    journal: Journal
    observe: Observer
    earlier: Earlier | None


@dataclass(frozen=True)
class Stage:
    """What a stage came to: its annealing, its draws, and what walked points say of them.

    `kept` are an earlier result's draws, where these go on from them. `searched`: evaluations that
    a search for symmetries took. `unseen`: see `Drawn`.
    """

    annealed: AnnealResult
    symmetry: Symmetry | None
    searched: int
    final: FinalDraws
    kept: WeightedDraws | None
    opinion: Opinion | None
    unseen: float = 0.0

    @property
    def fresh(self) -> int:
        """How many draws were evaluated, past those that an earlier result had."""
        return len(self.final.draws.z) - (0 if self.kept is None else len(self.kept.theta))

    @property
    def drawn(self) -> Drawn:
        """How the draws were made, as far as it matters to their tails."""
        state, final = self.annealed.state, self.final
        annealed = tuple(part.side for part in state.parts)
        return Drawn(lambda: fitted_share(final, state.wide), annealed, self.unseen)

    @property
    def n_evaluations(self) -> int:
        """Evaluations of log L so far."""
        return self.annealed.n_evaluations + self.spent.evaluations

    @property
    def spent(self) -> Spent:
        """What was asked since the annealing of the stage ended."""
        asked = Spent(evaluations=self.searched + self.fresh) + self.final.spent
        return asked if self.opinion is None else asked + self.opinion.spent

    @property
    def n_failed(self) -> int:
        """How many of these failed."""
        failed = int(self.final.draws.failed.sum())
        return failed if self.opinion is None else failed + self.opinion.n_failed


def left_of(settings: Settings, spent: int) -> float:
    """The evaluations that the budget has left."""
    budget = settings.anneal.max_evaluations
    return math.inf if budget is None else budget - spent
