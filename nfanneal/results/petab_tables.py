"""A result in PEtab's tables: parameters with the best draw as nominal values, and samples."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nfanneal.errors import ResultError
from nfanneal.model.latent import Parameter
from nfanneal.results.result import Result
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import spec_from_text
from nfanneal.spec.schema import ParameterSpec

TYPES = {"uniform": "uniform", "normal": "normal", "laplace": "laplace",
         "lognormal": "logNormal", "loglaplace": "logLaplace",
         "halfnormal": "normal", "truncnormal": "normal"}  # fmt: skip
"""Priors that version 1 has, too: it cuts them to their bounds."""
SCALES = {"linear": "lin", "log": "log", "log10": "log10"}
ENDINGS = (".parameters.tsv", ".samples.tsv")


def as_petab(result: Result) -> dict[str, str]:
    """The texts of `.parameters.tsv` (a parameter table, version 1) and of `.samples.tsv`.

    Nominal values are those of the draw with the highest posterior density. Samples are as many as
    the draws are worth, all of one weight, a column for each parameter on its natural scale.

    Raises:
        ResultError: a prior is none of that version's.
    """
    draws, names = result.draws, result.columns.names
    best = draws.theta[int(np.argmax(draws.log_prior + draws.log_likelihood))]
    header = ("parameterId", "parameterScale", "lowerBound", "upperBound", "nominalValue",
              "estimate", "objectivePriorType", "objectivePriorParameters")  # fmt: skip
    checked = spec_from_text(result.spec_yaml)
    rows = [row for p in checked.meaning.free for row in _rows(p, checked)]
    values = dict(zip(names, best, strict=True))
    table = [(*row[:4], repr(float(values[row[0]])), "1", *row[4:]) for row in rows]
    replaced = {n for e in checked.spec.experiments.values() for n in e.parameters}
    fixed = {n: v for n, v in checked.meaning.fixed.items() if n not in replaced}
    table += [(n, "lin", "", "", repr(float(v)), "0", "", "") for n, v in fixed.items()]
    ids = {p.name: p.label for p in result.columns.parameters if p.name == f"{p.label}_"}
    table = [(ids.get(name, name), *others) for name, *others in table]
    samples = ([repr(float(x)) for x in row] for row in result.posterior)
    return {
        ENDINGS[0]: _table(header, table),
        ENDINGS[1]: _table([ids.get(name, name) for name in names], samples),
    }


def _rows(parameter: Parameter, checked: CheckedSpec) -> list[tuple[str, ...]]:
    """Name, scale, bounds, and type and numbers of the prior, of each column of a parameter."""
    said = checked.spec.parameters.get(parameter.name.split("[")[0])
    scale = said.scale if isinstance(said, ParameterSpec) else "linear"
    low, high = (float(x) for x in parameter.prior.support)
    prior = parameter.prior
    given = [float(x) for x in prior.arguments.values()]
    numbers = ";".join(map(repr, _as_cut_normal(prior.name, given) or given))
    if prior.name == "loguniform":
        scale = "log10"
        row = (SCALES[scale], repr(low), repr(high), "parameterScaleUniform", _log10(low, high))
    elif prior.name in TYPES:
        row = (SCALES[scale], repr(low), repr(high), TYPES[prior.name], numbers)
    else:
        raise ResultError(
            f"the prior of '{parameter.name}', {prior.name}, is none of PEtab's, version 1"
        )
    return [(name, *row) for name in parameter.column_names]


def _as_cut_normal(name: str, given: list[float]) -> list[float]:
    """Mean and standard deviation of a normal distribution that is cut; empty for other priors."""
    if name == "halfnormal":
        return [0.0, *given]
    return given[:2] if name == "truncnormal" else []


def _log10(low: float, high: float) -> str:
    return f"{math.log10(low)!r};{math.log10(high)!r}"


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
