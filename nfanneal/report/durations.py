"""Times in words."""

from __future__ import annotations

UNITS = (("days", 86400.0), ("h", 3600.0), ("min", 60.0))


def lasting(seconds: float) -> str:
    """A time to one digit, in the unit that suits: `40 s`, `3 min`, `2 h`, `5 days`."""
    for unit, size in UNITS:
        if seconds >= 2.0 * size:
            return f"{float(f'{seconds / size:.1g}'):,.0f} {unit}"
    return f"{float(f'{max(seconds, 1.0):.1g}'):g} s"
