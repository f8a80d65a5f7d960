"""The tables of a model's inputs: from their files, or as the spec gives them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import Complaint, DataError, Location
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.document import Document, KeyPath
from nfanneal.spec.kinds.ode import InputSpec
from nfanneal.spec.schema import Spec
from nfanneal.spec.table import MOST_COMPLAINTS, Table, read_table

LONGEST = 10_000
"""Rows of an input's table: the solver stops at each."""
FILL_IN = "fill the cell in, or leave the row out; inputs at other times need files of their own"


def input_path(name: str, experiment: str = "") -> KeyPath:
    """The place of an input of the model, or of what an experiment says of it."""
    return (*(("experiments", experiment) if experiment else ("model",)), "inputs", name)


def inputs_of(spec: Spec) -> dict[KeyPath, InputSpec]:
    """The inputs of a model, and as they are in experiments that say something of them."""
    shared = spec.model.names_of("inputs")
    return {input_path(name): said for name, said in shared.items()} | {
        input_path(name, experiment): _changed(shared[name], own)
        for experiment, said in spec.experiments.items()
        for name, own in said.inputs.items()
        if name in shared
    }


def _changed(shared: InputSpec, own: InputSpec) -> InputSpec:
    """A file takes the place of times and values, and the other way round."""
    said, tables = own.model_dump(exclude_unset=True), {"file", "times", "values"}
    gone = dict.fromkeys(tables) if tables & set(said) else {}
    return shared.model_copy(update={**gone, **said})


def read_input(
    document: Document, folder: Path, path: KeyPath, said: InputSpec
) -> tuple[list[float], list[float]]:
    """Times and values of the input at `path` of the spec, whose file is relative to `folder`.

    Raises:
        DataError: the file is missing or invalid, a cell is empty, its times do not increase, or
            there are too many; with the place of the key in the spec, then that in the file.
    """
    if said.file is None:
        return list(said.times or ()), list(said.values or ())
    table = read_table(folder / said.file)
    name, keys = str(path[-1]), ("file", "time", "column")
    places = {key: document.place((*path, key)).value for key in keys}
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
    wrong = Complaints(most=MOST_COMPLAINTS)
    for row in np.flatnonzero(np.isnan(column)):
        where = Location(table.path, table.lines[row])
        wrong.add(f"{where}: no value in column '{name}'", place, FILL_IN)
    wrong.tell(DataError)
    return column


def input_files(spec: Spec) -> dict[KeyPath, str]:
    """The files of the inputs that have one, by the place of the input."""
    return {path: said.file for path, said in inputs_of(spec).items() if said.file is not None}


def with_tables(spec: Spec, document: Document, folder: Path) -> Spec:
    """The spec with the tables of its inputs instead of their files."""
    if not input_files(spec):
        return spec
    tables = dict[KeyPath, InputSpec]()
    for path, said in inputs_of(spec).items():
        times, values = read_input(document, folder, path, said)
        tables[path] = InputSpec(times=times, values=values, kind=said.kind)
    experiments = {
        e: said.model_copy(update={"inputs": {n: tables[input_path(n, e)] for n in said.inputs}})
        for e, said in spec.experiments.items()
    }
    inputs = {name: tables[input_path(name)] for name in spec.model.names_of("inputs")}
    model = spec.model.model_copy(update={"inputs": inputs})
    return spec.model_copy(update={"model": model, "experiments": experiments})


def without_unused(content: dict[str, Any]) -> dict[str, Any]:
    """A whole spec without the parts that say nothing."""
    parts = ("inputs", "doses", "changes", "events", "pre_equilibration", "reset", "positive",
             "initial")  # fmt: skip
    model = content["model"]
    unused = {part for part in parts if model.get(part) in ({}, [], False, "given")}
    content["model"] = {key: value for key, value in model.items() if key not in unused}
    empty = {part for part in ("likelihood", "experiments") if not content[part]}
    return {key: value for key, value in content.items() if key not in empty}
