"""Signals, the time limit, checkpoints in between and signs of life, in a thread of its own.

A Python signal handler waits until the main thread is back from C, which may be hours. So C writes
the signal's number into a pipe that a thread reads. The main thread then has a few seconds to stop
by itself; after that, the thread ends the process.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from nfanneal.anneal.progress import Event, Observer
from nfanneal.errors import STOPPING, ExitCode, NfannealError, OutputError
from nfanneal.runs.output_lock import BEAT, process_start

GRACE = 3.0
"""Seconds that the main thread has to reach a safe point."""
TICK = 0.1
LONGEST_IMPORT = 600.0
"""A process that was older than this when it came here has an age that cannot be right."""
HANDLED = (*STOPPING, signal.SIGINT)

_loaded = time.monotonic()
_fork_is_handled = False


@dataclass(frozen=True)
class Reason:
    """Why a run is to stop, and with which exit code."""

    word: str
    code: ExitCode


class Stopped(Exception):  # noqa: N818  (no error: it was asked for)
    """Raised at a safe point once the run is to stop."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.word)
        self.reason = reason


@dataclass(frozen=True)
class Duties:
    """What the watch does for a run.

    `keep` writes a checkpoint, every `interval` seconds (None: only when the run is stopped);
    `beat` gives a sign of life; `say` tells the user; `leave` says what was kept, cleans up, and
    is called before the process is ended. `most_seconds` count from the start of the process;
    `reserve` says how many of them a checkpoint takes.
    """

    keep: Callable[[], object]
    beat: Callable[[], None]
    say: Callable[[str], None]
    leave: Callable[[Reason], None]
    reserve: Callable[[], float]
    interval: float | None
    most_seconds: float | None


class Watch:
    """Watches over a run while its `with` block lasts; only for the main thread.

    Afterwards signals but Ctrl-C are ignored: how the run ended decides its exit code.
    """

    def __init__(self, duties: Duties) -> None:
        self._duties = duties
        self._reason: Reason | None = None
        self._failure: Exception | None = None
        self._cut_off = math.inf
        self._decide = threading.Lock()
        self._main_finishes = False
        self._closed = False
        self._thread = threading.Thread(
            target=self._watch_or_fail, name="nfanneal watch", daemon=True
        )
        self._before: dict[int, Any] = {}
        self._warned = ""

    def __enter__(self) -> Watch:
        _handle_forks()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in HANDLED:
            self._before[number] = signal.signal(number, _nothing)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()
        for number, handler in self._before.items():
            ended = number in STOPPING  # what comes now takes no time and must not be cut off
            signal.signal(number, signal.SIG_IGN if ended else handler)
        signal.set_wakeup_fd(self._wakeup)
        self._closed = True
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def guarded(self, observe: Observer) -> Observer:
        """`observe`, but raising `Stopped` once the run is to stop: every event is a safe point."""

        def guarded(event: Event) -> None:
            if self._failure is not None:
                raise self._failure
            if self._reason is not None:
                self.finish()
                raise Stopped(self._reason)
            observe(event)

        return guarded

    def finish(self) -> None:
        """The main thread will end the run itself: nothing is cut off any more.

        Returns only if the watch has not begun to end the process.
        """
        with self._decide:
            self._main_finishes = True

    def _watch_or_fail(self) -> None:
        """The main thread raises what goes wrong here: nobody would hear a signal any more."""
        try:
            self._watch()
        except Exception as error:
            self._failure = error

    def _watch(self) -> None:
        now = time.monotonic()
        beat = now + BEAT
        due = now + self._duties.interval if self._duties.interval else math.inf
        deadline = self._deadline(now)
        while not self._closed:
            now = time.monotonic()
            ready, _, _ = select.select([self._read], [], [], TICK)
            for number in os.read(self._read, 64) if ready else b"":
                self._take(number)
            if self._reason is None and self._is_late(now, deadline):
                self._stop(Reason("the time limit (--max-time)", ExitCode.CHECKPOINTED))
            if now >= self._cut_off:
                self._cut()
            if now >= beat:
                self._try(self._duties.beat)
                beat = now + BEAT
            if now >= due and self._reason is None and not self._main_finishes:
                self._try(self._duties.keep)
                due = time.monotonic() + (self._duties.interval or 0.0)

    def _is_late(self, now: float, deadline: float) -> bool:
        return not self._main_finishes and now >= deadline - 2.0 * self._duties.reserve()

    def _try(self, duty: Callable[[], object]) -> None:
        """A checkpoint that cannot be written is told; a claim that is lost ends the run."""
        try:
            duty()
        except OutputError as error:
            self._warn(f"Warning: no checkpoint: {error}; the run goes on")
        except MemoryError:
            self._warn("Warning: no checkpoint: not enough memory to make one; the run goes on")
        except NfannealError as error:
            self._failure = error

    def _warn(self, text: str) -> None:
        """Say what went wrong once, not at every checkpoint."""
        if text != self._warned:
            self._warned = text
            self._tell(text)

    def _take(self, number: int) -> None:
        if number == signal.SIGINT and self._reason is not None:
            self._tell("interrupted again: leaving at once")
            self._end(ExitCode.INTERRUPTED)
        if number in HANDLED and self._reason is None:
            code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.CHECKPOINTED
            self._stop(Reason(signal.Signals(number).name, code))

    def _stop(self, reason: Reason) -> None:
        self._cut_off = time.monotonic() + GRACE
        self._reason = reason
        if not self._main_finishes:
            self._tell(f"{reason.word}: stopping")

    def _cut(self) -> None:
        """End the process, unless the main thread does."""
        with self._decide:
            if self._main_finishes or self._reason is None:
                return
            try:
                self._duties.leave(self._reason)
            except NfannealError as error:
                self._tell(f"Error: {error}")
                self._end(error.exit_code)
            self._end(self._reason.code)

    def _tell(self, text: str) -> None:
        """Say something; a terminal that is gone must not end the watch."""
        with suppress(OSError, ValueError):
            self._duties.say(text)

    def _end(self, code: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # a live display hides the cursor
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    def _deadline(self, now: float) -> float:
        most = self._duties.most_seconds
        if most is None:
            return math.inf
        return now - process_age() + most - min(GRACE + 2.0, 0.5 * most)


def process_age() -> float:
    """Seconds since this process began; since this module was loaded where that is not told."""
    since_load = time.monotonic() - _loaded
    began = process_start(os.getpid())
    if began is None or not hasattr(time, "CLOCK_BOOTTIME"):
        return since_load
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")
    return age if since_load <= age <= since_load + LONGEST_IMPORT else since_load


def _nothing(number: int, frame: FrameType | None) -> None:
    """The number is in the pipe already."""


def _handle_forks() -> None:
    """A forked child of a user's model is no run: signals do to it what they always do."""
    global _fork_is_handled  # noqa: PLW0603  (hooks cannot be taken back)
    if not _fork_is_handled:
        os.register_at_fork(after_in_child=_as_always)
        _fork_is_handled = True


def _as_always() -> None:
    for number in HANDLED:
        if signal.getsignal(number) is _nothing:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
            signal.set_wakeup_fd(-1)
