"""What is wrong with an input, collected to be told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nfanneal.errors import Complaint, InputError, Location, SpecError, nearest

MOST = 100


@dataclass
class Complaints:
    """The first of many complaints, each once, and how many there are.

    At `most` so many are kept and shown. `path` is the file of those that only tell a line.
    """

    path: str = ""
    most: int = MOST
    found: dict[Complaint, None] = field(default_factory=dict)
    count: int = 0
    notes: dict[str, None] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Something that the user should know, once; it is not wrong."""
        self.notes[text] = None

    def add(self, message: str, place: Location | None = None, hint: str | None = None) -> None:
        """One more, unless the same has been said of the same place."""
        self.take([Complaint(message, place, hint)])

    def at(self, line: int, message: str, hint: str | None = None) -> None:
        """Something is wrong in a line (from 1) of the file."""
        self.add(message, Location(self.path, max(1, line)), hint)

    def unknown(self, what: str, name: str, known: Sequence[str], place: Location) -> None:
        """A name that does not stand where it should."""
        self.add(f"unknown {what} '{name}'", place, nearest(name, known))

    def take(self, complaints: Iterable[Complaint]) -> None:
        """Those of somebody else."""
        for complaint in complaints:
            if complaint not in self.found:
                self.count += 1
                if len(self.found) < self.most:
                    self.found[complaint] = None

    def merge(self, others: Iterable[Complaints]) -> Complaints:
        """Those of others too; returns itself."""
        for other in others:
            self.found |= other.found
            self.count += other.count
        return self

    @property
    def shown(self) -> list[Complaint]:
        """In the order of files and lines; at last how many more there are."""
        ordered = sorted(self.found, key=_order)[: self.most]
        more = self.count - len(ordered)
        return [*ordered, Complaint(f"… and {more:,} more")] if more else ordered

    def tell(self, kind: type[InputError] = SpecError) -> None:
        """Raise them, if there are any.

        Raises:
            InputError: of this kind, all of them.
        """
        if self.found:
            raise kind(self.shown)


def _order(complaint: Complaint) -> tuple[str, int, int]:
    place = complaint.location
    return ("", 0, 0) if place is None else (place.file, place.line or 0, place.column or 0)
