"""Why a model fails where it does, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.likelihood import DataLikelihood, Likelihood
from nfanneal.model.ode import in_words
from nfanneal.model.problem import Problem
from nfanneal.model.simulator import Outcomes

SHOWN = 4
"""Reasons that are told one by one."""


@dataclass(frozen=True)
class _Course:
    """How the trajectories of a model go, as a question to it."""

    def of(self, likelihood: Likelihood, theta: Array) -> Outcomes:
        assert isinstance(likelihood, DataLikelihood)
        return likelihood.simulator.outcomes(theta, likelihood.times)

    def numbers(self, likelihood: Likelihood, columns: int) -> int:
        return likelihood.cells

    def failed(self, likelihood: Likelihood, theta: Array, reason: str) -> Outcomes:
        raise ValueError(reason)  # trajectories are solved in this process


def outcomes_at(problem: Problem, z: Array) -> Outcomes | None:
    """How the trajectories at z (n, d) go; None for a model that does not go by steps."""
    return _outcomes(problem, problem.latent.from_latent(z))


def _outcomes(problem: Problem, theta: Array) -> Outcomes | None:
    return problem.ask_all(_Course(), theta) if problem.goes_by_steps else None


def reasons_in_words(reasons: Mapping[str, int]) -> str:
    """The commonest reasons of failures, with how often they were met."""
    common = sorted(reasons.items(), key=lambda item: -item[1])
    told = "; ".join(f"{count} × {in_words(name)}" for name, count in common[:SHOWN])
    others = len(common) - SHOWN
    return told + (f"; and {others} other reasons" if others > 0 else "")


def why_failed(problem: Problem, z: Array) -> str:
    """Why the model fails at z (n, d), and how far in time it gets; they are asked again."""
    why = reasons_in_words(problem.evaluate(z, False).reasons)
    return f"{why}{_got_to(outcomes_at(problem, z))}"


def why_at_point(problem: Problem, theta: Array, reasons: Mapping[str, int]) -> str:
    """Why the model gave nothing at θ (d,), for `reasons`; trajectories are asked again."""
    told = "; ".join(in_words(name) for name in reasons)
    command = f"\n  the command: {problem.command}" if problem.command else ""
    return f"{told}{_got_to(_outcomes(problem, theta[None]))}{command}"


def _got_to(outcomes: Outcomes | None) -> str:
    reached = np.empty(0) if outcomes is None else outcomes.reached[np.isfinite(outcomes.reached)]
    return f" (at the time {np.median(reached):.4g})" if len(reached) else ""
