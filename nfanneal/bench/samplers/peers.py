"""Other samplers: a table from name to how it is run on a problem, with which settings.

Settings are those that each library's own documentation gives for ordinary use, by the call that
takes them. Nested samplers see the unit cube; emcee and pocoMC see the latent space, where the
prior is N(0, I), which spares them bounds and costs no prior density.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.arrays import Array
from nfanneal.bench.samplers.bridge import bridge_evidence
from nfanneal.bench.samplers.jax_peers import JAX_PEERS
from nfanneal.bench.samplers.meter import BudgetSpent, Meter, quiet, seeded
from nfanneal.bench.samplers.peer import FURTHER, Drawn, Peer, Settings, weighted
from nfanneal.model.problem import Problem
from nfanneal.runtime.threads import default_threads, torch_threads

FEW_DIMENSIONS = 5
"""Up to these dynesty samples uniformly, as it does by itself."""
MANY_DIMENSIONS = 10
"""Beyond these UltraNest's documentation advises a step sampler."""
TEMPEST_DIMENSIONS = 20
"""From these on Tempest's documentation advises twice as many particles."""
ENOUGH_TAUS = 50
"""Chains of fewer autocorrelation times are too short to tell their autocorrelation time."""
CHECK_EVERY = 100
FEWEST_STEPS = 20


def run_peer(
    name: str,
    problem: Problem,
    seed: int,
    *,
    budget: float = math.inf,
    changes: Settings | None = None,
) -> tuple[Drawn, Meter]:
    """Run one peer once; `changes` to its settings, and what was spent.

    Raises:
        BudgetSpent: the run took longer than `budget` seconds.
        ImportError: the peer is not installed.
    """
    meter = Meter(problem, budget)
    return metered_run(name, meter, seed, changes), meter


def metered_run(name: str, meter: Meter, seed: int, changes: Settings | None = None) -> Drawn:
    """Run one peer once on a meter, whose clock starts when the peer is imported."""
    peer = PEERS[name]
    with quiet(), seeded(seed):
        importlib.import_module(peer.module)
        settings = changed(peer.settings(meter.problem.latent.dimension), changes)
        meter.restart()
        return peer.run(meter, seed, settings)


def changed(settings: Settings, changes: Settings | None) -> Settings:
    """Settings with some of them replaced or added, call by call."""
    changes = changes or {}
    return {call: {**settings.get(call, {}), **changes.get(call, {})}
            for call in {**settings, **changes}}  # fmt: skip


def _dynesty(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """Static nested sampling, one point at a time. Source: Speagle (2020), arXiv:1904.02180."""
    import dynesty

    sampler = dynesty.NestedSampler(
        meter.point,
        meter.transform.from_cube,
        meter.problem.latent.dimension,
        rstate=np.random.default_rng(seed),
        **settings["sampler"],
    )
    sampler.run_nested(print_progress=False, **settings["run"])
    found = sampler.results
    return weighted(found.samples, found.logwt, found.logz[-1], found.logzerr[-1])


def _nautilus(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """Nested importance sampling with networks. Source: Lange (2023), arXiv:2306.16923."""
    import nautilus

    sampler = nautilus.Sampler(
        meter.transform.from_cube,
        meter.finite_at_theta,
        n_dim=meter.problem.latent.dimension,
        vectorized=True,
        pass_dict=False,
        seed=seed,
        **settings["sampler"],
    )
    sampler.run(verbose=False, **settings["run"])
    theta, log_weight, _ = sampler.posterior()
    error = 1.0 / math.sqrt(sampler.n_eff)  # it reports none: what so many effective draws allow
    return weighted(theta, log_weight, sampler.log_z, error)


def _ultranest(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """Reactive nested sampling. Source: Buchner (2021), arXiv:2101.09604."""
    import ultranest
    import ultranest.stepsampler

    sampler = ultranest.ReactiveNestedSampler(
        list(meter.problem.latent.column_names),
        meter.finite_at_theta,
        meter.transform.from_cube,
        vectorized=True,
        log_dir=None,
        **settings["sampler"],
    )
    if "step_sampler" in settings:
        steps = ultranest.stepsampler
        sampler.stepsampler = steps.SliceSampler(
            generate_direction=steps.generate_mixture_random_direction, **settings["step_sampler"]
        )
    found = sampler.run(show_status=False, viz_callback=False, **settings["run"])
    draws = found["weighted_samples"]
    with np.errstate(divide="ignore"):
        log_weight = np.log(draws["weights"])
    return weighted(draws["points"], log_weight, found["logz"], found["logzerr"])


@dataclass(frozen=True)
class _LatentPrior:
    """N(0, I_d), as pocoMC asks for it."""

    dim: int

    @property
    def bounds(self) -> Array:
        return np.tile([-np.inf, np.inf], (self.dim, 1))

    def logpdf(self, z: Array) -> Array:
        return log_standard_normal(z)

    def rvs(self, size: int = 1) -> Array:
        return np.random.standard_normal((size, self.dim))  # noqa: NPY002 - seeded by its caller


def _pocomc(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """Preconditioned Monte Carlo. Source: Karamanis et al. (2022), arXiv:2207.05652.

    A likelihood of zero is given as a very low number: at −inf it would replace the draw of the
    prior by another one. Its flow trains on one thread, as is its default; the likelihood has all.
    """
    import pocomc

    dimension, threads = meter.problem.latent.dimension, default_threads()

    def log_likelihood(z: Array) -> Array:
        with torch_threads(threads):
            return meter.finite_at_theta(meter.transform.from_latent(z))

    sampler = pocomc.Sampler(
        _LatentPrior(dimension),
        log_likelihood,
        n_dim=dimension,
        vectorize=True,
        random_state=seed % 2**32,
        **settings["sampler"],
    )
    sampler.run(progress=False, **settings["run"])
    z, weights, *_ = sampler.posterior()
    log_evidence, error = sampler.evidence()
    with np.errstate(divide="ignore"):
        log_weight = np.log(weights)
    return weighted(meter.transform.from_latent(z), log_weight, log_evidence, error)


def _tempest(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """Persistent sampling. Source: Karamanis and Seljak (2025), arXiv:2407.20722.

    As with pocoMC, a likelihood of zero is given as a very low number. It gives no error of log Z.
    """
    import tempest

    sampler = tempest.Sampler(
        meter.transform.from_cube,
        meter.finite_at_theta,
        n_dim=meter.problem.latent.dimension,
        vectorize=True,
        **settings["sampler"],
    )
    sampler.run(progress=False, **settings["run"])
    theta, weights, _ = sampler.posterior()
    log_evidence, _ = sampler.evidence()
    with np.errstate(divide="ignore"):
        drawn = weighted(theta, np.log(weights), log_evidence, math.nan)
    return replace(drawn, notes=("reports no error of the log-evidence",))


def _emcee(meter: Meter, seed: int, settings: Settings) -> Drawn:
    """An ensemble of walkers. Source: Foreman-Mackey et al. (2013), arXiv:1202.3665.

    It runs until the chain is long enough or the budget is spent, and gives what it has then.
    Effective samples are walkers × steps / τ with the largest τ of all parameters; the evidence
    is a bridge's.
    """
    import emcee

    run, rng = settings["run"], np.random.default_rng(seed)
    walkers = settings["sampler"]["nwalkers"]
    start = _good_prior_draws(meter, walkers, run["prior_draws"], rng)

    def log_posterior(z: Array) -> Array:
        return log_standard_normal(z) + meter.at_latent(z)

    ensemble = emcee.EnsembleSampler(
        ndim=start.shape[1], log_prob_fn=log_posterior, vectorize=True, **settings["sampler"]
    )
    ensemble.random_state = np.random.RandomState(seed % 2**32).get_state()
    try:
        _run_until_long_enough(ensemble, start, run)
    except BudgetSpent:
        if ensemble.iteration < FEWEST_STEPS:
            raise
    burn_in = int(run["burn_in"] * ensemble.iteration)
    tau = _tau(ensemble, burn_in)
    steps = ensemble.iteration - burn_in
    thin = max(1, int(tau / 2.0))
    chains = ensemble.get_chain(discard=burn_in, thin=thin)
    meter.budget = math.inf  # the bridge adds at most some thousand calls
    log_target = ensemble.get_log_prob(discard=burn_in, thin=thin)
    found = bridge_evidence(chains, log_target, log_posterior, rng)
    notes = ["log-evidence by a bridge from a Gaussian"]
    if steps < run["autocorrelation_times"] * tau:
        notes.append(f"chain too short: {steps / tau:.0f} autocorrelation times")
    if stuck := stuck_walkers(log_target):
        notes.append(f"{stuck} of {walkers} walkers are stuck: ESS and marginals are not right")
    return Drawn(
        theta=meter.transform.from_latent(chains.reshape(-1, chains.shape[2])),
        log_weight=np.zeros(chains.shape[0] * walkers),
        log_evidence=found.log_evidence,
        error=found.error,
        ess=walkers * steps / tau,
        notes=tuple(notes),
    )


def _run_until_long_enough(ensemble: Any, start: Array, run: Mapping[str, Any]) -> None:
    """Steps until the chain past its burn-in is so many autocorrelation times long."""
    state: Any = start
    while ensemble.iteration < run["most_steps"]:
        state = ensemble.run_mcmc(state, max(CHECK_EVERY, ensemble.iteration // 5))
        burn_in = int(run["burn_in"] * ensemble.iteration)
        enough = run["autocorrelation_times"] * _tau(ensemble, burn_in)
        if ensemble.iteration - burn_in >= enough:
            return


def _tau(ensemble: Any, burn_in: int) -> float:
    """The largest autocorrelation time of all parameters, in steps; at least 1."""
    times = ensemble.get_autocorr_time(discard=burn_in, tol=0)
    largest = float(np.max(times))
    return max(1.0, largest) if math.isfinite(largest) else float(ensemble.iteration)


def stuck_walkers(log_target: Array) -> int:
    """How many walkers never reach the median of all log-densities (steps, walkers).

    A walker that mixes is above it half of the time; one in a poor mode, or in a good one that
    others do not share, is not. The autocorrelation time, an average over walkers, hides them.
    """
    return int(np.sum(log_target.max(axis=0) < np.median(log_target)))


def _good_prior_draws(meter: Meter, n: int, draws: int, rng: np.random.Generator) -> Array:
    """The n latent points (n, d) of the highest likelihood among so many draws of the prior."""
    z = rng.standard_normal((draws, meter.problem.latent.dimension))
    log_likelihood = meter.at_latent(z)
    best = np.argsort(log_likelihood)[::-1][:n]
    if not np.isfinite(log_likelihood[best]).all():
        raise ValueError(f"fewer than {n} of {draws} prior draws have a likelihood above zero")
    return np.asarray(z[best])


def _dynesty_settings(dimension: int) -> Settings:
    """Its own choice up to five dimensions; beyond, random walks, which it chooses from ten on.

    On an eight-dimensional posterior of an oscillator its uniform sampling took more than thirty
    times as long as random walks.
    """
    walks = {"sample": "rwalk"} if dimension > FEW_DIMENSIONS else {}
    return {"sampler": {"nlive": 500, **walks}, "run": {"dlogz": 0.05}}


def _nautilus_settings(dimension: int) -> Settings:
    return {"sampler": {"n_live": 2000}, "run": {"f_live": 0.01, "n_eff": 10_000}}


def _ultranest_settings(dimension: int) -> Settings:
    settings = {"sampler": {}, "run": {"min_num_live_points": 400, "dlogz": 0.5, "min_ess": 400}}
    if dimension > MANY_DIMENSIONS:
        settings["step_sampler"] = {"nsteps": 2 * dimension}
    return settings


def _pocomc_settings(dimension: int) -> Settings:
    return {
        "sampler": {"n_effective": 512, "n_active": 256, "pytorch_threads": 1},
        "run": {"n_total": 4096, "n_evidence": 4096},
    }


def _tempest_settings(dimension: int) -> Settings:
    """What its guide to the parameters starts from; its code has other defaults."""
    particles = 1024 if dimension >= TEMPEST_DIMENSIONS else 512
    return {"sampler": {"n_particles": particles, "n_steps": 5}, "run": {"n_total": 4096}}


def _emcee_settings(dimension: int) -> Settings:
    walkers = max(64, 4 * dimension)
    return {
        "sampler": {"nwalkers": walkers},
        "run": {
            "prior_draws": 32 * walkers,
            "burn_in": 0.2,
            "autocorrelation_times": ENOUGH_TAUS,
            "most_steps": 100_000,
        },
    }


PEERS: dict[str, Peer] = {
    "emcee": Peer("emcee", "emcee", _emcee_settings, _emcee),
    "dynesty": Peer("dynesty", "dynesty", _dynesty_settings, _dynesty),
    "nautilus": Peer("nautilus", "nautilus-sampler", _nautilus_settings, _nautilus),
    "pocomc": Peer("pocomc", "pocomc", _pocomc_settings, _pocomc),
    "ultranest": Peer("ultranest", "ultranest", _ultranest_settings, _ultranest),
    **JAX_PEERS,
    "tempest": Peer("tempest", "tempest-sampler", _tempest_settings, _tempest, FURTHER),
}
