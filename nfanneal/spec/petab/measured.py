"""Observables, their noise, and the data of each experiment, as sections of a spec."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy

from nfanneal.errors import Location
from nfanneal.model.expressions import symbol
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.petab.problem import Measurement, PetabObservable

Overrides = tuple[tuple[sympy.Expr, ...], tuple[sympy.Expr, ...]]
TIME_COLUMN = "time"
MeasuredAs = tuple[str, str, float]
"""The experiment, the observable, and the time of a datum in the spec."""


@dataclass(frozen=True)
class Measured:
    """What a spec says of measurements.

    `observables` are expressions, `noise` the model and its argument of each. `instead` says, by
    experiment, what stands there for the placeholders that are left; `columns` are the data of
    each: times and values by observable. `rows` say of each datum, by its place, in which
    experiment and as what it is there, and when.
    """

    observables: dict[str, sympy.Expr] = field(default_factory=dict)
    noise: dict[str, tuple[str, sympy.Expr]] = field(default_factory=dict)
    instead: dict[str, dict[str, sympy.Expr]] = field(default_factory=dict)
    columns: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    rows: dict[Location, MeasuredAs] = field(default_factory=dict)


def measured(
    observables: Sequence[PetabObservable],
    measurements: Sequence[Measurement],
    taken: set[str],
    wrong: Complaints,
) -> Measured:
    """Observables as they are measured, and the data.

    What a placeholder always stands for is put into the formula. Else each experiment says its
    own; and if it has several, at different times, the observable is there several times.
    """
    found = Measured()
    by_observable = defaultdict[str, list[Measurement]](list)
    for each in measurements:
        by_observable[each.observable].append(each)
    for observable in observables:
        own = by_observable.get(observable.name, [])
        own = [each for each in own if _fits(observable, each, wrong)]
        if own:
            _add(found, observable, own, taken)
    return found


def _fits(observable: PetabObservable, each: Measurement, wrong: Complaints) -> bool:
    """Whether a datum has as many overrides as there are placeholders."""
    for column, given, wanted in (
        ("observableParameters", each.overrides, observable.placeholders),
        ("noiseParameters", each.noise_overrides, observable.noise_placeholders),
    ):
        if len(given) != len(wanted):
            message = f"{observable.name} takes {len(wanted)} {column}, not {len(given)}"
            wrong.add(message, each.place)
            return False
    return True


def _add(
    found: Measured, observable: PetabObservable, own: Sequence[Measurement], taken: set[str]
) -> None:
    variants = defaultdict[str, list[Overrides]](list)
    for each in own:
        said = each.overrides, each.noise_overrides
        if said not in variants[each.experiment]:
            variants[each.experiment].append(said)
    names = (*observable.placeholders, *observable.noise_placeholders)
    together = {(*a, *b) for several in variants.values() for a, b in several}
    always = {
        name: values[0]
        for name, values in zip(names, zip(*together, strict=True), strict=True)
        if len(set(values)) == 1
    }
    for i in range(max(map(len, variants.values()))):
        name = observable.name if i == 0 else another(f"{observable.name}_{i + 1}", taken)
        places = {
            n: n if i == 0 else another(f"{n}_{i + 1}", taken) for n in names if n not in always
        }
        standing = {symbol(n): e for n, e in always.items()}
        standing[symbol(observable.name)] = symbol(name)  # noise may depend on what is observed
        standing |= {symbol(n): symbol(place) for n, place in places.items()}
        found.observables[name] = observable.formula.xreplace(standing)
        found.noise[name] = observable.noise, observable.argument.xreplace(standing)
        for experiment, several in variants.items():
            if i >= len(several):
                continue
            given, noise_given = several[i]
            there = found.instead.setdefault(experiment, {})
            for placeholder, value in zip(names, (*given, *noise_given), strict=True):
                if placeholder in places:
                    there[places[placeholder]] = value
            here = [
                each
                for each in own
                if each.experiment == experiment
                and (each.overrides, each.noise_overrides) == (given, noise_given)
            ]
            found.columns.setdefault(experiment, {})[name] = [(e.time, e.value) for e in here]
            found.rows.update({e.place: (experiment, name, e.time) for e in here})


def another(name: str, taken: set[str]) -> str:
    """The name, or one like it that is not taken; from now on it is."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def table_text(columns: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The data of an experiment as CSV: a row a time, and more where there are replicates."""
    cells: dict[tuple[float, int], dict[str, float]] = {}
    for name, points in columns.items():
        seen = defaultdict[float, int](int)
        for time, value in points:
            cells.setdefault((time, seen[time]), {})[name] = value
            seen[time] += 1
    lines = [",".join([TIME_COLUMN, *columns])]
    for (time, _), row in sorted(cells.items(), key=lambda item: item[0]):
        numbers = ["" if name not in row else _text(row[name]) for name in columns]
        lines.append(",".join(["inf" if math.isinf(time) else _text(time), *numbers]))
    return "\n".join(lines) + "\n"


def _text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
