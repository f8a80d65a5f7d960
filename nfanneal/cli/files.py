"""Files that commands read and write: refused before any work is done."""

from __future__ import annotations

from pathlib import Path

from nfanneal.errors import ResultError
from nfanneal.runtime.files import replaced

FORMATS = (".pdf", ".eps", ".svg", ".png")
"""What figures can be."""


def refuse_existing(path: Path, force: bool, *inputs: Path) -> None:
    """Nothing is overwritten without --force, and none of the `inputs` ever.

    Raises:
        ResultError: the file is there, it is a folder or an input, or its own folder is not.
    """
    if any(path.exists() and given.exists() and path.samefile(given) for given in inputs):
        raise ResultError(f"{path}: is what the command reads; name another --output")
    if path.is_dir():
        raise ResultError(f"{path}: is a folder")
    if path.exists() and not force:
        raise ResultError(f"{path}: already exists; use --force to overwrite it")
    if not path.parent.is_dir():
        raise ResultError(f"{path}: no such folder '{path.parent}'")


def write_text(path: Path, text: str) -> None:
    """Write a text file: to a temporary one beside it, then renamed.

    Raises:
        ResultError: it cannot be written.
    """
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
