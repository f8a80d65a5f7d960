"""Real data against published values and a peer on the same likelihood: minutes, so marked slow."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

import nfanneal
from nfanneal.assembly import build_problem
from nfanneal.spec import load_spec

CONFIG = Path(__file__).parent.parent / "configs" / "lotka_volterra.yaml"
PUBLISHED = {"alpha": 0.55, "beta": 0.028, "gamma": 0.80, "delta": 0.024}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    output = tmp_path_factory.mktemp("pelts") / "pelts.h5"
    command = [sys.executable, "-m", "nfanneal", "run", CONFIG, "-o", output, "--quiet"]
    subprocess.run(command, check=True)
    return nfanneal.load(output)


@pytest.mark.slow
def test_posterior_means_are_those_of_the_stan_case_study(result):
    means = {name: s.mean for name, s in result.summaries().items()}
    for name, published in PUBLISHED.items():
        assert means[name] == pytest.approx(published, rel=0.1)


@pytest.mark.slow
def test_evidence_is_that_of_dynesty(result):
    """Nested sampling with 800 live points on the same likelihood: within 4 combined errors."""
    dynesty = pytest.importorskip("dynesty")
    problem = build_problem(load_spec(CONFIG))

    def log_likelihood(z):
        value = problem.evaluate(z[None], False).log_likelihood[0]
        return value if np.isfinite(value) else -1e300

    sampler = dynesty.NestedSampler(
        log_likelihood,
        lambda u: ndtri(np.clip(u, 1e-300, 1 - 1e-16)),
        problem.latent.dimension,
        nlive=800,
        sample="rwalk",
        rstate=np.random.default_rng(0),
    )
    sampler.run_nested(dlogz=0.05, print_progress=False)
    peer, error = sampler.results.logz[-1], sampler.results.logzerr[-1]
    d = result.diagnostics
    assert abs(d.log_evidence - peer) < 4 * math.hypot(error, d.log_evidence_error)
