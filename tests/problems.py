"""Posteriors whose evidence is known, and what must hold of draws from them."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from nfanneal.anneal.outcome import AnnealResult
from nfanneal.anneal.proposals.base import log_standard_normal
from nfanneal.anneal.settings import default_anneal_settings, default_flow_settings
from nfanneal.anneal.weights import Evidence, evidence
from nfanneal.target import Evaluation, Target

Array = np.ndarray
FLOW = default_flow_settings(2, transforms=2, bins=6, hidden=(24, 24))
QUICK = default_anneal_settings(
    2, draws=2048, steps=25, batch=256, learning_rate=5e-3, max_rounds=2, keep_levels=3
)


def seed(n: int = 0) -> np.random.SeedSequence:
    return np.random.SeedSequence(n)


def gaussian_target(scale: float = 0.1, correlation: float = 0.8) -> tuple[Target, float]:
    """log L = log N(m; z, S) with a correlated S: the evidence is N(m; 0, I + S)."""
    mean = np.array([1.0, -0.5])
    noise = scale**2 * np.array([[1.0, correlation], [correlation, 1.0]])
    precision = np.linalg.inv(noise)
    constant = -0.5 * np.linalg.slogdet(2.0 * math.pi * noise)[1]

    def evaluate(z: Array, gradient: bool) -> Evaluation:
        rest = z - mean
        value = constant - 0.5 * np.einsum("ni,ij,nj->n", rest, precision, rest)
        failed = np.zeros(len(z), dtype=bool)
        return Evaluation(value, failed, -rest @ precision if gradient else None)

    total = np.eye(2) + noise
    exact = -0.5 * (
        np.linalg.slogdet(2.0 * math.pi * total)[1] + mean @ np.linalg.solve(total, mean)
    )
    return Target(2, evaluate, differentiable=True), float(exact)


def modes_target() -> tuple[Target, float]:
    """Four equal narrow modes on a circle, without gradients."""
    angles = np.arange(4) * math.pi / 2.0
    centres = 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def evaluate(z: Array, gradient: bool) -> Evaluation:
        parts = norm(scale=0.1).logpdf(z[:, None] - centres).sum(axis=2)
        return Evaluation(logsumexp(parts, axis=1) - math.log(4.0), np.zeros(len(z), dtype=bool))

    exact = norm(scale=math.sqrt(1.01)).logpdf(centres[0]).sum()
    return Target(2, evaluate), float(exact)


def final_evidence(result: AnnealResult, target: Target, n: int = 8192) -> Evidence:
    z = result.proposal.draw(n, torch.Generator().manual_seed(5))
    log_likelihood = target.evaluate(z, False).log_likelihood
    return evidence(log_standard_normal(z) + log_likelihood - result.proposal.log_density(z))


N = 4000
MEAN, NOISE = np.array([1.0, -0.5]), 0.01 * np.array([[1.0, 0.8], [0.8, 1.0]])


def tempered_moments(beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of N(z; 0, I)·N(MEAN; z, NOISE)^β."""
    precision = beta * np.linalg.inv(NOISE)
    covariance = np.linalg.inv(np.eye(2) + precision)
    return covariance @ precision @ MEAN, covariance


def check_moments(z: np.ndarray, beta: float) -> None:
    """Within 5 standard errors of N independent draws: five numbers, a false alarm in 300,000."""
    mean, covariance = tempered_moments(beta)
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(z.mean(axis=0) - mean) < 5.0 * sd / math.sqrt(len(z)))
    found = np.cov(z.T) / np.outer(sd, sd)
    expected = covariance / np.outer(sd, sd)
    assert np.all(np.abs(found - expected) < 5.0 * math.sqrt(2.0 / len(z)))


EXAMPLES = {
    "uniform": [-2, 5],
    "loguniform": [0.1, 1000],
    "normal": [1, 2],
    "lognormal": [0.5, 0.7],
    "halfnormal": 0.3,
    "truncnormal": [0.05, 0.05, 0, float("inf")],
    "exponential": 2,
    "gamma": [0.5, 2],
    "inversegamma": [3, 1],
    "beta": [0.5, 2],
    "studentt": [3, 1, 2],
    "cauchy": [1, 2],
    "halfcauchy": 1.5,
    "laplace": [1, 0.5],
    "loglaplace": [0.5, 0.4],
    "rayleigh": 1.5,
    "chisquare": 3,
}
