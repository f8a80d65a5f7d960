"""A program that is called once a draw, in a temporary folder of its own."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import ModelError
from nfanneal.model.program.answers import Said, UnansweredError, number, table
from nfanneal.model.program.command import Command, Experiment, Values, filled, texts, written
from nfanneal.model.program.processes import (
    ended,
    put_away,
    started,
    status_in_words,
    tail,
    with_stderr,
)
from nfanneal.runtime.leaving import on_leaving

LARGEST_ANSWER = 100_000_000


def call(
    command: Command, experiments: Sequence[Experiment], observables: Sequence[str], theta: Array
) -> Said:
    """What the program says of a draw θ (p,): it is called for each experiment.

    Raises:
        UnansweredError: it does not answer.
        ModelError: it cannot be started.
    """
    parts = [_called(command, each, observables, each.values(theta)) for each in experiments]
    return Said(np.concatenate(parts))


class _Folder:
    """The folder for those of all calls, which goes with this process."""

    path: str | None = None
    lock = threading.Lock()


def _folder() -> str:
    """That folder, made by the first call that needs it, whichever thread makes that."""
    with _Folder.lock:
        if _Folder.path is None:
            _Folder.path = tempfile.mkdtemp(prefix="nfanneal-")
            on_leaving(_remove_folder)
        return _Folder.path


def _remove_folder() -> None:
    """A later call of this process makes another one."""
    with _Folder.lock:
        path, _Folder.path = _Folder.path, None
    if path is not None:
        shutil.rmtree(path, ignore_errors=True)


def _called(
    command: Command, experiment: Experiment, observables: Sequence[str], values: Values
) -> Array:
    try:
        with tempfile.TemporaryDirectory(dir=_folder()) as folder:
            return _in_folder(command, experiment, observables, values, Path(folder))
    except OSError as error:
        raise ModelError(f"no folder for a call of the program: {error}") from error


def _in_folder(
    command: Command,
    experiment: Experiment,
    observables: Sequence[str],
    values: Values,
    folder: Path,
) -> Array:
    times, out = folder / "times.txt", folder / "out"
    times.write_text("".join(f"{t!r}\n" for t in experiment.times.tolist()))
    if command.parameters is not None:
        (folder / command.parameters).write_text(written(values, command.parameters))
    own = {
        "times": str(times), "out": str(out), "dir": str(folder),
        "experiment": experiment.name, "here": command.here,
    }  # fmt: skip
    (folder / "stdin").write_text(filled(command.stdin, texts(values) | own))
    if command.shell:
        own = {name: shlex.quote(text) for name, text in own.items()}
    words = [filled(word, texts(values) | own) for word in command.words]
    with (
        (folder / "stdin").open("rb") as stdin,
        (folder / "stdout").open("w+b") as stdout,
        (folder / "stderr").open("w+b") as stderr,
    ):
        process = started(
            words, shell=command.shell, environment=command.environment, cwd=folder,
            stdin=stdin, stdout=stdout, stderr=stderr,
        )  # fmt: skip
        try:
            in_time = ended(process, command.seconds)
        finally:
            put_away(process)
        _complain(process, in_time, command, tail(stderr).replace(str(folder), "{dir}"))
        stdout.seek(0)
        text = _text(out.read_bytes() if out.is_file() else stdout.read(LARGEST_ANSWER + 1))
    if command.answers == "number":
        return np.array([[number(text)]])
    return table(text, experiment.times, observables, experiment.time)


def _complain(
    process: subprocess.Popen[bytes], in_time: bool, command: Command, stderr: str
) -> None:
    """Raise what is wrong with how a call ended."""
    if not in_time:
        reason = f"the program took longer than {command.seconds:g} s"
        raise UnansweredError(with_stderr(reason, stderr), accident=True)
    if process.returncode != 0:
        code = process.returncode
        reason = f"the program ended with {status_in_words(code)}"
        raise UnansweredError(with_stderr(reason, stderr), accident=code < 0, status=code)


def _text(answer: bytes) -> str:
    if len(answer) > LARGEST_ANSWER:
        raise UnansweredError("the program's answer has no end")
    try:
        return answer.decode()
    except UnicodeDecodeError:
        raise UnansweredError("the program's answer is no text", accident=True) from None
