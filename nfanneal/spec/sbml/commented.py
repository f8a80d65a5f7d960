"""An SBML model as the YAML text of a spec, in which comments say where each number is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from nfanneal.spec.commenting import comment, scalar, with_comment
from nfanneal.spec.sbml.contents import SbmlModel
from nfanneal.spec.sbml.section import to_model_section

_HEADINGS = {
    "states": "value at the start",
    "expressions": "rules, and the rates of reactions",
    "equations": "derivative by time",
    "events": "what happens when a condition turns true",
    "constants": "numbers that stay as they are",
    "parameters": "TODO prior: a prior in place of a number makes a parameter free",
}
_MISSING = """\
# TODO data and likelihood: what was measured, and how precisely. Without the # before each line:
#data:
#  file: data.csv                       # a header, a column of times, and one of each observable
#  time: {time}
#likelihood:
#  {observable}: {{normal: {{sigma: 0.1}}}}     # noise, or a parameter for it
"""


def commented(model: SbmlModel) -> str:
    """The text of a spec that lacks priors, data and likelihood, and says so.

    Raises:
        SpecError: the model cannot be written as a `model:` section.
    """
    parameters = _parameters(model)
    section = to_model_section(model, parameters=parameters)
    species = [name for name in section["states"] if model.kinds[name] == "species"]
    observable = next(iter([*species, *section["states"]]))
    lines = [
        comment(f"From the SBML file {model.path}, line by line as the comments say."),
        *(comment(f"Note: {note}") for note in model.notes),
        "",
        f"name: {scalar(model.name[:80])}",
        "model:",
        *_model(model, section),
        f"parameters:  # {_HEADINGS['parameters']}",
        *(_parameter(model, name) for name in parameters),
    ]
    if not parameters:
        lines.append("  # the file has none: take numbers from model.constants")
    missing = _MISSING.format(time=model.time, observable=scalar(observable))
    return "\n".join(lines) + "\n\n" + missing


def _parameters(model: SbmlModel) -> list[str]:
    """Parameters that are numbers, or have no value, and that nothing changes."""
    varying = {*model.states, *model.changed_by_events}
    return [
        name
        for name, kind in model.kinds.items()
        if kind in ("parameter", "local parameter")
        and name not in varying
        and (name in model.unset or (name in model.initial and model.initial[name].is_Number))
    ]


def _model(model: SbmlModel, section: Mapping[str, Any]) -> Iterator[str]:
    for key, value in section.items():
        if key not in _HEADINGS:
            yield f"  {key}: {scalar(value)}"
            continue
        yield f"  {key}:  # {_HEADINGS[key]}"
        if key == "events":
            shown = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10**6)
            yield from (f"    {line}" for line in shown.rstrip("\n").split("\n"))
            continue
        for name, said in value.items():
            about = "" if key == "equations" else _about(model, name)
            yield with_comment(f"    {scalar(name)}: {scalar(said)}", about)


def _parameter(model: SbmlModel, name: str) -> str:
    if name in model.unset:
        about = f"TODO a value or a prior: the file has none; {_about(model, name)}"
        return with_comment(f"  {scalar(name)}:", about)
    value = float(model.initial[name])
    prior = f"loguniform: [{value / 10:.3g}, {value * 10:.3g}]"
    if not 1e-300 < value < 1e300:
        prior = f"normal: [{value:.3g}, {max(1.0, abs(value)):.3g}]"
    about = f"TODO prior, such as {{prior: {{{prior}}}}}; {_about(model, name)}"
    return with_comment(f"  {scalar(name)}: {scalar(value)}", about)


def _about(model: SbmlModel, name: str) -> str:
    """What an id is in the file: kind, name, unit, line."""
    kind: str = model.kinds.get(name, "rate of a reaction")
    was = {new: old for old, new in model.renamed.items()}.get(name)
    parts = [f"{kind} {was}" if was else kind]
    parts += [model.names[name]] if name in model.names else []
    parts += [f"in {model.units[name]}"] if name in model.units else []
    parts += [f"line {model.lines[name]}"] if name in model.lines else []
    return ", ".join(parts)
