"""What a program is called with: its words, their placeholders, the parameters of a draw."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from nfanneal.arrays import Array
from nfanneal.model.latent import element_names

Values = Mapping[str, float | list[float]]
"""The parameters of a draw: a number each, or a list of them."""
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
OWN = ("times", "out", "dir", "experiment", "here")
"""Placeholders that are no parameters."""


@dataclass(frozen=True)
class Experiment:
    """What a program is to predict: observables at `times` (m,), of an experiment's parameters.

    `slices` are the columns of θ of its free parameters, `fixed` its other numbers; `time` is what
    the data call the time.
    """

    name: str
    slices: Mapping[str, slice | int]
    fixed: Mapping[str, float]
    times: Array = field(default_factory=lambda: np.empty(0))
    time: str = "t"

    def values(self, theta: Array) -> Values:
        """The parameters by name, of a draw θ (p,)."""
        free = {name: theta[where].tolist() for name, where in self.slices.items()}
        return free | dict(self.fixed)


@dataclass(frozen=True)
class Command:
    """How a program is started and what it answers.

    `words` may hold placeholders, as may the text `stdin`; with `shell` there is one word, which a
    shell reads. `parameters` names a file with the draw's parameters. `seconds` is the longest that
    an answer may take, `retries` how often a call is repeated that ended by accident. `answers` is
    `table` or `number`; `gradient`: it gives that too. `here` is the folder of the spec.
    """

    words: tuple[str, ...]
    here: str
    answers: str = "table"
    stays: bool = False
    shell: bool = False
    stdin: str = ""
    parameters: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = math.inf
    retries: int = 1
    gradient: bool = False


def placeholders(text: str) -> list[str]:
    """The names between braces in a text.

    Raises:
        ValueError: a brace without its other one.
    """
    found = []
    for match in PLACEHOLDER.finditer(text):
        if match[0] in "{}":
            raise ValueError(f"a single {match[0]}; write {match[0] * 2} for a brace")
        if match[1] is not None:
            found.append(match[1])
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with values in place of the names between braces, and {{ and }} as braces."""

    def value(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else values[match[1]]

    return PLACEHOLDER.sub(value, text)


def placed(text: str, name: str, value: str) -> str:
    """A text with a value in place of one name between braces; all else is left to `filled`."""

    def of(match: re.Match[str]) -> str:
        return escaped(value) if match[1] == name else match[0]

    return PLACEHOLDER.sub(of, text)


def escaped(text: str) -> str:
    """A text that `filled` leaves as this one is."""
    return text.replace("{", "{{").replace("}", "}}")


def texts(values: Values) -> dict[str, str]:
    """The parameters as placeholders name them: `k`, or `x[0]`, `x[1]`, …; numbers to the bit."""
    found: dict[str, str] = {}
    for name, value in values.items():
        several = value if isinstance(value, list) else [value]
        names = element_names(name, len(several) if isinstance(value, list) else None)
        found |= dict(zip(names, map(repr, several), strict=True))
    return found


def written(values: Values, name: str) -> str:
    """The content of a file of parameters, in the format that its name ends with."""
    ending = PurePath(name).suffix.lower()
    if ending in (".yaml", ".yml"):
        return "".join(f"{name}: {_plain(value)}\n" for name, value in values.items())
    if ending == ".csv":
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(
            [("parameter", "value"), *texts(values).items()]
        )
        return stream.getvalue()
    return json.dumps(values) + "\n"


def _plain(value: float | list[float]) -> str:
    """A number as YAML reads it, which wants a point before an exponent, or a list of them."""
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else repr(value)


FORMATS = (".json", ".yaml", ".yml", ".csv")
