"""Real data against published values and peers on the same likelihood: minutes, so marked slow.

What is measured is printed; the guide's page `comparison` holds these numbers.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_t

import nfanneal
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.weights import evidence
from nfanneal.bench.samplers.peers import run_peer
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

CONFIGS = Path(__file__).parents[2] / "configs"
PUBLISHED = {"alpha": 0.55, "beta": 0.028, "gamma": 0.80, "delta": 0.024}
DYNESTY_SEEDS = range(4)
LIVE_POINTS = {"lotka_volterra": 500, "repressilator": 1000}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of `nfanneal run` with the default settings, each made when first asked for."""
    folder, made = tmp_path_factory.mktemp("reference"), {}

    def result(name):
        if name not in made:
            output = folder / f"{name}.h5"
            config = CONFIGS / f"{name}.yaml"
            command = [sys.executable, "-m", "nfanneal", "run", config, "-o", output, "--quiet"]
            subprocess.run(command, check=True)
            made[name] = nfanneal.load(output)
        return made[name]

    return result


def dynesty_run(problem, live_points, seed):
    """log Z, its error and the calls of one static run with random walks."""
    pytest.importorskip("dynesty")
    changes = {"sampler": {"nlive": live_points, "walks": 60}}
    drawn, meter = run_peer("dynesty", problem, seed, changes=changes)
    return drawn.log_evidence, drawn.error, meter.calls


@pytest.mark.slow
def test_posterior_means_are_those_of_the_stan_case_study(results):
    means = {name: s.mean for name, s in results("lotka_volterra").summaries().items()}
    for name, published in PUBLISHED.items():
        assert means[name] == pytest.approx(published, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", LIVE_POINTS)
def test_evidence_is_that_of_dynesty(results, name):
    """The mean of four runs, within 4 of its errors: a false alarm in 16,000.

    The error is the larger of what the runs report and of their spread, which is often more.
    """
    problem = build_problem(load_spec(CONFIGS / f"{name}.yaml"))
    runs = np.array([dynesty_run(problem, LIVE_POINTS[name], seed) for seed in DYNESTY_SEEDS])
    values, errors, calls = runs.T
    error = max(float(np.sqrt(np.mean(errors**2))), values.std(ddof=1)) / math.sqrt(len(runs))
    d = results(name).diagnostics
    print(f"{name}: log Z {d.log_evidence:.4f} ± {d.log_evidence_error:.4f}")
    print(f"dynesty, {LIVE_POINTS[name]} live points: {values.round(3)} ± {errors.round(3)}")
    print(f"mean {values.mean():.3f} ± {error:.3f}, {calls.mean():,.0f} calls each")
    assert abs(d.log_evidence - values.mean()) < 4.0 * math.hypot(error, d.log_evidence_error)


@pytest.mark.slow
def test_evidence_of_hares_and_lynxes_is_that_of_plain_importance_sampling(results):
    """A Student-t around the posterior's mean as proposal: no flow, no annealing, no pool."""
    result = results("lotka_volterra")
    problem = build_problem(load_spec(CONFIGS / "lotka_volterra.yaml"))
    z = problem.latent.to_latent(result.posterior)
    proposal = multivariate_t(z.mean(axis=0), 1.3 * np.cov(z.T), df=8, seed=3)
    points = proposal.rvs(60_000)
    log_likelihood = problem.evaluate(points, False).log_likelihood
    peer = evidence(log_standard_normal(points) + log_likelihood - proposal.logpdf(points))
    d = result.diagnostics
    print(f"importance sampling: log Z {peer.log_evidence:.4f} ± {peer.error:.4f}")
    error = math.hypot(peer.error, d.log_evidence_error)
    assert abs(d.log_evidence - peer.log_evidence) < 4.0 * error
