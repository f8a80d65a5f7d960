"""A spec without complaints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sympy
import yaml

from nfanneal.errors import Location
from nfanneal.spec.document import Document, read_scalar
from nfanneal.spec.inputs import with_tables, without_unused
from nfanneal.spec.meaning import Meaning
from nfanneal.spec.schema import DataSpec, Spec
from nfanneal.spec.table import Table, read_table, table_of


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
    def nominal(self) -> Mapping[str, float] | None:
        """Values that an importer found for free parameters; None if it found none."""
        known = self.document.nominal
        names = [name for p in self.meaning.free for name in p.column_names]
        return {n: known[n] for n in names if n in known} or None

    @property
    def data(self) -> dict[str, DataSpec]:
        """The data section of each experiment; that of a spec without any has the name ''."""
        return dict(_data_sections(self.spec))

    def data_file(self, experiment: str = "") -> Path | None:
        """The data file of an experiment; None where its table stands in the spec."""
        file = self.data[experiment].file
        return None if file is None else self.folder / file

    def data_place(self, experiment: str = "") -> Path:
        """Where the data of an experiment are, for messages."""
        keys = f"experiments.{experiment}.data.table" if experiment else "data.table"
        return self.data_file(experiment) or Path(f"{self.document.path}: {keys}")

    def data_table(self, experiment: str = "") -> Table:
        """The data of an experiment.

        Raises:
            DataError: the file cannot be read, or the form of the table is wrong.
        """
        text = self.data[experiment].table
        place = self.data_place(experiment)
        return read_table(place) if text is None else table_of(text, place)

    @property
    def code_files(self) -> tuple[Path, ...]:
        """The files of the user's code."""
        return self.spec.model.code_files(self.folder)

    @property
    def code_name(self) -> str | None:
        """What `--model` must name for the user's code to run; None for other models."""
        if not self.spec.model.runs_code:
            return None
        return next(iter(map(str, self.code_files)), self.spec.model.code)

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
            if (file := self.data_file(experiment)) is not None:
                section["data"]["file"] = str(file.resolve())
        content["model"] |= self.spec.model.placed(self.folder)
        return yaml_of(content)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed, but hardly meant: parameters that nothing depends on.

        Numbers of an imported problem may stand for others in every experiment.
        """
        if not self.spec.model.transparent:
            return ()
        meaning, used = self.meaning, set[str]()
        for experiment in meaning.experiments:
            initial = {**meaning.initial, **experiment.initial}
            parts = [initial, meaning.equations, meaning.observables, meaning.named]
            expressions = [expression for part in parts for expression in part.values()]
            expressions += meaning.timing.expressions
            expressions += [argument for n in experiment.noise for argument in n.arguments]
            symbols = set[sympy.Symbol]().union(*(e.free_symbols for e in expressions))
            here = {experiment.instead.get(s, s) for s in symbols}
            names = {str(s) for e in here for s in e.free_symbols} - set(experiment.numbers)
            used |= {name.split("[")[0] for name in names}
        imported = bool(self.document.nominal)
        unused = [
            name
            for name, given in self.spec.parameters.items()
            if name not in used and not (imported and isinstance(given, int | float))
        ]
        if not unused:
            return ()
        more = f" and {len(unused) - SHOWN} more" if len(unused) > SHOWN else ""
        which = ", ".join(f"'{name}'" for name in unused[:SHOWN]) + more
        many = len(unused) > 1
        return (f"parameter{'s'[:many]} {which} {'are' if many else 'is'} not used anywhere",)


SHOWN = 8
"""Names in one warning."""


def yaml_of(content: Mapping[str, object]) -> str:
    """YAML that reads back as it was: text that looks like a number is quoted."""
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


class _Dumper(yaml.SafeDumper):
    """Quotes text that would be read as a number."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if isinstance(read_scalar(text), str) else "'"
    style = "|" if "\n" in text else style
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def _data_sections(spec: Spec) -> Iterator[tuple[str, DataSpec]]:
    if spec.data is not None:
        yield "", spec.data
    for experiment, said in spec.experiments.items():
        yield experiment, said.data
