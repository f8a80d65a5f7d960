"""Complaints of the schema in words, at their place."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from nfanneal.errors import Complaint, Location, nearest
from nfanneal.spec.document import Document, KeyPath, Override
from nfanneal.spec.kinds import KINDS
from nfanneal.spec.reader import MOST_COMPLAINTS
from nfanneal.spec.schema import ExperimentSpec, ParameterSpec, Spec

_SECTIONS = ("name", "flow", "anneal", "output", "seed")
"""Sections of the top level that have defaults and say nothing about the others."""
SOME_DATA = {"table": "t\n0\n"}
"""What stands for data whose section is wrong: no file is missed."""


def _with_placeholders(
    document: Document, errors: Sequence[dict[str, Any]]
) -> tuple[Spec | None, set[Location]]:
    """The spec with harmless values where `errors` are, to look for complaints about the rest.

    Returns None where that cannot be done, and the places that have been complained about.
    """
    data = copy.deepcopy(document.data)
    hidden: set[Location] = set()
    for error in errors:
        path, _ = _path_of(document.data, error["loc"])
        place = document.place(path)
        hidden |= {place.key, place.value}
        if len(path) == 1 and error["type"] == "extra_forbidden":  # a needed section, misspelt?
            hidden.add(document.place(()).key)
        if not _put_placeholder(data, path, error["type"]):
            return None, hidden
    try:
        return Spec.model_validate(data), hidden
    except ValidationError:
        return None, hidden


def _put_placeholder(data: dict[str, Any], path: KeyPath, kind: str) -> bool:
    """Make the value at `path` valid; false if nothing can stand for it."""
    section, rest = (path[0], path[1:]) if path else ("", ())
    model: Any = data.get("model")
    if section in _SECTIONS:
        data.pop(str(section), None)
    elif section == "parameters" and rest:
        given = data["parameters"].get(rest[0])
        shape = given.get("shape") if isinstance(given, dict) else None
        data["parameters"][rest[0]] = {"prior": {"normal": [0, 1]}}
        if isinstance(shape, int) and shape >= 1:
            data["parameters"][rest[0]]["shape"] = shape
    elif section == "data":
        data["data"] = dict(SOME_DATA)
    elif section == "experiments" and len(rest) > 1:
        experiment = data["experiments"][rest[0]]
        experiment.pop(rest[1], None)
        experiment.setdefault("data", dict(SOME_DATA))
    elif section == "model" and rest[:1] and rest[0] in _optional():
        model.pop(rest[0], None)
    elif section == "model" and len(rest) == 2 and isinstance(model[rest[0]], dict):
        model[rest[0]][rest[1]] = 0.0
    elif kind == "extra_forbidden" or rest in (("start",), ("array",), ("time",)):
        target = model if section == "model" else data
        target.pop(str(path[-1]), None)
    else:
        return False
    return True


def _optional() -> set[str | int]:
    """Keys of models that have defaults."""
    return {key for kind in KINDS.values() for key in kind.optional}


def _in_order(complaints: list[Complaint]) -> list[Complaint]:
    """By line and column, then those about overrides; those without a place come last."""

    def key(complaint: Complaint) -> tuple[int, int, int]:
        where = complaint.location
        if where is None:
            return (2, 0, 0)
        return (int(isinstance(where, Override)), where.line, where.column or 0)

    ordered = sorted(dict.fromkeys(complaints), key=key)
    if len(ordered) <= MOST_COMPLAINTS:
        return ordered
    more = len(ordered) - MOST_COMPLAINTS
    return [*ordered[:MOST_COMPLAINTS], Complaint(f"… and {more} more")]


def _complaint(document: Document, error: dict[str, Any]) -> Complaint:
    """One pydantic error in words, at its place."""
    path, value = _path_of(document.data, error["loc"])
    place = document.place(path)
    dotted = ".".join(map(str, path)) or "the spec"
    kind, last = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "missing":
        return Complaint(f"{dotted} needs the key '{last}'", place.key)
    if kind == "extra_forbidden":
        parent = ".".join(map(str, path[:-1])) or "the spec"
        known = _known_keys(document.data, path[:-1])
        hint = nearest(last, known) or f"known keys: {', '.join(known)}"
        return Complaint(f"unknown key '{last}' in {parent}", place.key, hint)
    if kind == "model_kind":
        return _about_kind(document, error["msg"])
    if len(path) == 2 and path[0] == "parameters" and kind == "value_error":
        return Complaint(f"{dotted} must be a number, or {{prior: …}}{_shown(value)}", place.value)
    options: list[str] = (
        re.findall(r"'(\w+)'", error["ctx"]["expected"]) if kind == "literal_error" else []
    )
    close = nearest(str(value), options)
    return Complaint(f"{dotted} {_requirement(error)}{_shown(value)}", place.value, close)


def _about_kind(document: Document, message: str) -> Complaint:
    model = document.data.get("model")
    if not isinstance(model, dict):
        return Complaint("model must hold keys and values", document.place(("model",)).value)
    if "kind" not in model:
        return Complaint(message, document.place(("model",)).key)
    where = document.place(("model", "kind")).value
    return Complaint(f"{message}{_shown(model['kind'])}", where, nearest(str(model["kind"]), KINDS))


def _shown(value: Any) -> str:
    return "" if isinstance(value, dict | list) or value is None else f", not '{str(value)[:60]}'"


def _requirement(error: dict[str, Any]) -> str:
    """What pydantic asks for, as the end of a sentence."""
    kind, context = error["type"], error.get("ctx", {})
    words = {
        "literal_error": "must be {expected}",
        "greater_than_equal": "must be at least {ge:g}",
        "greater_than": "must be above {gt:g}",
        "less_than_equal": "must be at most {le:g}",
        "less_than": "must be below {lt:g}",
        "finite_number": "must be a finite number",
        "too_short": "must not be empty",
        "list_type": "must be a list",
        **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"),
                        "must hold keys and values"),
    }  # fmt: skip
    if kind in words:
        return words[kind].format(**context)
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _path_of(data: Any, location: tuple[str | int, ...]) -> tuple[KeyPath, Any]:
    """The key path of a pydantic location, whose tags of unions are not keys of the data."""
    path: list[str | int] = []
    value = data
    for part in location:
        if isinstance(value, dict) and part in value:  # noqa: SIM114 - mypy needs both
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        path.append(part)
    return tuple(path), value


def _known_keys(data: dict[str, Any], path: KeyPath) -> list[str]:
    """The keys that the schema has at `path`."""
    schema: type[BaseModel] = Spec
    if path[:1] == ("model",):
        schema = KINDS[data["model"]["kind"]]
        path = path[1:]
    elif path[:1] == ("parameters",):
        return list(ParameterSpec.model_fields)
    elif path[:1] == ("experiments",):
        schema, path = ExperimentSpec, path[2:]
    for kind in KINDS.values():
        if schema in (kind, ExperimentSpec) and path and path[0] in kind.sections:
            return list(kind.sections[str(path[0])].model_fields)
    for key in path:
        annotation = schema.model_fields[str(key)].annotation
        options = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
        schema = next(a for a in options if issubclass(a, BaseModel))
    return list(schema.model_fields)
