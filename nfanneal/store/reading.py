"""Reading a result file back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from nfanneal.errors import ResultError
from nfanneal.result import (
    Combination,
    Diagnostics,
    History,
    ObservedData,
    Pruning,
    Result,
    StoredFlow,
    WeightedDraws,
)
from nfanneal.store.writing import DRAW_FIELDS, FORMAT


def read(path: Path) -> Result:
    """Read a result file.

    Raises:
        ResultError: no such file, not HDF5, not written by nfanneal, or damaged.
    """
    if not path.is_file():
        raise ResultError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs.get("created_by") != "nfanneal":
                raise ResultError(f"{path}: an HDF5 file, but not a result of nfanneal")
            if file.attrs.get("nfanneal_format") != FORMAT:
                raise ResultError(
                    f"{path}: result format {file.attrs.get('nfanneal_format')}, but this "
                    f"nfanneal reads format {FORMAT}"
                )
            return _read_all(file)
    except OSError as error:
        raise ResultError(f"{path}: {_what_is_wrong(path)}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise ResultError(f"{path}: damaged, or not written completely ({error})") from error


def _what_is_wrong(path: Path) -> str:
    """Why h5py could not open a file, in words."""
    if not os.access(path, os.R_OK):
        return "cannot be read: permission denied"
    if path.stat().st_size == 0:
        return "the file is empty"
    if not h5py.is_hdf5(path):
        return "not an HDF5 file"
    return "an HDF5 file that is cut off or damaged"


def _read_all(file: h5py.File) -> Result:
    attributes = file.attrs
    parameters = json.loads(file["nfanneal"].attrs["parameters"])
    names = tuple(p["name"] for p in parameters)
    numbers = {f.name: attributes[f.name].item() for f in fields(Diagnostics)}
    stats = file["sample_stats"]
    return Result(
        name=attributes["name"],
        spec_yaml=attributes["spec_yaml"],
        seed=int(attributes["seed"]),
        parameters=names,
        sizes=tuple(p["size"] for p in parameters),
        labels=tuple(p["label"] for p in parameters),
        units=tuple(p["unit"] for p in parameters),
        draws=_read_draws(file["weighted"], names),
        posterior=_read_theta(file["posterior"], names),
        posterior_index=stats["weighted_draw"][0],
        diagnostics=Diagnostics(**numbers),
        warnings=tuple(json.loads(attributes["warnings"])),
        history=_read_history(file["history"]),
        observed=_read_observed(file),
        flow=_read_flow(file["nfanneal/flow"]),
        n_likelihood_evaluations=int(attributes["n_likelihood_evaluations"]),
        n_gradient_evaluations=int(attributes["n_gradient_evaluations"]),
        n_failed=int(attributes["n_failed"]),
        failed_theta=file["nfanneal/failed_theta"][()],
        wall_time=float(attributes["wall_time_s"]),
        versions=json.loads(attributes["versions"]),
        command=attributes["command"],
        origin=attributes.get("origin", "run"),
        sources=tuple(json.loads(attributes.get("sources", "[]"))),
        pruning=_read_pruning(file),
        combination=_read_combination(file),
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
    observed = file["observed_data"]
    names = [name for name in observed if f"{name}_time" in observed]
    return {
        name: ObservedData(
            times=observed[f"{name}_time"][()],
            values=observed[name][()],
            pointwise=file["log_likelihood"][name][0],
            replicates=file["posterior_predictive"][name][0],
        )
        for name in names
    }


def _read_flow(group: h5py.Group) -> StoredFlow:
    arrays = {name: group[name][()] for name in group if not name.startswith("size_")}
    return StoredFlow(json.loads(group.attrs["layout"]), arrays)
