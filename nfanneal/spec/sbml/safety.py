"""Text of an SBML file that is safe to hand to libsbml: bounded, and without entities.

libsbml works with recursion in C++ and dies of formulas nested ten thousand levels deep; entities
can blow up a file of a kilobyte, or read other files. All of it is refused before, by expat in one
pass with bounded memory.
"""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.runtime.files import decoded, read_bytes

LARGEST_FILE = 20_000_000
DEEPEST = 250
"""Levels of elements."""
WIDEST = 2_000
"""Operands of one operator: libsbml keeps a sum of n terms n levels deep."""
MOST_ELEMENTS = 500_000
SBML = "http://www.sbml.org/sbml/"
MATHML = "http://www.w3.org/1998/Math/MathML"


class _Watch:
    """Handlers of expat that raise a complaint at the first thing that is not borne."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._children = [0]
        self._elements = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.XmlDeclHandler = self._declared
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._stop

    def _refuse(self, message: str, hint: str | None = None) -> SpecError:
        where = Location(
            self._path, self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        )
        return SpecError([Complaint(message, where, hint)])

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii", "ascii"):
            raise self._refuse(f"encoding {encoding[:40]}", "SBML is written in UTF-8")

    def _doctype(self, *_: object) -> None:
        hint = "SBML has none; remove it"
        raise self._refuse("a document type or an entity is declared here", hint)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._children[-1] += 1
        if self._elements > MOST_ELEMENTS:
            raise self._refuse(f"more than {MOST_ELEMENTS:,} elements")
        if len(self._children) > DEEPEST:
            raise self._refuse(f"nested more than {DEEPEST} levels deep")
        if name.startswith(MATHML) and self._children[-1] > WIDEST:
            raise self._refuse(f"an operator with more than {WIDEST:,} operands")
        self._children.append(0)
        if self._elements == 1:
            space, _, shown = name.rpartition(" ")
            if shown != "sbml" or not space.startswith(SBML):
                wanted = f'<sbml xmlns="{SBML}…">'
                message = f"no SBML: the outermost element is <{shown[:40]}>, not {wanted}"
                raise self._refuse(message)
            self._refuse_packages(attributes)

    def _refuse_packages(self, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            uri, _, key = name.rpartition(" ")
            if key == "required" and value in ("true", "1"):
                package = uri.split("/version1/")[-1].split("/")[0] or uri
                message = f"the file needs the SBML package '{package[:40]}', which is not read"
                raise self._refuse(message, _PACKAGES.get(package))

    def _stop(self, name: str) -> None:
        self._children.pop()

    def look(self, text: str) -> None:
        """Go through the text once."""
        try:
            self._parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            where = Location(self._path, error.lineno, error.offset + 1)
            message = f"not well-formed XML: {expat.ErrorString(error.code)}"
            raise SpecError([Complaint(message, where)]) from None


_PACKAGES = {
    "comp": "flatten the model first (libsbml, COPASI and iBioSim can)",
    "fbc": "flux balance is no system of differential equations",
    "qual": "a qualitative model is no system of differential equations",
    "distrib": "draws of distributions within a model cannot be fitted to data",
    "arrays": "flatten the arrays first",
}


def safe_text(raw: bytes, path: Path) -> str:
    """The text of the file, if libsbml can read it without harm.

    Raises:
        SpecError: it is not UTF-8, not well-formed, too large or too deep, declares entities, or
            requires packages of SBML.
    """
    if len(raw) > LARGEST_FILE:
        raise SpecError(f"{path}: {len(raw):,} bytes; a model in SBML has at most {LARGEST_FILE:,}")
    text = decoded(raw, path, SpecError)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SpecError([Complaint("a NUL byte: this is no text file", Location(str(path), line))])
    _Watch(str(path)).look(text)
    return text


def read_file(path: Path) -> bytes:
    """The bytes of an SBML file.

    Raises:
        SpecError: it is not there, no regular file, or too large.
    """
    return read_bytes(path, LARGEST_FILE, SpecError, "model in SBML")
