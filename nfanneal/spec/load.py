"""Reading a spec: YAML → schema → meaning, with every complaint placed at file:line:column."""

from __future__ import annotations

import copy
import hashlib
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import sympy
import yaml
from pydantic import BaseModel, ValidationError

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.model.expressions import nearest
from nfanneal.model.noise import NOISE_MODELS
from nfanneal.model.priors import PRIORS
from nfanneal.spec.document import (
    Document,
    KeyPath,
    Override,
    apply_overrides,
    parse_document,
    read_document,
    read_scalar,
)
from nfanneal.spec.inputs import input_files, with_tables, without_unused
from nfanneal.spec.meaning import Meaning, find_meaning
from nfanneal.spec.reader import MOST_COMPLAINTS
from nfanneal.spec.schema import (
    TIMED,
    DataSpec,
    ExperimentSpec,
    OdeSpec,
    ParameterSpec,
    PythonSpec,
    Spec,
)


@dataclass(frozen=True)
class CheckedSpec:
    """A spec without complaints, the folder its paths start from, and what it means."""

    spec: Spec
    folder: Path
    meaning: Meaning
    document: Document = field(repr=False, compare=False)

    def place(self, *path: str) -> Location:
        """Where the value at `path` stands."""
        return self.document.place(path).value

    @property
    def data(self) -> dict[str, DataSpec]:
        """The data section of each experiment; that of a spec without any has the name ''."""
        return dict(_data_sections(self.spec))

    def data_file(self, experiment: str = "") -> Path:
        """The data file of an experiment."""
        return self.folder / self.data[experiment].file

    @property
    def standalone(self) -> Spec:
        """The spec with the tables of inputs instead of their files."""
        return with_tables(self.spec, self.document, self.folder)

    @property
    def yaml(self) -> str:
        """The whole spec with its defaults, paths made absolute."""
        content = without_unused(self.standalone.model_dump(exclude_none=True))
        for experiment in self.data:
            section = content["experiments"][experiment] if experiment else content
            section["data"]["file"] = str(self.data_file(experiment).resolve())
        if isinstance(self.spec.model, PythonSpec):
            content["model"]["file"] = str((self.folder / self.spec.model.file).resolve())
        return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True))

    @property
    def digest(self) -> str:
        """SHA-256 of what the problem is made of: spec, data files and model file, wherever."""
        model = self.spec.model
        files = [self.data_file(experiment) for experiment in self.data]
        files += [self.folder / model.file] if isinstance(model, PythonSpec) else []
        files += [self.folder / file for file in input_files(self.spec).values()]
        contents = [path.read_bytes() for path in files if path.is_file()]
        parts = [self.spec.model_dump_json().encode(), *contents]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed, but hardly meant: parameters that nothing depends on."""
        if not isinstance(self.spec.model, OdeSpec):
            return ()
        meaning, used = self.meaning, set[str]()
        for experiment in meaning.experiments:
            initial = {**meaning.initial, **experiment.initial}
            parts = [initial, meaning.equations, meaning.observables]
            expressions = [expression for part in parts for expression in part.values()]
            expressions += meaning.timing.expressions
            expressions += [argument for n in experiment.noise for argument in n.arguments]
            symbols = set[sympy.Symbol]().union(*(e.free_symbols for e in expressions))
            here = {experiment.instead.get(s, s) for s in symbols}
            names = {str(s) for e in here for s in e.free_symbols} - set(experiment.numbers)
            used |= {name.split("[")[0] for name in names}
        unused = [name for name in self.spec.parameters if name not in used]
        return tuple(f"parameter '{name}' is not used anywhere" for name in unused)


class _Dumper(yaml.SafeDumper):
    """Quotes text that would be read as a number."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if isinstance(read_scalar(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def load_spec(path: Path, overrides: Sequence[str] = ()) -> CheckedSpec:
    """Read a YAML file; `overrides` are `a.b.c=value` texts.

    Raises:
        SpecError: with every complaint about the file and the overrides; files that it names and
            that are not there are among them.
    """
    document = read_document(path)
    apply_overrides(document, overrides)
    return _check(document, path.parent, with_files=True)


def spec_from_text(text: str, folder: Path = Path(), overrides: Sequence[str] = ()) -> CheckedSpec:
    """The same for YAML text, whose relative paths start from `folder`; no file need be there.

    Raises:
        SpecError: with every complaint about the text.
    """
    document = parse_document(text, "spec")
    apply_overrides(document, overrides)
    return _check(document, folder)


_SECTIONS = ("name", "flow", "anneal", "output", "seed")
"""Sections of the top level that have defaults and say nothing about the others."""


_OPTIONAL = ("solver", "inputs", "doses", "changes", "initial", "pre_equilibration", "positive")
"""Parts of an ODE model that have defaults."""


def _check(document: Document, folder: Path, *, with_files: bool = False) -> CheckedSpec:
    """Validate the shape, then the meaning; what is wrong with either is told at once."""
    document.data = _without_empty(document.data)
    complaints = list(document.complaints)
    hidden: set[Location] = set()
    try:
        spec: Spec | None = Spec.model_validate(document.data)
    except ValidationError as error:
        errors = [dict(e) for e in error.errors()]
        complaints += [_complaint(document, e) for e in errors]
        spec, hidden = _with_placeholders(document, errors)
    meaning = Meaning()
    if spec is not None:
        meaning, found = find_meaning(spec, document)
        found = [*found, *(_about_files(document, folder, spec) if with_files else ())]
        complaints += [c for c in found if c.location not in hidden]
    if complaints or spec is None:
        raise SpecError(_in_order(complaints))
    return CheckedSpec(spec, folder, meaning, document)


def _about_files(document: Document, folder: Path, spec: Spec) -> Iterator[Complaint]:
    """Complaints about the data and the model file, where they are not there."""
    named: dict[KeyPath, str] = {
        ("experiments", experiment, "data") if experiment else ("data",): said.file
        for experiment, said in _data_sections(spec)
    }
    if isinstance(spec.model, PythonSpec):
        named[("model",)] = spec.model.file
    named |= input_files(spec)
    for section, file in named.items():
        path = folder / file
        wrong = _wrong_with(path, str(section[-1]))
        if wrong is not None:
            yield Complaint(f"{wrong}: '{path}'", document.place((*section, "file")).value)


def _data_sections(spec: Spec) -> Iterator[tuple[str, DataSpec]]:
    if spec.data is not None:
        yield "", spec.data
    for experiment, said in spec.experiments.items():
        yield experiment, said.data


def _wrong_with(path: Path, section: str) -> str | None:
    """Why this can be no data or model file: a pipe may block, a device may never end."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"no such {section} file"
    except (OSError, ValueError) as error:
        return f"no {section} file can be called so ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISDIR(mode):
        return "a folder, not a file"
    return None if stat.S_ISREG(mode) else "a pipe or a device, not a file"


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    """An empty section, such as one whose lines are all comments, is as good as none."""
    data = {key: value for key, value in data.items() if value is not None}
    if isinstance(data.get("model"), dict):
        data["model"] = {k: v for k, v in data["model"].items() if v is not None}
    return data


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
        data["data"] = {"file": "-"}
    elif section == "experiments" and len(rest) > 1:
        experiment = data["experiments"][rest[0]]
        experiment.pop(rest[1], None)
        experiment.setdefault("data", {"file": "-"})
    elif section == "model" and rest[:1] and rest[0] in _OPTIONAL:
        model.pop(rest[0], None)
    elif section == "model" and len(rest) == 2 and isinstance(model[rest[0]], dict):
        model[rest[0]][rest[1]] = 0.0
    elif kind == "extra_forbidden" or rest in (("start",), ("array",), ("time",)):
        target = model if section == "model" else data
        target.pop(str(path[-1]), None)
    else:
        return False
    return True


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
    kinds = ("ode", "python")
    model = document.data.get("model")
    if not isinstance(model, dict):
        return Complaint("model must hold keys and values", document.place(("model",)).value)
    if "kind" not in model:
        return Complaint(message, document.place(("model",)).key)
    where = document.place(("model", "kind")).value
    return Complaint(f"{message}{_shown(model['kind'])}", where, nearest(str(model["kind"]), kinds))


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
        schema = OdeSpec if data["model"].get("kind") == "ode" else PythonSpec
        path = path[1:]
    elif path[:1] == ("parameters",):
        return list(ParameterSpec.model_fields)
    elif path[:1] == ("experiments",):
        schema, path = ExperimentSpec, path[2:]
    if schema in (OdeSpec, ExperimentSpec) and path and path[0] in TIMED:
        return list(TIMED[str(path[0])].model_fields)
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
    one = {"minProperties": 1, "maxProperties": 1}
    prior = schema["$defs"]["ParameterSpec"]["properties"]["prior"]
    prior |= {**one, "propertyNames": {"enum": sorted(PRIORS)}}
    names = {"enum": sorted(NOISE_MODELS)}
    noise = {"type": "object", **one, "propertyNames": names}
    experiment = schema["$defs"]["ExperimentSpec"]
    for section in (schema, experiment):
        section["properties"]["likelihood"]["additionalProperties"] = {"anyOf": [names, noise]}
    return schema
