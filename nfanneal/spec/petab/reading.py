"""A PEtab problem's YAML file → its files → the problem, whichever version it is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nfanneal.errors import Complaint, InputError, Location, SpecError
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.document import Document
from nfanneal.spec.petab.problem import Files, PetabProblem

INSTALL = "PEtab problems need petab and libsbml: pip install 'nfanneal[petab]'"
MARK = "format_version"


def is_petab(document: Document) -> bool:
    """Whether a YAML file is that of a PEtab problem."""
    return MARK in document.data and "model" not in document.data


def read_problem(document: Document, folder: Path, wrong: Complaints) -> PetabProblem | None:
    """The problem that a YAML file names the tables of; None if it cannot be told.

    Raises:
        InputError: petab is not installed.
        SpecError: the version is unknown, or files are missing.
    """
    try:
        import petab  # noqa: F401, PLC0415

        from nfanneal.spec.petab.version1 import read_version1  # noqa: PLC0415
        from nfanneal.spec.petab.version2 import read_version2  # noqa: PLC0415
    except ImportError as error:
        raise InputError(INSTALL) from error
    version = str(document.data[MARK]).split(".", maxsplit=1)[0]
    if version not in ("1", "2"):
        place = document.place((MARK,)).value
        known = "1 and 2"
        message = f"PEtab {document.data[MARK]} is not known: {known} are"
        raise SpecError([Complaint(message, place)])
    named = _Named(document, folder, wrong)
    files = named.version1() if version == "1" else named.version2()
    if files is None:
        return None
    name = Path(document.path).stem
    return (read_version1 if version == "1" else read_version2)(name, files, wrong)


class _Named:
    """The files that a YAML file names; those that are not there are complained about."""

    def __init__(self, document: Document, folder: Path, wrong: Complaints) -> None:
        self._document, self._folder, self._wrong = document, folder, wrong

    def version1(self) -> Files | None:
        """Those of version 1."""
        problems = self._document.data.get("problems")
        if not isinstance(problems, list) or len(problems) != 1:
            self._complain(("problems",), "a PEtab problem of one model is wanted")
            return None
        (said,) = problems
        if not isinstance(said, Mapping):
            self._complain(("problems", 0), "expected keys and lists of files")
            return None
        models = self._files(said.get("sbml_files"), ("problems", 0, "sbml_files"))
        return self._with(
            models, said, ("problems", 0),
            self._files(self._document.data.get("parameter_file"), ("parameter_file",)),
        )  # fmt: skip

    def version2(self) -> Files | None:
        """Those of version 2."""
        said = self._document.data
        if "problems" in said:
            message = "this is a draft of version 2, with problems: of the final format, none has"
            self._complain(("problems",), message)
            return None
        models = said.get("model_files")
        found = list(models.values()) if isinstance(models, Mapping) else []
        if any(not isinstance(m, Mapping) or m.get("language") != "sbml" for m in found):
            self._complain(("model_files",), "models in SBML are read, in no other language")
            return None
        paths = self._files([m.get("location") for m in found], ("model_files",))
        return self._with(
            paths, said, (), self._files(said.get("parameter_files"), ("parameter_files",))
        )

    def _with(
        self,
        models: tuple[Path, ...],
        said: Mapping[str, Any],
        place: tuple[str | int, ...],
        parameters: tuple[Path, ...],
    ) -> Files | None:
        def of(key: str, needed: bool = True) -> tuple[Path, ...]:
            return self._files(said.get(key), (*place, key), needed)

        if len(models) != 1:
            self._complain(place, f"a problem of one model is wanted, not of {len(models)}")
        files = Files(
            models[0] if models else Path(),
            parameters,
            of("condition_files", needed=False),
            of("observable_files"),
            of("measurement_files"),
            of("experiment_files", needed=False),
            of("mapping_files", needed=False),
        )
        return files if models else None

    def _files(
        self, said: Any, place: tuple[str | int, ...], needed: bool = True
    ) -> tuple[Path, ...]:
        names: Iterable[Any] = said if isinstance(said, list) else [said] if said else []
        found = []
        for name in names:
            path = self._folder / str(name)
            if "://" in str(name):
                self._complain(place, f"'{name}': files are read from this machine alone")
            elif not path.is_file():
                self._complain(place, f"no such file: '{path}'")
            else:
                found.append(path)
        if needed and not said:
            self._complain(place, f"{'.'.join(map(str, place))} is missing")
        return tuple(found)

    def _complain(self, place: tuple[str | int, ...], message: str) -> None:
        where: Location = self._document.place(place).value
        self._wrong.add(message, where)
