"""YAML text → plain data, with the line and column of every key and value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nfanneal.errors import Complaint, Location, SpecError

KeyPath = tuple[str | int, ...]

LARGEST_FILE = 5_000_000
MOST_NODES = 100_000
DEEPEST = 50
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Place:
    """Where a key and its value stand; `offset` is where the value's text starts within it."""

    key: Location
    value: Location
    plain: bool = True


@dataclass
class Document:
    """The data of a YAML file after overrides, and the place of each key path."""

    path: str
    data: dict[str, Any]
    places: dict[KeyPath, Place] = field(default_factory=dict)
    overridden: set[KeyPath] = field(default_factory=set)

    def place(self, path: KeyPath) -> Place:
        """The place of `path`, or of the closest ancestor that stands in the file."""
        while path and path not in self.places:
            path = path[:-1]
        start = Location(self.path, 1, 1)
        return self.places.get(path, Place(start, start))


def read_document(path: Path) -> Document:
    """Read and compose a YAML file.

    Raises:
        SpecError: it cannot be read, is not YAML, or is not a mapping.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST_FILE:
        raise SpecError(f"{path}: {len(raw):,} bytes; a spec has at most {LARGEST_FILE:,}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text (byte {error.start})") from error
    return parse_document(text, str(path))


def parse_document(text: str, path: str) -> Document:
    """Compose YAML text; `path` is only for messages.

    Raises:
        SpecError: it is not YAML, or not a mapping.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(path, mark.line + 1, mark.column + 1) if mark else None
        hint = "put quotes around text that holds any of [ ] { } : # ,"
        raise SpecError([Complaint(f"not valid YAML: {error.problem}", where, hint)]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise SpecError([Complaint("a spec is a mapping of keys to values", Location(path, 1, 1))])
    document = Document(path, {})
    builder = _Builder(document)
    document.data = builder.build(node, ())
    if builder.complaints:
        raise SpecError(builder.complaints)
    return document


class _Builder:
    """Turns YAML nodes into data; bounded, so that aliases cannot multiply without end."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._constructor = yaml.SafeLoader("")
        self._count = 0
        self.complaints: list[Complaint] = []

    def _location(self, node: yaml.Node) -> Location:
        mark = node.start_mark
        return Location(self._document.path, mark.line + 1, mark.column + 1)

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        """The data of `node`; its places go into the document."""
        self._count += 1
        if self._count > MOST_NODES or len(path) > DEEPEST:
            what = "too many values" if self._count > MOST_NODES else "nested too deeply"
            raise SpecError([Complaint(what, self._location(node))])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(child, (*path, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        raise SpecError([Complaint("not understood", self._location(node))])

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        where = self._location(node)
        self._document.places[path] = Place(where, where, _is_plain(node))
        return self.build(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = self._location(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.complaints.append(Complaint("a key must be a word", where))
                continue
            key = str(key_node.value)
            if key in data:
                self.complaints.append(Complaint(f"the key '{key}' stands here twice", where))
                continue
            here = (*path, key)
            value_at = self._location(value_node)
            self._document.places[here] = Place(where, value_at, _is_plain(value_node))
            data[key] = self.build(value_node, here)
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.style is None and _NUMBER.fullmatch(node.value) and not node.value.isdigit():
            return float(node.value) if not node.value.lstrip("+-").isdigit() else int(node.value)
        try:
            value = self._constructor.construct_object(node)
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", error)
            raise SpecError([Complaint(f"not allowed: {problem}", self._location(node))]) from None
        except ValueError:
            return str(node.value)
        return value if isinstance(value, str | int | float | bool | None) else str(node.value)


def _is_plain(node: yaml.Node) -> bool:
    """Whether a scalar is written without quotes on one line, so that columns can be counted."""
    if not isinstance(node, yaml.ScalarNode):
        return False
    return node.style is None and node.start_mark.line == node.end_mark.line


def apply_overrides(document: Document, overrides: Sequence[str]) -> None:
    """Set `a.b.c=value` in the document's data; the value is YAML.

    Raises:
        SpecError: an override is not of this form, or goes through something not a mapping.
    """
    complaints = []
    for text in overrides:
        key, separator, value = text.partition("=")
        path = tuple(key.strip().split("."))
        if not separator or not all(path):
            hint = "write --set section.key=value, such as --set anneal.draws=4096"
            complaints.append(Complaint(f"--set {text}: not of the form key=value", hint=hint))
            continue
        try:
            data = parse_document(f"value: {value}", f"--set {key}").data["value"]
        except SpecError as error:
            complaints.append(Complaint(f"--set {text}: {error.complaints[0].message}"))
            continue
        try:
            _assign(document, path, data, text)
        except SpecError as error:
            complaints += error.complaints
    if complaints:
        raise SpecError(complaints)


def _assign(document: Document, path: tuple[str, ...], value: Any, text: str) -> None:
    target: Any = document.data
    for depth, key in enumerate(path[:-1], start=1):
        target = target.setdefault(key, {}) if isinstance(target, dict) else target
        if not isinstance(target, dict):
            held = ".".join(path[:depth])
            raise SpecError([Complaint(f"--set {text}: '{held}' holds no keys")])
    target[path[-1]] = value
    where = Location(f"--set {text}", 1, len(".".join(path)) + 2)
    for depth in range(1, len(path) + 1):
        document.places.setdefault(path[:depth], Place(where, where))
    stale = [p for p in document.places if p[: len(path)] == path]
    for old in stale:
        del document.places[old]
    document.places[path] = Place(where, where)
    document.overridden.add(path)
