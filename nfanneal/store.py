"""Results as HDF5 files that are netCDF-4 too: h5py, xarray and ArviZ open them as they are.

Every dataset hangs on dimension scales; nothing is pickled. Wall-clock times are attributes, so
that the datasets of two runs with the same seed are identical.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from nfanneal.errors import ResultError
from nfanneal.result import (
    Combination,
    Diagnostics,
    History,
    ObservedData,
    Prediction,
    Pruning,
    Result,
    StoredFlow,
    WeightedDraws,
)

FORMAT = 1
DRAW_FIELDS = ("log_weight", "log_prior", "log_likelihood", "log_proposal")
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."


class _Group:
    """An HDF5 group whose datasets share named dimension scales."""

    def __init__(self, group: h5py.Group) -> None:
        self.group = group

    def coordinate(self, name: str, values: NDArray[Any]) -> None:
        """A dimension with its coordinate values."""
        self.group.create_dataset(name, data=values).make_scale(name)

    def write(self, name: str, values: NDArray[Any], dimensions: tuple[str, ...]) -> None:
        """A dataset on `dimensions`; those that do not exist yet are made without values."""
        values = np.asarray(values)
        dataset = self.group.create_dataset(name, data=values)
        for axis, dimension in enumerate(dimensions):
            if dimension not in self.group:
                size = values.shape[axis]
                scale = self.group.create_dataset(dimension, shape=(size,), dtype=">f4")
                scale.make_scale(f"{NO_VARIABLE}{size:10d}")
            dataset.dims[axis].attach_scale(self.group[dimension])


def write(
    result: Result, path: Path, predictions: Mapping[str, Mapping[str, Prediction]] | None = None
) -> None:
    """Write `result` to `path`: to a temporary file beside it, fsynced, then renamed.

    `predictions` maps a group's name to observables and their trajectories.

    Raises:
        ResultError: the folder does not exist or cannot be written.
    """
    with (
        replaced(path) as temporary,
        h5py.File(temporary, "w", libver=("v108", "latest"), track_order=True) as file,
    ):
        _write_all(file, result)
        for name, observables in (predictions or {}).items():
            _write_predictions(file, name, observables)


def write_netcdf(result: Result, target: Path | BinaryIO) -> None:
    """Write the groups that ArviZ knows: posterior, sample_stats, likelihoods, data, replicates."""
    with h5py.File(target, "w", libver=("v108", "latest"), track_order=True) as file:
        _write_attributes(file, result)
        posterior = _draw_group(file, "posterior", len(result.posterior))
        _write_parameters(posterior, result, result.posterior)
        _write_sample_stats(file, result)
        if result.observed:
            _write_observed(file, result)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`; fsynced and renamed to it when all went well.

    Raises:
        ResultError: the folder does not exist or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ResultError(f"{path}: cannot write here: {error.strerror}") from error
    temporary = Path(name)
    try:
        os.close(handle)
        yield temporary
        _sync(name)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise ResultError(f"{path}: writing failed: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_all(file: h5py.File, result: Result) -> None:
    _write_attributes(file, result)
    posterior = _draw_group(file, "posterior", len(result.posterior))
    _write_parameters(posterior, result, result.posterior)
    weighted = _draw_group(file, "weighted", len(result.draws.log_weight))
    _write_parameters(weighted, result, result.draws.theta)
    for name in DRAW_FIELDS:
        weighted.write(name, getattr(result.draws, name)[None], ("chain", "draw"))
    _write_sample_stats(file, result)
    if result.observed:
        _write_observed(file, result)
    _write_history(file, result.history)
    _write_internals(file, result)
    if result.pruning is not None:
        _write_pruning(file, result.pruning)
    if result.combination is not None:
        _write_combination(file, result.combination)


def _write_attributes(file: h5py.File, result: Result) -> None:
    d = result.diagnostics
    file.attrs["Conventions"] = "CF-1.8"
    file.attrs["created_by"] = "nfanneal"
    file.attrs["nfanneal_format"] = FORMAT
    file.attrs["name"] = result.name
    file.attrs["converged"] = int(result.converged)
    file.attrs["seed"] = result.seed
    file.attrs["wall_time_s"] = result.wall_time
    file.attrs["command"] = result.command
    file.attrs["origin"] = result.origin
    file.attrs["sources"] = json.dumps(result.sources)
    file.attrs["spec_yaml"] = result.spec_yaml
    file.attrs["warnings"] = json.dumps(result.warnings)
    file.attrs["versions"] = json.dumps(dict(result.versions))
    for field in fields(Diagnostics):
        file.attrs[field.name] = getattr(d, field.name)
    file.attrs["n_likelihood_evaluations"] = result.n_likelihood_evaluations
    file.attrs["n_gradient_evaluations"] = result.n_gradient_evaluations
    file.attrs["n_failed"] = result.n_failed


def _draw_group(file: h5py.File, name: str, n: int) -> _Group:
    group = _Group(file.create_group(name, track_order=True))
    group.coordinate("chain", np.arange(1))
    group.coordinate("draw", np.arange(n))
    return group


def _write_parameters(group: _Group, result: Result, theta: NDArray[np.float64]) -> None:
    start = 0
    for i, (name, size) in enumerate(zip(result.parameters, result.sizes, strict=True)):
        if size is None:
            group.write(name, theta[None, :, start], ("chain", "draw"))
        else:
            dimension = f"{name}_dim_0"
            group.coordinate(dimension, np.arange(size))
            values = theta[None, :, start : start + size]
            group.write(name, values, ("chain", "draw", dimension))
        group.group[name].attrs["label"] = result.labels[i]
        group.group[name].attrs["units"] = result.units[i]
        start += 1 if size is None else size


def _write_sample_stats(file: h5py.File, result: Result) -> None:
    stats = _draw_group(file, "sample_stats", len(result.posterior))
    chosen, draws = result.posterior_index, result.draws
    lp = draws.log_prior[chosen] + draws.log_likelihood[chosen]
    stats.write("lp", lp[None], ("chain", "draw"))
    stats.write("log_weight", draws.log_weight[chosen][None], ("chain", "draw"))
    stats.write("weighted_draw", chosen[None], ("chain", "draw"))


def _write_observed(file: h5py.File, result: Result) -> None:
    observed = _Group(file.create_group("observed_data", track_order=True))
    log_likelihood = _draw_group(file, "log_likelihood", len(result.posterior))
    predictive = _draw_group(file, "posterior_predictive", len(result.posterior))
    for name, data in result.observed.items():
        dimension = f"{name}_cell"
        for group in (observed, log_likelihood, predictive):
            group.coordinate(dimension, np.arange(len(data.values)))
        observed.write(name, data.values, (dimension,))
        observed.write(f"{name}_time", data.times, (dimension,))
        log_likelihood.write(name, data.pointwise[None], ("chain", "draw", dimension))
        predictive.write(name, data.replicates[None], ("chain", "draw", dimension))


def _write_predictions(file: h5py.File, name: str, observables: Mapping[str, Prediction]) -> None:
    """Trajectories (n, m) per observable; `_clean` ones are without noise."""
    first = next(iter(observables.values()))
    group = _draw_group(file, name, len(first.clean))
    for observable, prediction in observables.items():
        dimension = f"{observable}_at"
        group.coordinate(dimension, prediction.times)
        dimensions = ("chain", "draw", dimension)
        group.write(f"{observable}_clean", prediction.clean[None], dimensions)
        if prediction.noisy is not None:
            group.write(observable, prediction.noisy[None], dimensions)


def _write_history(file: h5py.File, history: History) -> None:
    group = _Group(file.create_group("history", track_order=True))
    for name, values in history.levels.items():
        group.write(name, values, ("levels",))
    group.write("loss", history.losses, ("steps",))
    group.write("loss_level", history.loss_levels, ("steps",))
    group.group.attrs["seconds"] = history.seconds


def _write_internals(file: h5py.File, result: Result) -> None:
    group = _Group(file.create_group("nfanneal", track_order=True))
    group.write("failed_theta", result.failed_theta, ("failed", "column"))
    group.group["failed_theta"].attrs["columns"] = json.dumps(result.column_names)
    group.group.attrs["parameters"] = json.dumps(
        [
            {"name": n, "size": s, "label": lab, "unit": u}
            for n, s, lab, u in zip(
                result.parameters, result.sizes, result.labels, result.units, strict=True
            )
        ]
    )
    flow = _Group(group.group.create_group("flow", track_order=True))
    flow.group.attrs["layout"] = json.dumps(dict(result.flow.layout))
    for name, array in result.flow.arrays.items():
        stored = array.astype(np.int8) if array.dtype == bool else array
        flow.write(name, stored, tuple(f"size_{axis}_{n}" for axis, n in enumerate(array.shape)))


def _write_pruning(file: h5py.File, pruning: Pruning) -> None:
    group = _Group(file.create_group("pruning", track_order=True))
    group.write("changed", pruning.changed, ("changed_draw",))
    group.write("original_log_weight", pruning.original_log_weight[None], ("chain", "draw"))
    group.group.attrs["method"] = pruning.method
    group.group.attrs["lost_share"] = pruning.lost_share
    group.group.attrs["clustered"] = int(pruning.clustered)
    for when in ("before", "after"):
        for name, number in getattr(pruning, when).items():
            group.group.attrs[f"{name}_{when}"] = number


def _write_combination(file: h5py.File, combination: Combination) -> None:
    group = _Group(file.create_group("combination", track_order=True))
    group.write("log_evidences", combination.log_evidences, ("run",))
    group.write("errors", combination.errors, ("run",))
    group.group.attrs["chi_square"] = combination.chi_square
    group.group.attrs["p_value"] = combination.p_value


def read(path: Path) -> Result:
    """Read a result file.

    Raises:
        ResultError: no such file, not HDF5, not written by nfanneal, or damaged.
    """
    if not path.is_file():
        raise ResultError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("created_by") != "nfanneal":
                raise ResultError(f"{path}: an HDF5 file, but not a result of nfanneal")
            if file.attrs.get("nfanneal_format") != FORMAT:
                raise ResultError(
                    f"{path}: result format {file.attrs.get('nfanneal_format')}, but this "
                    f"nfanneal reads format {FORMAT}"
                )
            return _read_all(file)
    except OSError as error:
        raise ResultError(f"{path}: not a readable HDF5 file ({error})") from error
    except (KeyError, ValueError, TypeError) as error:
        raise ResultError(f"{path}: damaged, or not written completely ({error})") from error


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
