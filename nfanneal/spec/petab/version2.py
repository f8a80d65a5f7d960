"""PEtab, version 2: its tables → what the problem says."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy

from nfanneal.errors import Location
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.petab.cells import formula_at, formulas_at, number_at
from nfanneal.spec.petab.priors import named_prior
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

NOISES = {
    "normal": "normal", "laplace": "laplace",
    "log-normal": "lognormal", "log-laplace": "loglaplace",
}  # fmt: skip
NAMELESS = "model"
"""What the experiment is called of measurements that name none."""


def read_version2(name: str, files: Files, wrong: Complaints) -> PetabProblem:
    """What the tables say; what is wrong with them goes to `wrong`."""
    parameters = [
        parameter
        for row in _named(files.parameters, ("parameterId", "estimate"), wrong)
        if (parameter := _parameter(row, wrong)) is not None
    ]
    observables = [
        observable
        for row in _named(
            files.observables, ("observableId", "observableFormula", "noiseFormula"), wrong
        )
        if (observable := _observable(row, wrong)) is not None
    ]
    aliases = {
        row.text("petabEntityId"): row.text("modelEntityId")
        for row in _named(files.mappings, ("petabEntityId", "modelEntityId"), wrong)
        if row.text("modelEntityId")
    }
    conditions = _conditions(files, {p.name for p in parameters}, aliases, wrong)
    experiments = _experiments(files, conditions, wrong)
    measurements = _measurements(files, [o.name for o in observables], experiments, wrong)
    nameless = NAMELESS
    while nameless in experiments:
        nameless += "_"
    measurements = [m if m.experiment else replace(m, experiment=nameless) for m in measurements]
    if any(each.experiment == nameless for each in measurements):
        experiments[nameless] = PetabExperiment(nameless, (Period(0.0),))
    _check_placeholders(observables, wrong)
    return PetabProblem(
        name, files.model, tuple(parameters), tuple(observables), tuple(experiments.values()),
        tuple(measurements), aliases,
    )  # fmt: skip


def _rows(paths: Sequence[Any], needed: Sequence[str], wrong: Complaints) -> Iterator[Row]:
    import pandas  # noqa: PLC0415  (it takes a while; petab brings it along)

    def read(path: str) -> Any:
        frame = pandas.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        return frame.rename_axis("row")

    for path in paths:
        yield from rows_of(path, read, needed, wrong)


def _named(paths: Sequence[Any], needed: Sequence[str], wrong: Complaints) -> Iterator[Row]:
    """Those of a table in which each row has a name of its own, in the first column needed."""
    return with_one_name(_rows(paths, needed, wrong), needed[0], wrong)


def _check_placeholders(observables: Sequence[PetabObservable], wrong: Complaints) -> None:
    seen: dict[str, str] = {}
    for observable in observables:
        for name in {*observable.placeholders, *observable.noise_placeholders}:
            if name in seen:
                message = f"'{name}' is a placeholder of '{seen[name]}', too: each has its own"
                wrong.add(message, observable.place)
            seen[name] = observable.name


def _parameter(row: Row, wrong: Complaints) -> PetabParameter | None:
    name, place = row.text("parameterId"), row.place("parameterId")
    nominal = number_at(row, "nominalValue", wrong)
    estimate = row.text("estimate").lower()
    if estimate not in ("true", "false"):
        message = f"estimate is true or false, not '{row.text('estimate')}'"
        wrong.add(message, row.place("estimate"))
        return None
    if estimate == "false":
        if nominal is None or not math.isfinite(nominal):
            message = f"'{name}' is not estimated and has no nominalValue"
            wrong.add(message, row.place("nominalValue"))
        return PetabParameter(name, place, nominal)
    low, high = number_at(row, "lowerBound", wrong), number_at(row, "upperBound", wrong)
    bounds = -math.inf if low is None else low, math.inf if high is None else high
    said = row.text("priorParameters")
    try:
        numbers = [float(part) for part in said.split(";")] if said else []
        prior, cut = named_prior(row.text("priorDistribution"), numbers, bounds)
    except (ValueError, TypeError) as error:
        wrong.add(f"{name}: {error}", row.place("priorParameters" if said else "lowerBound"))
        return None
    scale = "log10" if next(iter(prior)).startswith("log") else "linear"
    return PetabParameter(name, place, nominal, prior, cut, scale)


def _observable(row: Row, wrong: Complaints) -> PetabObservable | None:
    family = row.text("noiseDistribution") or "normal"
    if family not in NOISES:
        place = row.place("noiseDistribution")
        wrong.unknown("noiseDistribution", family, tuple(NOISES), place)
        return None
    return PetabObservable(
        row.text("observableId"),
        row.place("observableId"),
        formula_at(row, "observableFormula", wrong),
        NOISES[family],
        formula_at(row, "noiseFormula", wrong),
        _names_at(row, "observablePlaceholders"),
        _names_at(row, "noisePlaceholders"),
    )


def _names_at(row: Row, column: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in row.text(column).split(";") if part.strip())


def _conditions(
    files: Files, parameters: set[str], aliases: Mapping[str, str], wrong: Complaints
) -> dict[str, dict[str, sympy.Expr]]:
    """What each condition sets: nothing that is in the table of parameters, which has its value."""
    taken = parameters | {aliases.get(name, name) for name in parameters}
    found = defaultdict[str, dict[str, sympy.Expr]](dict)
    for row in _rows(files.conditions, ("conditionId", "targetId", "targetValue"), wrong):
        target, own = row.text("targetId"), found[row.text("conditionId")]
        if target in own:
            message = f"the condition sets '{target}' twice"
            wrong.add(message, row.place("targetId"))
        if target in taken or aliases.get(target) in taken:
            message = f"'{target}' is in the table of parameters: no condition can set it"
            hint = "estimate another parameter, which is the targetValue of conditions"
            wrong.add(message, row.place("targetId"), hint)
        own[target] = formula_at(row, "targetValue", wrong)
    return dict(found)


def _experiments(
    files: Files, conditions: Mapping[str, Mapping[str, sympy.Expr]], wrong: Complaints
) -> dict[str, PetabExperiment]:
    periods = defaultdict[str, dict[float, Period]](dict)
    for row in _rows(files.experiments, ("experimentId", "time", "conditionId"), wrong):
        time, own = number_at(row, "time", wrong), periods[row.text("experimentId")]
        if time is None or math.isnan(time) or time == math.inf:
            wrong.add("time must be a number, or -inf", row.place("time"))
            continue
        name, before = row.text("conditionId"), own.get(time)
        if name and name not in conditions:
            wrong.unknown("condition", name, tuple(conditions), row.place("conditionId"))
        changes = dict(conditions.get(name, {}))
        if before is not None and before.changes.keys() & changes:
            twice = ", ".join(sorted(before.changes.keys() & changes))
            wrong.add(f"several conditions set {twice} at once", row.place("conditionId"))
        changes = {**(before.changes if before else {}), **changes}
        own[time] = Period(time, changes, row.place("conditionId"))
    found = {}
    for name, own in periods.items():
        ordered = [own[time] for time in sorted(own)]
        before = ordered.pop(0) if ordered[0].time == -math.inf else None
        if not ordered:
            place = before.place if before else None
            wrong.add(f"the experiment '{name}' has nothing but an equilibration", place)
            continue
        found[name] = PetabExperiment(name, tuple(ordered), before, keeps=True)
    return found


def _measurements(
    files: Files,
    observables: Sequence[str],
    experiments: Mapping[str, PetabExperiment],
    wrong: Complaints,
) -> list[Measurement]:
    found = []
    for row in _rows(files.measurements, ("observableId", "time", "measurement"), wrong):
        time, value = number_at(row, "time", wrong), number_at(row, "measurement", wrong)
        experiment = row.text("experimentId")
        if observables and row.text("observableId") not in observables:
            place = row.place("observableId")
            wrong.unknown("observable", row.text("observableId"), observables, place)
        if experiment and experiment not in experiments:
            place = row.place("experimentId")
            wrong.unknown("experiment", experiment, tuple(experiments), place)
        if time is None or math.isnan(time) or time == -math.inf:
            wrong.add("time must be a number, or inf", row.place("time"))
        elif value is None or not math.isfinite(value):
            said = row.get("measurement")
            message = f"measurement must be a finite number, not '{said}'"
            wrong.add(message, row.place("measurement"))
        else:
            _check_start(time, experiments.get(experiment), row.place("time"), wrong)
            found.append(
                Measurement(
                    row.text("observableId"), experiment, time, value,
                    row.place("measurement"), formulas_at(row, "observableParameters", wrong),
                    formulas_at(row, "noiseParameters", wrong),
                )
            )  # fmt: skip
    return found


def _check_start(
    time: float, experiment: PetabExperiment | None, place: Location, wrong: Complaints
) -> None:
    start = 0.0 if experiment is None else experiment.periods[0].time
    if time < start:
        wrong.add(f"measured at {time:g}, before the experiment begins at {start:g}", place)
