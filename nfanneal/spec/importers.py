"""Files of other programs that become specs: which there are, and which one a file is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.runtime.files import read_bytes
from nfanneal.spec.document import KeyPath, read_document

LARGEST_FILE = 20_000_000
LOOKED_AT = 4096
"""Bytes at the beginning of a file, by which it is known."""


@dataclass(frozen=True)
class Imported:
    """The YAML text of a spec, and what the user should know about it.

    If it is `whole`, it runs as it is. `nominal` are values of its parameters that were given;
    `places` say where keys of the spec are from, `rows` of a table's data what they are in the
    spec: experiment, observable, and time.
    """

    text: str
    notes: tuple[str, ...] = ()
    whole: bool = False
    nominal: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[KeyPath, Location] = field(default_factory=dict)
    rows: Mapping[Location, tuple[str, str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Importer:
    """What it reads, whether a file is for it (by its path and first bytes), and how it is read."""

    what: str
    fits: Callable[[Path, bytes], bool]
    read: Callable[[Path], Imported]


def imported(path: Path) -> Imported:
    """The spec that a file becomes.

    Raises:
        SpecError: no importer is for such a file, or it complains.
    """
    start = read_bytes(path, LARGEST_FILE, SpecError, "file")[:LOOKED_AT]
    for importer in IMPORTERS:
        if importer.fits(path, start):
            return importer.read(path)
    known = ", ".join(importer.what for importer in IMPORTERS)
    raise SpecError(
        [Complaint(f"{path}: no file that can be imported", hint=f"there are: {known}")]
    )


def _is_xml(path: Path, start: bytes) -> bool:
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _read_sbml(path: Path) -> Imported:
    from nfanneal.spec.sbml.commented import commented  # noqa: PLC0415  (sympy)
    from nfanneal.spec.sbml.model import read_sbml  # noqa: PLC0415

    model = read_sbml(path)
    return Imported(commented(model), model.notes)


def _is_petab(path: Path, start: bytes) -> bool:
    return any(line.startswith(b"format_version") for line in start.splitlines())


def _read_petab(path: Path) -> Imported:
    from nfanneal.spec.petab.importing import petab_spec  # noqa: PLC0415

    return petab_spec(read_document(path), path.parent)


IMPORTERS = (
    Importer("a model in SBML (level 2 or 3)", _is_xml, _read_sbml),
    Importer("a PEtab problem (its YAML file)", _is_petab, _read_petab),
)
"""In the order in which they are asked."""
