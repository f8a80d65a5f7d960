"""What a run shows, in a file as well."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console

from nfanneal.anneal.progress import Event, Observer
from nfanneal.errors import ResultError
from nfanneal.report.consoles import console
from nfanneal.runtime.files import why


@contextmanager
def logged(path: Path | None, command: str) -> Iterator[list[Console]]:
    """Where all is written as well: nowhere, or at the end of a file.

    Raises:
        ResultError: the file cannot be written.
    """
    if path is None:
        yield []
        return
    try:
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ResultError(f"--log {path}: cannot be written: {why(error)}") from error
    handler = logging.StreamHandler(file)
    with file:
        file.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {command}\n")
        logging.getLogger("nfanneal").addHandler(handler)
        try:
            yield [console(file=file)]
        finally:
            logging.getLogger("nfanneal").removeHandler(handler)


@contextmanager
def in_turn(displays: Sequence[AbstractContextManager[Observer]]) -> Iterator[Observer]:
    """All of them begin and end, and hear of each event."""
    with ExitStack() as stack:
        observers: list[Observer] = [stack.enter_context(each) for each in displays]

        def observe(event: Event) -> None:
            for each in observers:
                each(event)

        yield observe
