"""What is different in each experiment: conditions, resolved against the model.

A condition's target is a state, whose initial value it sets, or something that is constant in the
model, or else a name that only formulas of observables know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import sympy

from nfanneal.errors import Location, nearest
from nfanneal.model.expressions import symbol
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.petab.measured import another
from nfanneal.spec.petab.problem import Period, PetabExperiment, PetabProblem
from nfanneal.spec.sbml.model import SbmlModel
from nfanneal.spec.sbml.replacing import written_out

Values = dict[str, sympy.Expr]
HERE = "_here"
EMPTY: Mapping[str, sympy.Expr] = {}


@dataclass(frozen=True)
class ExperimentParts:
    """What a spec says of an experiment; expressions of parameters and constants.

    `parameters` stand for those of the model; `states` are initial values; `before` are values of
    parameters while a steady state is found, if one is (None: it is not), after which states are
    `reset`. `later` are times with what is set then.
    """

    parameters: Values = field(default_factory=dict)
    states: Values = field(default_factory=dict)
    start: float = 0.0
    before: Values | None = None
    reset: Values = field(default_factory=dict)
    later: tuple[tuple[float, Values], ...] = ()


@dataclass(frozen=True)
class Resolved:
    """A model whose numbers are known, up to parameters.

    The `model` has states of rate 0 for what is computed at the start alone, though something that
    it is computed from changes later. `initial` are the states' initial values; `fixed` are
    parameters that experiments replace, and what stands for them elsewhere; `constants` are numbers
    of the model; `renamed` are names of the model that are those of estimated parameters, too, and
    that conditions replace.
    """

    model: SbmlModel
    initial: Values
    fixed: dict[str, float]
    constants: dict[str, float]
    derived: Values
    renamed: Mapping[sympy.Symbol, sympy.Expr]
    experiments: dict[str, ExperimentParts]


def resolve(
    problem: PetabProblem, model: SbmlModel, taken: set[str], wrong: Complaints
) -> Resolved:
    """Each experiment's values, and the model with names, not `taken`, for what differs."""
    estimated = {p.name for p in problem.parameters}
    targets = _targets(problem, model, wrong)
    moved = [t for t in targets if t not in model.states]
    names = {t: another(t + HERE, taken) if t in estimated else t for t in moved}
    renamed: dict[sympy.Symbol, sympy.Expr] = {
        symbol(t): symbol(n) for t, n in names.items() if t != n
    }
    model = _with_values(model, {*estimated, *moved}, problem, wrong)
    model = _with_held(model, {*estimated, *moved}, _changing(problem, model))
    base = _Base(model, estimated, names)
    for experiment in problem.experiments:
        if experiment.before is not None and model.events:
            message = f"the model has events ('{model.events[0].name}'), and they could happen "
            message += "while the steady state is found, where none are looked for"
            hint = "in version 2, periods set values at their times, without events"
            wrong.add(message, experiment.before.place, hint)
    experiments = {e.name: _parts(e, base, wrong) for e in problem.experiments}
    fixed = {names[t]: base.dummy(t) for t in moved}
    initial = {s: base.at_start(model.initial[s]).xreplace(renamed) for s in model.states}
    constants = {
        name: float(value)
        for name, value in model.initial.items()
        if value.is_number and name not in (*model.states, *estimated, *moved)
    }
    derived = {
        name: base.at_start(value).xreplace(renamed)
        for name, value in model.initial.items()
        if not value.is_number and name not in (*model.states, *estimated, *moved)
    }
    return Resolved(model, initial, fixed, constants, derived, renamed, experiments)


def _changing(problem: PetabProblem, model: SbmlModel) -> set[str]:
    """What has other values later than at the start, in some experiment."""
    found = set(model.changed_by_events) | {*model.states, model.time}
    for experiment in problem.experiments:
        first, *rest = experiment.periods
        found |= {target for period in rest for target in period.changes}
        if experiment.keeps and experiment.before is not None:
            found |= {*first.changes, *experiment.before.changes}
    return found


def _with_held(model: SbmlModel, known: set[str], changing: set[str]) -> SbmlModel:
    """The model with a state of rate 0 for each value that is computed once, from what changes."""
    formulas = {**model.initial, **model.assignments}

    def reaches(name: str) -> set[str]:
        found, left = set[str](), [name]
        while left:
            here = left.pop()
            inside = {s.name for s in formulas[here].free_symbols} if here in formulas else set()
            left += sorted(inside - found)
            found |= inside
        return found

    held = [
        name
        for name, value in model.initial.items()
        if not value.is_number
        and name not in model.states
        and name not in known
        and reaches(name) & changing
    ]
    rates = {**model.rates, **dict.fromkeys(held, sympy.S.Zero)}
    return replace(model, states=(*model.states, *held), rates=rates)


def _with_values(
    model: SbmlModel, known: set[str], problem: PetabProblem, wrong: Complaints
) -> SbmlModel:
    """The model with a number for states without an initial value that every experiment sets."""
    place = Location(model.path, 1, 1)
    values = dict(model.initial)
    for name in model.unset:
        where = replace(place, line=model.lines.get(name, 1))
        if name in model.states:
            first = [e.before or e.periods[0] for e in problem.experiments]
            values[name] = sympy.S.Zero
            if any(period.changes.get(name) is None for period in first):
                wrong.add(f"'{name}' has no initial value, neither here nor in conditions", where)
        elif name not in known and name in _used_by(model):
            message = f"'{name}' has no value here, nor in the tables of parameters and conditions"
            wrong.add(message, where)
    return replace(model, initial=values)


def _used_by(model: SbmlModel) -> set[str]:
    """Names in the model's rates and rules."""
    formulas = (*model.rates.values(), *model.assignments.values())
    return {s.name for formula in formulas for s in formula.free_symbols}


def _targets(problem: PetabProblem, model: SbmlModel, wrong: Complaints) -> list[str]:
    """All that conditions set, in order."""
    in_formulas = {
        s.name
        for observable in problem.observables
        for expression in (observable.formula, observable.argument)
        for s in expression.free_symbols
    }
    found: dict[str, None] = {}
    for period in _periods(problem):
        for target in period.changes:
            if target in model.assignments:
                message = f"'{target}' follows from a rule of the model: a condition cannot set it"
                wrong.add(message, period.place)
            elif target not in (*model.initial, *model.unset, *in_formulas):
                message = f"there is nothing called '{target}' in the model or in formulas"
                wrong.add(message, period.place, nearest(target, list(model.initial)))
            else:
                found[target] = None
    return list(found)


def _periods(problem: PetabProblem) -> Iterator[Period]:
    for experiment in problem.experiments:
        yield from experiment.periods
        if experiment.before is not None:
            yield experiment.before


@dataclass(frozen=True)
class _Base:
    """The model as it is where no condition says otherwise."""

    model: SbmlModel
    estimated: set[str]
    names: Mapping[str, str]

    def dummy(self, target: str) -> float:
        """A number for a parameter that every experiment replaces."""
        value = self.model.initial.get(target)
        return float(value) if value is not None and value.is_number else 1.0

    def value(self, target: str) -> sympy.Expr:
        """What a target is that the model has no value of, if no condition sets it."""
        if target in self.estimated:
            return symbol(target)
        return sympy.Float(self.dummy(target))

    def at_start(
        self,
        expression: sympy.Expr,
        values: Mapping[str, sympy.Expr] = EMPTY,
        start: float = 0.0,
    ) -> sympy.Expr:
        """A value at the `start`, of parameters and numbers of the model alone.

        `values` stand for states and for whatever else the model gives by a formula.
        """
        now = sympy.Float(start) if start else sympy.S.Zero
        model, known = self.model, {**self.model.initial, **self.model.assignments, **values}
        for _ in range(len(known) + 1):
            inside = {
                s: known[s.name]
                for s in expression.free_symbols
                if s.name in known and self._by_formula(s.name, known)
            }
            inside |= {s: now for s in expression.free_symbols if s.name == model.time}
            if not inside:
                return expression
            expression = expression.xreplace(inside)
        return expression

    def _by_formula(self, name: str, known: Mapping[str, sympy.Expr]) -> bool:
        """Whether a name is replaced by its value: numbers, and what is estimated, keep it."""
        if name in self.names or name in self.estimated:
            return False
        return name in self.model.states or not known[name].is_number


def _parts(experiment: PetabExperiment, base: _Base, wrong: Complaints) -> ExperimentParts:
    first, *rest = experiment.periods
    first = _of_its_time(first)
    states = set(base.model.states)
    before = experiment.before
    if experiment.keeps and before is not None:
        kept = {t: v for t, v in before.changes.items() if t not in states}
        first = replace(first, changes={**kept, **first.changes})
    if experiment.keeps and before is not None:  # computed when the equilibration began
        settings = _settings(first, before, base, 0.0)
    else:
        settings = _settings(first, first, base, first.time)
    parts = ExperimentParts(
        {base.names[t]: value for t, value in settings.items()}, start=first.time
    )
    own = {t: v for t, v in first.changes.items() if t in states and v is not None}
    if before is None:
        parts = replace(parts, states=_initial(base, own, EMPTY, first.time))
    else:
        during = _settings(before, before, base, 0.0)
        given = {t: v for t, v in before.changes.items() if t in states and v is not None}
        differ = {base.names[t]: v for t, v in during.items() if v != settings[t]}
        begin = _initial(base, given, differ, 0.0)  # the equilibration is not at the first time
        parts = replace(parts, states=begin, before=differ, reset=own)
    later = []
    for period in rest:
        there = {t: v for t, v in period.changes.items() if v is not None}
        values = {base.names.get(t, t): _known(v, base, period, wrong) for t, v in there.items()}
        later.append((period.time, values))
    return replace(parts, later=tuple(later))


def _of_its_time(period: Period) -> Period:
    """A period whose values are at its beginning: there the time is a number."""
    now = {symbol("time"): sympy.Float(period.time) if period.time else sympy.S.Zero}
    changes = {t: None if v is None else v.xreplace(now) for t, v in period.changes.items()}
    return replace(period, changes=changes)


def _settings(period: Period, beginning: Period, base: _Base, start: float) -> Values:
    """What stands for each target that is no state.

    What the model computes for one, at the `start`, is of the values that other targets have then,
    states in the `beginning` among them.
    """
    given = {t: v for t, v in beginning.changes.items() if v is not None}
    states: Values = {t: sympy.Dummy(t) for t in given if t in base.model.states}
    back = {dummy: given[t] for t, dummy in states.items()}

    def value(target: str) -> sympy.Expr:
        said = period.changes.get(target)
        if said is not None:
            return said
        if target in base.estimated or target not in base.model.initial:
            return base.value(target)
        found = base.at_start(base.model.initial[target], states, start)
        others = {s: value(s.name) for s in found.free_symbols if s.name in base.names}
        return found.xreplace(others | back)

    return {target: value(target) for target in base.names}


def _known(value: sympy.Expr, base: _Base, period: Period, wrong: Complaints) -> sympy.Expr:
    """A value without the names of rules, which events do not know."""
    found = written_out(value, base.model.assignments)
    if found is None:
        wrong.add("a value is too large with the model's rules written out", period.place)
    return value if found is None else found


def _initial(
    base: _Base, own: Mapping[str, sympy.Expr], differ: Mapping[str, sympy.Expr], start: float
) -> Values:
    """Initial values that differ from the model's where some are an experiment's own.

    `differ` are parameters that have other values then than in the experiment.
    """
    found: Values = {}
    if not own and not differ and not start:
        return found
    renamed = {symbol(t): symbol(n) for t, n in base.names.items() if t != n}
    then = {symbol(name): value for name, value in differ.items()}
    for state in base.model.states:
        here = own.get(state)
        if here is not None:
            found[state] = here
            continue
        value = base.at_start(base.model.initial[state], own, start)
        value = value.xreplace(renamed).xreplace(then)
        if value != base.at_start(base.model.initial[state]).xreplace(renamed):
            found[state] = value
    return found
