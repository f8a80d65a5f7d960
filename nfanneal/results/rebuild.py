"""A result's problem again: its likelihood rebuilt from the file, its proposal, predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nfanneal.anneal.proposals.base import Proposal
from nfanneal.anneal.proposals.stored import restored
from nfanneal.anneal.symmetry import SOLVED
from nfanneal.errors import ResultError
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.executors.choice import Workers
from nfanneal.model.observations import Observations
from nfanneal.model.problem import Problem
from nfanneal.results.result import Result
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.experiments import within
from nfanneal.spec.load import spec_from_text

RECHECKED = 16
"""So many stored draws are evaluated again to see that a Python file is the result's model."""
SAME = 1e-6
"""Relative difference of log-likelihoods that may come from another machine's rounding."""
SAME_FOLDED = SOLVED
"""The same where log L was evaluated at another image of a draw."""


def checked_spec(result: Result, model_file: Path | None = None) -> CheckedSpec:
    """The spec that a result was made from.

    Raises:
        ResultError: the model is code of the user's and none was given: none is run because a
            result names it.
    """
    checked = spec_from_text(result.spec_yaml)
    model = checked.spec.model
    if not model.runs_code:
        if model_file is not None:
            raise ResultError(
                f"--model {model_file}: the model is {model.words}, which the result holds itself"
            )
        return checked
    if model_file is None:
        raise ResultError(
            f"the model is the {model.code_words} '{model.code}', which runs only if you "
            "name it: --model FILE"
        )
    try:
        changes = model.with_code(str(model_file))
    except ValueError as error:
        raise ResultError(f"--model {model_file}: {error}") from error
    overrides = [f"model.{key}={json.dumps(value)}" for key, value in changes.items()]
    return spec_from_text(result.spec_yaml, overrides=overrides)


def revived_problem(
    result: Result, model_file: Path | None = None, workers: Workers | None = None
) -> Problem:
    """The problem of a result, with the data that the result holds; `workers` ask its model.

    Raises:
        ResultError: a Python model, and no file was given or another model's.
        ModelError: the Python model cannot be imported.
    """
    checked = checked_spec(result, model_file)
    data = _observations(checked, result) if result.observed else None
    problem = build_problem(checked, data, workers=workers)
    problem = problem.tightened(result.diagnostics.tightening)
    if model_file is not None:
        refuse_other_model(result, problem, model_file)
    return problem


def refuse_other_model(result: Result, problem: Problem, model_file: Path) -> None:
    """The model must give the log-likelihoods that the result holds, at a few of its draws.

    Raises:
        ResultError: it does not.
    """
    difference = first_difference(result, problem)
    if difference:
        raise ResultError(
            f"--model {model_file}: not the model of this result: {difference}; name the file as "
            "it was"
        )


def first_difference(result: Result, problem: Problem) -> str | None:
    """Where a problem's log-likelihood or log-prior is not what the result holds, if anywhere.

    A few of its draws are looked at.
    """
    draws = result.draws
    rows = np.flatnonzero(np.isfinite(draws.log_likelihood))[:RECHECKED]
    theta = draws.theta[rows]
    pairs = {
        "log-likelihood": (
            problem.ask_all(LogLikelihood(), theta).log_likelihood,
            draws.log_likelihood[rows],
        ),
        "log-prior": (problem.latent.log_density(theta), draws.log_prior[rows]),
    }
    moved = result.symmetry is not None and result.symmetry.folded
    same = SAME_FOLDED if moved else SAME
    for what, (found, held) in pairs.items():
        other = np.flatnonzero(~np.isclose(found, held, rtol=same, atol=same))
        if len(other):
            i = int(other[0])
            return (
                f"at the result's draw {rows[i]} its {what} is {found[i]:.6g}, the result says "
                f"{held[i]:.6g}"
            )
    return None


def _observations(checked: CheckedSpec, result: Result) -> dict[str, Observations]:
    """The data of each experiment that the result holds."""
    found = {}
    for experiment in checked.meaning.experiments:
        names = tuple(n.observable for n in experiment.noise)
        full = [within(name, experiment.name) for name in names]
        if not set(full) <= set(result.observed):
            raise ResultError("the result does not hold the data that its spec speaks of")
        cells = [result.observed[name] for name in full]
        times = np.unique(np.concatenate([o.times for o in cells]))
        index = tuple(np.searchsorted(times, o.times) for o in cells)
        values = tuple(o.values for o in cells)
        found[experiment.name] = Observations(times, names, index, values)
    return found


def stored_proposal(result: Result) -> Proposal:
    """The final proposal of a result."""
    return restored(result.flow.layout, result.flow.arrays)
