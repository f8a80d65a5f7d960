"""The program from Python: what the commands do, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nfanneal.anneal.progress import Observer
from nfanneal.results import store
from nfanneal.results.result import Result
from nfanneal.runs.evaluate import PointEvaluation, evaluate_at
from nfanneal.runs.from_spec import run_checked
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import read_spec
from nfanneal.spec.point import point_of


def run(
    spec: str | Path | Mapping[str, Any],
    *,
    output: str | Path | None = None,
    overrides: Sequence[str] = (),
    threads: int | None = None,
    observe: Observer = lambda event: None,
) -> Result:
    """Estimate a posterior and its evidence, as `nfanneal run` does.

    Arguments:
        spec: path of a YAML file, or its content as a mapping (paths from the current folder).
        output: where to write the HDF5 file; None writes nothing.
        overrides: texts like `anneal.draws=4096`.
        threads: for model and flow together; None takes the cores that this process may use.
        observe: called with every event of the annealing.

    Raises:
        SpecError, DataError, ModelError: what the message says.

    Example:
        >>> result = nfanneal.run("model.yaml", output="model.h5")  # doctest: +SKIP
        >>> result.diagnostics.log_evidence  # doctest: +SKIP
    """
    checked = read_spec(spec, overrides)
    result = run_checked(checked, threads=threads, observe=observe)
    if output is not None:
        store.write(result, Path(output))
    return result


def evaluate(
    spec: str | Path | Mapping[str, Any],
    at: Mapping[str, Any] | None = None,
    *,
    overrides: Sequence[str] = (),
    gradient: bool = False,
    pointwise: bool = False,
    threads: int | None = None,
) -> PointEvaluation:
    """Evaluate the posterior at one point, as `nfanneal evaluate` does.

    Arguments:
        spec: path of a YAML file, or its content as a mapping (paths from the current folder).
        at: numbers by name on the natural scale, `x[0]` or a list for a vector, `k[control]` or a
            mapping for what each experiment has its own of; None: the medians of the priors, or the
            nominal values of a PEtab problem, which also stand for what is not given.
        overrides: texts like `model.solver.rtol=1e-9`.
        gradient: derivatives of log-likelihood and log-posterior by every parameter, too.
        pointwise: the part of every datum, too, where there are data.
        threads: for the model; None takes the cores that this process may use.

    Raises:
        PointError: a name is unknown or missing, or a value is not a finite number.
        SpecError, DataError, ModelError: what the message says.

    Example:
        >>> found = nfanneal.evaluate("model.yaml", {"k": 0.3, "n0": 1.0})  # doctest: +SKIP
        >>> found.log_likelihood, found.log_prior, found.failed  # doctest: +SKIP
    """
    checked = read_spec(spec, overrides)
    theta = point_of(checked, at, checked.nominal)
    set_threads(threads)
    problem = build_problem(checked)
    return evaluate_at(problem, theta, gradient=gradient, pointwise=pointwise)


def load(path: str | Path) -> Result:
    """Read a result file: draws, weights, evidence, diagnostics, history.

    Raises:
        ResultError: it is not a result of nfanneal, or damaged.

    Example:
        >>> result = nfanneal.load("model.h5")  # doctest: +SKIP
        >>> result.draws.theta.shape, result.draws.log_weight.shape  # doctest: +SKIP
    """
    return store.read(Path(path))
