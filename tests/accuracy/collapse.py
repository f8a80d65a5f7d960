"""What becomes of five modes on the way from the prior, by schedule, with and without an archive.

    python tests/accuracy/collapse.py [FIGURE.png]

prints a table and draws the share of each mode among the draws of every level's flow.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from scipy.spatial.distance import cdist

from nfanneal.anneal.final_draws import final_draws
from nfanneal.anneal.loop import anneal
from nfanneal.anneal.outcome import AnnealResult
from nfanneal.anneal.weights import evidence, normalized
from nfanneal.model.problem import Problem
from nfanneal.runs.settings import build_settings
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

SPEC = Path(__file__).parent / "problems" / "five_gaussians.yaml"
SCHEDULES = ("none", "linear", "geometric", "ess")
KEPT = {"without": ("anneal.scout=off",), "with": ()}
DRAWS = 10_000


@dataclass(frozen=True)
class Way:
    """β of every level, the share of each mode among its flow's draws, and what came out."""

    betas: np.ndarray
    shares: np.ndarray
    log_evidence: float
    error: float
    masses: np.ndarray
    evaluations: int


def run(overrides: tuple[str, ...], centres: np.ndarray) -> Way:
    """Anneal once, and look at the draws of every level."""
    checked = load_spec(SPEC, overrides)
    problem = build_problem(checked)
    settings = build_settings(checked, problem)
    found = anneal(problem.target, settings.flow, settings.anneal, np.random.SeedSequence(1))
    generator = torch.Generator().manual_seed(1)
    draws = final_draws(problem.target, found.proposal, DRAWS, generator)
    estimate, weights = evidence(draws.log_weight), normalized(draws.log_weight)
    return Way(
        betas=np.array([info.beta for info in found.history]),
        shares=np.array([counted(problem, z, centres) for z in by_level(found)]),
        log_evidence=estimate.log_evidence,
        error=estimate.error,
        masses=counted(problem, draws.z, centres, weights),
        evaluations=found.n_evaluations + DRAWS,
    )


def by_level(found: AnnealResult) -> list[np.ndarray]:
    """Draws of every level's own flow: the last generation of the level."""
    newest = {generation.level: generation.z for generation in found.path}
    return [newest[info.level] for info in found.history]


def counted(
    problem: Problem, z: np.ndarray, centres: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Shares of the draws z (n, d) that are nearest to each centre."""
    nearest = cdist(problem.latent.from_latent(z), centres).argmin(axis=1)
    weights = np.full(len(z), 1.0 / len(z)) if weights is None else weights
    return np.bincount(nearest, weights, minlength=len(centres))


def drawn(ways: dict[tuple[str, str], Way], exact: np.ndarray, target: Path) -> None:
    """The figure: a row with and one without the archive, a column for each schedule."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(SCHEDULES), figsize=(11, 5), sharey=True, layout="tight")
    for (schedule, kept), way in ways.items():
        axis = axes[list(KEPT).index(kept), SCHEDULES.index(schedule)]
        for k, share in enumerate(way.shares.T):
            axis.plot(range(len(share)), share, ".-", color=f"C{k}")
            axis.axhline(exact[k], color=f"C{k}", lw=0.8, ls=":")
        axis.set_xticks(range(len(way.betas)), [f"{beta:.2g}" for beta in way.betas], rotation=90)
        axis.set_title(f"{schedule}, {kept} archive", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("β")
    for axis in axes[:, 0]:
        axis.set_ylabel("share of draws")
    figure.savefig(target, dpi=110)


def main() -> None:
    """Run all, print the table, and draw the figure if its file is named."""
    sys.path.insert(0, str(SPEC.parent))
    from targets import FIVE_CENTRES, FIVE_MASSES

    centres, exact = np.asarray(FIVE_CENTRES), np.asarray(FIVE_MASSES)
    print("| schedule | archive | log Z | modes' masses | evaluations |\n" + "| --- " * 5 + "|")
    ways = {}
    for kept, overrides in KEPT.items():
        for schedule in SCHEDULES:
            way = run((f"anneal.schedule={schedule}", "anneal.levels=8", *overrides), centres)
            ways[schedule, kept] = way
            masses = " ".join(f"{mass:.3f}" for mass in way.masses)
            print(
                f"| {schedule} | {kept} | {way.log_evidence:.3f} ± {way.error:.3f} | {masses} | "
                f"{way.evaluations / 1000:.0f}k |",
                flush=True,
            )
    if len(sys.argv) > 1:
        drawn(ways, exact, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
