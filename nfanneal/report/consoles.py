"""Where commands write: what is quoted from specs and results is no markup."""

from __future__ import annotations

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """Standard output, or `stderr`, for text as it is."""
    return Console(stderr=stderr, markup=False, emoji=False)
