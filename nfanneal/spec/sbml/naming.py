"""Names of the grammar for the ids of a file: most are the same, some are taken."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

from nfanneal.model.expressions import CONSTANTS, FUNCTIONS

OF_RESULTS = ("chain", "draw", "log_weight", "log_prior", "log_likelihood", "log_proposal")
"""Names that a result file has beside parameters."""


class Naming:
    """Gives names; `renamed` are the ids that could not keep theirs."""

    def __init__(self, ids: Iterable[str]) -> None:
        """All ids of the file: what is made up must not be one of them."""
        self._taken = set(ids)
        self.renamed: dict[str, str] = {}

    def of(self, identifier: str) -> str:
        """The name of an id of the file."""
        if not is_reserved(identifier):
            return identifier
        if identifier not in self.renamed:
            self.renamed[identifier] = self.new(f"{identifier}_")
        return self.renamed[identifier]

    def new(self, wanted: str) -> str:
        """A name that nothing has yet, as `wanted` or with underscores behind it."""
        while wanted in self._taken or is_reserved(wanted):
            wanted += "_"
        self._taken.add(wanted)
        return wanted


def is_reserved(name: str) -> bool:
    """Whether a name means something else in expressions or in result files."""
    return keyword.iskeyword(name) or name in FUNCTIONS or name in CONSTANTS or name in OF_RESULTS
