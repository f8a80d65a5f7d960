"""Problems with exact answers, with default settings, through the command line.

Tolerances: the log-evidence must lie within 0.05 and within 4 reported standard errors of the
exact value (a false alarm in 16,000 for a normal error); seeds are fixed.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import inside
from scipy.stats import multivariate_normal

import nfanneal
from nfanneal.anneal.weights import normalized

CONFIGS = Path(__file__).parents[2] / "configs"


def estimate(name, folder, capsys):
    """Run a config; its result and the summary that a script would read."""
    output = folder / f"{name}.h5"
    code, out, err = inside(capsys, "run", CONFIGS / f"{name}.yaml", "-o", output)
    assert code == 0, out + err
    code, out, _ = inside(capsys, "summary", output, "--json")
    assert code == 0
    return nfanneal.load(output), json.loads(out)


def check_evidence(summary, exact):
    error = abs(summary["log_evidence"] - exact)
    assert error < 0.05
    assert error < 4 * summary["log_evidence_error"]


def line():
    """Design, data and noise of the straight line: exact evidence and posterior."""
    t, y = np.loadtxt(CONFIGS.parent / "data" / "linear.csv", delimiter=",", skiprows=1).T
    design = np.column_stack([np.ones_like(t), t])
    prior = np.diag([4.0, 1.0])
    marginal = multivariate_normal(
        np.zeros_like(y), 0.25 * np.eye(len(y)) + design @ prior @ design.T
    )
    covariance = np.linalg.inv(design.T @ design / 0.25 + np.linalg.inv(prior))
    return marginal.logpdf(y), covariance @ design.T @ y / 0.25, covariance


def test_linear_regression(tmp_path, capsys):
    result, summary = estimate("linear_regression", tmp_path, capsys)
    exact, mean, covariance = line()
    check_evidence(summary, exact)
    ess = summary["ess"]
    for i, name in enumerate(("intercept", "slope")):
        sd = np.sqrt(covariance[i, i])
        found = summary["parameters"][name]
        assert abs(found["mean"] - mean[i]) < 4 * sd / np.sqrt(ess)
        assert abs(found["sd"] - sd) < 4 * sd / np.sqrt(2 * ess)
    theta = result.posterior
    np.testing.assert_allclose(np.corrcoef(theta.T)[0, 1], -0.8366, atol=4 * 0.3 / np.sqrt(ess))


@pytest.mark.long
@pytest.mark.parametrize(("name", "exact"), [("shells", -1.7456), ("shells5", -5.6736)])
def test_shells(name, exact, tmp_path, capsys):
    result, summary = estimate(name, tmp_path, capsys)
    check_evidence(summary, exact)
    weights = normalized(result.draws.log_weight)
    right = float(weights @ (result.draws.theta[:, 0] > 0))
    assert abs(right - 0.5) < 4 * 0.5 / np.sqrt(summary["ess"])


@pytest.mark.long
def test_every_mode_of_forty(tmp_path, capsys):
    """Each mode's mass is 1/40; its error is that of a share among ESS draws, 5 sd allowed."""
    result, summary = estimate("gmm40", tmp_path, capsys)
    check_evidence(summary, -2 * np.log(100))
    modes = np.random.default_rng(0).uniform(-40, 40, (40, 2))
    nearest = ((result.draws.theta[:, None] - modes) ** 2).sum(axis=2).argmin(axis=1)
    weights = normalized(result.draws.log_weight)
    mass = np.bincount(nearest, weights=weights, minlength=40)
    share = np.array([exact_share(m, modes) for m in range(40)])
    assert np.all(mass > 0)
    assert np.all(np.abs(mass - share) < 5 * np.sqrt(share / summary["ess"]))


def exact_share(m, modes, n=20_000):
    """Posterior mass whose nearest centre is mode m, by drawing from the mixture itself."""
    rng = np.random.default_rng(m)
    which = rng.integers(40, size=n)
    x = modes[which] + 1.313 * rng.standard_normal((n, 2))
    return np.mean(((x[:, None] - modes) ** 2).sum(axis=2).argmin(axis=1) == m)


@pytest.mark.long
def test_eggbox(tmp_path, capsys):
    result, summary = estimate("eggbox", tmp_path, capsys)
    check_evidence(summary, 235.856)
    weights = normalized(result.draws.log_weight)
    cells = np.round(result.draws.theta / (2 * np.pi)).astype(int)
    mass = np.zeros((6, 6))
    np.add.at(mass, (cells[:, 0], cells[:, 1]), weights)
    i, j = np.indices((6, 6))
    assert np.all(mass[(i + j) % 2 == 0] > 0)
    assert mass[(i + j) % 2 == 0].sum() > 0.999


@pytest.mark.long
def test_correlated_gaussian(tmp_path, capsys):
    result, summary = estimate("correlated_gaussian", tmp_path, capsys)
    check_evidence(summary, -3 * np.log(20))
    weights = normalized(result.draws.log_weight)
    covariance = np.cov(result.draws.theta.T, aweights=weights)
    expected = 0.95 * np.ones((3, 3)) + 0.05 * np.eye(3)
    np.testing.assert_allclose(covariance, expected, atol=5 * np.sqrt(2 / summary["ess"]))
