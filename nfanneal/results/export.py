"""Results for other programs: text and tables made of weighted draws."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nfanneal.anneal.weights import normalized
from nfanneal.arrays import Array
from nfanneal.errors import ResultError
from nfanneal.results.result import Prediction, Result
from nfanneal.results.summaries import band
from nfanneal.spec.load import spec_from_text

WEIGHT_COLUMNS = ("weight", "log_weight", "log_prior", "log_likelihood", "log_proposal")


def columns_of(result: Result) -> dict[str, Array]:
    """Every final draw: weights and densities (n,), then each scalar parameter (n,)."""
    draws = result.draws
    columns = {"weight": normalized(draws.log_weight)}
    columns |= {name: getattr(draws, name) for name in WEIGHT_COLUMNS[1:]}
    return columns | {name: draws.theta[:, i] for i, name in enumerate(result.columns.names)}


def as_csv(result: Result, *, header: bool = False) -> str:
    """All weighted draws as CSV; a `header` is `#` lines before it that say what weights are."""
    out = io.StringIO()
    if header:
        _write_header(result, out)
    columns = columns_of(result)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([repr(float(x)) for x in row] for row in zip(*columns.values(), strict=True))
    return out.getvalue()


def _write_header(result: Result, out: io.StringIO) -> None:
    d = result.diagnostics
    out.write(f"# {result.name}: {d.n_samples} weighted posterior draws of nfanneal\n")
    out.write(f"# log-evidence {d.log_evidence!r} with error {d.log_evidence_error!r}\n")
    out.write("# weight: normalised importance weight, sums to 1; use it in every average\n")
    out.write("# log_weight = log_prior + log_likelihood - log_proposal; its log-mean-exp over\n")
    out.write("# all rows is the log-evidence (a pruned draw has log_weight -inf)\n")


def predictions_as_csv(groups: Mapping[str, Mapping[str, Prediction]]) -> str:
    """Mean, sd and quantiles over draws: a row per group, observable, with or without noise, time.

    `groups` are predictions by observable, from the posterior or (`prior_predictions`) the prior.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = []
    for group, observables in groups.items():
        source = "prior" if group == "prior_predictions" else "posterior"
        for name, prediction in observables.items():
            for noise, values in (("without", prediction.clean), ("with", prediction.noisy)):
                if values is None:
                    continue
                numbers = band(values)
                if not header:
                    header = ["from", "observable", "noise", "time", *numbers]
                    writer.writerow(header)
                rows = np.column_stack([prediction.times, *numbers.values()])
                writer.writerows([source, name, noise, *map(repr, row)] for row in rows.tolist())
    return out.getvalue()


def as_json(result: Result, summary: dict[str, Any]) -> str:
    """The summary and all weighted draws as JSON; numbers that are not finite are null."""
    draws = {
        name: [float(x) if np.isfinite(x) else None for x in values]
        for name, values in columns_of(result).items()
    }
    return json.dumps({"summary": summary, "draws": draws}, ensure_ascii=False) + "\n"


def write_parquet(result: Result, path: Path | Any) -> None:
    """All weighted draws as a Parquet table, with the evidence in its metadata.

    Raises:
        ResultError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise ResultError("Parquet takes pyarrow: pip install 'nfanneal[parquet]'") from None
    d = result.diagnostics
    table = pyarrow.table(columns_of(result)).replace_schema_metadata(
        {
            "name": result.name,
            "log_evidence": repr(d.log_evidence),
            "log_evidence_error": repr(d.log_evidence_error),
        }
    )
    parquet.write_table(table, path)


def as_getdist(result: Result) -> dict[str, str]:
    """GetDist's chain: the texts of `.txt`, `.paramnames` and `.ranges`.

    A row is weight, −log posterior (unnormalised), parameters; draws of no weight are left out.
    """
    draws = result.draws
    weights = normalized(draws.log_weight)
    used = weights > 0
    minus_log = -(draws.log_prior + draws.log_likelihood)
    rows = np.column_stack([weights / weights.max(), minus_log, draws.theta])[used]
    chain = io.StringIO()
    np.savetxt(chain, rows, fmt="%.10e")
    names = [_getdist_name(name) for name in result.columns.names]
    labels = [f"{n} {label}" for n, label in zip(names, _getdist_labels(result), strict=True)]
    ranges = [f"{n} {low} {high}" for n, (low, high) in zip(names, _bounds(result), strict=True)]
    return {
        ".txt": chain.getvalue(),
        ".paramnames": "\n".join(labels) + "\n",
        ".ranges": "\n".join(ranges) + "\n",
    }


def _getdist_name(name: str) -> str:
    return name.replace("[", "_").replace("]", "")


def _getdist_labels(result: Result) -> list[str]:
    """A LaTeX label without its dollars for each column."""
    labels: list[str] = []
    for parameter in result.columns.parameters:
        plain, size = parameter.label.strip("$"), parameter.size
        labels += [plain] if size is None else [f"{plain}_{{{i}}}" for i in range(size)]
    return [label.replace(" ", "\\,") for label in labels]


def _bounds(result: Result) -> list[tuple[str, str]]:
    """The support of each column's prior; N where it is unbounded."""
    bounds: list[tuple[str, str]] = []
    for parameter in spec_from_text(result.spec_yaml).meaning.free:
        low, high = parameter.prior.support
        pair = tuple(f"{x:.10g}" if np.isfinite(x) else "N" for x in (low, high))
        bounds += [(pair[0], pair[1])] * parameter.columns
    return bounds
