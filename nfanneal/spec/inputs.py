"""The tables of a model's inputs: from their files, or as the spec gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nfanneal.data import read_table
from nfanneal.errors import Complaint, DataError
from nfanneal.spec.schema import InputSpec, OdeSpec, Spec

LONGEST = 10_000
"""Rows of an input's table: the solver stops at each."""


def read_input(folder: Path, name: str, said: InputSpec) -> tuple[list[float], list[float]]:
    """Times and values of an input, whose file is relative to `folder`.

    Raises:
        DataError: the file is missing or invalid, its times do not increase, or there are too many.
    """
    if said.file is None:
        return list(said.times or ()), list(said.values or ())
    path = folder / said.file
    table = read_table(path)
    times, values = table.column(said.time), table.column(said.column or name)
    there = ~np.isnan(values)
    times, values = times[there], values[there]
    if not len(times) or np.isnan(times).any() or not (np.diff(times) > 0).all():
        raise DataError([Complaint(f"{path}: the times of input '{name}' must increase")])
    if len(times) > LONGEST:
        message = f"{path}: input '{name}' has {len(times):,} rows; at most {LONGEST:,} can be had"
        raise DataError([Complaint(message, hint="thin it out: the solver stops at each")])
    return [float(t) for t in times], [float(v) for v in values]


def input_files(model: Any) -> dict[str, str]:
    """The files of the inputs that have one."""
    if not isinstance(model, OdeSpec):
        return {}
    return {name: said.file for name, said in model.inputs.items() if said.file is not None}


def with_tables(spec: Spec, folder: Path) -> Spec:
    """The spec with the tables of its inputs instead of their files."""
    files = input_files(spec.model)
    if not files or not isinstance(spec.model, OdeSpec):
        return spec
    inputs = dict(spec.model.inputs)
    for name in files:
        times, values = read_input(folder, name, inputs[name])
        inputs[name] = InputSpec(times=times, values=values, kind=inputs[name].kind)
    model = spec.model.model_copy(update={"inputs": inputs})
    return spec.model_copy(update={"model": model})


def without_unused(content: dict[str, Any]) -> dict[str, Any]:
    """A whole spec without the parts that say nothing."""
    parts = ("inputs", "doses", "changes", "pre_equilibration", "positive", "initial")
    model = content["model"]
    unused = {part for part in parts if model.get(part) in ({}, False, "given")}
    content["model"] = {key: value for key, value in model.items() if key not in unused}
    empty = {part for part in ("likelihood", "experiments") if not content[part]}
    return {key: value for key, value in content.items() if key not in empty}
