"""Where the seconds of a run go: to each activity, until the next one is told of."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from nfanneal.anneal.progress import Activity, Event, Observer

STARTING = "starting"


class Clock:
    """Passes events on, and adds up seconds of wall time by activity."""

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._doing, self._since = STARTING, time.perf_counter()
        self._seconds: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Take note of an activity."""
        if isinstance(event, Activity) and event.doing != self._doing:
            self._stop()
            self._doing = event.doing
        self._observe(event)

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by activity until now, most first."""
        self._stop()
        ordered = sorted(self._seconds.items(), key=lambda item: -item[1])
        return MappingProxyType(dict(ordered))

    def _stop(self) -> None:
        now = time.perf_counter()
        self._seconds[self._doing] = self._seconds.get(self._doing, 0.0) + now - self._since
        self._since = now
