"""Conjugate linear regressions: their spec, their data, and the exact evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.stats import multivariate_normal, norm

MODEL = """
import numpy as np
def line(p, times):
    return {"y": p["a"][:, None] + p["b"][:, None] * times}
def flat(p, times):
    return {"y": p["a"][:, None] + 0.0 * times}
"""
X = np.linspace(0.0, 1.0, 12)
SIGMA = 0.3
Y = 0.5 + 0.8 * X + SIGMA * np.random.default_rng(5).standard_normal(12)
PRIORS = {"a": {"prior": {"normal": [0, 1]}}, "b": {"prior": {"normal": [0, 2]}}}
SEEDS = range(8)


def exact(with_slope: bool) -> float:
    """The log-evidence."""
    return float(multivariate_normal(np.zeros(12), covariance(with_slope)).logpdf(Y))


def covariance(with_slope: bool) -> np.ndarray:
    """Of the data before they are seen, (12, 12)."""
    flat = SIGMA**2 * np.eye(12) + np.ones((12, 12))
    return flat + 4.0 * np.outer(X, X) if with_slope else flat


def exact_leave_one_out(with_slope: bool) -> float:
    """Sum of log p(y_i | all others): each is normal, with the conditional moments."""
    whole, total = covariance(with_slope), 0.0
    for i in range(12):
        others = np.arange(12) != i
        gain = np.linalg.solve(whole[np.ix_(others, others)], whole[others, i])
        sd = np.sqrt(whole[i, i] - gain @ whole[others, i])
        total += float(norm(gain @ Y[others], sd).logpdf(Y[i]))
    return total


def posterior_draws(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact draws (n, 2) of the line's posterior, and log p of each datum there, (n, 12)."""
    design = np.column_stack([np.ones(12), X])
    precision = np.diag([1.0, 0.25]) + design.T @ design / SIGMA**2
    posterior = np.linalg.inv(precision)
    mean = posterior @ design.T @ Y / SIGMA**2
    theta = np.random.default_rng(seed).multivariate_normal(mean, posterior, n)
    return theta, norm(theta @ design.T, SIGMA).logpdf(Y)


def linear_spec(function: str) -> dict:
    return {
        "name": function,
        "model": {"kind": "python", "file": "model.py", "simulate": function, "array": "numpy"},
        "parameters": {k: v for k, v in PRIORS.items() if k == "a" or function == "line"},
        "data": {"file": "data.csv", "time": "x"},
        "likelihood": {"y": {"normal": SIGMA}},
        "anneal": {"draws": 512, "steps": 20, "max_rounds": 1},
        "flow": {"hidden": [16]},
        "output": {"samples": 2000},
    }


def write_data(path: Path, values: np.ndarray) -> None:
    rows = "\n".join(f"{x!r},{y!r}" for x, y in zip(X.tolist(), values.tolist(), strict=True))
    path.write_text(f"x,y\n{rows}\n")
