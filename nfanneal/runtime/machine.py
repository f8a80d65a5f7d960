"""Which machine this is, and what time it is, as results write them down."""

from __future__ import annotations

import platform
import socket
from datetime import UTC, datetime

from nfanneal.runtime.limits import job_cores


def this_host() -> str:
    """This machine in words: its name, its system, its processor and the cores of this job."""
    cores = job_cores()
    kind = f"{platform.system()} {platform.machine()}".strip()
    return f"{socket.gethostname()}, {kind}, {cores} core{'s' if cores > 1 else ''}"


def now() -> str:
    """The time in UTC by ISO 8601, to the second, as in `2025-05-06T12:00:00+00:00`."""
    return datetime.now(UTC).isoformat(timespec="seconds")
