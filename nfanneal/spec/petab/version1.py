"""PEtab, version 1: its tables → what the problem says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sympy

from nfanneal.spec.collecting import Complaints
from nfanneal.spec.petab.cells import formula_at, formulas_at, number_at
from nfanneal.spec.petab.priors import LN10, SCALES, scaled_prior
from nfanneal.spec.petab.problem import (
    Files,
    Measurement,
    Period,
    PetabExperiment,
    PetabObservable,
    PetabParameter,
    PetabProblem,
)
from nfanneal.spec.petab.tables import Row, rows_of, with_one_name

NOT_CHANGES = ("conditionId", "conditionName")
NOISES = {
    ("lin", "normal"): "normal", ("lin", "laplace"): "laplace",
    ("log", "normal"): "lognormal", ("log", "laplace"): "loglaplace",
    ("log10", "normal"): "lognormal", ("log10", "laplace"): "loglaplace",
}  # fmt: skip
"""By the transformation of the observable and the distribution: density of the datum itself."""


def read_version1(name: str, files: Files, wrong: Complaints) -> PetabProblem:
    """What the tables say; what is wrong with them goes to `wrong`."""
    import petab.v1 as petab  # noqa: PLC0415  (it takes a second)

    def rows(paths: Sequence[Path], read: Any, key: str, *more: str) -> Iterator[Row]:
        each = (row for path in paths for row in rows_of(path, read, (key, *more), wrong))
        return with_one_name(each, key, wrong)

    parameters = [
        parameter
        for row in rows(
            files.parameters, petab.get_parameter_df, "parameterId", "parameterScale", "estimate"
        )
        if (parameter := _parameter(row, wrong)) is not None
    ]
    observables = [
        observable
        for row in rows(
            files.observables, petab.get_observable_df,
            "observableId", "observableFormula", "noiseFormula",
        )
        if (observable := _observable(row, wrong)) is not None
    ]  # fmt: skip
    conditions = {
        row.text("conditionId"): _period(row, wrong)
        for row in rows(files.conditions, petab.get_condition_df, "conditionId")
    }
    needed = ("observableId", "simulationConditionId", "time", "measurement")
    measured = [
        row
        for path in files.measurements
        for row in rows_of(path, petab.get_measurement_df, needed, wrong)
    ]
    experiments, measurements = _measured(
        measured, conditions, [o.name for o in observables], wrong
    )
    return PetabProblem(
        name, files.model, tuple(parameters), tuple(observables), experiments, measurements
    )


def _parameter(row: Row, wrong: Complaints) -> PetabParameter | None:
    name, place = row.text("parameterId"), row.place("parameterId")
    scale = row.text("parameterScale") or "lin"
    if scale not in SCALES:
        wrong.unknown("parameterScale", scale, tuple(SCALES), row.place("parameterScale"))
        return None
    nominal = number_at(row, "nominalValue", wrong)
    if row.text("estimate") not in ("0", "1"):
        message = f"estimate is 0 or 1, not '{row.text('estimate')}'"
        wrong.add(message, row.place("estimate"))
        return None
    if row.text("estimate") == "0":
        if nominal is None or not math.isfinite(nominal):
            message = f"'{name}' is not estimated and has no nominalValue"
            wrong.add(message, row.place("nominalValue"))
        return PetabParameter(name, place, nominal, scale=SCALES[scale])
    low, high = number_at(row, "lowerBound", wrong), number_at(row, "upperBound", wrong)
    bounds = -math.inf if low is None else low, math.inf if high is None else high
    kind = row.text("objectivePriorType") or "parameterScaleUniform"
    column = "objectivePriorParameters"
    said = row.get(column)
    try:
        numbers = None if said is None else [float(x) for x in str(said).split(";")]
        if numbers is not None and len(numbers) != 2:
            raise ValueError(f"{column} are two numbers, not '{said}'")
        prior, cut = scaled_prior(kind, numbers, scale, bounds)
    except (ValueError, OverflowError) as error:
        where = column if said is not None else "lowerBound"
        wrong.add(f"{name}: {error}", row.place(where))
        return None
    return PetabParameter(name, place, nominal, prior, cut, SCALES[scale])


def _observable(row: Row, wrong: Complaints) -> PetabObservable | None:
    name = row.text("observableId")
    transformation = row.text("observableTransformation") or "lin"
    family = row.text("noiseDistribution") or "normal"
    kind = NOISES.get((transformation, family))
    if kind is None:
        column = "noiseDistribution" if (transformation, "normal") in NOISES else (
            "observableTransformation")  # fmt: skip
        known = ("normal", "laplace") if column == "noiseDistribution" else ("lin", "log", "log10")
        wrong.unknown(column, row.text(column), known, row.place(column))
        return None
    measured = formula_at(row, "observableFormula", wrong)
    noise = formula_at(row, "noiseFormula", wrong)
    argument = noise * sympy.Float(LN10) if transformation == "log10" else noise
    return PetabObservable(
        name, row.place("observableId"), measured, kind, argument,
        placeholders(f"observableParameter{{}}_{name}", measured),
        placeholders(f"noiseParameter{{}}_{name}", noise),
    )  # fmt: skip


def placeholders(pattern: str, expression: sympy.Expr) -> tuple[str, ...]:
    """The names 1, 2, … of a pattern up to the last that an expression holds."""
    names = {s.name for s in expression.free_symbols}
    most = max((i for i in range(1, len(names) + 100) if pattern.format(i) in names), default=0)
    return tuple(pattern.format(i) for i in range(1, most + 1))


def _period(row: Row, wrong: Complaints) -> Period:
    changes: dict[str, sympy.Expr | None] = {}
    for target, cell in row.cells.items():
        if target in NOT_CHANGES:
            continue
        empty = cell is None or str(cell).strip() == ""
        changes[target] = None if empty else formula_at(row, target, wrong)
    return Period(0.0, changes, row.place("conditionId"))


def _measured(
    rows: Sequence[Row],
    conditions: Mapping[str, Period],
    observables: Sequence[str],
    wrong: Complaints,
) -> tuple[tuple[PetabExperiment, ...], tuple[Measurement, ...]]:
    """Each pair of a simulation and what it is equilibrated in is an experiment of its own."""
    pairs: dict[tuple[str, str], str] = {}
    found: list[Measurement] = []
    for row in rows:
        pair = (row.text("preequilibrationConditionId"), row.text("simulationConditionId"))
        for column, condition in zip(_CONDITIONS, pair, strict=True):
            if condition and condition not in conditions:
                wrong.unknown("condition", condition, tuple(conditions), row.place(column))
        if not pair[1]:
            wrong.add("simulationConditionId is empty", row.place(_CONDITIONS[1]))
        if observables and row.text("observableId") not in observables:
            known = row.place("observableId")
            wrong.unknown("observable", row.text("observableId"), observables, known)
        if pair not in pairs:
            name = "_after_".join(filter(None, (pair[1], pair[0])))
            while name in pairs.values() or (pair[0] and name in conditions):
                name += "_"
            pairs[pair] = name
        name = pairs[pair]
        found += _measurement(row, name, wrong)
    experiments = tuple(
        PetabExperiment(name, (conditions.get(simulated, Period(0.0)),), conditions.get(before))
        for (before, simulated), name in pairs.items()
    )
    return experiments, tuple(found)


_CONDITIONS = ("preequilibrationConditionId", "simulationConditionId")


def _measurement(row: Row, experiment: str, wrong: Complaints) -> Iterator[Measurement]:
    """The datum of a row; none where there is no measurement."""
    time, value = number_at(row, "time", wrong), number_at(row, "measurement", wrong)
    if time is None or math.isnan(time) or time == -math.inf:
        wrong.add("time must be a number, or inf", row.place("time"))
        return
    if value is None or not math.isfinite(value):
        said = row.get("measurement")
        wrong.add(f"measurement must be a finite number, not '{said}'", row.place("measurement"))
        return
    if time < 0:
        wrong.add("measurements begin at time 0", row.place("time"))
    yield Measurement(
        row.text("observableId"), experiment, time, value, row.place("measurement"),
        formulas_at(row, "observableParameters", wrong),
        formulas_at(row, "noiseParameters", wrong),
    )  # fmt: skip
