"""The race: every sampler on the same likelihood, threads and seeds, and what it all came to."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nfanneal.anneal.progress import Event, LevelInfo
from nfanneal.anneal.proposals import spline
from nfanneal.anneal.proposals import student_density as student
from nfanneal.bench.samplers import merit
from nfanneal.bench.samplers.meter import BudgetSpent, Meter
from nfanneal.bench.samplers.peer import Drawn, Settings
from nfanneal.bench.samplers.peers import PEERS, changed, metered_run
from nfanneal.bench.samplers.results import Bench, Outcome, Reference, Run, Score
from nfanneal.model.executors import Pooled
from nfanneal.model.problem import Problem
from nfanneal.runs.estimate import estimate
from nfanneal.runs.settings import Settings as OwnSettings
from nfanneal.runtime.limits import job_cores
from nfanneal.runtime.threads import default_threads
from nfanneal.version import versions_of

NOT_TRUSTED = "not to be trusted (exit code 5 of run)"
LIBRARIES = ("torch", "zuko", "numpy", "scipy", "numba", "scikit-learn")
WARM_UP = 64


@dataclass(frozen=True)
class Plan:
    """What to run: nfanneal with these settings, these peers, each with these seeds.

    `own` settings and `changes` to a peer's go by name; `budget` is in seconds per run.
    """

    own: Mapping[str, OwnSettings]
    peers: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: float
    changes: Mapping[str, Settings] = field(default_factory=dict)


@dataclass(frozen=True)
class _Finished:
    """A run with its draws, which are needed once, when all runs are there."""

    run: Run
    drawn: Drawn | None = None
    own: bool = False


Contestant = Callable[[int], _Finished]


def race(
    problem: Problem,
    plan: Plan,
    *,
    spec_digest: str = "",
    observe: Callable[[Run], None] = lambda run: None,
) -> Bench:
    """Run everything of the plan, one run after the other, and score it.

    The samplers take turns, one seed after the other, so that a machine that slows down slows
    all of them down. `observe` is told of every run that has ended. Ctrl-C ends the race, and
    those runs are scored.

    Raises:
        ModelError: the model raised at draws of the prior.
        KeyboardInterrupt: no run had ended.
    """
    _warm_up(problem)
    contestants = _contestants(problem, plan)
    finished: list[_Finished] = []
    interrupted = False
    try:
        with _all_threads(default_threads()):
            for seed, contestant in product(plan.seeds, contestants.values()):
                if isinstance(problem.executor, Pooled):  # each pays for its own answers
                    problem.executor.memory.forget()
                finished.append(contestant(seed))
                observe(finished[-1].run)
    except KeyboardInterrupt:
        if not finished:
            raise
        interrupted = True
    reference = _reference(finished)
    runs = tuple(_with_distance(f, finished) for f in finished)
    by_name = {name: [run for run in runs if run.sampler == name] for name in contestants}
    return Bench(
        name=problem.name,
        spec_digest=spec_digest,
        dimension=problem.latent.dimension,
        seeds=plan.seeds,
        budget=plan.budget,
        threads=default_threads(),
        runs=runs,
        scores=tuple(score(name, own) for name, own in by_name.items() if own),
        reference=reference,
        settings=_settings(problem, plan),
        versions=_versions(plan),
        machine=_machine(),
        interrupted=interrupted,
    )


def own_name(variant: str) -> str:
    """What nfanneal with this schedule or preset is called in tables."""
    return f"nfanneal ({variant})"


def by_schedule(settings: OwnSettings, schedules: Sequence[str]) -> dict[str, OwnSettings]:
    """These settings with each of the schedules, by the names that tables give them."""
    return {
        own_name(name): replace(settings, anneal=replace(settings.anneal, schedule=name))
        for name in schedules
    }


def _contestants(problem: Problem, plan: Plan) -> dict[str, Contestant]:
    ours: dict[str, Contestant] = {
        name: partial(_own_run, problem, settings, plan.budget, name)
        for name, settings in plan.own.items()
    }
    peers = {name: partial(_peer_run, problem, plan, name) for name in plan.peers}
    return {**ours, **peers}


def _warm_up(problem: Problem) -> None:
    """Let all machine code be compiled before any clock runs."""
    spline.kernel()
    student.kernel()
    z = np.random.default_rng(0).standard_normal((WARM_UP, problem.latent.dimension))
    problem.evaluate(z, False)
    if problem.likelihood.differentiable:
        problem.evaluate(z, True)
    if problem.data is not None:
        problem.data.simulator.compile_all()


@contextmanager
def _all_threads(count: int) -> Iterator[None]:
    """Hold all pools to so many threads, those too that a sampler's libraries brought along."""
    with threadpool_limits(count):
        yield


def _peer_run(problem: Problem, plan: Plan, name: str, seed: int) -> _Finished:
    """One run of a peer; whatever it raises becomes a row."""
    run = Run(name, seed, Outcome.DONE)
    if not PEERS[name].installed:
        message = f"not installed: {PEERS[name].how_to_install}"
        return _Finished(replace(run, outcome=Outcome.NOT_INSTALLED, message=message))
    meter = Meter(problem, plan.budget)
    outcome, message, drawn = _caught(
        lambda: metered_run(name, meter, seed, plan.changes.get(name))
    )
    run = replace(run, outcome=outcome, message=message, n_likelihood=meter.calls)
    return _Finished(_with_numbers(run, drawn, meter.seconds), drawn)


def _own_run(
    problem: Problem, settings: OwnSettings, budget: float, name: str, seed: int
) -> _Finished:
    """One run of nfanneal, as `run` makes it, under the same clock."""
    started = time.perf_counter()
    path: list[tuple[float, float, float]] = []
    spent = {"likelihood": 0, "gradient": 0}

    def observe(event: Event) -> None:
        seconds = time.perf_counter() - started
        if isinstance(event, LevelInfo):
            path.append((seconds, event.beta, event.log_evidence))
            spent.update(likelihood=event.n_evaluations, gradient=event.n_gradients)
        if seconds > budget:
            raise BudgetSpent(f"out of its budget of {budget:g} s")

    def run() -> Drawn:
        result = estimate(problem, replace(settings, seed=seed), observe=observe)
        counts, d = result.counts, result.diagnostics
        spent.update(likelihood=counts.n_likelihood_evaluations,
                     gradient=counts.n_gradient_evaluations)  # fmt: skip
        notes = () if result.converged else (NOT_TRUSTED, *result.warnings)
        return Drawn(
            theta=result.draws.theta,
            log_weight=result.draws.log_weight,
            log_evidence=d.log_evidence,
            error=d.log_evidence_error,
            ess=d.ess,
            notes=notes,
            path=tuple(path),
        )

    outcome, message, drawn = _caught(run)
    seconds = time.perf_counter() - started
    ended = Run(name, seed, outcome, message,
                n_likelihood=spent["likelihood"], n_gradient=spent["gradient"])  # fmt: skip
    return _Finished(_with_numbers(ended, drawn, seconds), drawn, own=True)


def _caught(run: Callable[[], Drawn]) -> tuple[Outcome, str, Drawn | None]:
    """What a run came to: a sampler that raises is a row of the table, not the end of it."""
    try:
        return Outcome.DONE, "", run()
    except BudgetSpent as error:
        return Outcome.OUT_OF_BUDGET, str(error), None
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        return Outcome.FAILED, f"{type(error).__name__}: {first_line}", None


def _with_numbers(run: Run, drawn: Drawn | None, seconds: float) -> Run:
    if drawn is None:
        return replace(run, seconds=seconds)
    return replace(
        run,
        log_evidence=drawn.log_evidence,
        error=drawn.error,
        ess=drawn.ess,
        seconds=seconds,
        notes=drawn.notes,
        path=drawn.path,
    )


def _trusted(finished: Sequence[_Finished]) -> list[_Finished]:
    """nfanneal's own runs that no diagnostic speaks against; all of them if there is none."""
    own = [f for f in finished if f.own and f.drawn is not None]
    good = [f for f in own if NOT_TRUSTED not in f.run.notes]
    return good or own


def _reference(finished: Sequence[_Finished]) -> Reference | None:
    used = _trusted(finished)
    drawn = [f.drawn for f in used if f.drawn is not None]
    if not drawn:
        return None
    return Reference(
        runs=tuple(f"{f.run.sampler}, seed {f.run.seed}" for f in used),
        n_draws=sum(len(d.theta) for d in drawn),
        ess=merit.pooled_ess([d.log_weight for d in drawn]),
        trusted=NOT_TRUSTED not in used[0].run.notes,
    )


def _with_distance(finished: _Finished, everyone: Sequence[_Finished]) -> Run:
    """The run with its distance to the reference; of our own runs, to that without themselves."""
    others = [f.drawn for f in _trusted(everyone) if f is not finished and f.drawn is not None]
    drawn = finished.drawn
    if drawn is None or not others:
        return finished.run
    distance = merit.marginal_distance(
        drawn.theta,
        drawn.log_weight,
        np.concatenate([d.theta for d in others]),
        merit.pooled([d.log_weight for d in others]),
    )
    return replace(finished.run, distance=distance)


def score(sampler: str, runs: Sequence[Run]) -> Score:
    """The runs of one sampler together."""
    done = [run for run in runs if run.done]
    values = [run.log_evidence for run in done if np.isfinite(run.log_evidence)]
    errors = [run.error for run in done if np.isfinite(run.log_evidence)]
    seconds = [run.seconds for run in done]
    sd = merit.evidence_sd(values, errors)
    return Score(
        sampler=sampler,
        n_runs=len(runs),
        n_done=len(done),
        log_evidence=float(np.mean(values)) if values else math.nan,
        error=_median(errors),
        spread=merit.spread(values),
        sd=sd,
        ess=_median([run.ess for run in done]),
        n_likelihood=_median([run.n_likelihood for run in done]),
        n_gradient=_median([run.n_gradient for run in done]),
        seconds=_median(seconds),
        seconds_to_wanted_sd=merit.seconds_to_wanted_sd(seconds, sd),
        ess_per_second=merit.ess_per_second([run.ess for run in done], seconds),
        distance=_median([run.distance for run in done]),
        notes=_score_notes(runs),
    )


def _score_notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """What is to be said of the runs together: each message once, with how many it holds for."""
    messages = [run.message for run in runs if run.message]
    messages += [run.notes[0] for run in runs if run.notes]
    messages += [note for run in runs for note in run.notes[1:] if NOT_TRUSTED not in run.notes]
    found = []
    for message in dict.fromkeys(messages):
        count = messages.count(message)
        found.append(message if count == len(runs) else f"{count} of {len(runs)}: {message}")
    return tuple(found)


def _median(values: Sequence[float]) -> float:
    """Of the numbers among the values; nan if there are none."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.median(numbers)) if numbers else math.nan


def _settings(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Every setting of every sampler, as it ran."""
    found: dict[str, Any] = {}
    for name, own in plan.own.items():
        found[name] = {k: v for k, v in asdict(own).items() if k != "seed"}
    for name in plan.peers:
        defaults = PEERS[name].settings(problem.latent.dimension)
        found[name] = changed(defaults, plan.changes.get(name))
    return found


def _versions(plan: Plan) -> dict[str, str]:
    peers = [PEERS[name] for name in plan.peers]
    wanted = [name for peer in peers for name in (peer.distribution, *peer.beneath)]
    return versions_of((*LIBRARIES, *dict.fromkeys(wanted)), missing="not installed")


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "available_cores": job_cores(),
    }
