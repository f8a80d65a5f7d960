"""Complaints about an SBML file, each at its line."""

from __future__ import annotations

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.spec.reader import MOST_COMPLAINTS


class Complaints:
    """Collects what is wrong with one file, and what is to be noted."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: dict[Complaint, None] = {}
        self.notes: dict[str, None] = {}

    def add(self, line: int, message: str, hint: str | None = None) -> None:
        """Something is wrong in a line (from 1)."""
        self.found[Complaint(message, Location(self.path, max(1, line)), hint)] = None

    def note(self, text: str) -> None:
        """Something the user should know, once."""
        self.notes[text] = None

    def end(self) -> None:
        """Raise what was found, in the order of the lines.

        Raises:
            SpecError: something was.
        """
        if not self.found:
            return
        ordered = sorted(self.found, key=lambda c: c.location.line if c.location else 0)
        shown = ordered[:MOST_COMPLAINTS]
        if len(ordered) > len(shown):
            shown.append(Complaint(f"… and {len(ordered) - len(shown)} more"))
        raise SpecError(shown)


class FormulaError(Exception):
    """A formula cannot be an expression of the grammar; whoever knows its line complains."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
