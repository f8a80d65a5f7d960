"""A point of the parameters, on their natural scale, from what is said of them by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import Complaint, PointError, SpecError, nearest
from nfanneal.model.latent import LatentMap, Parameter
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.document import read_document

NAMED = 8
"""A message names at most so many parameters that have no value."""


def point_of(
    checked: CheckedSpec,
    given: Mapping[str, Any] | None = None,
    default: Mapping[str, Any] | None = None,
) -> Array:
    """θ (d,) of a spec's free parameters, in the order of its columns.

    `given` are numbers by name: `k`, an element `x[0]` of a vector, `k[control]` of an experiment;
    or lists of all elements, and mappings from experiment to number. What is not given is as in
    `default`, which is written alike, and may name parameters that the spec fixes. With neither,
    every parameter is at the median of its prior.

    Raises:
        PointError: a name is unknown or has no value, or a value is no finite number.
    """
    latent = LatentMap(checked.meaning.free)
    if not given and default is None:
        return latent.from_latent(np.zeros((1, latent.dimension)))[0]
    fixed = checked.meaning.fixed
    said = {name: value for name, value in _flat(default or {}) if name not in fixed}
    said |= dict(_flat(given or {}))
    complaints = [found for item in said.items() if (found := _wrong_with(*item, checked, latent))]
    absent = [name for name in latent.column_names if name not in said]
    if absent and not complaints:
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        complaints.append(
            Complaint(
                f"no value is given for {', '.join(absent[:NAMED])}{more}",
                hint="give one for every parameter that has a prior, or for none: the medians of "
                "the priors"
                if default is None
                else "name it as well: the others have nominal values",
            )
        )
    if complaints:
        raise PointError(complaints)
    return np.array([float(said[name]) for name in latent.column_names])


def read_point(path: Path) -> dict[str, Any]:
    """What a YAML or JSON file says of the parameters: at its top, or below `parameters`.

    Raises:
        SpecError: it cannot be read, or is no such file.
    """
    document = read_document(path)
    if document.complaints:
        raise SpecError(document.complaints)
    below = document.data.get("parameters")
    return dict(below if isinstance(below, dict) else document.data)


def _flat(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """One name for each number: `x[0]`, `x[1]` of a list, `k[control]` of a mapping."""
    for name, value in said.items():
        if isinstance(value, Mapping):
            yield from _flat({f"{name}[{key}]": item for key, item in value.items()})
        elif isinstance(value, list | tuple | np.ndarray):
            yield from _flat({f"{name}[{i}]": item for i, item in enumerate(value)})
        else:
            yield name, value


def _wrong_with(name: str, value: Any, checked: CheckedSpec, latent: LatentMap) -> Complaint | None:
    """What is wrong with a name and its value, if anything."""
    if name not in latent.column_names:
        fixed = checked.meaning.fixed.get(name)
        if fixed is not None:
            hint = f"change it with --set parameters.{name}={value}"
            return Complaint(f"'{name}' is fixed: the spec sets it to {fixed:g}", hint=hint)
        parts = [p for p in latent.parameters if p.name == name or p.name.startswith(f"{name}[")]
        if parts:
            return Complaint(f"'{name}' is not one number; write {_listed(parts)}")
        known = latent.column_names
        hint = nearest(name, known) or f"parameters: {', '.join(known[:NAMED])}"
        return Complaint(f"no parameter '{name}'", hint=hint)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return Complaint(f"{name}: '{value}' is not a number")
    if not math.isfinite(value):
        return Complaint(f"{name} must be finite, not {value:g}")
    return None


def _listed(parts: list[Parameter]) -> str:
    names = [name for parameter in parts for name in parameter.column_names]
    return ", ".join(names if len(names) <= NAMED else [*names[:2], "…", names[-1]])
