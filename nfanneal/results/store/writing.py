"""Writing a result: HDF5 groups that are netCDF-4 too.

Every dataset hangs on dimension scales; nothing is pickled. Wall-clock times are attributes, so
that the datasets of two runs with the same seed are identical.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nfanneal.results.records import NamedParameter, Provenance
from nfanneal.results.result import Combination, History, Prediction, Pruning, Result
from nfanneal.results.store.image import in_memory
from nfanneal.results.store.seal import DIGEST, content_digest, sealed
from nfanneal.results.symmetry import Symmetry
from nfanneal.runtime.files import write_bytes

FORMAT = 2
DRAW_FIELDS = ("log_weight", "log_prior", "log_likelihood", "log_proposal")
CHAIN_DRAW = ("chain", "draw")
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."


class Group:
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
    """Write `result` to `path`: in memory, to a temporary file, fsynced, then renamed.

    `predictions` maps a group's name to observables and their trajectories.

    Raises:
        OutputError: the folder does not exist or cannot be written, or the disk is full.
    """
    with in_memory() as image:
        _write_all(image.file, result)
        for name, observables in (predictions or {}).items():
            _write_predictions(image.file, name, observables)
        image.file.attrs[DIGEST] = content_digest(image.file)
    write_bytes(path, sealed(image.content))


def _write_all(file: h5py.File, result: Result) -> None:
    write_attributes(file, result)
    posterior = draw_group(file, "posterior", len(result.posterior))
    write_parameters(posterior, result.columns.parameters, result.posterior)
    weighted = draw_group(file, "weighted", len(result.draws.log_weight))
    write_parameters(weighted, result.columns.parameters, result.draws.theta)
    for name in DRAW_FIELDS:
        weighted.write(name, getattr(result.draws, name)[None], CHAIN_DRAW)
    write_sample_stats(file, result)
    if result.observed:
        _write_observed(file, result)
    _write_history(file, result.history)
    _write_internals(file, result)
    if result.pruning is not None:
        _write_pruning(file, result.pruning)
    if result.combination is not None:
        _write_combination(file, result.combination)
    if result.symmetry is not None:
        _write_symmetry(file, result.symmetry)


def write_attributes(file: h5py.File, result: Result) -> None:
    """Write what a result says of itself as a whole."""
    file.attrs["Conventions"] = "CF-1.8"
    file.attrs["created_by"] = "nfanneal"
    file.attrs["nfanneal_format"] = FORMAT
    file.attrs["name"] = result.name
    file.attrs["converged"] = int(result.converged)
    _write_provenance(file.attrs, result.provenance)
    file.attrs["spec_yaml"] = result.spec_yaml
    file.attrs["warnings"] = json.dumps(result.warnings)
    for record in (result.diagnostics, result.counts):
        for field in fields(record):
            file.attrs[field.name] = getattr(record, field.name)


def _write_provenance(attributes: h5py.AttributeManager, provenance: Provenance) -> None:
    attributes["seed"] = provenance.seed
    attributes["wall_time_s"] = provenance.wall_time
    attributes["command"] = provenance.command
    attributes["origin"] = provenance.origin
    attributes["sources"] = json.dumps(provenance.sources)
    attributes["versions"] = json.dumps(dict(provenance.versions))
    if provenance.failures:
        attributes["failures"] = json.dumps(dict(provenance.failures))
    attributes["profile"] = json.dumps(dict(provenance.profile))
    if provenance.finished:
        attributes["finished"] = provenance.finished
    if provenance.host:
        attributes["host"] = provenance.host


def draw_group(file: h5py.File, name: str, n: int) -> Group:
    """A new group of one chain of n draws."""
    group = Group(file.create_group(name, track_order=True))
    group.coordinate("chain", np.arange(1))
    group.coordinate("draw", np.arange(n))
    return group


def write_parameters(
    group: Group, parameters: Sequence[NamedParameter], theta: NDArray[np.float64]
) -> None:
    """Write parameters, whose columns of θ (n, …) follow one another from the first on."""
    start = 0
    for parameter in parameters:
        name, size = parameter.name, parameter.size
        if size is None:
            group.write(name, theta[None, :, start], CHAIN_DRAW)
        else:
            dimension = f"{name}_dim_0"
            group.coordinate(dimension, np.arange(size))
            values = theta[None, :, start : start + size]
            group.write(name, values, (*CHAIN_DRAW, dimension))
        group.group[name].attrs["label"] = parameter.label
        group.group[name].attrs["units"] = parameter.unit
        start += 1 if size is None else size


def write_sample_stats(file: h5py.File, result: Result) -> None:
    """Write what is known of each posterior draw beside its parameters."""
    stats = draw_group(file, "sample_stats", len(result.posterior))
    chosen, draws = result.posterior_index, result.draws
    lp = draws.log_prior[chosen] + draws.log_likelihood[chosen]
    stats.write("lp", lp[None], CHAIN_DRAW)
    stats.write("log_weight", draws.log_weight[chosen][None], CHAIN_DRAW)
    stats.write("weighted_draw", chosen[None], CHAIN_DRAW)


def _write_observed(file: h5py.File, result: Result) -> None:
    observed = Group(file.create_group("observed_data", track_order=True))
    constant = Group(file.create_group("constant_data", track_order=True))
    log_likelihood = draw_group(file, "log_likelihood", len(result.posterior))
    predictive = draw_group(file, "posterior_predictive", len(result.posterior))
    for name, data in result.observed.items():
        dimension = f"{name}_cell"
        for group in (observed, constant, log_likelihood, predictive):
            group.coordinate(dimension, np.arange(len(data.values)))
        observed.write(name, data.values, (dimension,))
        constant.write(f"{name}_time", data.times, (dimension,))
        log_likelihood.write(name, data.pointwise[None], (*CHAIN_DRAW, dimension))
        predictive.write(name, data.replicates[None], (*CHAIN_DRAW, dimension))


def _write_predictions(file: h5py.File, name: str, observables: Mapping[str, Prediction]) -> None:
    """Trajectories (n, m) per observable; `_clean` ones are without noise."""
    first = next(iter(observables.values()))
    group = draw_group(file, name, len(first.clean))
    for observable, prediction in observables.items():
        dimension = f"{observable}_at"
        group.coordinate(dimension, prediction.times)
        dimensions = (*CHAIN_DRAW, dimension)
        group.write(f"{observable}_clean", prediction.clean[None], dimensions)
        if prediction.noisy is not None:
            group.write(observable, prediction.noisy[None], dimensions)


def _write_history(file: h5py.File, history: History) -> None:
    group = Group(file.create_group("history", track_order=True))
    for name, values in history.levels.items():
        group.write(name, values, ("levels",))
    group.write("loss", history.losses, ("steps",))
    group.write("loss_level", history.loss_levels, ("steps",))
    group.group.attrs["seconds"] = history.seconds


def _write_internals(file: h5py.File, result: Result) -> None:
    group = Group(file.create_group("nfanneal", track_order=True))
    group.write("failed_theta", result.failed_theta, ("failed", "column"))
    group.group["failed_theta"].attrs["columns"] = json.dumps(result.columns.names)
    parameters = [asdict(parameter) for parameter in result.columns.parameters]
    group.group.attrs["parameters"] = json.dumps(parameters)
    flow = Group(group.group.create_group("flow", track_order=True))
    flow.group.attrs["layout"] = json.dumps(dict(result.flow.layout))
    for name, array in result.flow.arrays.items():
        stored = array.astype(np.int8) if array.dtype == bool else array
        flow.write(name, stored, tuple(f"size_{axis}_{n}" for axis, n in enumerate(array.shape)))


def _write_pruning(file: h5py.File, pruning: Pruning) -> None:
    group = Group(file.create_group("pruning", track_order=True))
    group.write("changed", pruning.changed, ("changed_draw",))
    group.write("original_log_weight", pruning.original_log_weight[None], CHAIN_DRAW)
    group.group.attrs["method"] = pruning.method
    group.group.attrs["lost_share"] = pruning.lost_share
    group.group.attrs["clustered"] = int(pruning.clustered)
    for when in ("before", "after"):
        for name, number in getattr(pruning, when).items():
            group.group.attrs[f"{name}_{when}"] = number


def _write_combination(file: h5py.File, combination: Combination) -> None:
    group = Group(file.create_group("combination", track_order=True))
    group.write("log_evidences", combination.log_evidences, ("run",))
    group.write("errors", combination.errors, ("run",))
    group.group.attrs["chi_square"] = combination.chi_square
    group.group.attrs["p_value"] = combination.p_value


def _write_symmetry(file: h5py.File, symmetry: Symmetry) -> None:
    group = Group(file.create_group("symmetry", track_order=True))
    for name, each in (("element", symmetry.group), ("generator", symmetry.generators)):
        group.write(f"{name}_permutations", each.permutations, (name, "column"))
        group.write(f"{name}_signs", each.signs, (name, "column"))
    group.write("used", symmetry.used.astype(np.int8), ("generator",))
    group.group.attrs["folded"] = int(symmetry.folded)
    group.group.attrs["n_evaluations"] = symmetry.n_evaluations
