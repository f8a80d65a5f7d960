"""The problems of the accuracy table, with their log-evidences."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.weights import normalized
from nfanneal.results.result import Result

ROOT = Path(__file__).parents[2]
PROBLEMS = Path(__file__).parent / "problems"
REFERENCES = Path(__file__).parent / "references"
sys.path.append(str(PROBLEMS))
import targets  # noqa: E402

Array = NDArray[np.float64]
KINDS = ("torch", "numpy", "ode")


@dataclass(frozen=True)
class Check:
    """What a result says beside its evidence: the words, whether it holds, the shares of modes."""

    text: str = ""
    holds: bool = True
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Case:
    """A problem, its log-evidence, how close each seed's must come, and what else must hold.

    `config` is a spec in `problems/` or `configs/`; `kinds` are what it is run as: a model of torch
    tensors, of numpy arrays without gradients, or an ODE (`CONFIG_ode.yaml` where there is one). A
    run of a `hard` one may end with a warning that it is not to be trusted; the row says so. Cheap
    ones are run for the calibration.
    """

    title: str
    config: str
    log_evidence: float
    within: float
    also: Callable[[Result], Check] = field(default=lambda result: Check(), repr=False)
    overrides: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("torch", "numpy")
    most_seconds: float = math.inf
    hard: bool = False
    cheap: bool = False

    def spec(self, kind: str) -> Path:
        """The YAML file of a kind."""
        name = f"{self.config}_ode.yaml" if kind == "ode" else f"{self.config}.yaml"
        own = PROBLEMS / name
        return own if own.is_file() else ROOT / "configs" / f"{self.config}.yaml"

    def changes(self, kind: str) -> tuple[str, ...]:
        """What `--set` changes for a kind."""
        if kind != "numpy":
            return self.overrides
        array: tuple[str, ...] = ("model.array=numpy",)
        if self.spec(kind).parent != PROBLEMS:  # its functions take torch tensors alone
            array += (f"model.file={PROBLEMS / 'without_gradients.py'}",)
        return (*self.overrides, *array)


def mass(result: Result, inside: NDArray[np.bool_]) -> float:
    """Posterior mass of the draws `inside` (n,)."""
    return float(normalized(result.draws.log_weight) @ inside)


def column(result: Result, name: str) -> Array:
    """A parameter's draws, (n,)."""
    return np.asarray(result.draws.theta[:, result.columns.names.index(name)])


def shares(
    label: Callable[[Result], NDArray[np.int64]], exact: Array, within: float
) -> Callable[[Result], Check]:
    """Whether every share of the mass, by label, is within a part of the exact one.

    Or within four standard errors of what so many effective draws can tell.
    """

    def check(result: Result) -> Check:
        weights = normalized(result.draws.log_weight)
        found = np.bincount(label(result), weights, minlength=len(exact))
        ratio, ess = found / exact, result.diagnostics.ess
        noise = 4.0 * np.sqrt((1.0 - exact) / (exact * ess))
        text = f"{len(exact)} modes, {ratio.min():.2f} to {ratio.max():.2f} of their masses"
        holds = bool(np.all(np.abs(ratio - 1.0) <= np.maximum(within, noise)))
        return Check(text, holds, tuple(found.round(4)))

    return check


def nearest(centres: Array) -> Callable[[Result], NDArray[np.int64]]:
    """The label of the nearest centre."""

    def label(result: Result) -> NDArray[np.int64]:
        x = result.draws.theta
        square = (x**2).sum(axis=1)[:, None] - 2.0 * x @ centres.T + (centres**2).sum(axis=1)
        return np.asarray(square.argmin(axis=1))

    return label


def likeliest(parts: Callable[[Array], Array]) -> Callable[[Result], NDArray[np.int64]]:
    """The label of the component with the largest density there."""
    return lambda result: np.asarray(parts(result.draws.theta).argmax(axis=1))


def order_of(*names: str) -> Callable[[Result], NDArray[np.int64]]:
    """A number for each order of some parameters: the labelling."""
    permutations = list(itertools.permutations(range(len(names))))

    def label(result: Result) -> NDArray[np.int64]:
        order = np.argsort([column(result, name) for name in names], axis=0)
        same = [np.all(permuted == order.T, axis=1) for permuted in permutations]
        return np.asarray(np.argmax(same, axis=0))

    return label


def quarters(result: Result) -> NDArray[np.int64]:
    """The quarter of the plane of the first two columns."""
    x = result.draws.theta[:, :2] > 0
    return np.asarray(2 * x[:, 0] + x[:, 1], dtype=np.int64)


def equal(n: int) -> Array:
    return np.full(n, 1.0 / n)


def halves(result: Result) -> Check:
    right = mass(result, result.draws.theta[:, 0] > 0)
    return Check(f"right shell {right:.3f}", abs(right - 0.5) <= 0.05, (1.0 - right, right))


GMM40 = np.random.default_rng(0).uniform(-40, 40, (40, 2))


def forty_shares() -> Array:
    """The masses nearest to each centre: where modes overlap, that is not always the own one."""
    rng = np.random.default_rng(1)
    x = np.repeat(GMM40, 20_000, axis=0) + 1.313 * rng.standard_normal((800_000, 2))
    own = [((p[:, None] - GMM40) ** 2).sum(axis=2).argmin(axis=1) for p in np.array_split(x, 40)]
    return np.bincount(np.concatenate(own), minlength=40) / len(x)


def forty_modes(result: Result) -> Check:
    return shares(nearest(GMM40), forty_shares(), 0.3)(result)


def eighteen_modes(result: Result) -> Check:
    cells = np.round(result.draws.theta / (2 * np.pi)).astype(int)
    found = np.zeros((6, 6))
    np.add.at(found, (cells[:, 0], cells[:, 1]), normalized(result.draws.log_weight))
    i, j = np.indices((6, 6))
    edges = (1.0 - 0.5 * np.isin(i, (0, 5))) * (1.0 - 0.5 * np.isin(j, (0, 5)))
    share = found[(i + j) % 2 == 0] / edges[(i + j) % 2 == 0]
    holds = bool(np.all(share > 0.5 * share.mean()))
    return Check(f"{np.sum(share > 0)} modes", holds, tuple(share.round(4)))


def left_wells(result: Result) -> Check:
    left = normalized(result.draws.log_weight) @ (result.draws.theta[:, ::2] < 0)
    holds = bool(np.all(np.abs(left - 0.15569) <= 0.02))
    return Check(f"left wells {left.min():.3f} to {left.max():.3f}", holds, tuple(left.round(4)))


def four_modes(result: Result) -> NDArray[np.int64]:
    x = result.draws.theta[:, :2] > 0.5
    return np.asarray(2 * x[:, 0] + x[:, 1], dtype=np.int64)


def known(name: str) -> float:
    """A value that `exact.py` computed in two ways."""
    return float(json.loads((REFERENCES / "exact.json").read_text())[name]["log_evidence"])


def nautilus(name: str) -> float:
    """The log-evidence of a long nautilus run, kept with its settings."""
    found = json.loads((REFERENCES / f"{name}.json").read_text())
    return float(found["nautilus"]["log_evidence"])


def population_monte_carlo(name: str) -> float:
    """The log-evidence that the seeds of a script in `references/` came to, on average."""
    found = json.loads((REFERENCES / f"{name}.json").read_text())
    return float(np.mean([seed["log_evidence"] for seed in found]))


def dimension(d: int) -> tuple[str, ...]:
    return (f"parameters.x.shape={d}",)


ODE, ALL = ("ode",), KINDS
TWO_WAVES = shares(order_of("f1", "f2"), equal(2), 0.1)
TWO_PLANETS = shares(order_of("period1", "period2"), equal(2), 0.1)
FLIP_FLOP = shares(order_of("ka", "ke"), equal(2), 0.1)
SIX_LABELS = shares(order_of("mean[0]", "mean[1]", "mean[2]"), equal(6), 0.2)
FIVE_MODES = shares(likeliest(targets.five_parts), targets.FIVE_MASSES, 0.2)
TEN_MODES = shares(likeliest(targets.ten_parts), targets.TEN_MASSES, 0.3)
BOTH = shares(likeliest(targets.spike_parts), equal(2), 0.1)
FOUR = shares(four_modes, equal(4), 0.2)

CASES = (
    Case("shells, 2-D", "shells", -1.7456, 0.03, halves, cheap=True),
    Case("shells, 5-D", "shells", -5.6736, 0.03, halves, dimension(5)),
    Case("shells, 10-D", "shells", -14.5905, 0.05, halves, dimension(10)),
    Case("shells, 20-D", "shells", -36.0865, 0.2, halves, dimension(20)),
    Case("40 Gaussians", "gmm40", -2 * math.log(100), 0.03, forty_modes, cheap=True),
    Case(
        "40 Gaussians, 50-D",
        "gmm40_50",
        known("gmm40_50"),
        0.2,
        shares(nearest(targets.FORTY_CENTRES), equal(40), 0.3),
        hard=True,
    ),
    Case("five Gaussians, 4-D", "five_gaussians", known("five_gaussians"), 0.05, FIVE_MODES),
    Case(
        "30 modes on a grid",
        "grid",
        known("grid"),
        0.05,
        shares(nearest(targets.GRID), equal(30), 0.3),
        cheap=True,
    ),
    Case("ten Student-t, 5-D", "ten_students", known("ten_students"), 0.05, TEN_MODES),
    Case("spike on a hill", "spike", known("spike"), 0.03, BOTH, cheap=True),
    Case("ring, 10-D", "ring", known("ring"), 0.05, shares(quarters, equal(4), 0.2)),
    Case("eggbox", "eggbox", 235.856, 0.03, eighteen_modes),
    Case("log-gamma, 10-D", "log_gamma", 0.0, 0.05, FOUR),
    Case("many-well, 6-D", "many_well", 17.0649, 0.05, left_wells, dimension(6), cheap=True),
    Case("many-well, 32-D", "many_well", 91.0129, 0.2, left_wells),
    Case(
        "many-well, 64-D",
        "many_well",
        known("many_well_64"),
        0.3,
        left_wells,
        dimension(64),
        hard=True,
    ),
    Case(
        "many-well, 128-D",
        "many_well",
        known("many_well_128"),
        0.5,
        left_wells,
        dimension(128),
        hard=True,
    ),
    Case("Rosenbrock, 2-D", "rosenbrock", -6.4716, 0.03, cheap=True),
    Case("funnel, 10-D", "funnel", -40.9756, 0.1, hard=True),
    Case("funnel without bounds, 10-D", "free_funnel", known("free_funnel"), 0.1, hard=True),
    Case("Gaussian, 3-D", "correlated_gaussian", -3 * math.log(20), 0.05, cheap=True),
    Case(
        "Gaussian, 20-D", "correlated_gaussian", -20 * math.log(20), 0.05, overrides=dimension(20)
    ),
    Case(
        "straight line",
        "linear_regression",
        known("straight_line"),
        0.03,
        kinds=("torch",),
        cheap=True,
    ),
    Case("eight schools, non-centred", "schools_noncentred", known("schools"), 0.03, cheap=True),
    Case("eight schools, centred", "schools_centred", known("schools_centred"), 0.1, hard=True),
    Case(
        "three normals", "three_normals", population_monte_carlo("three_normals"), 0.1, SIX_LABELS
    ),
    Case("random walk, 32-D", "brownian", known("brownian"), 0.1),
    Case("German credit, 25-D", "german_credit", population_monte_carlo("german_credit"), 0.1),
    Case("20 lines, 45-D", "lines", known("lines"), 0.2, kinds=ALL),
    Case("waves", "waves", population_monte_carlo("waves"), 0.1, TWO_WAVES, kinds=ALL),
    Case("two planets", "planets", population_monte_carlo("planets"), 0.1, TWO_PLANETS, kinds=ALL),
    Case("flip-flop", "flip_flop", known("flip_flop"), 0.05, FLIP_FLOP, kinds=ALL, cheap=True),
    Case("Lorenz", "lorenz", population_monte_carlo("lorenz"), 0.1, kinds=ALL),
    Case("Michaelis–Menten", "one_comp_mm", population_monte_carlo("one_comp_mm"), 0.05, kinds=ODE),
    Case("hares and lynxes", "lotka_volterra", nautilus("lotka_volterra"), 0.05, kinds=ODE),
    Case("repressilator, gene 1", "repressilator", nautilus("repressilator"), 0.1, kinds=ODE),
    Case(
        "repressilator, all genes",
        "repressilator_all",
        nautilus("repressilator_all"),
        0.1,
        kinds=ODE,
        hard=True,
    ),
    Case(
        "repressilator, gene 1, six periods",
        "repressilator_long",
        population_monte_carlo("repressilator_long"),
        0.3,
        kinds=ODE,
        most_seconds=300.0,
        hard=True,
    ),
    Case(
        "repressilator, two genes",
        "repressilator_two",
        population_monte_carlo("repressilator_two"),
        0.1,
        kinds=ODE,
        hard=True,
    ),
    Case(
        "repressilator, gene 3",
        "repressilator_third",
        population_monte_carlo("repressilator_third"),
        0.1,
        kinds=ODE,
        hard=True,
    ),
    Case(
        "repressilator, unknown noise",
        "repressilator_noise",
        population_monte_carlo("repressilator_noise"),
        0.15,
        kinds=ODE,
        hard=True,
    ),
)
