"""From a checked spec to how trajectories begin, in a system that all experiments share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import Where, compare
from nfanneal.model.ode.events import HALF
from nfanneal.spec.build.events import TimeCourse
from nfanneal.spec.build.numbers import Differences, known_numbers, substituted
from nfanneal.spec.checked import CheckedSpec


def with_starts(checked: CheckedSpec, course: TimeCourse) -> TimeCourse:
    """The time course with steady states at the start and resets, where experiments have them.

    Raises:
        SpecError: with its constants, an expression is not a finite real number.
    """
    starts, course = checked.meaning.timing.starts, _with_resets(checked, course)
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
        value = _everywhere(checked, said, f"{name}(before)", differences, "pre_equilibration")
        meanwhile = compare(sympy.Gt, table.before, HALF)
        if any(e is None and at_rest for e, at_rest in zip(said, steady, strict=True)):
            there = symbol(f"_{name}_before")
            differences[there] = _numbers([e is not None for e in said])
            meanwhile = sympy.And(meanwhile, compare(sympy.Gt, there, HALF))
        otherwise = instead.get(symbol(name), symbol(name))
        instead[symbol(name)] = Where(meanwhile, value, otherwise)
    return replace(course, instead=instead, timetable=table, differences=differences)


def _with_resets(checked: CheckedSpec, course: TimeCourse) -> TimeCourse:
    """What of states is reset, as one expression for all experiments.

    Where they say different things, a number chooses; what holds no state is one of them, a symbol
    that stands for something else in each experiment.
    """
    starts, states = checked.meaning.timing.starts, list(checked.meaning.initial)
    differences, resets = dict(course.differences), []
    for state in dict.fromkeys(name for start in starts for name in start.reset):
        said = [start.reset.get(state, symbol(state)) for start in starts]
        moving = [bool(e.free_symbols & set(map(symbol, states))) for e in said]
        fixed = [None if moves else e for e, moves in zip(said, moving, strict=True)]
        if any(e is not None for e in fixed):
            value = _everywhere(checked, fixed, f"{state}(reset)", differences, "reset")
            said = [e if moves else value for e, moves in zip(said, moving, strict=True)]
        first, *others = choices = list(dict.fromkeys(said))
        if others:
            chosen = symbol(f"_{state}_reset")
            differences[chosen] = tuple(sympy.Integer(choices.index(e)) for e in said)
            for i, other in enumerate(others):
                first = Where(compare(sympy.Gt, chosen, i + HALF), other, first)
        resets.append((states.index(state), first))
    table = replace(course.timetable, resets=tuple(resets))
    return replace(course, timetable=table, differences=differences)


def _everywhere(
    checked: CheckedSpec,
    said: Sequence[sympy.Expr | None],
    name: str,
    differences: Differences,
    section: str,
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
            checked.place("experiments", each.name, section, name.partition("(")[0]),
        )
        for e, each in zip(said, experiments, strict=True)
    )
    return symbol(name)


def _numbers(flags: Sequence[bool]) -> tuple[sympy.Expr, ...]:
    return tuple(sympy.Integer(int(flag)) for flag in flags)
