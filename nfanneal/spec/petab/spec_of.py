"""A PEtab problem and its model → the mapping of a spec, which says the same."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy

from nfanneal.errors import Location, nearest
from nfanneal.model.expressions import CONSTANTS, FUNCTIONS, symbol
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.petab.conditions import ExperimentParts, Resolved, resolve
from nfanneal.spec.petab.measured import (
    TIME_COLUMN,
    Measured,
    MeasuredAs,
    another,
    measured,
    table_text,
)
from nfanneal.spec.petab.problem import PetabParameter, PetabProblem
from nfanneal.spec.sbml.model import SbmlModel
from nfanneal.spec.sbml.section import event_sections
from nfanneal.spec.sbml.text import value_of

NOISE_ARGUMENTS = {
    "normal": "sigma", "lognormal": "sigma", "laplace": "scale", "loglaplace": "scale"
}  # fmt: skip


def spec_mapping(
    problem: PetabProblem, model: SbmlModel, wrong: Complaints
) -> tuple[dict[str, Any], Mapping[Location, MeasuredAs]]:
    """The spec as data, and what its data are of, by their place in the problem.

    The problem is one `with_names` of the spec.

    What is wrong goes to `wrong`, and the mapping is then good for nothing.
    """
    taken = {*model.initial, *model.assignments, *model.unset, model.time}
    taken |= {p.name for p in problem.parameters} | {o.name for o in problem.observables}
    resolved = resolve(problem, model, taken, wrong)
    model = resolved.model
    named = {**resolved.renamed, symbol("time"): symbol(model.time)}
    observables = [
        replace(o, formula=o.formula.xreplace(named), argument=o.argument.xreplace(named))
        for o in problem.observables
    ]
    found = measured(observables, problem.measurements, taken, wrong)
    _check_names(problem, model, resolved, found, wrong)
    if wrong.found:
        return {}, {}
    shown, likelihood = _observed(found, resolved, model, taken)
    fixed = dict(resolved.fixed)
    fixed |= {name: 1.0 for there in found.instead.values() for name in there}
    events = event_sections(_with_names(model, resolved.renamed))
    section = _model(model, resolved, shown)
    # at one time, events of a period come before those of the model, which see what it has set
    by_period = any(parts.later for parts in resolved.experiments.values())
    if events and not by_period:
        section["events"] = events
    mapping = {
        "name": problem.name,
        "model": section,
        "parameters": {p.name: _parameter(p) for p in problem.parameters} | fixed,
        "likelihood": likelihood,
        "experiments": {
            name: _experiment(parts, found, name)
            | (_periods(parts, events, model.time) if by_period else {})
            for name, parts in resolved.experiments.items()
            if name in found.columns
        },
    }
    return mapping, found.rows


def new_names(problem: PetabProblem, model: SbmlModel, wrong: Complaints) -> dict[str, str]:
    """Names that are others in the spec: of mappings, of renamed ids, and words of expressions."""
    known = {*model.initial, *model.assignments, *model.unset}
    found = dict(model.renamed)
    for alias, name in problem.aliases.items():
        own = [n for n in (found.get(name, name), name.replace(".", "_")) if n in known]
        if own:
            found[alias] = own[0]
        else:
            wrong.add(f"the mapping table: the model has no '{name}'", None)
    for parameter in problem.parameters:
        name = parameter.name
        if name not in known and (keyword.iskeyword(name) or name in {*FUNCTIONS, *CONSTANTS}):
            found.setdefault(name, f"{name}_")
    return found


def _parameter(parameter: PetabParameter) -> Any:
    if parameter.prior is None:
        return parameter.nominal
    said: dict[str, Any] = {"prior": dict(parameter.prior)}
    if parameter.label is not None:
        said["label"] = parameter.label
    if parameter.bounds is not None:
        said["bounds"] = list(parameter.bounds)
    above_zero = next(iter(parameter.prior)).startswith("log")
    if parameter.scale != "linear" and (above_zero or (parameter.bounds or (-1.0, 0.0))[0] >= 0):
        said["scale"] = parameter.scale
    return said


def _check_names(
    problem: PetabProblem,
    model: SbmlModel,
    resolved: Resolved,
    found: Measured,
    wrong: Complaints,
) -> None:
    """Every name in a formula is one of the model, of a table, or set by all conditions."""
    known = {p.name for p in problem.parameters} | set(resolved.fixed) | {model.time}
    in_model = {*model.states, *model.assignments, *model.initial}
    observables = {o.name for o in problem.observables}
    for parameter in problem.parameters:
        what = "a state" if parameter.name in model.states else "given by a rule"
        if parameter.name in (*model.states, *model.assignments):
            message = f"'{parameter.name}' is {what} of the model: no value can be given to it"
            wrong.add(message, parameter.place, "name it in a condition, or use another name")
    for observable in problem.observables:
        own = {*observable.placeholders, *observable.noise_placeholders}
        for what, expression, more in (
            ("observableFormula", observable.formula, set[str]()),
            ("noiseFormula", observable.argument, observables),
        ):
            for name in _names(expression) - known - in_model - own - more - {"time"}:
                message = f"{what} of '{observable.name}': there is no '{name}'"
                wrong.add(message, observable.place, _close(name, known | in_model))
    parameters = known | set(model.initial) - set(model.states)
    for datum in problem.measurements:
        for expression in (*datum.overrides, *datum.noise_overrides):
            for name in _names(expression) - parameters:
                wrong.add(f"there is no parameter '{name}'", datum.place, _close(name, known))
    for experiment in problem.experiments:
        for period in (*experiment.periods, *([experiment.before] if experiment.before else [])):
            for target, value in period.changes.items():
                names = set() if value is None else _names(value)
                for name in names - known - in_model:
                    message = f"the value of '{target}': there is no parameter '{name}'"
                    wrong.add(message, period.place, _close(name, known))


def _close(name: str, known: Iterable[str]) -> str | None:
    return nearest(name, sorted(known))


def _names(expression: sympy.Expr) -> set[str]:
    return {s.name for s in expression.free_symbols}


def _observed(
    found: Measured, resolved: Resolved, model: SbmlModel, taken: set[str]
) -> tuple[dict[str, sympy.Expr], dict[str, Any]]:
    """Observables, and the noise of each. Noise that depends on states is an observable, too."""
    observables = dict(found.observables)
    set_later = {n for parts in resolved.experiments.values() for _, to in parts.later for n in to}
    inside = {model.time, *model.states, *model.assignments, *resolved.derived, *set_later}
    changed = map(symbol, model.changed_by_events)
    inside |= {str(resolved.renamed.get(s, s)) for s in changed}
    likelihood = dict[str, Any]()
    for name, (kind, argument) in found.noise.items():
        expression = argument
        named = {symbol(n): e for n, e in observables.items() if n in _names(expression) - inside}
        if _names(expression) & inside:
            place = another(f"noise_of_{name}", taken)
            observables[place] = expression.xreplace(named)
            expression = symbol(place)
        likelihood[name] = {kind: {NOISE_ARGUMENTS[kind]: value_of(expression)}}
    return observables, likelihood


def _model(
    model: SbmlModel, resolved: Resolved, observables: Mapping[str, sympy.Expr]
) -> dict[str, Any]:
    renamed = resolved.renamed
    rates = {s: model.rates[s].xreplace(renamed) for s in model.states}
    named = {n: e.xreplace(renamed) for n, e in model.assignments.items()} | resolved.derived
    everything = [*rates.values(), *observables.values(), *resolved.initial.values()]
    for event in model.events:
        parts = [event.trigger, *event.assignments.values()]
        parts += [] if event.delay is None else [event.delay]
        everything += [part.xreplace(renamed) for part in parts]
        everything += [symbol(name) for name in event.assignments]
    used = _used(everything, named)
    everything += [named[n] for n in used]
    symbols = set().union(*map(_names, everything))
    said: dict[str, Any] = {
        "kind": "ode",
        "time": model.time,
        "states": {s: value_of(e) for s, e in resolved.initial.items()},
        "equations": {s: value_of(e) for s, e in rates.items()},
        "constants": {n: v for n, v in resolved.constants.items() if n in symbols},
        "observables": {n: value_of(e) for n, e in observables.items()},
    }
    if used:
        said["expressions"] = {n: value_of(named[n]) for n in named if n in used}
    return said


def _with_names(model: SbmlModel, renamed: Mapping[sympy.Symbol, sympy.Expr]) -> SbmlModel:
    """The model whose events know other names."""
    targets = {old.name: new.name for old, new in renamed.items() if isinstance(new, sympy.Symbol)}
    events = tuple(
        replace(
            event,
            trigger=event.trigger.xreplace(renamed),
            delay=None if event.delay is None else event.delay.xreplace(renamed),
            assignments={
                targets.get(name, name): value.xreplace(renamed)
                for name, value in event.assignments.items()
            },
        )
        for event in model.events
    )
    return replace(model, events=events)


def _used(expressions: Iterable[sympy.Expr], named: Mapping[str, sympy.Expr]) -> set[str]:
    """The named expressions that others need, directly or not."""
    found, left = set[str](), [n for e in expressions for n in _names(e) if n in named]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [n for n in _names(named[name]) if n in named]
    return found


def _periods(
    parts: ExperimentParts, events: Sequence[Mapping[str, Any]], time_name: str
) -> dict[str, Any]:
    """Later periods as events of an experiment, and then the model's."""
    said = [
        {
            "when": f"{time_name} >= {time!r}",
            "set": {n: value_of(e) for n, e in values.items()},
            "priority": "first",
        }
        for time, values in parts.later
        if values  # a period may begin without a change
    ]
    return {"events": [*said, *events]} if said or events else {}


def _experiment(parts: ExperimentParts, found: Measured, name: str) -> dict[str, Any]:
    instead = parts.parameters | found.instead.get(name, {})
    said: dict[str, Any] = {
        "data": {"table": table_text(found.columns[name]), "time": TIME_COLUMN},
        "observed": list(found.columns[name]),
    }
    if instead:
        said["parameters"] = {n: value_of(e) for n, e in instead.items()}
    if parts.states:
        said["states"] = {n: value_of(e) for n, e in parts.states.items()}
    if parts.start:
        said["start"] = parts.start
    if parts.before is not None:
        said["initial"] = "steady_state"
        said["pre_equilibration"] = {n: value_of(e) for n, e in parts.before.items()}
    if parts.reset:
        said["reset"] = {n: value_of(e) for n, e in parts.reset.items()}
    return said
