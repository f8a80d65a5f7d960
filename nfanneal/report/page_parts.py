"""What the templates of the page are given: plain frozen records of text, and pictures."""

from __future__ import annotations

from dataclasses import dataclass

from nfanneal.report.references import Reference
from nfanneal.results.diagnostics import Assessment


@dataclass(frozen=True)
class Picture:
    """A figure inside the page; `ident` is unique in it, `source` a data URI."""

    ident: str
    kind: str
    source: str
    alt: str
    caption: str
    wide: bool


@dataclass(frozen=True)
class Tab:
    """Pictures that show in one place, one tab at a time."""

    ident: str
    label: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Pictures:
    """The figures of a result: those of its data by experiment, where it has several; the rest.

    `missing` says which could not be drawn, and why.
    """

    experiments: tuple[Tab, ...]
    rest: tuple[Picture, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether to trust a result: in a few words, why, and what to do."""

    trusted: bool
    headline: str
    explanation: str
    reasons: tuple[str, ...]
    looks: tuple[str, ...]
    advice: str


@dataclass(frozen=True)
class Fact:
    """One number of the summary with its name and a note beneath it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows; the note says what is not in it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Part:
    """All that the page says of one result; `ident` begins the ids of what is in it."""

    ident: str
    label: str
    name: str
    verdict: Verdict
    facts: tuple[Fact, ...]
    parameters: Table
    modes: Table | None
    symmetry: tuple[str, ...]
    checks: tuple[Assessment, ...]
    pictures: Pictures
    methods: str
    references: tuple[Reference, ...]
    bibtex: str
    origin: tuple[Fact, ...]
    spec: str


@dataclass(frozen=True)
class Glance:
    """One result in the table of all."""

    ident: str
    label: str
    trusted: bool
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Together:
    """Several results beside each other.

    `agreements` say whether runs of one problem agree; `comparison` is that of models of the same
    data, or None, where `why_not` says why. `remarks` are what to bear in mind about it.
    """

    summary: str
    head: tuple[str, ...]
    glances: tuple[Glance, ...]
    agreements: tuple[tuple[bool, str], ...]
    comparison: Table | None
    why_not: str
    remarks: tuple[str, ...]
    parameters: Table | None
    pictures: Pictures
