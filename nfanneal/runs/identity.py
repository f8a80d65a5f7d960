"""What a checkpoint belongs to, and whether a run may go on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np

from nfanneal.anneal.journal import Checkpoint, packed, unpacked
from nfanneal.errors import ResultError
from nfanneal.model.problem import Problem
from nfanneal.runs.checkpoint_file import Plain
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import spec_from_text

FREE = ("name", "anneal", "output", "data", "model.file", "model.batch")
"""What a resumed run may change. Data and model files are compared by what they hold."""
DATA_OF_AN_EXPERIMENT = "experiments.*.data.*"
DECORATION = (".label", ".unit")
SHOWN = 80


@dataclass(frozen=True)
class Identity:
    """The resolved spec, its keys and values, and digests of the data and of the model file.

    `extension` says how a finished result is gone on from, if it is that.
    """

    yaml: str
    spec: Mapping[str, Any]
    contents: Mapping[str, str]
    extension: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved spec."""
        return hashlib.sha256(self.yaml.encode()).hexdigest()


def identity(checked: CheckedSpec, problem: Problem) -> Identity:
    """What a run is about."""
    spec = dict(_flat(checked.standalone.model_dump()))
    return Identity(checked.yaml, spec, _contents(checked, problem))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values as JSON has them."""
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{path}.")
        else:
            yield path, json.loads(json.dumps(item, default=str))


def _contents(checked: CheckedSpec, problem: Problem) -> dict[str, str]:
    found = {}
    likelihood = problem.data
    if likelihood is not None:
        text = hashlib.sha256(likelihood.all_times.tobytes())
        for series in likelihood.series:
            text.update(series.name.encode())
            text.update(np.ascontiguousarray(series.time_index, dtype=np.int64).tobytes())
            text.update(np.ascontiguousarray(series.values).tobytes())
        found["the data"] = text.hexdigest()
    for file in checked.code_files.values():
        what = f"the model's {checked.spec.model.code_words}"
        found[what] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def plain_checkpoint(checkpoint: Checkpoint, about: Identity) -> Plain:
    """A checkpoint and what it belongs to, for the disk."""
    layout, arrays = packed(checkpoint)
    own = {"yaml": about.yaml, "digest": about.digest, "spec": about.spec}
    return Plain(
        {"run": layout, **own, "contents": about.contents, "extension": about.extension}, arrays
    )


def resumed_checkpoint(plain: Plain, about: Identity) -> Checkpoint:
    """The checkpoint, if it is of the same problem.

    Raises:
        ResultError: model, priors, data, likelihood, flow or seed are others; with what differs.
    """
    others = _others(plain.layout["spec"], about.spec)
    others += [
        f"  {what}: changed since" for what, digest in about.contents.items()
        if plain.layout["contents"].get(what) != digest
    ]  # fmt: skip
    _refuse(others, "the checkpoint")
    return unpacked(plain.layout["run"], plain.arrays)


def refuse_other_spec(yaml: str, about: Identity) -> None:
    """A result of the spec `yaml` can only be extended by one of the same problem.

    Raises:
        ResultError: model, priors, likelihood, flow or seed are others; with what differs.
    """
    before = dict(_flat(spec_from_text(yaml).spec.model_dump()))
    _refuse(_others(before, about.spec), "the result")


def spec_changes(yaml: str, checked: CheckedSpec) -> list[str]:
    """What differs between the spec `yaml` of a result and a checked one, a line for each key."""
    before = dict(_flat(spec_from_text(yaml).spec.model_dump()))
    now = dict(_flat(spec_from_text(checked.yaml).spec.model_dump()))
    return [line for _, line in _differences(before, now)] or ["  files that it names"]


def _refuse(others: list[str], what: str) -> None:
    if others:
        raise ResultError(
            f"{what} is of another problem, so the run cannot go on from it:\n"
            + "\n".join(others)
            + "\nundo the change, name another --output, or start afresh with --force"
        )


def _others(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [line for path, line in _differences(before, now) if not _is_free(path)]


def changed_settings(plain: Plain, about: Identity) -> tuple[str, ...]:
    """Settings of the annealing and the output that are not what they were, in words."""
    found = _differences(plain.layout["spec"], about.spec)
    return tuple(line.strip() for path, line in found if path.startswith(("anneal.", "output.")))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for path in dict.fromkeys((*before, *now)):
        if before.get(path) != now.get(path):
            was, now_is = _shown(before.get(path)), _shown(now.get(path))
            yield path, f"  {path}: {was} before, {now_is} now"


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)[:SHOWN]


def _is_free(path: str) -> bool:
    if fnmatch(path, DATA_OF_AN_EXPERIMENT):
        return True
    if path.startswith("parameters.") and path.endswith(DECORATION):
        return True
    return any(path == free or path.startswith(f"{free}.") for free in FREE)
