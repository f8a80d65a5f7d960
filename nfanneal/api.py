"""The program from Python: what the commands do, as two functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nfanneal.anneal.journal import Journal
from nfanneal.anneal.progress import Observer
from nfanneal.errors import SpecError
from nfanneal.model.problem import Problem
from nfanneal.results import store
from nfanneal.results.result import Result
from nfanneal.runs.estimate import Earlier, Settings, estimate
from nfanneal.runtime.threads import set_threads
from nfanneal.spec import CheckedSpec, load_spec, read_document, spec_from_text
from nfanneal.spec.build.problem import build_problem, build_settings

Beginning = tuple[Journal, Earlier | None]


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


def read_spec(spec: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> CheckedSpec:
    """Check a spec given as a path or a mapping.

    Raises:
        SpecError: every complaint about it.
    """
    if isinstance(spec, Mapping):
        return spec_from_text(yaml.safe_dump(dict(spec)), Path.cwd(), overrides)
    return load_spec(Path(spec), overrides)


def run_checked(
    checked: CheckedSpec,
    *,
    threads: int | None = None,
    memory: int | None = None,
    command: str = "",
    observe: Observer = lambda event: None,
    begin: Callable[[Problem, Settings], Beginning] = lambda problem, settings: (Journal(), None),
) -> Result:
    """Estimate from a checked spec; `command` is only recorded.

    `begin` gives the journal that is kept, or gone on from, and the result that is extended.
    """
    set_threads(threads)
    problem = build_problem(checked, memory=memory)
    settings = build_settings(checked, problem)
    journal, earlier = begin(problem, settings)
    return estimate(
        problem,
        settings,
        checked.yaml,
        command=command,
        observe=observe,
        journal=journal,
        earlier=earlier,
    )


def load(path: str | Path) -> Result:
    """Read a result file: draws, weights, evidence, diagnostics, history.

    Raises:
        ResultError: it is not a result of nfanneal, or damaged.

    Example:
        >>> result = nfanneal.load("model.h5")  # doctest: +SKIP
        >>> result.draws.theta.shape, result.draws.log_weight.shape  # doctest: +SKIP
    """
    return store.read(Path(path))


def read_numbers(path: Path) -> dict[str, float]:
    """Numbers by name from a YAML or JSON file.

    Raises:
        SpecError: it cannot be read, or holds anything else.
    """
    document = read_document(path)
    if document.complaints:
        raise SpecError(document.complaints)
    try:
        return {name: float(value) for name, value in document.data.items()}
    except (TypeError, ValueError):
        raise SpecError(f"{path}: must hold numbers by name, such as 'k: 0.5'") from None
