"""From a checked spec to how trajectories begin, in a system that all experiments share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import sympy

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import Where, compare
from nfanneal.model.ode.events import HALF
from nfanneal.spec.build.events import TimeCourse
from nfanneal.spec.build.numbers import Differences, known_numbers, substituted
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.experiments import ExperimentMeaning


def with_starts(checked: CheckedSpec, course: TimeCourse) -> TimeCourse:
    """The time course with steady states at the start, in the experiments that have them.

    Raises:
        SpecError: with its constants, an expression is not a finite real number.
    """
    starts = checked.meaning.timing.starts
    steady = [start.steady for start in starts]
    if not any(steady):
        return course
    table = replace(course.timetable, steady=True)
    instead, differences = dict(course.instead), dict(course.differences)
    if not all(steady):
        table = replace(table, equilibrates=symbol("_equilibrates"))
        differences[symbol("_equilibrates")] = _numbers(steady)
    for name in dict.fromkeys(name for start in starts for name in start.before):
        said = [start.before.get(name) for start in starts]
        value = _everywhere(checked, said, f"{name}(before)", differences, _place_of(name))
        meanwhile = compare(sympy.Gt, table.before, HALF)
        if any(e is None and at_rest for e, at_rest in zip(said, steady, strict=True)):
            there = symbol(f"_{name}_before")
            differences[there] = _numbers([e is not None for e in said])
            meanwhile = sympy.And(meanwhile, compare(sympy.Gt, there, HALF))
        otherwise = instead.get(symbol(name), symbol(name))
        instead[symbol(name)] = Where(meanwhile, value, otherwise)
    return replace(course, instead=instead, timetable=table, differences=differences)


def _everywhere(
    checked: CheckedSpec,
    said: Sequence[sympy.Expr | None],
    name: str,
    differences: Differences,
    place: Callable[[ExperimentMeaning], Sequence[str]],
) -> sympy.Expr:
    """One expression for what experiments say, anything for those that say nothing.

    If they do not all say the same, it is a symbol of that name, which is among the `differences`.
    """
    known = {e for e in said if e is not None}
    if len(known) == 1:
        return known.pop()
    numbers, experiments = known_numbers(checked), checked.meaning.experiments
    differences[symbol(name)] = tuple(
        substituted(
            sympy.S.Zero if e is None else e.xreplace(dict(each.instead)),
            numbers,
            checked.place(*place(each)),
        )
        for e, each in zip(said, experiments, strict=True)
    )
    return symbol(name)


def _place_of(name: str) -> Callable[[ExperimentMeaning], Sequence[str]]:
    return lambda each: ("experiments", each.name, "pre_equilibration", name)


def _numbers(flags: Sequence[bool]) -> tuple[sympy.Expr, ...]:
    return tuple(sympy.Integer(int(flag)) for flag in flags)
