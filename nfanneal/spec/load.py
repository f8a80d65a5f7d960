"""Reading a spec: YAML → schema → meaning, with every complaint placed at file:line:column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.spec.checked import CheckedSpec, _data_sections
from nfanneal.spec.complaints import _complaint, _in_order, _with_placeholders
from nfanneal.spec.document import (
    Document,
    KeyPath,
    Place,
    apply_overrides,
    parse_document,
    read_document,
)
from nfanneal.spec.fields import wrong_with
from nfanneal.spec.inputs import input_files
from nfanneal.spec.meaning import Meaning, find_meaning
from nfanneal.spec.petab.importing import petab_spec
from nfanneal.spec.petab.reading import is_petab
from nfanneal.spec.schema import Spec


def load_spec(path: Path, overrides: Sequence[str] = ()) -> CheckedSpec:
    """Read a YAML file, a spec or a PEtab problem; `overrides` are `a.b.c=value` texts.

    Raises:
        SpecError: with every complaint about the file and the overrides; files that it names and
            that are not there are among them.
    """
    document = read_document(path)
    if is_petab(document):
        document = _from_petab(document, path)
    apply_overrides(document, overrides)
    return _check(document, path.parent, with_files=True)


def _from_petab(document: Document, path: Path) -> Document:
    """The spec that a PEtab problem becomes, with places in the problem's own files."""
    made = petab_spec(document, path.parent)
    spec = parse_document(made.text, str(path))
    spec.nominal = made.nominal
    spec.places = {keys: _origin(keys, made.places, str(path)) for keys in spec.places}
    return spec


def _origin(keys: KeyPath, places: Mapping[KeyPath, Location], file: str) -> Place:
    """The place of the closest part of a problem that is known."""
    known = [keys[:n] for n in range(len(keys), 0, -1) if keys[:n] in places]
    where = places[known[0]] if known else Location(file, 1, 1)
    return Place(where, where, plain=False)


def spec_from_text(text: str, folder: Path = Path(), overrides: Sequence[str] = ()) -> CheckedSpec:
    """The same for YAML text, whose relative paths start from `folder`; no file need be there.

    Raises:
        SpecError: with every complaint about the text.
    """
    document = parse_document(text, "spec")
    apply_overrides(document, overrides)
    return _check(document, folder)


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
    """Complaints about the data and the model's code, where they are not there."""
    named: dict[KeyPath, str] = {
        (*(("experiments", experiment) if experiment else ()), "data", "file"): said.file
        for experiment, said in _data_sections(spec)
        if said.file is not None
    }
    named |= {(*path, "file"): file for path, file in input_files(spec).items()}
    for place, file in named.items():
        path = folder / file
        wrong = wrong_with(path, str(place[-2]))
        if wrong is not None:
            yield Complaint(f"{wrong}: '{path}'", document.place(place).value)
    for key, message, hint in spec.model.missing(folder):
        yield Complaint(message, document.place(("model", key)).value, hint)


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    """An empty section, such as one whose lines are all comments, is as good as none."""
    data = {key: value for key, value in data.items() if value is not None}
    if isinstance(data.get("model"), dict):
        data["model"] = {k: v for k, v in data["model"].items() if v is not None}
    return data


def read_spec(spec: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> CheckedSpec:
    """Check a spec given as a path or a mapping.

    Raises:
        SpecError: every complaint about it.
    """
    if isinstance(spec, Mapping):
        return spec_from_text(yaml.safe_dump(dict(spec)), Path.cwd(), overrides)
    return load_spec(Path(spec), overrides)
