"""From a problem to a result: anneal, draw afresh, weigh, check coverage, summarise."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from numpy.typing import NDArray

from nfanneal.anneal.coverage import check_coverage
from nfanneal.anneal.final_draws import FinalDraws, around_heavy, drawn_until, final_draws
from nfanneal.anneal.journal import Journal, Values
from nfanneal.anneal.loop import AnnealResult, anneal, outcome_of
from nfanneal.anneal.progress import Activity, LevelInfo, Observer
from nfanneal.anneal.proposals.architectures import FlowSettings
from nfanneal.anneal.proposals.stored import Proposal, stored
from nfanneal.anneal.settings import AnnealSettings
from nfanneal.anneal.weights import evidence
from nfanneal.model.likelihood import DataLikelihood
from nfanneal.model.problem import Problem, by_halves
from nfanneal.model.python_model import Predictions
from nfanneal.results.result import (
    Diagnostics,
    History,
    ObservedData,
    Result,
    StoredFlow,
    WeightedDraws,
    diagnose,
    equal_weight_indices,
    warnings_of,
)
from nfanneal.version import __version__

Array = NDArray[np.float64]

HISTORY_FIELDS = (
    "level",
    "beta",
    "next_beta",
    "ess",
    "truncated_ess",
    "pool_ess",
    "log_evidence",
    "held_out",
    "n_evaluations",
    "n_gradients",
    "n_failed",
)
MOST_PER_EFFECTIVE = 100
"""Draws per effective one that are made at most, where an ESS is wanted."""
LIBRARIES = ("torch", "zuko", "numpy", "scipy", "numba", "sympy", "h5py")


@dataclass(frozen=True)
class Settings:
    """How to estimate: flow, annealing, the seed, and final draws: more than `samples`, up to

    `most_samples`, where fewer than `enough_ess` of them are effective."""

    flow: FlowSettings
    anneal: AnnealSettings
    samples: int
    most_samples: int
    enough_ess: float
    seed: int


Drawn = tuple[WeightedDraws, NDArray[np.bool_]]
"""Draws, and at which of them the model failed."""


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


def estimate(
    problem: Problem,
    settings: Settings,
    spec_yaml: str = "",
    *,
    command: str = "",
    observe: Observer = lambda event: None,
    journal: Journal | None = None,
    earlier: Earlier | None = None,
) -> Result:
    """Run the whole estimation; the same problem, settings and threads give the same result.

    All that the model says goes through the `journal`; one that was resumed goes on where the
    run before it was stopped. An `earlier` result is extended, by a journal that starts there.

    Raises:
        ModelError: the model raised, or its likelihood is zero wherever it was evaluated.
    """
    journal = journal or Journal()
    target = journal.recorded(problem.target)
    seeds = np.random.SeedSequence(earlier.seed(settings) if earlier else settings.seed)
    anneal_seed, draw_seed, choice_seed, noise_seed = seeds.spawn(4)
    if earlier and not earlier.rounds:
        annealed = _as_it_was(journal)
    else:
        annealing = earlier.settings(settings.anneal) if earlier else settings.anneal
        annealed = anneal(target, settings.flow, annealing, anneal_seed, observe, journal=journal)
    generator = torch.Generator().manual_seed(int(draw_seed.generate_state(1, np.uint64)[0]))

    def draw(n: int) -> Drawn:
        return final_draws(problem, annealed.proposal, n, generator, observe, target=target)

    if earlier and not earlier.rounds:
        final = FinalDraws(earlier.result.draws, np.empty(0, dtype=bool), annealed.proposal)
    else:
        final = _enough_draws(settings, annealed.n_evaluations, annealed.proposal, draw)
    if earlier:
        wanted = earlier.target_ess or 0.0
        final = drawn_until(final, wanted, math.ceil(MOST_PER_EFFECTIVE * wanted), draw)
    if settings.most_samples > settings.samples:
        left = _left(settings, annealed.n_evaluations + len(final.failed))
        final = around_heavy(final, problem, target, left, generator, observe)
    draws, failed, annealed = final.draws, final.failed, _after(annealed, final)
    observe(Activity("checking coverage", 0, 1))
    diagnostics = _diagnostics(draws, annealed)
    if earlier:
        diagnostics = earlier.cautious(diagnostics)
    chosen = equal_weight_indices(draws.log_weight, np.random.default_rng(choice_seed))
    posterior = draws.theta[chosen]
    noise = np.random.default_rng(noise_seed)
    failed_theta = problem.latent.from_latent(annealed.failed_z)
    fresh = draws.theta[len(draws.theta) - len(failed) :]
    return Result(
        name=problem.name,
        spec_yaml=spec_yaml,
        seed=settings.seed,
        parameters=tuple(p.name for p in problem.latent.parameters),
        sizes=tuple(p.size for p in problem.latent.parameters),
        labels=tuple(p.label or p.name for p in problem.latent.parameters),
        units=tuple(p.unit or "" for p in problem.latent.parameters),
        draws=draws,
        posterior=posterior,
        posterior_index=chosen,
        diagnostics=diagnostics,
        warnings=warnings_of(diagnostics),
        history=_history(annealed.history),
        observed=observed_at(problem, posterior, noise, observe, journal=journal),
        flow=StoredFlow(*stored(annealed.proposal, settings.flow)),
        n_likelihood_evaluations=annealed.n_evaluations + len(failed),
        n_gradient_evaluations=annealed.n_gradients,
        n_gradients_dropped=annealed.n_dropped,
        n_failed=annealed.n_failed + int(failed.sum()),
        failed_theta=np.concatenate([failed_theta, fresh[failed]]),
        wall_time=journal.seconds,
        versions=_versions(),
        command=command,
    )


def _after(annealed: AnnealResult, final: FinalDraws) -> AnnealResult:
    """The annealing, with the proposal and the gradients of the final draws."""
    return replace(
        annealed,
        proposal=final.proposal,
        n_gradients=annealed.n_gradients + final.spent.gradients,
        n_dropped=annealed.n_dropped + final.spent.dropped,
    )


def _as_it_was(journal: Journal) -> AnnealResult:
    """The annealing that a journal starts after."""
    if journal.snapshot is None:
        raise ValueError("the journal does not start from a result")
    return outcome_of(journal.snapshot.state, journal.snapshot.history)


def _enough_draws(
    settings: Settings, spent: int, proposal: Proposal, draw: Callable[[int], Drawn]
) -> FinalDraws:
    """The final draws, and more until enough are effective: they are cheap beside the training.

    In all at most as many as the annealing took, and as the budget has left; `samples` in any case.
    """
    affordable = min(spent, _left(settings, spent))
    most = int(max(min(settings.most_samples, affordable), settings.samples))
    first = FinalDraws(*draw(settings.samples), proposal)
    return drawn_until(first, settings.enough_ess, most, draw)


def _left(settings: Settings, spent: int) -> float:
    """The evaluations that the budget has left."""
    budget = settings.anneal.max_evaluations
    return math.inf if budget is None else budget - spent


def _diagnostics(draws: WeightedDraws, annealed: AnnealResult) -> Diagnostics:
    log_evidence = evidence(draws.log_weight).log_evidence
    coverage = check_coverage(annealed.path, annealed.proposal, log_evidence)
    return diagnose(
        draws.log_weight,
        uncovered=(coverage.uncovered_mass, coverage.uncovered_error),
        path_evidence=(coverage.path_evidence.log_evidence, coverage.path_evidence.error),
        reached_beta=annealed.reached,
    )


def _history(levels: tuple[LevelInfo, ...]) -> History:
    return History(
        levels={name: np.array([getattr(i, name) for i in levels]) for name in HISTORY_FIELDS},
        losses=np.concatenate([info.losses for info in levels]),
        loss_levels=np.repeat([i.level for i in levels], [len(i.losses) for i in levels]),
        seconds=np.array([info.seconds for info in levels]),
    )


def observed_at(
    problem: Problem,
    posterior: Array,
    rng: np.random.Generator,
    observe: Observer = lambda event: None,
    *,
    journal: Journal | None = None,
) -> Mapping[str, ObservedData]:
    """Data, pointwise log-likelihood and posterior predictive replicates per observable."""
    likelihood = problem.likelihood
    if not isinstance(likelihood, DataLikelihood):
        return {}
    predictions = _predictions(problem, likelihood, posterior, observe, journal or Journal())
    pointwise = likelihood.pointwise(posterior, predictions)
    replicates = likelihood.draw(posterior, predictions, rng)
    return {
        series.name: ObservedData(
            times=likelihood.all_times[series.time_index],
            values=series.values,
            pointwise=pointwise[series.name],
            replicates=replicates[series.name],
        )
        for series in likelihood.series
    }


def _predictions(
    problem: Problem,
    likelihood: DataLikelihood,
    posterior: Array,
    observe: Observer,
    journal: Journal,
) -> Predictions:
    """Predictions at the posterior draws θ (n, d), a chunk at a time, by way of the journal."""
    parts: list[Values] = []
    for start in range(0, len(posterior), problem.chunk):
        theta = posterior[start : start + problem.chunk]

        def ask(theta: Array = theta) -> Values:
            found = by_halves(likelihood.predict, theta)
            return {
                "values": np.concatenate([part.values for part in found]),
                "failed": np.concatenate([part.failed for part in found]),
            }

        parts.append(journal.answer(theta, "predictions", ask))
        observe(Activity("predicting the data", start + len(theta), len(posterior)))
    values = np.concatenate([part["values"] for part in parts])
    return Predictions(values, np.concatenate([part["failed"] for part in parts]), {})


def _versions() -> dict[str, str]:
    found = {"nfanneal": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "unknown"
    return found
