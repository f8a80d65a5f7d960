"""A program that stays: a line of JSON for each draw, and a line for its answer."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from nfanneal.arrays import Array
from nfanneal.errors import ModelError
from nfanneal.model.program.answers import Said, UnansweredError
from nfanneal.model.program.command import Command, Experiment, filled
from nfanneal.model.program.processes import ended, put_away, started, status_in_words, with_stderr

KEPT_LINES = 20
LONGEST_LINE = 100_000_000
TO_START = 60.0
"""Seconds that a program has to start, beside those for its first answer."""
UNASKED = (
    "  its answers cannot be told apart any more: it must print one line for each question and "
    "nothing else to stdout, or repeat the question's id in each answer"
)
LAST_SECONDS = 0.5
"""How long a program that closed its output has until it must have ended."""


class Conversation:
    """One such program, from its start to its end. It is asked by one thread at a time."""

    def __init__(
        self, command: Command, experiments: Sequence[Experiment], observables: Sequence[str]
    ) -> None:
        self._command, self._experiments = command, experiments
        self._observables = observables
        known = {"here": command.here}
        self._process = started(
            [filled(word, known) for word in command.words],
            shell=command.shell, environment=command.environment, cwd=command.here or None,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._stderr = deque[str](maxlen=KEPT_LINES)
        self._reader = threading.Thread(
            target=_keep_last, args=(self._process.stderr, self._stderr), daemon=True
        )
        self._reader.start()
        self._end = weakref.finalize(self, put_away, self._process)
        self._received = b""
        self._number, self._echoes = 0, False
        self.slowest = 0.0
        self._unsaid = json.dumps(self._introduction()).encode() + b"\n"

    def ask(self, theta: Array, gradient: bool) -> Said:
        """What the program says of a draw θ (p,).

        Raises:
            UnansweredError: it does not answer. After an accident it is not to be asked again.
            ModelError: it says lines that it was not asked for, and not which question they answer.
        """
        grace = 0.0 if self._number else TO_START
        start = time.monotonic()
        deadline = start + self._command.seconds + grace
        if self._received or self._says_something():
            self._complain_of_word()
        self._number += 1
        question = self._question(theta, gradient)
        self._send(self._unsaid + json.dumps(question).encode() + b"\n", deadline)
        self._unsaid = b""
        line = self._line(deadline)
        self.slowest = max(self.slowest, time.monotonic() - start)
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            shown = line[:60].decode(errors="replace")
            raise UnansweredError(
                f"the program answered '{shown}', not a line of JSON", accident=True
            )
        self._echoes = self._echoes or "id" in answer
        if answer.get("id", self._number) != self._number:
            raise UnansweredError("the program answered another question", accident=True)
        return self._read(answer, gradient)

    def _complain_of_word(self) -> None:
        """Raise what a line means that nobody asked for: earlier answers may be mixed up."""
        if self._echoes:
            raise UnansweredError("the program said a line too many", accident=True)
        shown = self._received[:60].decode(errors="replace").strip()
        raise ModelError(f"the program said a line that it was not asked for: '{shown}'\n{UNASKED}")

    def speaks_unasked(self, seconds: float) -> bool:
        """Whether it says a line within so many seconds although it has answered all questions."""
        if self._echoes or self._received:
            return bool(self._received)
        return bool(select.select([self._output], [], [], seconds)[0]) and not self.over

    @property
    def over(self) -> bool:
        """Whether it has ended by itself."""
        return ended(self._process, 0.0)

    def close(self) -> None:
        """End it."""
        self._end()

    def _introduction(self) -> dict[str, Any]:
        values = self._experiments[0].values(np.zeros(_columns(self._experiments[0])))
        told = {
            each.name: {"times": each.times.tolist(), "observables": list(self._observables)}
            for each in self._experiments
            if self._command.answers == "table"
        }
        return {"parameters": list(values), "experiments": told}

    def _question(self, theta: Array, gradient: bool) -> dict[str, Any]:
        first, *others = [each.values(theta) for each in self._experiments]
        question: dict[str, Any] = {"id": self._number, "parameters": first}
        if others:
            shared = {k: v for k, v in first.items() if all(o.get(k) == v for o in others)}
            question["parameters"] = shared
            question["experiments"] = {
                each.name: {k: v for k, v in values.items() if k not in shared}
                for each, values in zip(self._experiments, (first, *others), strict=True)
            }
        if gradient:
            question["gradient"] = True
        return question

    def _read(self, answer: Mapping[str, Any], gradient: bool) -> Said:
        """The numbers of an answer."""
        if answer.get("error") is not None:
            raise UnansweredError(f"the program says: {answer['error']}")
        if self._command.answers == "number":
            value = _number(answer.get("log_likelihood", ""), "log_likelihood")
            slope = None
            if gradient:
                given = answer.get("gradient")
                if not isinstance(given, Mapping):
                    raise UnansweredError("the program gave no gradient")
                slope = _slope(given, self._experiments[0])
            return Said(np.array([[value]]), slope)
        several = len(self._experiments) > 1
        key = "experiments" if several else "observables"
        said = answer.get(key)
        if not isinstance(said, Mapping):
            raise UnansweredError(f"the program's answer has no '{key}'")
        by_name = said if several else {self._experiments[0].name: said}
        parts = [self._table(each, by_name.get(each.name)) for each in self._experiments]
        return Said(np.concatenate(parts))

    def _table(self, experiment: Experiment, said: Any) -> Array:
        if not isinstance(said, Mapping):
            raise UnansweredError(f"the program's answer has no experiment '{experiment.name}'")
        columns = []
        for name in self._observables:
            given = said.get(name)
            if isinstance(given, int | float) and len(experiment.times) == 1:
                given = [given]  # some languages write a list of one number so
            if not isinstance(given, list) or len(given) != len(experiment.times):
                what = f"{len(given)} values" if isinstance(given, list) else "no values"
                raise UnansweredError(
                    f"the program's answer has {what} of '{name}' for {len(experiment.times)} times"
                )
            columns.append([_number(value, name) for value in given])
        return np.array(columns, dtype=np.float64).T

    def _says_something(self) -> bool:
        try:
            self._received = os.read(self._output, 1 << 16)
        except BlockingIOError:
            return False
        return bool(self._received)

    def _send(self, data: bytes, deadline: float) -> None:
        sent = 0
        while sent < len(data):
            try:
                sent += os.write(self._input, data[sent:])
            except BlockingIOError:
                if not select.select([], [self._input], [], _left(deadline))[1]:
                    raise self._late() from None
            except OSError:
                raise self._dead() from None

    def _line(self, deadline: float) -> bytes:
        """The next line that is not blank."""
        while True:
            line, found, rest = self._received.partition(b"\n")
            if found:
                self._received = rest
                if line.strip():
                    return line
                continue
            ready, _, _ = select.select([self._output], [], [], _left(deadline))
            if not ready:
                raise self._late()
            part = os.read(self._output, 1 << 16)
            if not part:
                raise self._dead()
            self._received += part
            if len(self._received) > LONGEST_LINE:
                raise UnansweredError("the program's line has no end", accident=True)

    def _late(self) -> UnansweredError:
        return UnansweredError(
            with_stderr(f"the program took longer than {self._command.seconds:g} s", self._told()),
            accident=True,
        )

    def _dead(self) -> UnansweredError:
        status = None
        if ended(self._process, LAST_SECONDS):
            self._reader.join(LAST_SECONDS)
            self._end()
            status = self._process.returncode
            how = f"ended with {status_in_words(status)}"
        else:
            how = "closed its output"
        reason = with_stderr(f"the program {how} instead of answering", self._told())
        return UnansweredError(reason, accident=True, status=status)

    def _told(self) -> str:
        return "\n".join(self._stderr)


def _keep_last(stream: IO[bytes], lines: deque[str]) -> None:
    """Keep the last lines of a stream, until it ends."""
    try:
        for line in stream:
            lines.append(line[:1000].decode(errors="replace"))
    except (OSError, ValueError):  # closed meanwhile
        pass


def _left(deadline: float) -> float | None:
    return None if deadline == math.inf else max(deadline - time.monotonic(), 0.0)


def _columns(experiment: Experiment) -> int:
    ends = [w.stop if isinstance(w, slice) else w + 1 for w in experiment.slices.values()]
    return max(ends, default=0)


def _number(value: Any, name: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnansweredError(
            f"the program's answer has {str(value)[:40]!r} as '{name}', no number"
        )
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _slope(given: Mapping[str, Any], experiment: Experiment) -> Array:
    slope = np.zeros(_columns(experiment))
    for name, where in experiment.slices.items():
        said: Any = given.get(name)
        if said is None:
            raise UnansweredError(f"the program's gradient has no '{name}'")
        try:
            slope[where] = said
        except (TypeError, ValueError, OverflowError):
            raise UnansweredError(f"the program's gradient by '{name}' has another shape") from None
    return slope
