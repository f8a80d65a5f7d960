"""What a problem is made of, and what differs between two: of a run, a result or a checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.likelihood import DataLikelihood
from nfanneal.model.problem import Problem
from nfanneal.results.result import Result
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.kinds import KINDS
from nfanneal.spec.load import spec_from_text

SHOWN = 80
"""Characters of a value that are shown."""
DATA = "the data"
ANY_CODE = (
    "; if only the form of the model's code has changed and not what it says, go on with "
    "--resume --model-changed"
)
EVERYTHING = ("*",)
FILES = ("data.file", "experiments.*.data.file",
         *{f"model.{key}": None for kind in KINDS.values() for key in kind.code_keys})  # fmt: skip
"""Keys that name files of data and of code, which count by what they hold."""
DECORATION = (
    "name", "axes", "parameters.*.label", "parameters.*.unit", "parameters.*.scale",
)  # fmt: skip
SETTINGS = ("anneal", "output")
INCIDENTAL = tuple({f"model.{key}": None for kind in KINDS.values() for key in kind.incidental})


@dataclass(frozen=True)
class Purpose:
    """What two identities are compared for.

    `ignored` are keys of the spec that may differ, with all below them; `*` is any one name.
    `as_written`: the order of keys counts, and whether a number is written 1 or 1.0.
    `columns`: the order of the parameters counts, which is that of the columns of θ.
    `contents`: data, by their names and in their order, and code must be the same.
    `cells`: so must times and values of the data, whatever they are called.
    """

    ignored: tuple[str, ...] = ()
    as_written: bool = False
    columns: bool = False
    contents: bool = False
    cells: bool = False


RESUMING = Purpose(
    (*DECORATION, *SETTINGS, *FILES, "data", "experiments.*.data", *INCIDENTAL),
    columns=True,
    contents=True,
)
"""Data and code are compared by what they hold."""
EXTENDING = replace(RESUMING, contents=False)
"""A result does not hold its code: its draws are evaluated again, which tells other data, too."""
FINISHED = Purpose(as_written=True)
"""Whether a result is that of a spec, so that nothing is left to do."""
COMBINING = Purpose(
    ("name", "axes", "data", "experiments.*.data", "flow", *SETTINGS, "seed"), as_written=True
)
"""Draws are pooled column by column. Code is told by its place: results do not hold more."""
SAME_DATA = Purpose(EVERYTHING, cells=True)
"""Models of the same data are compared by their evidence."""


@dataclass(frozen=True)
class Identity:
    """What a problem is made of.

    `yaml` is the resolved spec; `contents` are digests of the data and of files of code, by what
    messages call them, as far as they are known; `cells` is one of the data's times and values,
    None without data. `known` is the spec by dotted keys, where nobody need read it for that.
    """

    yaml: str
    contents: Mapping[str, str] = field(default_factory=dict)
    cells: str | None = None
    known: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """Dotted keys of the resolved spec, and their values as JSON has them.

        Raises:
            SpecError: the text is no spec (any more).
        """
        if self.known is not None:
            return self.known
        return dict(_flat(spec_from_text(self.yaml).spec.model_dump()))

    @property
    def digest(self) -> str:
        """SHA-256 of spec, data and code, wherever the files are."""
        said = _without(self.spec, FILES)
        text = json.dumps([said, dict(self.contents)])
        return hashlib.sha256(text.encode()).hexdigest()


def run_identity(checked: CheckedSpec, problem: Problem) -> Identity:
    """What a run is about."""
    contents, cells, likelihood = {}, None, problem.data
    if likelihood is not None:
        contents[DATA] = _data_digest(likelihood)
        times = likelihood.all_times
        cells = _cells_digest((times[s.time_index], s.values) for s in likelihood.series)
    files = checked.code_files
    for file in files:
        which = f" {file.name}" if len(files) > 1 else ""
        what = f"the model's {checked.spec.model.code_words}{which}"
        contents[what] = hashlib.sha256(file.read_bytes()).hexdigest()
    return replace(spec_identity(checked), contents=contents, cells=cells)


def of_the_same_code(now: Identity, before: Identity) -> Identity:
    """What is `now`, with what code there was `before`."""
    code = {what: digest for what, digest in before.contents.items() if what != DATA}
    return replace(now, contents={**now.contents, **code})


def spec_identity(checked: CheckedSpec) -> Identity:
    """The same without a look at data and code."""
    spec = dict(_flat(checked.standalone.model_dump()))
    spec |= {key: str(path.resolve()) for key, path in _data_files(checked)}
    spec |= {f"model.{k}": value for k, value in checked.spec.model.placed(checked.folder).items()}
    return Identity(checked.yaml, known=spec)


def result_identity(result: Result) -> Identity:
    """What a result is of; it does not say what the code was. Its spec is read when asked for."""
    observed = result.observed.values()
    cells = _cells_digest((o.times, o.values) for o in observed) if observed else None
    return Identity(result.spec_yaml, cells=cells)


def differences(before: Identity, now: Identity, purpose: Purpose) -> list[str]:
    """What differs and matters for a purpose, in words, a line each.

    Raises:
        SpecError: the text of one is no spec (any more).
    """
    lines = _differences_of_specs(before, now, purpose)
    if purpose.contents:
        lines += [
            f"  {what}: changed since"
            for what, digest in now.contents.items()
            if before.contents.get(what) != digest
        ]
    if purpose.cells and before.cells != now.cells:
        lines.append(f"  {DATA}: others")
    return lines


def changed_keys(before: Identity, now: Identity) -> dict[str, str]:
    """Keys of the spec whose values differ, each with what was and what is, in words."""
    return {
        key: f"{key}: {was} before, {is_now} now"
        for key, (was, is_now) in changed_values(before, now).items()
    }


def changed_values(before: Identity, now: Identity) -> dict[str, tuple[str, str]]:
    """Keys of the spec whose values differ, and both values as they are shown."""
    was, is_now = before.spec, now.spec
    return {
        key: (_shown(was.get(key)), _shown(is_now.get(key)))
        for key in dict.fromkeys((*was, *is_now))
        if was.get(key) != is_now.get(key)
    }


def is_among(key: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is the key or above it."""
    names = key.split(".")
    return any(
        len(wanted) <= len(names)
        and all(w in ("*", name) for w, name in zip(wanted, names, strict=False))
        for wanted in (pattern.split(".") for pattern in patterns)
    )


def _differences_of_specs(before: Identity, now: Identity, purpose: Purpose) -> list[str]:
    if purpose.ignored == EVERYTHING or before.yaml == now.yaml:
        return []
    changed = changed_keys(before, now).items()
    lines = [f"  {words}" for key, words in changed if not is_among(key, purpose.ignored)]
    if not lines and purpose.columns and _parameters(before) != _parameters(now):
        return ["  parameters: in another order"]
    if not lines and purpose.as_written:
        texts = (json.dumps(_without(i.spec, purpose.ignored)) for i in (before, now))
        return ["  files that it names"] if len(set(texts)) > 1 else []
    return lines


def _parameters(identity: Identity) -> list[str]:
    """The names of the parameters, in order."""
    keys = (key.split(".") for key in identity.spec)
    return list(dict.fromkeys(names[1] for names in keys if names[0] == "parameters"))


def _without(spec: Mapping[str, Any], ignored: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if not is_among(key, ignored)}


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)[:SHOWN]


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values as JSON has them."""
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{path}.")
        else:
            yield path, json.loads(json.dumps(item, default=str))


def _data_files(checked: CheckedSpec) -> Iterator[tuple[str, Path]]:
    """The files of data, with the keys that name them."""
    for experiment in checked.data:
        key = f"experiments.{experiment}.data.file" if experiment else "data.file"
        if (file := checked.data_file(experiment)) is not None:
            yield key, file


def _data_digest(likelihood: DataLikelihood) -> str:
    """SHA-256 of the data as a run takes them; checkpoints hold it."""
    found = hashlib.sha256(likelihood.all_times.tobytes())
    for series in likelihood.series:
        found.update(series.name.encode())
        found.update(np.ascontiguousarray(series.time_index, dtype=np.int64).tobytes())
        found.update(np.ascontiguousarray(series.values).tobytes())
    return found.hexdigest()


def _cells_digest(series: Iterable[tuple[Array, Array]]) -> str:
    """SHA-256 of times and values, whatever they are called and in whichever order."""
    cells = sorted(np.column_stack(pair).astype("<f8").tobytes() for pair in series)
    return hashlib.sha256(b"".join(cells)).hexdigest()
