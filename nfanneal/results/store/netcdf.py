"""A result as ArviZ takes it: one variable for all experiments, and times among the constant data.

The schema is that of ArviZ's InferenceData; draws are those of equal weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from nfanneal.arrays import Array
from nfanneal.results.result import Result
from nfanneal.results.store.image import in_memory
from nfanneal.results.store.writing import (
    CHAIN_DRAW,
    Group,
    draw_group,
    write_attributes,
    write_parameters,
    write_sample_stats,
)
from nfanneal.runtime.files import write_bytes
from nfanneal.spec.experiments import within
from nfanneal.spec.load import spec_from_text


def write_netcdf(result: Result, target: Path | BinaryIO) -> None:
    """Write the groups that ArviZ knows: posterior, sample_stats, likelihoods, data, replicates."""
    experiments = list(spec_from_text(result.spec_yaml).data)
    with in_memory() as image:
        write_attributes(image.file, result)
        _write_posterior(image.file, result, experiments)
        write_sample_stats(image.file, result)
        if result.observed:
            _write_data(image.file, result, experiments)
    if isinstance(target, Path):
        write_bytes(target, image.content)
    else:
        target.write(image.content)


@dataclass(frozen=True)
class _Shared:
    """What has the same name in several experiments: theirs, and its full name in each."""

    name: str
    full: Mapping[str, str]


def _shared(names: Iterable[str], experiments: list[str]) -> list[_Shared]:
    """Names such as `eta[s1]` by what stands before the experiment, in their order."""
    origin = {name: (name, "") for name in names}
    for experiment in experiments:
        ending = within("", experiment)
        for name in origin:
            if experiment and name.endswith(ending):
                origin[name] = (name.removesuffix(ending), experiment)
    found: dict[str, dict[str, str]] = {}
    for name, (base, experiment) in origin.items():
        found.setdefault(base, {})[experiment] = name
    return [_Shared(base, full) for base, full in found.items()]


def _write_posterior(file: h5py.File, result: Result, experiments: list[str]) -> None:
    """Parameters that experiments have their own of have a dimension of experiments."""
    group = draw_group(file, "posterior", len(result.posterior))
    by_name = {p.name: p for p in result.columns.parameters}
    first = np.cumsum([0, *(p.size or 1 for p in result.columns.parameters)])
    start = dict(zip(by_name, first[:-1].tolist(), strict=True))
    for shared in _shared(by_name, experiments):
        parameters = [by_name[name] for name in shared.full.values()]
        if list(shared.full) == [""]:
            write_parameters(group, parameters, result.posterior[:, start[shared.name] :])
            continue
        dimension = (
            "experiment" if list(shared.full) == experiments else f"{shared.name}_experiment"
        )
        if dimension not in group.group:
            group.coordinate(dimension, _texts(shared.full))
        size = parameters[0].size
        columns = [start[p.name] + np.arange(size or 1) for p in parameters]
        values = result.posterior[:, columns]
        dimensions = (*CHAIN_DRAW, dimension)
        if size is None:
            group.write(shared.name, values[None, ..., 0], dimensions)
        else:
            group.coordinate(f"{shared.name}_dim_0", np.arange(size))
            group.write(shared.name, values[None], (*dimensions, f"{shared.name}_dim_0"))
        group.group[shared.name].attrs["units"] = parameters[0].unit


def _write_data(file: h5py.File, result: Result, experiments: list[str]) -> None:
    """Each observable's data of all experiments, one after the other; where and when each is."""
    observed = Group(file.create_group("observed_data", track_order=True))
    constant = Group(file.create_group("constant_data", track_order=True))
    n = len(result.posterior)
    log_likelihood = draw_group(file, "log_likelihood", n)
    predictive = draw_group(file, "posterior_predictive", n)
    for shared in _shared(result.observed, experiments):
        data = [result.observed[name] for name in shared.full.values()]
        dimension = f"{shared.name}_cell"
        times = np.concatenate([each.times for each in data])
        for group in (observed, constant, log_likelihood, predictive):
            group.coordinate(dimension, np.arange(len(times)))
        observed.write(shared.name, np.concatenate([d.values for d in data]), (dimension,))
        constant.write(f"{shared.name}_time", times, (dimension,))
        if list(shared.full) != [""]:
            sizes = [len(each.times) for each in data]
            labels = np.repeat(_texts(shared.full), sizes)
            constant.write(f"{shared.name}_experiment", labels, (dimension,))
        for group, values in (
            (log_likelihood, [each.pointwise for each in data]),
            (predictive, [each.replicates for each in data]),
        ):
            joined: Array = np.concatenate(values, axis=1)
            group.write(shared.name, joined[None], (*CHAIN_DRAW, dimension))


def _texts(words: Iterable[str]) -> Any:
    return np.array(list(words), dtype=h5py.string_dtype())
