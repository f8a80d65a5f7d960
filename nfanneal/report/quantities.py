"""Numbers and sentences as people read them."""

from __future__ import annotations

UNITS = (("days", 86400.0), ("h", 3600.0), ("min", 60.0))


def duration(seconds: float) -> str:
    """`0.4 s`, `30 s`, `12 min`, `3 h 4 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def lasting(seconds: float) -> str:
    """A time that is known to one digit: `40 s`, `3 min`, `2 h`, `5 days`."""
    for unit, size in UNITS:
        if seconds >= 2.0 * size:
            return f"{float(f'{seconds / size:.1g}'):,.0f} {unit}"
    return f"{float(f'{max(seconds, 1.0):.1g}'):g} s"


def counted(n: int, word: str) -> str:
    """`1 draw`, `2,000 draws`."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def sentence(text: str) -> str:
    """What is told, as a sentence of its own; a name that it begins with stays as it is.

    >>> sentence("the path ended"), sentence("a.h5: no data"), sentence("")
    ('The path ended.', 'a.h5: no data.', '')
    """
    begin = text[:1].upper() if text.partition(" ")[0].isalpha() else text[:1]
    return text and begin + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
