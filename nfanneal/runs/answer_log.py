"""Answers of dear models on disk, a line each as they come: a run that is killed asks none again.

The file is `RESULT.answers`, beside the checkpoints; it goes when the result is written. Its first
line says what problem the answers are of.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from nfanneal.errors import OutputError, ResultError
from nfanneal.model.calls import Durations
from nfanneal.model.executors import Memory
from nfanneal.model.simulator import Predictions
from nfanneal.results.identity import ANY_CODE, DATA, RESUMING, Identity, is_among
from nfanneal.runs.checkpoint_file import answers_path
from nfanneal.runtime.files import why
from nfanneal.target import Evaluation

RECORDS = {kind.__name__: kind for kind in (Predictions, Evaluation, Durations)}


class AnswerLog:
    """Writes what a model answers, for as long as a run goes on."""

    def __init__(self, output: Path) -> None:
        self._path = answers_path(output)
        self._file: IO[bytes] | None = None

    def begin(self, memory: Memory, about: Identity, any_code: bool = False) -> int:
        """Remember what is written there of this problem, and write what comes. How many they are.

        They may be those of other code with `any_code`.

        Raises:
            OutputError: the file cannot be written.
            ResultError: the answers that are there are of another problem; they stay.
        """
        head = _head(about)
        try:
            known = _read(self._path, head, any_code)
            whole = known[1] if known else 0
            file = self._path.open("r+b" if known else "wb")
            file.truncate(whole)
            file.seek(whole)
            if not known:
                file.write(head)
                file.flush()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {why(error)}") from error
        for key, answer in known[0] if known else ():
            memory.remember(key, answer)
        self._file = file
        memory.told = self._add
        return len(known[0]) if known else 0

    def choose(self, preset: str) -> None:
        """Write down which preset was chosen, by what a call took when it was."""
        if self._file is not None:
            self._write(json.dumps({"preset": preset}).encode() + b"\n")

    def _add(self, key: bytes, answer: Any) -> None:
        self._write(_line(key, answer))

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self._path}: writing failed: {why(error)}") from error

    def __enter__(self) -> AnswerLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()


def chosen_before(output: Path) -> str | None:
    """The preset that the run was begun with whose answers are there, if it got so far."""
    try:
        with answers_path(output).open("rb") as file:
            said = (json.loads(line) for line in file if line.startswith(b'{"preset"'))
            return next((str(each["preset"]) for each in said), None)
    except (OSError, ValueError):
        return None


def _head(about: Identity) -> bytes:
    """What answers depend on, which is all but what a resumed run may change."""
    spec = {key: value for key, value in about.spec.items() if not is_among(key, RESUMING.ignored)}
    code = {key: value for key, value in about.contents.items() if key != DATA}
    problem = [spec, about.contents.get(DATA)]
    said = {"nfanneal answers": 2, "problem": _digest(problem), "code": _digest(code)}
    return json.dumps(said).encode() + b"\n"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _without_code(head: bytes) -> bytes:
    return head.partition(b'"code"')[0]


def _line(key: bytes, answer: Any) -> bytes:
    arrays = {
        f.name: [value.dtype.name, value.shape, value.ravel().tolist()]
        for f in fields(answer)
        if isinstance(value := getattr(answer, f.name), np.ndarray)
    }
    said: dict[str, Any] = {"key": key.hex(), "is": type(answer).__name__, **arrays}
    if answer.reasons:
        said["reasons"] = dict(answer.reasons)
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _read(path: Path, head: bytes, any_code: bool) -> tuple[list[tuple[bytes, Any]], int] | None:
    """The answers, and where the last whole one ends; None where there is no whole line.

    Lines that are damaged are passed over.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if b"\n" not in content:
        return None
    if not content.startswith(_without_code(head) if any_code else head):
        raise ResultError(
            f"{path}: the answers there are of another problem: model, priors, data or the program "
            f"are not what they were\nundo the change, name another --output, or start afresh "
            f"with --force{ANY_CODE}"
        )
    whole = content.rfind(b"\n") + 1
    found = []
    for line in content[:whole].splitlines()[1:]:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            found += _answers_of(json.loads(line))
    return found, whole


def _answers_of(said: dict[str, Any]) -> list[tuple[bytes, Any]]:
    """The answer that a line holds, if it does."""
    if "preset" in said:
        return []
    kind: Any = RECORDS[said.pop("is")]
    key, reasons = bytes.fromhex(said.pop("key")), said.pop("reasons", {})
    arrays = {
        name: np.array(values, dtype=dtype).reshape(shape)
        for name, (dtype, shape, values) in said.items()
    }
    return [(key, kind(**arrays, reasons=reasons))]
