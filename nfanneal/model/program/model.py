"""A program as a model: its processes, asked draw by draw, and what becomes of failed calls."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.program.answers import Said, UnansweredError
from nfanneal.model.program.command import Command, Experiment
from nfanneal.model.program.lines import Conversation
from nfanneal.model.program.once import call
from nfanneal.model.program.processes import EndedError, times_stopped
from nfanneal.model.simulator import Predictions, Uncharted

NOT_FINITE = "the program gave nan or infinity"
LATE_SECONDS = 0.05
"""An answer too many comes so much later than the slowest, at most."""
GRADIENT_CAUSES = "what the program gives as a gradient"


@dataclass(frozen=True)
class Programs:
    """All processes of one program: those that stay wait here for the next draw.

    Any number of threads may ask at once; a process is with one of them at a time.
    """

    command: Command
    experiments: tuple[Experiment, ...]
    observables: tuple[str, ...] = ()
    _waiting: list[Conversation] = field(default_factory=list, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def ask(self, theta: Array, gradient: bool = False) -> Said:
        """What the program says of a draw θ (p,); after an accident it is asked again.

        Where it was stopped by a signal, so is the run, which will not wait for its answer.

        Raises:
            UnansweredError: it does not answer.
            EndedError: it does not, since all processes were put away.
            ModelError: it cannot be started.
        """
        stopped, left = times_stopped(), self.command.retries
        excused = False
        while True:
            try:
                return self._asked(theta, gradient)
            except UnansweredError as error:
                if times_stopped() != stopped:
                    raise EndedError("all processes were ended") from error
                if error.from_elsewhere and not excused:
                    excused = True
                    continue
                if not (error.accident and left):
                    raise
                left -= 1

    def _asked(self, theta: Array, gradient: bool) -> Said:
        if not self.command.stays:
            return call(self.command, self.experiments, self.observables, theta)
        with self._one() as program:
            return program.ask(theta, gradient)

    @contextlib.contextmanager
    def _one(self) -> Iterator[Conversation]:
        """A program that waits, or a new one; it is given back unless it is not fit for more."""
        with self._lock:
            program = self._waiting.pop() if self._waiting else None
        if program is None or program.over:
            program = Conversation(self.command, self.experiments, self.observables)
        try:
            yield program
        except BaseException as error:
            if not isinstance(error, UnansweredError) or error.accident:
                program.close()
                raise
            with self._lock:
                self._waiting.append(program)
            raise
        with self._lock:
            self._waiting.append(program)

    def speak_unasked(self) -> bool:
        """Whether one of those that wait says a line although it has answered all questions.

        Then it has answered a question too many, and others may have got each other's answers.
        """
        with self._lock:
            waiting = list(self._waiting)
        slowest = max((program.slowest for program in waiting), default=0.0)
        ends = time.monotonic() + slowest + LATE_SECONDS
        return any(p.speaks_unasked(max(ends - time.monotonic(), 0.0)) for p in waiting)

    def close(self) -> None:
        """End those that wait."""
        with self._lock:
            waiting, self._waiting[:] = list(self._waiting), []
        for program in waiting:
            program.close()


@dataclass(frozen=True)
class _Rows:
    """What a program says of some draws: values (n, m, k), slopes (n, p), failures, reasons."""

    values: Array
    slopes: Array | None
    failed: np.ndarray[tuple[int], np.dtype[np.bool_]]
    reasons: dict[str, int]


def _of_rows(programs: Programs, theta: Array, shape: tuple[int, int], gradient: bool) -> _Rows:
    n = len(theta)
    values = np.full((n, *shape), np.nan)
    slopes = np.zeros(theta.shape) if gradient else None
    failed, reasons = np.zeros(n, dtype=bool), Counter[str]()
    for i, row in enumerate(theta):
        try:
            said = programs.ask(row, gradient)
        except UnansweredError as error:
            failed[i] = True
            reasons[str(error)] += 1
            continue
        values[i] = said.values
        if slopes is not None and said.slope is not None:
            slopes[i, : len(said.slope)] = said.slope
    return _Rows(values, slopes, failed, dict(reasons))


@dataclass(frozen=True)
class ProgramSimulator(Uncharted):
    """A program that predicts observables at the times of each experiment."""

    programs: Programs
    differentiable: bool = False
    gradient_causes: str = GRADIENT_CAUSES

    @property
    def observables(self) -> tuple[str, ...]:
        """Those that the data are of."""
        return self.programs.observables

    @property
    def starts(self) -> tuple[float, ...]:
        """A program may predict at any time."""
        return (-np.inf,) * len(self.programs.experiments)

    def prepared(self, theta: Array, times: Sequence[Array]) -> ProgramSimulator:
        """The same, told of the data's times."""
        return replace(self, programs=self._at(times))

    def predict(self, theta: Array, times: Sequence[Array], gradient: bool) -> Predictions:
        """Ask the program at each row of θ (n, p)."""
        programs = self._at(times)
        shape = (sum(map(len, times)), len(self.observables))
        found = _of_rows(programs, theta, shape, False)
        odd = ~found.failed & ~np.isfinite(found.values).all(axis=(1, 2))
        reasons = found.reasons | ({NOT_FINITE: int(odd.sum())} if odd.any() else {})
        if programs is not self.programs:
            programs.close()
        return Predictions(found.values, found.failed | odd, reasons)

    def _at(self, times: Sequence[Array]) -> Programs:
        """Programs that know of these times."""
        own = self.programs.experiments
        if all(np.array_equal(e.times, t) for e, t in zip(own, times, strict=True)):
            return self.programs
        others = tuple(replace(e, times=t) for e, t in zip(own, times, strict=True))
        return replace(self.programs, experiments=others, _waiting=[])


@dataclass(frozen=True)
class ProgramDensity:
    """A program that gives the log-likelihood itself."""

    programs: Programs

    @property
    def differentiable(self) -> bool:
        """Whether it gives gradients."""
        return self.programs.command.gradient

    def evaluate(self, theta: Array, gradient: bool) -> tuple[Array, Array | None, dict[str, int]]:
        """log L (n,), nan where the program failed, ∂ log L/∂θ (n, p) if asked for, and why not."""
        found = _of_rows(self.programs, theta, (1, 1), gradient)
        return found.values[:, 0, 0], found.slopes, found.reasons
