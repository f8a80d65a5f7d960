"""Keeps a run's checkpoints: from any thread, one at a time, and only if there is news."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from nfanneal.anneal.journal import Checkpoint, Journal
from nfanneal.errors import OutputError
from nfanneal.results import store
from nfanneal.results.result import Result
from nfanneal.runs import checkpoint_file
from nfanneal.runs.identity import Identity, plain_checkpoint
from nfanneal.runs.output_lock import Claim


class Keeper:
    """Writes a run's checkpoints beside `output`, for as long as `claim` is held."""

    def __init__(self, output: Path, claim: Claim) -> None:
        self._output = output
        self._claim = claim
        self._run: tuple[Journal, Identity] | None = None
        self._lock = threading.Lock()
        self._written: tuple[int, int] | None = None
        self.seconds = 0.0

    def begin(self, journal: Journal, about: Identity) -> None:
        """From here on there is a run, whose `journal` is kept."""
        self._run = journal, about

    def keep(self) -> Checkpoint | None:
        """Write a checkpoint unless the last one holds as much; None before the first level.

        Raises:
            OutputError: it cannot be written; the one before is as it was.
            ResultError: another run has taken over.
        """
        with self._lock:
            checkpoint = self._run[0].checkpoint() if self._run else None
            if self._run is None or checkpoint is None:
                return None
            holds = (id(checkpoint.snapshot), len(checkpoint.answers))
            if holds != self._written:
                start = time.perf_counter()
                self._claim.check()
                plain = plain_checkpoint(checkpoint, self._run[1])
                checkpoint_file.write_checkpoint(plain, self._output)
                self._written = holds
                self.seconds = time.perf_counter() - start
            return checkpoint

    def finish(self, result: Result) -> None:
        """Write the result; the checkpoints go, and none is written any more.

        Raises:
            OutputError: it cannot be written; all that it needs is in a checkpoint, if that can.
            ResultError: another run has taken over.
        """
        try:
            self._claim.check()
            store.write(result, self._output)
        except OutputError as error:
            self._keep_after(error)
            raise
        with self._lock:
            self._run = None
            checkpoint_file.remove_checkpoints(self._output)

    def _keep_after(self, failure: OutputError) -> None:
        """Keep the finished run, so that nothing but the writing is left to do."""
        try:
            self.keep()
        except OutputError as error:
            failure.add_note(f"its last seconds could not be kept either: {error}")
