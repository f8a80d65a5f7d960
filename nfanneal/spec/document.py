"""YAML text → plain data, with the line and column of every key and value."""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.runtime.files import decoded, read_bytes

KeyPath = tuple[str | int, ...]

LARGEST_FILE = 5_000_000
MOST_NODES = 50_000
DEEPEST = 50
ASIDE = "x-"
"""Sections that begin so hold what is used elsewhere, by *aliases, and say nothing themselves."""
_TOO_MANY = f"too many values: a spec has at most {MOST_NODES:,}, and *aliases count in full"
_TOO_DEEP = f"nested too deeply: a spec has at most {DEEPEST} levels, and *aliases count in full"
_RESULTS = "`nfanneal report`, `plot` and `sample` read results; `run` and `check` read a spec"
_TABS = "indent with spaces, not with tabs"
_TAG = "tag:yaml.org,2002:"
_SCALARS = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_OTHER_NUMBER = re.compile(
    r"0x[0-9a-fA-F]+|[-+]?[1-9][\d_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.A
)


_LARGEST_NUMBER = int(sys.float_info.max)


@dataclass(frozen=True)
class Override(Location):
    """A `--set` text as the place of a value; it has no line."""

    def __str__(self) -> str:
        return self.file


@dataclass(frozen=True)
class Place:
    """Where a key and its value stand.

    If `plain`, the value's characters follow one another from there, so that the column of
    something within it can be counted.
    """

    key: Location
    value: Location
    plain: bool = True


@dataclass
class Document:
    """The data of a YAML file after overrides, and the place of each key path.

    `complaints` are those that did not keep the rest from being read. `nominal` are values of
    parameters that an importer found beside the problem.
    """

    path: str
    data: dict[str, Any]
    places: dict[KeyPath, Place] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    nominal: Mapping[str, float] = field(default_factory=dict)

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
    with suppress(OSError, ValueError):  # whatever else is wrong with it is told below
        if path.is_dir():
            hint = "name a YAML file in it; `nfanneal init` writes one"
            raise SpecError([Complaint(f"{path}: is a folder, not a spec", hint=hint)])
        if path.is_file() and _is_hdf5(path):
            raise SpecError([Complaint(f"{path}: is an HDF5 file, not a spec", hint=_RESULTS)])
    raw = read_bytes(path, LARGEST_FILE, SpecError, "file")
    text = decoded(raw, path, SpecError)
    return parse_document(text, str(path))


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x89HDF"


def parse_document(text: str, path: str) -> Document:
    """Compose YAML text; `path` is only for messages.

    Raises:
        SpecError: it is not YAML, or not a mapping.
    """
    node = _compose(text, path)
    if not isinstance(node, yaml.MappingNode):
        raise SpecError([Complaint("a spec is a mapping of keys to values", Location(path, 1, 1))])
    document = Document(path, {})
    data = _Builder(document).build(node, ())
    if data is None:  # its tag is not allowed
        raise SpecError(document.complaints)
    document.data = {key: value for key, value in data.items() if not key.startswith(ASIDE)}
    return document


class _TooLarge(yaml.MarkedYAMLError):
    """More than any spec holds."""


class _Loader(yaml.SafeLoader):
    """Composes nodes, but not without end."""

    nodes = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.nodes += 1
        self.depth += 1
        if self.nodes > MOST_NODES or self.depth > DEEPEST:
            what = _TOO_MANY if self.nodes > MOST_NODES else _TOO_DEEP
            raise _TooLarge(None, None, what, self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, path: str) -> yaml.Node | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path, 1)
        if isinstance(error, _TooLarge):
            raise SpecError([Complaint(str(error.problem), where)]) from None
        is_tab = "'\\t'" in str(error.problem)
        hint = _TABS if is_tab else "put quotes around text that holds any of [ ] { } : # ,"
        raise SpecError([Complaint(f"not valid YAML: {error.problem}", where, hint)]) from None
    except yaml.reader.ReaderError as error:
        lines = text[: error.position].splitlines() or [""]
        where = Location(path, len(lines), len(lines[-1]) + 1)
        shown = repr(text[error.position : error.position + 1])
        raise SpecError([Complaint(f"not valid YAML: the character {shown}", where)]) from None
    except (ValueError, OverflowError) as error:
        mark = loader.get_mark() if loader else None
        where = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path, 1)
        message = "not valid YAML: an escape or a version number is out of range"
        raise SpecError([Complaint(message, where)]) from error
    finally:
        if loader is not None:
            loader.dispose()


class _Builder:
    """Turns YAML nodes into data; bounded, so that aliases cannot multiply without end."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def _location(self, node: yaml.Node, offset: int = 0) -> Location:
        mark = node.start_mark
        return Location(self._document.path, mark.line + 1, mark.column + 1 + offset)

    def complain(self, message: str, where: Location) -> None:
        self._document.complaints.append(Complaint(message, where))

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        """The data of `node`; its places go into the document."""
        self._count += 1
        if self._count > MOST_NODES or len(path) > DEEPEST:
            what = _TOO_MANY if self._count > MOST_NODES else _TOO_DEEP
            raise SpecError([Complaint(what, self._location(node))])
        kinds = ("map",) if isinstance(node, yaml.MappingNode) else ("seq",)
        if node.tag.removeprefix(_TAG) not in (
            _SCALARS if isinstance(node, yaml.ScalarNode) else kinds
        ):
            shown = node.tag.replace(_TAG, "!!")[:60]
            self.complain(f"the tag {shown} is not allowed", self._location(node))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, i), None) for i, child in enumerate(node.value)]
        text = str(node.value)
        self._refuse_odd(text, node)
        quoted = not isinstance(node, yaml.ScalarNode) or node.style is not None
        return text if quoted else read_scalar(text)

    def _refuse_odd(self, text: str, node: yaml.Node) -> None:
        """Neither result files nor terminals take control characters and halves of pairs."""
        for character in text:
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r\x85":
                message = f"the character {ascii(character)[1:-1]} is not allowed"
                self.complain(message, self._location(node))
                return

    def _value(self, node: yaml.Node, path: KeyPath, key: Location | None) -> Any:
        offset = _text_offset(node)
        where = self._location(node, offset or 0)
        self._document.places[path] = Place(key or where, where, offset is not None)
        return self.build(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        for key_node, value_node in node.value:
            where = self._location(key_node)
            if key_node.tag == f"{_TAG}merge":
                merged += self._merged(value_node, where)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.complain("a key must be a word", where)
                continue
            key = str(key_node.value)
            self._refuse_odd(key, key_node)
            if key in data:
                self.complain(f"the key '{key}' stands here twice", where)
                continue
            data[key] = self._value(value_node, (*path, key), where)
        for key_node, value_node in merged:
            key = str(key_node.value)
            if key not in data:
                data[key] = self._value(value_node, (*path, key), self._location(key_node))
        return data

    def _merged(
        self, node: yaml.Node, where: Location, depth: int = 0
    ) -> list[tuple[yaml.Node, yaml.Node]]:
        """The keys that `<<: *alias` or `<<: [*first, *second]` adds, the first choice first.

        Those of a mapping that has a `<<` itself come after its own.
        """
        if depth > DEEPEST:
            raise SpecError([Complaint(_TOO_DEEP, where)])
        if isinstance(node, yaml.SequenceNode) and node.value:
            return [pair for item in node.value for pair in self._merged(item, where, depth + 1)]
        if not isinstance(node, yaml.MappingNode):
            self.complain("<< takes mappings, such as <<: *name", where)
            return []
        self._count += len(node.value)
        if self._count > MOST_NODES:
            raise SpecError([Complaint(_TOO_MANY, where)])
        own = [(k, v) for k, v in node.value if k.tag != f"{_TAG}merge"]
        inner = [v for k, v in node.value if k.tag == f"{_TAG}merge"]
        return [
            *((k, v) for k, v in own if isinstance(k, yaml.ScalarNode)),
            *(pair for v in inner for pair in self._merged(v, where, depth + 1)),
        ]


def read_scalar(text: str) -> Any:
    """What text without quotes stands for: a number, true, false, nothing or itself.

    Unlike in YAML 1.1, 1e-6 is a number, and 010, 1:30, yes, NO and dates are not what they
    seem there, but ten and text: NO may be the name of a substance.
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if not (_NUMBER.fullmatch(text) or _OTHER_NUMBER.fullmatch(text)):
        return text
    try:
        if text.lstrip("+-").replace("_", "").isdigit() or text.startswith("0x"):
            whole = int(text, 16 if text.startswith("0x") else 10)
            return whole if abs(whole) <= _LARGEST_NUMBER else text
    except ValueError:  # thousands of digits
        return text
    value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text if math.isinf(value) and text[-1].isdigit() else value  # 1e999 is no number


def _text_offset(node: yaml.Node) -> int | None:
    """Characters from the node's start to its text, None if these cannot be counted on.

    An anchor or a quote may come first; escapes and folded lines move what follows.
    """
    if not isinstance(node, yaml.ScalarNode) or node.start_mark.buffer is None:
        return None
    raw = node.start_mark.buffer[node.start_mark.pointer : node.end_mark.pointer]
    text, quote = str(node.value), node.style or ""
    if quote in ("|", ">") or not raw.endswith(f"{quote}{text}{quote}"):
        return None
    return len(raw) - len(text) - len(quote)


def apply_overrides(document: Document, overrides: Sequence[str]) -> None:
    """Set `a.b.c=value` in the document's data; the value is YAML.

    Overrides that are not of this form, or go through something that is not a mapping, become
    complaints of the document.
    """
    for text in overrides:
        where = Override(f"--set {text[:80]}", 1)
        key, separator, value = text.partition("=")
        path = tuple(key.strip().split("."))
        if not separator or not all(path):
            hint = "write --set section.key=value, such as --set anneal.draws=4096"
            document.complaints.append(Complaint("not of the form key=value", where, hint))
            continue
        try:
            _assign(document, path, _override_value(value), where)
        except SpecError as error:
            document.complaints += [Complaint(c.message, where) for c in error.complaints]


def _override_value(text: str) -> Any:
    scratch = Document("", {})
    node = _compose(text, "")
    if node is None:  # nothing but a comment, to YAML
        return text.strip() or None
    value = _Builder(scratch).build(node, ())
    if scratch.complaints:
        raise SpecError(scratch.complaints)
    return value


def _assign(document: Document, path: tuple[str, ...], value: Any, where: Location) -> None:
    if len(path) > DEEPEST:
        raise SpecError(_TOO_DEEP)
    target = document.data
    for depth, key in enumerate(path[:-1], start=1):
        if target.get(key) is None:
            target[key] = {}
        target = target[key]
        if not isinstance(target, dict):
            raise SpecError(f"'{'.'.join(path[:depth])}' holds no keys")
    target[path[-1]] = value
    for depth in range(1, len(path)):
        document.places.setdefault(path[:depth], Place(where, where, plain=False))
    for stale in [p for p in document.places if p[: len(path)] == path]:
        del document.places[stale]
    document.places[path] = Place(where, where, plain=False)


def read_numbers(path: Path) -> dict[str, float]:
    """Numbers by name from a YAML or JSON file.

    Raises:
        SpecError: it cannot be read, or holds anything else.
    """
    document = read_document(path)
    if document.complaints:
        raise SpecError(document.complaints)
    try:
        return {name: float(value) for name, value in document.data.items()}
    except (TypeError, ValueError):
        raise SpecError(f"{path}: must hold numbers by name, such as 'k: 0.5'") from None
