"""A spec that was made from a PEtab problem as YAML text, with comments where things came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nfanneal.spec.commenting import comment, scalar, with_comment
from nfanneal.spec.petab.problem import PetabParameter, PetabProblem
from nfanneal.spec.sbml.contents import SbmlModel

Comment = Callable[[str], str]


def spec_text(spec: Mapping[str, Any], problem: PetabProblem, model: SbmlModel) -> str:
    """The text of a spec, one line a value, that says of each what it was."""
    model_file = problem.model_file.name
    parts = [
        comment(f"Made from the PEtab problem {problem.name} and its model {model_file}.") + "\n",
        f"name: {scalar(spec['name'])}\n",
        *_model(spec["model"], model),
        *_parameters(spec["parameters"], problem),
        "likelihood:\n",
        *_lines(spec["likelihood"], 1, _observable_comment(problem)),
        "experiments:\n",
        *_experiments(spec["experiments"]),
    ]
    return "".join(parts)


def _lines(
    mapping: Mapping[str, Any], depth: int, about: Comment = lambda name: ""
) -> Iterator[str]:
    for name, value in mapping.items():
        said = about(name)
        line = f"{'  ' * depth}{scalar(name)}: {scalar(value)}"
        yield f"{with_comment(line, said)}\n"


def _model(section: Mapping[str, Any], model: SbmlModel) -> Iterator[str]:
    def of_model(name: str) -> str:
        line = model.lines.get(name)
        words = [
            model.kinds.get(name, ""),
            model.names.get(name, ""),
            model.units.get(name, ""),
            f"{model_file}:{line}" if line else "",
        ]
        return "; ".join(word for word in dict.fromkeys(words) if word not in ("", name))

    model_file = model.path.rsplit("/", maxsplit=1)[-1]
    yield "model:\n"
    for key, value in section.items():
        if isinstance(value, Mapping) and key in ("states", "constants", "equations"):
            yield f"  {key}:\n" if value else ""
            yield from _lines(value, 2, of_model if key != "equations" else lambda name: "")
        elif isinstance(value, Mapping):
            yield f"  {key}:\n" if value else ""
            yield from _lines(value, 2)
        elif isinstance(value, list):
            yield f"  {key}:\n"
            for item in value:
                yield f"    - {scalar(item)}\n"
        else:
            yield f"  {key}: {scalar(value)}\n"


def _parameters(section: Mapping[str, Any], problem: PetabProblem) -> Iterator[str]:
    known = {p.name: p for p in problem.parameters}

    def about(name: str) -> str:
        return _parameter_comment(known[name]) if name in known else "experiments say what it is"

    yield "parameters:\n"
    yield from _lines(section, 1, about)


def _parameter_comment(parameter: PetabParameter) -> str:
    where = f"{parameter.place.file.rsplit('/', maxsplit=1)[-1]}:{parameter.place.line}"
    if parameter.prior is None:
        return f"not estimated; {where}"
    nominal = "" if parameter.nominal is None else f"nominal {parameter.nominal!r}; "
    return f"{nominal}{where}"


def _observable_comment(problem: PetabProblem) -> Comment:
    places = {o.name: o.place for o in problem.observables}

    def about(name: str) -> str:
        place = places.get(name)
        return "" if place is None else f"{place.file.rsplit('/', maxsplit=1)[-1]}:{place.line}"

    return about


def _experiments(section: Mapping[str, Any]) -> Iterator[str]:
    for name, said in section.items():
        yield f"  {scalar(name)}:\n"
        for key, value in said.items():
            if key == "data":
                yield "    data:\n"
                yield f"      time: {scalar(value['time'])}\n"
                yield "      table: |\n"
                yield from (f"        {line}\n" for line in value["table"].splitlines())
            else:
                yield f"    {key}: {scalar(value)}\n"
