"""What must be ended with this process: at its exit, or where a run is cut off without one."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress

_calls: list[Callable[[], object]] = []


def on_leaving(call: Callable[[], object]) -> None:
    """`call` once, when this process ends or earlier; it may be called by another thread."""
    _calls.append(call)


@atexit.register
def leave() -> None:
    """Call what was given, the last first; what goes wrong with one does not keep the others."""
    while _calls:
        with suppress(Exception):
            _calls.pop()()
