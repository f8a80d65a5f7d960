"""Checkpoints on disk: plain datasets and JSON in HDF5, with a checksum behind.

The newest is `RESULT.checkpoint`, the one before it `RESULT.checkpoint.previous`; `RESULT.answers`
holds what a dear model answered. Arrays of one
type are one flat dataset: a hundred small ones of every flow would take longer to write.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nfanneal.errors import OutputError, ResultError
from nfanneal.results.store.image import in_memory
from nfanneal.runtime.files import remove_leftovers, why, write_bytes

FORMAT = 6
MARK = b"nfanneal checkpoint "
"""Before the SHA-256 of all before it, at the very end of the file."""


@dataclass(frozen=True)
class Plain:
    """JSON values and arrays by name."""

    layout: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def checkpoint_path(output: Path) -> Path:
    """Where the newest checkpoint of a run is that writes its result to `output`."""
    return output.with_name(f"{output.name}.checkpoint")


def previous_path(output: Path) -> Path:
    """Where the checkpoint before it is."""
    return output.with_name(f"{output.name}.checkpoint.previous")


def answers_path(output: Path) -> Path:
    """Where the answers of its model are written down, if that is dear."""
    return output.with_name(f"{output.name}.answers")


def is_checkpointed(output: Path) -> bool:
    """Whether there is a checkpoint, good or bad, or what a dear model answered before one."""
    return has_checkpoint(output) or answers_path(output).exists()


def has_checkpoint(output: Path) -> bool:
    """Whether there is a checkpoint, good or bad."""
    return checkpoint_path(output).exists() or previous_path(output).exists()


def remove_checkpoints(output: Path) -> None:
    """Remove both checkpoints, answers, and what a killed process left of others.

    Raises:
        OutputError: they cannot be removed.
    """
    try:
        for path in (checkpoint_path(output), previous_path(output), answers_path(output)):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{error.filename}: cannot be removed: {why(error)}") from error
    remove_halves(output)


def remove_halves(output: Path) -> None:
    """Remove what a process that was killed while it wrote has left.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        for path in (checkpoint_path(output), output):
            remove_leftovers(path)
    except OSError as error:
        raise OutputError(f"{error.filename}: cannot be removed: {why(error)}") from error


def write_checkpoint(plain: Plain, output: Path) -> int:
    """Write a checkpoint beside `output`; the one before is kept. Returns its bytes.

    Raises:
        OutputError: it cannot be written; those that are there are as they were.
    """
    flat: dict[str, list[NDArray[Any]]] = {}
    sizes: dict[str, int] = {}
    index = []
    for name, given in plain.arrays.items():
        array = np.asarray(given)
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        kind = array.dtype.name
        start = sizes.get(kind, 0)
        index.append([name, kind, list(array.shape), order, start])
        flat.setdefault(kind, []).append(array.ravel(order="F" if order == "F" else "C"))
        sizes[kind] = start + array.size
    text = json.dumps({"layout": plain.layout, "index": index}, default=_plain_number)
    with in_memory() as image:
        image.file.attrs["created_by"] = "nfanneal"
        image.file.attrs["nfanneal_checkpoint"] = FORMAT
        image.file["layout"] = np.frombuffer(text.encode(), dtype=np.uint8)
        for kind, parts in flat.items():
            image.file[kind] = np.concatenate(parts)
    content = image.content
    checksum = MARK + hashlib.sha256(content).digest()
    write_bytes(checkpoint_path(output), content, checksum, previous=previous_path(output))
    return len(content) + len(checksum)


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in a checkpoint")


def read_checkpoint(path: Path) -> Plain:
    """Read a checkpoint whose bytes are those that were written.

    Raises:
        ResultError: it cannot be read, is damaged, or of another version.
    """
    try:
        everything = path.read_bytes()
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {why(error)}") from error
    size = len(everything) - len(MARK) - hashlib.sha256().digest_size
    content, checksum = everything[: max(size, 0)], everything[max(size, 0) :]
    if size <= 0 or checksum != MARK + hashlib.sha256(content).digest():
        raise ResultError(f"{path}: damaged: its checksum does not fit")
    with h5py.File(io.BytesIO(content), "r") as file:
        if file.attrs["nfanneal_checkpoint"] != FORMAT:
            raise ResultError(f"{path}: written by another version of nfanneal")
        text = json.loads(file["layout"][()].tobytes())
        flat = {kind: file[kind][()] for kind in file if kind != "layout"}
    arrays = {}
    for name, kind, shape, order, start in text["index"]:
        part = flat[kind][start : start + int(np.prod(shape, dtype=np.int64))]
        arrays[name] = part.reshape(shape, order=order).copy(order=order)
    return Plain(text["layout"], arrays)


def latest_checkpoint(output: Path) -> tuple[Plain, tuple[str, ...]]:
    """The newest good checkpoint, and what is wrong with a newer one.

    Raises:
        ResultError: there is none, or none is good.
    """
    complaints: list[str] = []
    for path in (checkpoint_path(output), previous_path(output)):
        if not path.exists():
            continue
        try:
            return read_checkpoint(path), tuple(complaints)
        except ResultError as error:
            complaints.append(str(error))
    if not complaints:
        raise ResultError(f"{checkpoint_path(output)}: no such file: there is nothing to resume")
    raise ResultError("\n".join([*complaints, "no good checkpoint is left"]))
