"""The version of nfanneal, and of what it was used with."""

from __future__ import annotations

from collections.abc import Iterable

__version__ = "0.1.0"


def versions_of(libraries: Iterable[str], *, missing: str = "unknown") -> dict[str, str]:
    """Versions by name: nfanneal's, Python's, and those of installed libraries."""
    import platform  # noqa: PLC0415  (both take long beside `nfanneal --help`)
    from importlib import metadata  # noqa: PLC0415

    found = {"nfanneal": __version__, "python": platform.python_version()}
    for library in libraries:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = missing
    return found
