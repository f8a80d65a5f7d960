"""A result in PEtab's tables: parameters with the best draw as nominal values, and samples."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nfanneal.results.result import Result
from nfanneal.spec.load import spec_from_text
from nfanneal.spec.schema import ParameterSpec

SCALES = {"linear": "lin", "log": "log", "log10": "log10"}
ENDINGS = (".parameters.tsv", ".samples.tsv")


def as_petab(result: Result) -> dict[str, str]:
    """The texts of `.parameters.tsv` (a parameter table, version 1) and of `.samples.tsv`.

    Nominal values are those of the draw with the highest posterior density. Samples are as many as
    the draws are worth, all of one weight, a column for each parameter on its natural scale.
    """
    draws, names = result.draws, result.columns.names
    best = draws.theta[int(np.argmax(draws.log_prior + draws.log_likelihood))]
    header = ("parameterId", "parameterScale", "lowerBound", "upperBound", "nominalValue",
              "estimate")  # fmt: skip
    parts = zip(_rows(result), best, strict=True)
    rows = [(*row, repr(float(value)), "1") for row, value in parts]
    samples = ([repr(float(x)) for x in row] for row in result.posterior)
    return {
        ENDINGS[0]: _table(header, rows),
        ENDINGS[1]: _table(list(names), samples),
    }


def _rows(result: Result) -> list[tuple[str, str, str, str]]:
    """Name, scale and bounds of each column."""
    checked = spec_from_text(result.spec_yaml)
    found = []
    for parameter in checked.meaning.free:
        said = checked.spec.parameters.get(parameter.name.split("[")[0])
        scale = said.scale if isinstance(said, ParameterSpec) else "linear"
        low, high = (repr(float(x)) for x in parameter.prior.support)
        found += [(name, SCALES[scale], low, high) for name in parameter.column_names]
    return found


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
