"""The program from Python: what the commands do, as two functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nfanneal.anneal.progress import Observer
from nfanneal.results import store
from nfanneal.results.result import Result
from nfanneal.runs.from_spec import run_checked
from nfanneal.spec.load import read_spec


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


def load(path: str | Path) -> Result:
    """Read a result file: draws, weights, evidence, diagnostics, history.

    Raises:
        ResultError: it is not a result of nfanneal, or damaged.

    Example:
        >>> result = nfanneal.load("model.h5")  # doctest: +SKIP
        >>> result.draws.theta.shape, result.draws.log_weight.shape  # doctest: +SKIP
    """
    return store.read(Path(path))
