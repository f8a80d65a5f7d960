"""Data at time infinity: whether there is a steady state that they could be of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy
from sympy.core.relational import Relational

from nfanneal.errors import Complaint, SpecError
from nfanneal.model.expressions.functions import compare
from nfanneal.model.ode import OdeSystem, Trigger
from nfanneal.model.ode.system import with_stops
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.experiments import ExperimentMeaning


def refuse_restless(checked: CheckedSpec, system: OdeSystem, endless: Sequence[bool]) -> None:
    """Refuse a system in which time goes on to count once all stops have been passed.

    `endless` says which experiments have data at time infinity. Doses, changes, inputs and
    conditions in time are over some day; after that nothing may depend on time but by them.

    Raises:
        SpecError: an equation does, or an observable that is measured at time infinity; an event
            waits for a state; or states are logarithms, which would lose what the equations
            conserve.
    """
    complaints = list(_complaints(checked, system, endless))
    if complaints:
        raise SpecError(complaints)


def _complaints(
    checked: CheckedSpec, system: OdeSystem, endless: Sequence[bool]
) -> Iterator[Complaint]:
    experiments = [
        e for e, rests in zip(checked.meaning.experiments, endless, strict=True) if rests
    ]
    stopping = with_stops(system)
    there = f"the data of {experiments[0].name} at" if experiments[0].name else "data at"
    if getattr(checked.spec.model, "positive", False):
        message = f"positive: true has no steady state, as {there} time inf need it: in "
        message += "logarithms, what the equations conserve would be lost on the way to it"
        yield Complaint(message, checked.place("model", "positive"), "leave out positive")
        return
    if any(_is_unforeseen(trigger, system, experiments) for trigger in stopping.timetable.triggers):
        message = f"events that wait for a state or a delay do not go with {there} time inf: "
        message += "they could happen on the way"
        hint = "events in time do: when: t >= …"
        yield Complaint(message, checked.place("model", "events"), hint)
    level = {s: sympy.S.Zero for s in system.timetable.tables.symbols if _is_slope(s)}
    for state, equation in zip(system.states, stopping.equations, strict=True):
        if system.time in equation.xreplace(level).free_symbols:
            message = f"time goes on in the equation of '{state}': {there} time inf need a "
            hint = "conditions in time (where(t > …, …)), inputs, doses and changes are over in the"
            place = checked.place("model", "equations", str(state))
            yield Complaint(f"{message}steady state", place, f"{hint} end; others have no end")
    measured = {noise.observable for e in experiments for noise in e.noise}
    for name, observable in zip(checked.meaning.observables, system.observables, strict=True):
        rest = observable.xreplace(level).replace(_is_relation, _undecided)
        if name in measured and system.time in rest.free_symbols:
            message = f"'{name}' depends on time: it has no value at time inf"
            yield Complaint(message, checked.place("model", "observables", name))


def _is_unforeseen(
    trigger: Trigger, system: OdeSystem, experiments: Sequence[ExperimentMeaning]
) -> bool:
    """Whether an event can happen in some of the experiments at a time that no stop tells."""
    symbols = trigger.turns.free_symbols
    own = {str(s) for s in symbols if str(s).startswith("_in[")}
    if own and not own & {f"_in[{experiment.name}]" for experiment in experiments}:
        return False
    return trigger.delay is not None or bool(symbols & {system.time, *system.states})


def _is_slope(symbol: sympy.Symbol) -> bool:
    """Whether it is that of an input on lines, which is 0 after its table."""
    return str(symbol).startswith("_") and str(symbol).endswith("_slope")


def _is_relation(node: sympy.Basic) -> bool:
    return isinstance(node, Relational)


def _undecided(*sides: sympy.Basic) -> sympy.Basic:
    return compare(sympy.Gt, sympy.Dummy(real=True), sympy.S.Zero)
