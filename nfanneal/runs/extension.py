"""Going on from a finished result: a checkpoint made of its proposal and its draws."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from nfanneal.anneal.archive import Archive, as_found, distinct
from nfanneal.anneal.contest import Flows
from nfanneal.anneal.journal import Checkpoint
from nfanneal.anneal.local import local_points
from nfanneal.anneal.pool import Pool, make_generation
from nfanneal.anneal.progress import LevelInfo
from nfanneal.anneal.proposals.base import Mixture, Proposal
from nfanneal.anneal.proposals.flow import FlowProposal
from nfanneal.anneal.proposals.symmetrized import unsymmetrized
from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.snapshot import Randomness, Snapshot
from nfanneal.anneal.state import KEEP_FAILED, PATH_POINTS, State
from nfanneal.anneal.weights import normalized, systematic_resample
from nfanneal.arrays import Array
from nfanneal.errors import ResultError
from nfanneal.model.problem import Problem
from nfanneal.results.diagnosis import Diagnostics
from nfanneal.results.rebuild import first_difference, stored_proposal
from nfanneal.results.result import Result
from nfanneal.results.symmetry import all_modes
from nfanneal.runs.history import HISTORY_FIELDS
from nfanneal.runs.settings import Settings
from nfanneal.target import Spent

SCOUTED = 256
"""Heavy draws of the result that stand for scouted points."""
HOT = 0.5


def extended_checkpoint(result: Result, problem: Problem, settings: Settings) -> Checkpoint:
    """The start of a further level at β = 1, whose pool are the result's draws.

    Raises:
        ResultError: the result is of another problem, was pruned or combined, or never got to 1.
    """
    problem = problem.tightened(result.diagnostics.tightening)
    _refuse_unfit(result, problem)
    proposal, level = stored_proposal(result), len(result.history.seconds)
    flow, hot = _newest_flow(proposal), _hottest(proposal)
    draws = all_modes(result.draws, result.symmetry, problem.latent, result.provenance.seed)
    z = problem.latent.to_latent(draws.theta)
    good = np.isfinite(z).all(axis=1)  # a bound of a prior, reached by rounding, has no z
    generation = make_generation(level - 1, proposal, z[good], result.draws.log_likelihood[good])
    draw_seed, local_seed = np.random.SeedSequence([settings.seed, 3, level]).spawn(2)
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))
    rng = np.random.default_rng(local_seed)
    archive, spent = _archive(result, problem, settings, z, rng)
    failed = problem.latent.to_latent(result.failed_theta[:KEEP_FAILED])
    state = State(
        level=level,
        beta=1.0,
        rounds=0,
        flows=Flows((flow,)),
        proposal=proposal,
        pool=Pool().added(generation),
        path=(generation.thinned(PATH_POINTS),),
        n_evaluations=result.counts.n_likelihood_evaluations,
        n_gradients=result.counts.n_gradient_evaluations,
        failed_z=failed[np.isfinite(failed).all(axis=1)],
        n_failed=result.counts.n_failed,
        ladder=((HOT, hot), (1.0, proposal)),
        archive=archive,
        searched_at=1.0,
        n_dropped=result.counts.n_gradients_dropped,
    ).spending(spent)
    randomness = Randomness(generator.get_state().numpy(), dict(rng.bit_generator.state), 0)
    snapshot = Snapshot(state, _history(result), randomness)
    return Checkpoint(snapshot, (), result.provenance.wall_time)


def _refuse_unfit(result: Result, problem: Problem) -> None:
    as_run = result.provenance.origin == "run"
    if not as_run or result.pruning is not None or result.combination is not None:
        raise ResultError("only the result of a run can be gone on from, as the run wrote it")
    if result.diagnostics.reached_beta < 1.0:
        raise ResultError(
            "the run ended before inverse temperature 1: start it again with more levels "
            "(anneal.max_levels) or a larger budget (anneal.max_evaluations)"
        )
    difference = first_difference(result, problem)
    if difference:
        raise ResultError(f"the result is of another model, or of other data: {difference}")


def _archive(
    result: Result, problem: Problem, settings: Settings, z: Array, rng: np.random.Generator
) -> tuple[Archive | None, Spent]:
    """Points of the posterior with the information there, where the run drew around such."""
    if settings.anneal.scout != "auto" or not problem.target.has_information:
        return None, Spent()
    rows = systematic_resample(normalized(result.draws.log_weight), SCOUTED, rng)
    points, spent = local_points(problem.target, z[rows])
    return distinct(as_found(points, np.ones(len(points.z), dtype=np.int64))), spent


def _components(proposal: Proposal) -> tuple[Proposal, ...]:
    plain = unsymmetrized(proposal)
    return plain.components if isinstance(plain, Mixture) else (plain,)


def _hottest(proposal: Proposal) -> Proposal:
    """The last component: the final mixture has its hot ones there."""
    return _components(proposal)[-1]


def _newest_flow(proposal: Proposal) -> FlowProposal:
    """The last flow before the hot ones, else any."""
    *others, last = _components(proposal)
    for candidate in map(unsymmetrized, (*reversed(others), last)):
        if isinstance(candidate, FlowProposal):
            return candidate
        if isinstance(candidate, Mixture):
            return _newest_flow(candidate)
    raise ResultError("the result holds no flow")


def _history(result: Result) -> tuple[LevelInfo, ...]:
    history, levels = result.history, []
    for i, seconds in enumerate(history.seconds):
        values = {name: history.levels[name][i].item() for name in HISTORY_FIELDS}
        info = LevelInfo(pareto_k=float("nan"), seconds=float(seconds), **values)
        mine = history.loss_levels == info.level
        levels.append(replace(info, losses=history.losses[mine]))
    return tuple(levels)


@dataclass(frozen=True)
class Earlier:
    """A finished result that is extended: by rounds at β = 1, then by draws up to an ESS.

    Without rounds its own draws stay, since they are of the same proposal.
    """

    result: Result
    rounds: int
    target_ess: float | None = None

    def seed(self, settings: Settings) -> list[int]:
        """Another one than that of the draws that the flows are trained on now."""
        return [
            settings.seed,
            2,
            len(self.result.history.seconds),
            self.result.diagnostics.n_samples,
        ]

    def settings(self, annealing: AnnealSettings) -> AnnealSettings:
        """So many rounds, whatever the ESS; the budget was that of the first run."""
        return replace(
            annealing,
            max_rounds=self.rounds + 1,
            extra_rounds=0,
            target_ess=math.inf,
            max_levels=len(self.result.history.seconds) + self.rounds + 1,
            max_evaluations=None,
        )

    def cautious(self, now: Diagnostics) -> Diagnostics:
        """What the first run's path saw beside its flow, rounds at β = 1 cannot see."""
        before = self.result.diagnostics
        names = ["path_log_evidence", "path_log_evidence_error"]
        if before.uncovered_mass > now.uncovered_mass:
            names += ["uncovered_mass", "uncovered_error"]
        return replace(now, **{name: getattr(before, name) for name in names})
