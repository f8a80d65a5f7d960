"""The tables of a model's inputs: from their files, or as the spec gives them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nfanneal.data import Array, Several, Table, read_table
from nfanneal.errors import Complaint, DataError, Location
from nfanneal.spec.document import Document
from nfanneal.spec.schema import InputSpec, OdeSpec, Spec

LONGEST = 10_000
"""Rows of an input's table: the solver stops at each."""
FILL_IN = "fill the cell in, or leave the row out; inputs at other times need files of their own"


def read_input(
    document: Document, folder: Path, name: str, said: InputSpec
) -> tuple[list[float], list[float]]:
    """Times and values of an input, whose file is relative to `folder`.

    Raises:
        DataError: the file is missing or invalid, a cell is empty, its times do not increase, or
            there are too many; with the place of the key in the spec, then that in the file.
    """
    if said.file is None:
        return list(said.times or ()), list(said.values or ())
    table = read_table(folder / said.file)
    keys = ("file", "time", "column")
    places = {key: document.place(("model", "inputs", name, key)).value for key in keys}
    times = _column(table, said.time, places["time"])
    values = _column(table, said.column or name, places["column"])
    if not (np.diff(times) > 0).all():
        message = f"{table.path}: the times of input '{name}' must increase"
        raise DataError([Complaint(message, places["time"])])
    if len(times) > LONGEST:
        message = f"{table.path}: input '{name}' has {len(times):,} rows; at most {LONGEST:,} can "
        hint = "thin it out: the solver stops at each"
        raise DataError([Complaint(f"{message}be had", places["file"], hint)])
    return [float(t) for t in times], [float(v) for v in values]


def _column(table: Table, name: str, place: Location) -> Array:
    """A column of an input's file; what is wrong with it is told at the `place` in the spec."""
    try:
        column = table.column(name)
    except DataError as error:
        raise DataError(
            replace(c, message=f"{c.location}: {c.message}", location=place) if c.location else c
            for c in error.complaints
        ) from None
    wrong = Several()
    for row in np.flatnonzero(np.isnan(column)):
        where = Location(table.path, table.lines[row])
        wrong.add(Complaint(f"{where}: no value in column '{name}'", place, FILL_IN))
    if wrong.count:
        raise wrong.error()
    return column


def input_files(model: Any) -> dict[str, str]:
    """The files of the inputs that have one."""
    if not isinstance(model, OdeSpec):
        return {}
    return {name: said.file for name, said in model.inputs.items() if said.file is not None}


def with_tables(spec: Spec, document: Document, folder: Path) -> Spec:
    """The spec with the tables of its inputs instead of their files."""
    files = input_files(spec.model)
    if not files or not isinstance(spec.model, OdeSpec):
        return spec
    inputs = dict(spec.model.inputs)
    for name in files:
        times, values = read_input(document, folder, name, inputs[name])
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
