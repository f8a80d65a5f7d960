"""Events of a general kind, in symbols: a condition that turns true sets states to other values.

A condition is made of relations, each of which holds where a difference is above 0. Those that
turn at times which are known before have become switches; the solver looks for the roots of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy
from sympy.core.relational import Relational

from nfanneal.model.expressions import cost_of, symbol
from nfanneal.model.expressions.functions import Where, compare

HALF = sympy.Rational(1, 2)
WAITING = 16
"""So many assignments of events with a delay can wait at a time, besides one of each event."""
FEW = 200
"""Operations of a difference that is looked at whether an event changes it."""


@dataclass(frozen=True)
class Trigger:
    """Where `condition` turns from false to true, states (by number) become other values.

    Condition, values and `delay` are of time, states, parameters and symbols of the timetable.
    `at_start` says whether a condition that is true at the start counts as one that turns there.
    `watched` is the condition with switches for what turns at times that are known before.

    With `late_values` the values are those of when they are assigned, else of when the condition
    turned. One that is not `persistent` is given up where the condition turns false before that. Of
    several at one time those of higher `priority` come first. Where a `first` one happens, others
    at that time look at conditions and values only after it.
    """

    condition: Any
    values: tuple[tuple[int, sympy.Expr], ...]
    delay: sympy.Expr | None = None
    at_start: bool = False
    watched: Any = None
    late_values: bool = True
    persistent: bool = True
    priority: float = 0.0
    first: bool = False

    @property
    def turns(self) -> Any:
        """The condition as the solver sees it once it goes."""
        return self.condition if self.watched is None else self.watched

    @property
    def expressions(self) -> tuple[Any, ...]:
        """Everything that it holds."""
        delay = () if self.delay is None else (self.delay,)
        return (self.condition, self.turns, *(value for _, value in self.values), *delay)


@dataclass(frozen=True)
class Relation:
    """It holds where `left` − `right` is above 0, or also at 0 if it is not `strict`."""

    left: sympy.Expr
    right: sympy.Expr
    strict: bool

    @property
    def difference(self) -> sympy.Expr:
        """What is above 0 where it holds."""
        return self.left - self.right


@dataclass(frozen=True)
class Conditions:
    """The relations of all conditions: first those that may turn within a step (`moving`).

    `formulas` are the conditions with a symbol for each relation, which is 1 where it holds.
    """

    relations: tuple[Relation, ...] = ()
    moving: int = 0
    bits: tuple[sympy.Symbol, ...] = ()
    formulas: tuple[Any, ...] = field(default=())


def conditions_of(
    triggers: Sequence[Trigger], moving: frozenset[sympy.Symbol] | set[sympy.Symbol]
) -> Conditions:
    """The relations of all triggers; those with a symbol of `moving` may turn at any time."""
    found = dict.fromkeys(_oriented(r) for trigger in triggers for r in _relations(trigger.turns))
    ordered = sorted(found, key=lambda r: not r.difference.free_symbols & moving)
    bits = {relation: symbol(f"_holds{i}") for i, relation in enumerate(ordered)}

    def by_bits(node: Any) -> Any:
        if isinstance(node, Relational):
            return compare(sympy.Gt, bits[_oriented(node)], HALF)
        return node.func(*map(by_bits, node.args)) if node.args else node

    count = sum(bool(r.difference.free_symbols & moving) for r in ordered)
    formulas = tuple(by_bits(trigger.turns) for trigger in triggers)
    return Conditions(tuple(ordered), count, tuple(bits.values()), formulas)


def as_number(condition: Any) -> sympy.Expr:
    """1 where a condition holds, else 0."""
    return Where(condition, sympy.S.One, sympy.S.Zero)


def leaves(trigger: Trigger, relation: Relation, states: Sequence[sympy.Symbol]) -> bool:
    """Whether an event does not change a relation's difference, as far as symbols tell."""
    c = relation.difference
    values = {states[i]: value for i, value in trigger.values if states[i] in c.free_symbols}
    if not values:
        return True
    return cost_of(c).operations < FEW and sympy.expand(c.xreplace(values) - c) == 0


def _relations(node: Any) -> Iterator[Relational]:
    if isinstance(node, Relational):
        yield node
    else:
        for part in node.args:
            yield from _relations(part)


def _oriented(relation: Relational) -> Relation:
    greater = isinstance(relation, sympy.Gt | sympy.Ge)
    sides = (relation.lhs, relation.rhs) if greater else (relation.rhs, relation.lhs)
    return Relation(*sides, isinstance(relation, sympy.Gt | sympy.Lt))
