"""A run's checkpoints: what they hold, whether a run may go on from one, and their keeper."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nfanneal.anneal.journal import Checkpoint, Journal, packed, unpacked
from nfanneal.errors import OutputError, ResultError
from nfanneal.results import store
from nfanneal.results.identity import (
    ANY_CODE,
    RESUMING,
    SETTINGS,
    Identity,
    Purpose,
    changed_keys,
    differences,
    is_among,
    of_the_same_code,
)
from nfanneal.results.result import Result
from nfanneal.runs import checkpoint_file
from nfanneal.runs.checkpoint_file import Plain
from nfanneal.runs.output_lock import Claim

Extension = Mapping[str, Any]
"""How a finished result is gone on from, as plain data."""


def plain_checkpoint(
    checkpoint: Checkpoint, about: Identity, extension: Extension | None = None
) -> Plain:
    """A checkpoint and what it belongs to, for the disk."""
    layout, arrays = packed(checkpoint)
    own = {"yaml": about.yaml, "digest": about.digest, "spec": about.spec}
    return Plain({"run": layout, **own, "contents": about.contents, "extension": extension}, arrays)


def resumed_checkpoint(plain: Plain, about: Identity, any_code: bool = False) -> Checkpoint:
    """The checkpoint, if it is of the same problem; of other code only with `any_code`.

    Raises:
        ResultError: model, priors, data, likelihood, flow or seed are others; with what differs.
    """
    before = identity_of(plain)
    if any_code:
        about = of_the_same_code(about, before)
    hint = "" if differences(before, of_the_same_code(about, before), RESUMING) else ANY_CODE
    refuse_other("the checkpoint", before, about, RESUMING, hint)
    return unpacked(plain.layout["run"], plain.arrays)


def refuse_other(
    what: str, before: Identity, now: Identity, purpose: Purpose, hint: str = ""
) -> None:
    """A run can only go on from what is of the same problem; `hint` is one more thing to do.

    Raises:
        ResultError: it is of another one; with what differs.
    """
    others = differences(before, now, purpose)
    if others:
        raise ResultError(
            f"{what} is of another problem, so the run cannot go on from it:\n"
            + "\n".join(others)
            + f"\nundo the change, name another --output, or start afresh with --force{hint}"
        )


def changed_settings(plain: Plain, about: Identity) -> tuple[str, ...]:
    """Settings of the annealing and the output that are not what they were, in words."""
    changed = changed_keys(identity_of(plain), about)
    return tuple(words for key, words in changed.items() if is_among(key, SETTINGS))


def identity_of(plain: Plain) -> Identity:
    """What a checkpoint belongs to."""
    said = plain.layout
    return Identity(said["yaml"], said["contents"], known=said["spec"])


class Keeper:
    """Writes a run's checkpoints beside `output`, for as long as `claim` is held.

    From any thread, one at a time, and only if there is news.
    """

    def __init__(self, output: Path, claim: Claim) -> None:
        self._output = output
        self._claim = claim
        self._run: tuple[Journal, Identity, Extension | None] | None = None
        self._lock = threading.Lock()
        self._written: tuple[int, int] | None = None
        self.seconds = 0.0

    def begin(self, journal: Journal, about: Identity, extension: Extension | None) -> None:
        """From here on there is a run, whose `journal` is kept."""
        self._run = journal, about, extension

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
                plain = plain_checkpoint(checkpoint, *self._run[1:])
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
