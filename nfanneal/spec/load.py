"""Reading a spec: YAML → schema → meaning, with every complaint placed at file:line:column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from nfanneal.errors import Complaint, SpecError
from nfanneal.expressions import nearest
from nfanneal.spec.document import Document, KeyPath, apply_overrides, parse_document, read_document
from nfanneal.spec.meaning import Meaning, find_meaning
from nfanneal.spec.schema import OdeSpec, ParameterSpec, PythonSpec, Spec


@dataclass(frozen=True)
class CheckedSpec:
    """A spec without complaints, the folder its paths start from, and what it means."""

    spec: Spec
    folder: Path
    meaning: Meaning

    @property
    def data_file(self) -> Path | None:
        """The data file, if the spec has one."""
        return None if self.spec.data is None else self.folder / self.spec.data.file

    @property
    def yaml(self) -> str:
        """The whole spec with its defaults, paths made absolute."""
        content = self.spec.model_dump(exclude_none=True)
        if self.spec.data is not None:
            content["data"]["file"] = str((self.folder / self.spec.data.file).resolve())
        if isinstance(self.spec.model, PythonSpec):
            content["model"]["file"] = str((self.folder / self.spec.model.file).resolve())
        return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def load_spec(path: Path, overrides: Sequence[str] = ()) -> CheckedSpec:
    """Read a YAML file; `overrides` are `a.b.c=value` texts.

    Raises:
        SpecError: with every complaint about the file and the overrides.
    """
    document = read_document(path)
    apply_overrides(document, overrides)
    return _check(document, path.parent)


def spec_from_text(text: str, folder: Path, overrides: Sequence[str] = ()) -> CheckedSpec:
    """The same for YAML text, whose relative paths start from `folder`.

    Raises:
        SpecError: with every complaint about the text.
    """
    document = parse_document(text, "spec")
    apply_overrides(document, overrides)
    return _check(document, folder)


def _check(document: Document, folder: Path) -> CheckedSpec:
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        complaints = [_complaint(document, dict(e)) for e in error.errors()]
        raise SpecError(_in_order(complaints)) from None
    meaning, complaints = find_meaning(spec, document)
    if complaints:
        raise SpecError(_in_order(complaints))
    return CheckedSpec(spec, folder, meaning)


def _in_order(complaints: list[Complaint]) -> list[Complaint]:
    """By line and column; those without a place come last."""

    def key(complaint: Complaint) -> tuple[int, int]:
        where = complaint.location
        return (1 << 30, 0) if where is None else (where.line, where.column or 0)

    return sorted(complaints, key=key)


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
    message = error["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        message = f"must be {error['ctx']['expected']}"
    elif kind in ("model_type", "dict_type", "model_attributes_type"):
        message = "must hold keys and values"
    elif kind == "list_type":
        message = "must be a list"
    elif kind == "model_kind":
        return Complaint(message, document.place(("model", "kind")).value)
    shown = "" if isinstance(value, dict | list) or value is None else f", not '{value}'"
    return Complaint(f"{dotted}: {_lower(message)}{shown}", place.value)


def _lower(message: str) -> str:
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
        schema = OdeSpec if data["model"].get("kind") == "ode" else PythonSpec
        path = path[1:]
    elif path[:1] == ("parameters",):
        return list(ParameterSpec.model_fields)
    for key in path:
        annotation = schema.model_fields[str(key)].annotation
        options = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
        schema = next(a for a in options if issubclass(a, BaseModel))
    return list(schema.model_fields)


def json_schema() -> dict[str, Any]:
    """JSON Schema of a spec, for editors."""
    schema = Spec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "nfanneal spec"
    return schema
