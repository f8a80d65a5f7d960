"""libsbml, which is installed with the extra `petab` only."""

from __future__ import annotations

from functools import cache
from typing import Any

from nfanneal.errors import Complaint, Location, SpecError

MISSING = "reading SBML takes the library libsbml, which is not installed"
INSTALL = "pip install 'nfanneal[petab]'"


def libsbml() -> Any:
    """The module.

    Raises:
        SpecError: it is not installed.
    """
    try:
        import libsbml as module  # noqa: PLC0415  (an extra)
    except ImportError:
        raise SpecError([Complaint(MISSING, hint=INSTALL)]) from None
    return module


def document_of(text: str, path: str) -> Any:
    """The document that libsbml reads from a text that is safe.

    Raises:
        SpecError: libsbml finds errors in it, each with its line; warnings are left alone.
    """
    document, severe = libsbml().readSBMLFromString(text), libsbml().LIBSBML_SEV_ERROR
    found: dict[Complaint, None] = {}
    for i in range(document.getNumErrors()):
        error = document.getError(i)
        if error.getSeverity() >= severe:
            message = f"{_said(error)} (SBML rule {error.getErrorId()})"
            line = min(max(1, error.getLine()), text.count("\n") + 1)  # it may say one beyond
            found[Complaint(message, Location(path, line))] = None
    if found:
        raise SpecError(sorted(found, key=lambda c: c.location.line if c.location else 0)[:100])
    return document


@cache
def type_names() -> dict[int, str]:
    """Names of libsbml's kinds of nodes, without `AST_`."""
    module = libsbml()
    return {getattr(module, name): name[4:] for name in dir(module) if name.startswith("AST_")}


def _said(error: Any) -> str:
    """libsbml's message: what is said of this file, if anything is, stands behind a reference."""
    general, _, rest = error.getMessage().partition("\nReference:")
    about = rest.partition("\n")[2].strip() or general
    message = " ".join(f"{error.getShortMessage()}: {about}".split())
    return message if len(message) <= 300 else f"{message[:300]} …"
