"""What a spec says of certain times: doses, changes, inputs, and the state it starts from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from nfanneal.errors import nearest
from nfanneal.model.expressions import Names, symbol, with_numbers
from nfanneal.spec.document import KeyPath
from nfanneal.spec.experiments import ExperimentMeaning
from nfanneal.spec.inputs import inputs_of
from nfanneal.spec.kinds.ode import DoseSpec, InputSpec, OdeSpec
from nfanneal.spec.schema import ParameterSpec, Spec
from nfanneal.spec.starts import StartMeaning, StartsReader
from nfanneal.spec.triggers import EventMeaning, TriggersReader


@dataclass(frozen=True)
class DoseMeaning:
    """An amount that is added to a state; both expressions are of parameters.

    Data at that time see the state after it, unless it is `late`.
    """

    state: str
    time: sympy.Expr
    amount: sympy.Expr
    late: bool = False


@dataclass(frozen=True)
class TimingMeaning:
    """Doses, changes (name: times and values), events, and how each trajectory begins.

    The `intervals` between doses must be above 0.
    """

    doses: tuple[DoseMeaning, ...] = ()
    changes: Mapping[str, tuple[tuple[sympy.Expr, sympy.Expr], ...]] = field(default_factory=dict)
    starts: tuple[StartMeaning, ...] = ()
    intervals: tuple[sympy.Expr, ...] = ()
    events: tuple[EventMeaning, ...] = ()

    @property
    def expressions(self) -> tuple[sympy.Expr, ...]:
        """All expressions and conditions."""
        doses = [e for dose in self.doses for e in (dose.time, dose.amount)]
        changes = [e for each in self.changes.values() for change in each for e in change]
        starts = [e for each in self.starts for e in each.expressions]
        events = [e for event in self.events for e in event.expressions]
        return (*doses, *changes, *starts, *self.intervals, *events)


def start_of(spec: Spec, experiment: str) -> tuple[float, Sequence[str]]:
    """The time before which an experiment has no predictions, and the keys that say so."""
    said = spec.experiments.get(experiment)
    if said is None or said.start is None:
        return spec.model.starts_at, ("model", "start")
    return said.start, ("experiments", experiment, "start")


class TimingReader(StartsReader, TriggersReader):
    """Reads the sections of an ODE model that say what happens at certain times."""

    def timing(self, model: OdeSpec, experiments: Sequence[ExperimentMeaning]) -> TimingMeaning:
        """The meaning of those sections in all experiments."""
        for (*path, name), table in inputs_of(self._spec).items():
            self._check_input((*path, name), str(name), table)
        names = self._parameters | self._constants
        self._check_targets(model.doses, model.states, "doses", "state")
        self._check_targets(model.changes, names, "changes", "constant or parameter")
        starts = self.starts(model, experiments)
        doses, intervals = self._doses(model, names, experiments)
        changes, events = self._changes(model, names), self._events(model)
        of_doses = [e for dose in doses for e in (dose.time, dose.amount)]
        of_changes = [e for each in changes.values() for change in each for e in change]
        self._check_used_before(events, {"doses": of_doses, "changes": of_changes})
        return TimingMeaning(doses, changes, starts, intervals, events)

    def _check_targets(
        self, given: Mapping[str, Any], known: Mapping[str, Any], section: str, what: str
    ) -> None:
        for name in given:
            path: KeyPath = ("model", section, name)
            if name not in known:
                self.complain_key(path, f"there is no {what} '{name}'", nearest(name, known))
            elif what != "state" and known[name] is not None:
                self.complain_key(path, f"'{name}' is a vector: only scalars can change")

    def _doses(
        self, model: OdeSpec, names: Names, experiments: Sequence[ExperimentMeaning]
    ) -> tuple[tuple[DoseMeaning, ...], tuple[sympy.Expr, ...]]:
        found, intervals = list[DoseMeaning](), list[sympy.Expr]()
        for state, doses in model.doses.items():
            for i, dose in enumerate(doses):
                path = self._item(("model", "doses", state), i)
                time = self._expression(dose.time, (*path, "time"), names)
                amount = self._expression(dose.amount, (*path, "amount"), names)
                every = self._every(dose, (*path, "every"), names)
                if every is not None and dose.every is not None:
                    self._check_interval(every, experiments, (*path, "every"))
                    intervals.append(every)
                if time is not None and amount is not None and every is not None:
                    times = [time + j * every for j in range(dose.count)]
                    each = [DoseMeaning(state, t, amount, dose.after is not None) for t in times]
                    self._check_not_before(model, each[0], experiments, (*path, "time"))
                    found += each
        return tuple(found), tuple(intervals)

    def _every(self, dose: DoseSpec, path: KeyPath, names: Names) -> sympy.Expr | None:
        if (dose.every is None) != (dose.count == 1):
            self.complain_key(path, "several doses need both every and count")
        return sympy.S.Zero if dose.every is None else self._expression(dose.every, path, names)

    def _check_interval(
        self, every: sympy.Expr, experiments: Sequence[ExperimentMeaning], path: KeyPath
    ) -> None:
        """The time between doses, where it is known; elsewhere the solver looks at each draw."""
        for experiment in experiments:
            value = self._number(every, experiment)
            if value is not None and not value > 0:
                where = f"in experiment {experiment.name}, " if experiment.name else ""
                self.complain(path, f"{where}the time between doses is {value:g}, not above 0")
                return

    def _changes(
        self, model: OdeSpec, names: Names
    ) -> dict[str, tuple[tuple[sympy.Expr, sympy.Expr], ...]]:
        found = {}
        for name, changes in model.changes.items():
            each: list[tuple[sympy.Expr, sympy.Expr]] = []
            for i, change in enumerate(changes):
                path = self._item(("model", "changes", name), i)
                time = self._expression(change.time, (*path, "time"), names)
                value = self._expression(change.value, (*path, "value"), names)
                if time is None or value is None:
                    continue
                if each and time.is_Number and each[-1][0].is_Number and time <= each[-1][0]:
                    self.complain((*path, "time"), "the times of changes must increase")
                each.append((time, value))
            found[name] = tuple(each)
        return found

    def _item(self, path: KeyPath, index: int) -> KeyPath:
        """The place of an item of a list, or of the one that stands there without a list."""
        return (*path, index) if (*path, index) in self._document.places else path

    def _check_not_before(
        self,
        model: OdeSpec,
        dose: DoseMeaning,
        experiments: Sequence[ExperimentMeaning],
        path: KeyPath,
    ) -> None:
        """No dose whose time is known may be left out, unless its amount is 0 anyway."""
        for experiment in experiments:
            start, key = start_of(self._spec, experiment.name)
            time = self._number(dose.time, experiment)
            if time is None or time >= start or self._number(dose.amount, experiment) == 0:
                continue
            where = f"in experiment {experiment.name}, " if experiment.name else ""
            dotted = ".".join(key)
            hint = f"set {dotted}, or the initial values"
            if experiment.name:
                hint += "; an experiment's amount may be 0, by a constant of its own"
            message = f"{where}a dose at {time:g}, before {dotted} = {start:g}"
            self.complain(path, message, hint)
            return

    def _number(self, expression: sympy.Expr, experiment: ExperimentMeaning) -> float | None:
        """What it is in an experiment; None if a free parameter decides, or it has no value."""
        parameters = self._spec.parameters
        known = dict(self._spec.model.names_of("constants"))
        known |= {k: v for k, v in parameters.items() if not isinstance(v, ParameterSpec)}
        known |= experiment.numbers
        here = expression.xreplace(dict(experiment.instead))
        try:
            value = with_numbers(here, {symbol(k): v for k, v in known.items()}, {})
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None  # told with the system
        return float(value) if value.is_Number else None

    def _check_input(self, path: KeyPath, name: str, table: InputSpec) -> None:
        times, values = table.times, table.values
        if (table.file is None) == (times is None) or (times is None) != (values is None):
            hint = "give file, or times and values"
            self.complain_key(path, f"the input '{name}' needs one table", hint)
        elif times is not None and values is not None:
            if len(times) != len(values):
                message = f"{len(times)} times, but {len(values)} values"
                self.complain((*path, "values"), message)
            if any(b <= a for a, b in itertools.pairwise(times)):
                self.complain((*path, "times"), "the times of an input must increase")
