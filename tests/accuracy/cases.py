"""The problems of the accuracy table, with their log-evidences."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nfanneal.anneal.weights import normalized
from nfanneal.results.result import Result

ROOT = Path(__file__).parents[2]
REFERENCES = Path(__file__).parent / "references"


@dataclass(frozen=True)
class Case:
    """A problem, its log-evidence, how close each seed's must come, and what else must hold.

    A run of a `hard` one may end with a warning that it is not to be trusted; the row says so.
    """

    title: str
    config: str
    log_evidence: float
    within: float
    also: Callable[[Result], str] = lambda result: ""
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1,)
    most_seconds: float = math.inf
    hard: bool = False


def mass(result: Result, inside: np.ndarray) -> float:
    """Posterior mass of the draws `inside` (n,)."""
    return float(normalized(result.draws.log_weight) @ inside)


def halves(result: Result) -> str:
    right = mass(result, result.draws.theta[:, 0] > 0)
    assert abs(right - 0.5) <= 0.05
    return f"right shell {right:.3f}"


def forty_modes(result: Result) -> str:
    modes = np.random.default_rng(0).uniform(-40, 40, (40, 2))
    nearest = ((result.draws.theta[:, None] - modes) ** 2).sum(axis=2).argmin(axis=1)
    share = 40 * np.bincount(nearest, normalized(result.draws.log_weight), minlength=40)
    rng = np.random.default_rng(1)  # where modes overlap, the nearest centre is not the own one
    x = np.repeat(modes, 20_000, axis=0) + 1.313 * rng.standard_normal((800_000, 2))
    parts = np.array_split(x, 40)
    own = [((p[:, None] - modes) ** 2).sum(axis=2).argmin(axis=1) for p in parts]
    exact = 40 * np.bincount(np.concatenate(own), minlength=40) / len(x)
    assert np.all(np.abs(share / exact - 1) <= 0.3)
    return f"masses {(share / exact).min():.2f} to {(share / exact).max():.2f} of 1/40"


def eighteen_modes(result: Result) -> str:
    cells = np.round(result.draws.theta / (2 * np.pi)).astype(int)
    found = np.zeros((6, 6))
    np.add.at(found, (cells[:, 0], cells[:, 1]), normalized(result.draws.log_weight))
    i, j = np.indices((6, 6))
    edges = (1.0 - 0.5 * np.isin(i, (0, 5))) * (1.0 - 0.5 * np.isin(j, (0, 5)))
    share = found[(i + j) % 2 == 0] / edges[(i + j) % 2 == 0]
    assert np.all(share > 0.5 * share.mean())
    return f"{np.sum(share > 0)} modes"


def four_modes(result: Result) -> str:
    first, second = result.draws.theta[:, 0] > 0.5, result.draws.theta[:, 1] > 0.5
    shares = [mass(result, (first == a) & (second == b)) for a in (0, 1) for b in (0, 1)]
    assert np.all(np.abs(np.array(shares) - 0.25) <= 0.05)
    return f"masses {min(shares):.3f} to {max(shares):.3f}"


def left_wells(result: Result) -> str:
    left = normalized(result.draws.log_weight) @ (result.draws.theta[:, ::2] < 0)
    assert np.all(np.abs(left - 0.15569) <= 0.02)
    return f"left wells {left.min():.3f} to {left.max():.3f}"


def reference(name: str) -> float:
    """The log-evidence of a long nautilus run, kept with its settings."""
    found = json.loads((REFERENCES / f"{name}.json").read_text())
    return float(found["nautilus"]["log_evidence"])


def population_monte_carlo(name: str) -> float:
    """The log-evidence that the seeds of a script in the same folder came to, on average."""
    found = json.loads((REFERENCES / f"{name}.json").read_text())
    return float(np.mean([seed["log_evidence"] for seed in found]))


def dimension(d: int) -> tuple[str, ...]:
    return (f"parameters.x.shape={d}",)


CASES = (
    Case("shells, 2-D", "shells", -1.7456, 0.03, halves),
    Case("shells, 5-D", "shells", -5.6736, 0.03, halves, dimension(5)),
    Case("shells, 10-D", "shells", -14.5905, 0.05, halves, dimension(10)),
    Case("shells, 20-D", "shells", -36.0865, 0.2, halves, dimension(20)),
    Case("40 Gaussians", "gmm40", -2 * math.log(100), 0.03, forty_modes),
    Case("eggbox", "eggbox", 235.856, 0.03, eighteen_modes),
    Case("log-gamma, 10-D", "log_gamma", 0.0, 0.05, four_modes),
    Case("many-well, 6-D", "many_well", 17.0649, 0.05, left_wells, dimension(6)),
    Case("many-well, 32-D", "many_well", 91.0129, 0.2, left_wells),
    Case("Rosenbrock, 2-D", "rosenbrock", -6.4716, 0.03),
    Case("funnel, 10-D", "funnel", -40.9756, 0.1, hard=True),
    Case("Gaussian, 3-D", "correlated_gaussian", -3 * math.log(20), 0.05),
    Case(
        "Gaussian, 20-D",
        "correlated_gaussian",
        -20 * math.log(20),
        0.05,
        overrides=dimension(20),
    ),
    Case(
        "repressilator, gene 1",
        "repressilator",
        reference("repressilator"),
        0.1,
        seeds=(1, 2, 3, 4, 5),
    ),
    Case(
        "repressilator, all genes",
        "repressilator_all",
        reference("repressilator_all"),
        0.1,
        hard=True,
    ),
    Case(
        "repressilator, gene 1, six periods",
        "repressilator_long",
        population_monte_carlo("repressilator_long"),
        0.3,
        seeds=(1, 2, 3, 4, 5),
        most_seconds=300.0,
        hard=True,
    ),
    Case("hares and lynxes", "lotka_volterra", reference("lotka_volterra"), 0.05),
)
