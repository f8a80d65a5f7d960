"""Reading a result file back."""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nfanneal.anneal.exchanges import Exchanges
from nfanneal.errors import ResultError
from nfanneal.results.diagnosis import Diagnostics
from nfanneal.results.draws import WeightedDraws
from nfanneal.results.records import Columns, Counts, NamedParameter, Provenance
from nfanneal.results.result import (
    Combination,
    History,
    ObservedData,
    Prediction,
    Pruning,
    Result,
    StoredFlow,
)
from nfanneal.results.store.seal import check_bytes, check_content, refuse_hostile
from nfanneal.results.store.writing import DRAW_FIELDS, FORMAT
from nfanneal.results.symmetry import Symmetry, refuse_forged

_DAMAGE = (
    KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError,
    MemoryError,
)  # fmt: skip
"""What h5py, json and the shapes of arrays raise where a file is damaged."""


def read(path: Path) -> Result:
    """Read a result file.

    Raises:
        ResultError: no such file, not HDF5, not written by nfanneal, or damaged.
    """
    size = _size(path)
    try:
        sealed = check_bytes(path)
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs.get("created_by") != "nfanneal":
                raise ResultError(f"{path}: an HDF5 file, but not a result of nfanneal")
            if file.attrs.get("nfanneal_format") != FORMAT:
                raise ResultError(
                    f"{path}: result format {file.attrs.get('nfanneal_format')}, but this "
                    f"nfanneal reads format {FORMAT}"
                )
            refuse_hostile(file, path, size)
            if not sealed:
                check_content(file, path)
            result = _read_all(file)
            _refuse_inconsistent(result)
            return result
    except OSError as error:
        raise ResultError(f"{path}: {_what_is_wrong(path)}") from error
    except _DAMAGE as error:
        raise ResultError(f"{path}: damaged, or not written completely ({error})") from error


def read_predictions(path: Path) -> dict[str, Prediction]:
    """What `nfanneal predict` stored of the posterior in a result file; empty if nothing.

    Raises:
        ResultError: no such file, or what it holds is damaged.
    """
    size = _size(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            refuse_hostile(file, path, size)
            if "predictions" not in file:
                return {}
            return _read_predictions(file["predictions"])
    except OSError as error:
        raise ResultError(f"{path}: {_what_is_wrong(path)}") from error
    except _DAMAGE as error:
        raise ResultError(f"{path}: damaged, or not written completely ({error})") from error


def _read_predictions(group: h5py.Group) -> dict[str, Prediction]:
    ends = "_clean"
    names = [name.removesuffix(ends) for name in group if name.endswith(ends)]
    found = {}
    for name in names:
        noisy = group[name][0] if name in group else None
        found[name] = Prediction(group[f"{name}_at"][()], group[f"{name}{ends}"][0], noisy)
        for values in (found[name].clean, noisy):
            if values is not None and values.shape[1:] != found[name].times.shape:
                raise ValueError(f"other numbers of times and of values of {name}")
    return found


def _size(path: Path) -> int:
    """The size of a regular file: a pipe would be waited for.

    Raises:
        ResultError: there is no such file.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise ResultError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResultError(f"{path}: cannot be read: {reason}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device, not a file"
        raise ResultError(f"{path}: is {kind}")
    return found.st_size


def _refuse_inconsistent(result: Result) -> None:
    """Raise a ValueError where parts do not fit together: a stranger can forge a checksum."""
    draws, n = result.draws, len(result.draws.log_weight)
    if any(len(getattr(draws, field.name)) != n for field in fields(draws)):
        raise ValueError("weighted draws of different numbers")
    if n == 0 or n != result.diagnostics.n_samples:
        raise ValueError("another number of draws than it says")
    if len(result.posterior) != len(result.posterior_index):
        raise ValueError("posterior draws of different numbers")
    if not ((result.posterior_index >= 0) & (result.posterior_index < n)).all():
        raise ValueError("a posterior draw that is no weighted draw")
    if result.symmetry is not None:
        refuse_forged(result.symmetry, draws.theta.shape[1])
    made, parameters = result.provenance, result.columns.parameters
    texts = [result.name, made.command, made.origin, made.finished, made.host, *result.warnings]
    texts += [result.diagnostics.failing_why, result.diagnostics.whim]
    texts += [text for p in parameters for text in (p.name, p.label, p.unit)]
    if not all(isinstance(text, str) for text in (result.spec_yaml, *texts)):
        raise ValueError("a text that is none")
    shown = "".join(texts)
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in shown):
        raise ValueError("a control character in a text")


def _what_is_wrong(path: Path) -> str:
    """Why h5py could not open a file, in words."""
    if not os.access(path, os.R_OK):
        return "cannot be read: permission denied"
    if path.stat().st_size == 0:
        return "the file is empty"
    if not h5py.is_hdf5(path):
        spec = path.suffix.lower() in (".yaml", ".yml")
        return "not an HDF5 file" + (f"; `nfanneal run {path}` makes one of it" if spec else "")
    return "an HDF5 file that is cut off or damaged"


def _read_all(file: h5py.File) -> Result:
    attributes = file.attrs
    columns = _read_columns(file["nfanneal"])
    names = tuple(p.name for p in columns.parameters)
    told = [f.name for f in fields(Diagnostics) if f.default is MISSING or f.name in attributes]
    numbers = {name: _plain(attributes[name]) for name in told}
    counts = {f.name: int(attributes[f.name]) for f in fields(Counts)}
    stats = file["sample_stats"]
    return Result(
        name=attributes["name"],
        spec_yaml=attributes["spec_yaml"],
        provenance=_read_provenance(attributes),
        columns=columns,
        draws=_read_draws(file["weighted"], names),
        posterior=_read_theta(file["posterior"], names),
        posterior_index=stats["weighted_draw"][0],
        diagnostics=Diagnostics(**numbers),
        warnings=tuple(json.loads(attributes["warnings"])),
        history=_read_history(file["history"]),
        observed=_read_observed(file),
        flow=_read_flow(file["nfanneal/flow"]),
        counts=Counts(**counts),
        failed_theta=file["nfanneal/failed_theta"][()],
        pruning=_read_pruning(file),
        combination=_read_combination(file),
        symmetry=_read_symmetry(file),
    )


def _plain(value: Any) -> Any:
    """A number or a text, as Python has it."""
    return value if isinstance(value, str) else value.item()


def _read_columns(group: h5py.Group) -> Columns:
    names = [field.name for field in fields(NamedParameter)]
    parameters = json.loads(group.attrs["parameters"])
    return Columns(tuple(NamedParameter(**{name: p[name] for name in names}) for p in parameters))


def _read_provenance(attributes: h5py.AttributeManager) -> Provenance:
    return Provenance(
        seed=int(attributes["seed"]),
        wall_time=float(attributes["wall_time_s"]),
        versions=json.loads(attributes["versions"]),
        command=attributes["command"],
        origin=attributes["origin"],
        sources=tuple(json.loads(attributes["sources"])),
        failures=json.loads(attributes.get("failures", "{}")),
        profile=json.loads(attributes.get("profile", "{}")),
        finished=attributes.get("finished", ""),
        host=attributes.get("host", ""),
    )


def _read_pruning(file: h5py.File) -> Pruning | None:
    if "pruning" not in file:
        return None
    group = file["pruning"]
    numbers = {
        when: {
            name.removesuffix(f"_{when}"): value.item()
            for name, value in group.attrs.items()
            if name.endswith(f"_{when}")
        }
        for when in ("before", "after")
    }
    return Pruning(
        method=group.attrs["method"],
        changed=group["changed"][()],
        original_log_weight=group["original_log_weight"][0],
        lost_share=group.attrs["lost_share"].item(),
        clustered=bool(group.attrs["clustered"]),
        **numbers,
    )


def _read_combination(file: h5py.File) -> Combination | None:
    if "combination" not in file:
        return None
    group = file["combination"]
    return Combination(
        log_evidences=group["log_evidences"][()],
        errors=group["errors"][()],
        chi_square=group.attrs["chi_square"].item(),
        p_value=group.attrs["p_value"].item(),
    )


def _read_symmetry(file: h5py.File) -> Symmetry | None:
    if "symmetry" not in file:
        return None
    group = file["symmetry"]
    elements, generators = (
        Exchanges(group[f"{name}_permutations"][()], group[f"{name}_signs"][()])
        for name in ("element", "generator")
    )
    return Symmetry(
        group=elements,
        generators=generators,
        used=group["used"][()] != 0,
        folded=bool(group.attrs["folded"]),
        n_evaluations=int(group.attrs["n_evaluations"]),
    )


def _read_theta(group: h5py.Group, names: tuple[str, ...]) -> NDArray[np.float64]:
    columns = [group[name][0] for name in names]
    return np.concatenate([c[:, None] if c.ndim == 1 else c for c in columns], axis=1)


def _read_draws(group: h5py.Group, names: tuple[str, ...]) -> WeightedDraws:
    return WeightedDraws(
        theta=_read_theta(group, names), **{name: group[name][0] for name in DRAW_FIELDS}
    )


def _read_history(group: h5py.Group) -> History:
    skip = {"loss", "loss_level", "levels", "steps"}
    return History(
        levels={name: group[name][()] for name in group if name not in skip},
        losses=group["loss"][()],
        loss_levels=group["loss_level"][()],
        seconds=group.attrs["seconds"],
    )


def _read_observed(file: h5py.File) -> Mapping[str, ObservedData]:
    if "observed_data" not in file:
        return {}
    observed, constant = file["observed_data"], file["constant_data"]
    names = [name for name in observed if f"{name}_time" in constant]
    return {
        name: ObservedData(
            times=constant[f"{name}_time"][()],
            values=observed[name][()],
            pointwise=file["log_likelihood"][name][0],
            replicates=file["posterior_predictive"][name][0],
        )
        for name in names
    }


def _read_flow(group: h5py.Group) -> StoredFlow:
    arrays = {name: group[name][()] for name in group if not name.startswith("size_")}
    return StoredFlow(json.loads(group.attrs["layout"]), arrays)
