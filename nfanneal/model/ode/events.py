"""What happens to a trajectory at certain times, in symbols: switches, doses, tables of inputs.

Between such times f is smooth; the solver stops at each of them and goes on from there. A switch is
a symbol that is 0 before its time and 1 from then on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from nfanneal.model.expressions import symbol
from nfanneal.model.expressions.functions import Least, Magnitude, Where, compare
from nfanneal.model.ode.triggers import Trigger

HALF = sympy.Rational(1, 2)


@dataclass(frozen=True)
class Switch:
    """A symbol that turns from 0 to 1 at `time`, an expression of parameters."""

    symbol: sympy.Symbol
    time: sympy.Expr


@dataclass(frozen=True)
class Dose:
    """At `time`, an expression of parameters, state number `state` becomes `after`.

    `after` is an expression of that state and of parameters. Outputs at that time see it, unless
    the dose is `late`.
    """

    state: int
    time: sympy.Expr
    after: sympy.Expr
    late: bool = False


@dataclass(frozen=True)
class Tables:
    """Symbols (c,) whose values change at the knots (k,) of a table: its rows (k + 1, c).

    The first row holds before; all knots of a table increase. There may be several tables: which
    of them counts is their `number`, an expression of parameters.
    """

    symbols: tuple[sympy.Symbol, ...] = ()
    knots: tuple[tuple[float, ...], ...] = ((),)
    rows: tuple[tuple[tuple[float, ...], ...], ...] = (((),),)
    number: sympy.Expr = sympy.S.Zero


@dataclass(frozen=True)
class Timetable:
    """Everything that happens at certain times; `held` are the symbols that it sets.

    With `steady`, a trajectory starts where f = 0, found from the initial values, if the expression
    of parameters `equilibrates` is above 0; meanwhile the symbol `before` is 1. Where one of the
    `intervals`, expressions of parameters, is not above 0, there is no trajectory. Then the states
    with the numbers in `resets` take values, expressions of the states before and of parameters.
    With `endless`, outputs may be at time infinity: of the steady state that the end leads to.
    The `triggers` are for what happens at times that only the trajectory tells, besides what the
    switches of their conditions tell before.
    """

    switches: tuple[Switch, ...] = ()
    doses: tuple[Dose, ...] = ()
    tables: Tables = Tables()
    steady: bool = False
    intervals: tuple[sympy.Expr, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    before: sympy.Symbol = field(default_factory=lambda: symbol("_before"))
    equilibrates: sympy.Expr = sympy.S.One
    resets: tuple[tuple[int, sympy.Expr], ...] = ()
    endless: bool = False

    @property
    def moments(self) -> tuple[sympy.Expr, ...]:
        """The times of switches, then of doses."""
        return (*(switch.time for switch in self.switches), *(dose.time for dose in self.doses))

    @property
    def stops(self) -> bool:
        """Whether there is any time to stop at."""
        return bool(self.moments or self.tables.symbols or self.triggers)

    @property
    def rests(self) -> bool:
        """Whether steady states are looked for, at the start or at the end."""
        return self.steady or self.endless

    @property
    def held(self) -> tuple[sympy.Symbol, ...]:
        """The symbols that change at stops and stay as they are in between."""
        before = (self.before,) if self.steady else ()
        return (*(s.symbol for s in self.switches), *before, *self.tables.symbols)

    @property
    def expressions(self) -> tuple[sympy.Expr, ...]:
        """All expressions of parameters, and of triggers."""
        parts = [*(dose.after for dose in self.doses), *(value for _, value in self.resets)]
        parts += [*self.intervals, self.tables.number, self.equilibrates]
        for trigger in self.triggers:
            parts += trigger.expressions
        return (*self.moments, *parts)


def with_switches(
    equations: tuple[sympy.Expr, ...],
    time: sympy.Symbol,
    states: tuple[sympy.Symbol, ...],
    table: Timetable,
) -> tuple[tuple[sympy.Expr, ...], tuple[Switch, ...]]:
    """Replace conditions that turn at times which can be told before by switches.

    These are linear or quadratic in time, once magnitudes and the least of two have been taken
    apart; the least of two and magnitudes have such conditions too. Those that hold a state, an
    input or a change of the `table` stay as they are, since they turn at no time that is known
    before, and so do others.
    """
    switches: dict[sympy.Expr, Switch] = {}
    unforeseen = {*states, *table.held} - {table.before}

    def at(difference: sympy.Expr) -> sympy.Expr | None:
        """What is positive where the difference is, if it is linear in time."""
        if table.before in difference.free_symbols:
            during, then = (difference.xreplace({table.before: sympy.Integer(i)}) for i in (1, 0))
            side = at(then)
            return None if side is None else Where(_is_on(table.before), during, side)
        rate = sympy.diff(difference, time)
        conditional = difference.atoms(Where, Least, Magnitude)
        if rate == 0 or any(time in part.free_symbols for part in (rate, *conditional)):
            return None
        if difference.free_symbols & unforeseen:
            return None
        turns = compare(sympy.Gt, Magnitude(rate), sympy.S.Zero)
        when = -difference.subs(time, 0) / (rate if rate.is_Number else Where(turns, rate, 1))
        when = when if when.has(Where, Least, Magnitude) else sympy.simplify(when)
        if when not in switches:
            switches[when] = Switch(symbol(f"_switch{len(switches)}"), when)
        side = rate * (switches[when].symbol - HALF)
        return side if rate.is_Number else Where(turns, side, difference)

    def replaced(node: sympy.Basic) -> sympy.Basic:
        if not node.args or time not in node.free_symbols:
            return node
        if isinstance(node, sympy.Rel):
            side = at(node.lhs - node.rhs)
            if side is not None:
                return compare(type(node), side, sympy.S.Zero)
            simpler = None if node.free_symbols & unforeseen else _taken_apart(node, time)
            return node if simpler is None else replaced(simpler)
        if isinstance(node, Least | Magnitude):
            first, second = (*node.args, -node.args[0])[:2]
            side = at(first - second)
            if side is not None:
                first, second = replaced(first), replaced(second)
                larger = compare(sympy.Gt, side, sympy.S.Zero)
                least = isinstance(node, Least)
                return Where(larger, second, first) if least else Where(larger, first, second)
        parts = [replaced(part) for part in node.args]
        return node.func(*parts) if parts != list(node.args) else node

    return tuple(replaced(e) for e in equations), tuple(switches.values())


def _taken_apart(relation: sympy.Rel, time: sympy.Symbol) -> sympy.Basic | None:
    """The same condition by simpler ones; None if it is neither of a case nor quadratic in time."""
    difference, kind = relation.lhs - relation.rhs, type(relation)
    cases = [
        part
        for part in difference.atoms(Magnitude, Least)
        if time in part.free_symbols and len(part.atoms(Magnitude, Least)) == 1
    ]
    if cases:
        case = min(cases, key=str)
        first, second = (*case.args, -case.args[0])[:2]
        larger = first - second if isinstance(case, Least) else -case.args[0]

        def where(is_larger: type[sympy.Rel], value: sympy.Expr) -> sympy.Basic:
            inside = compare(kind, difference.xreplace({case: value}), sympy.S.Zero)
            return sympy.And(compare(is_larger, larger, sympy.S.Zero), inside)

        return sympy.Or(where(sympy.Lt, first), where(sympy.Ge, second))
    inverted = _inverted(difference, kind, time)
    return _by_roots(difference, kind, time) if inverted is None else inverted


def _inverted(
    difference: sympy.Expr, kind: type[sympy.Rel], time: sympy.Symbol
) -> sympy.Basic | None:
    """The same condition of what a logarithm or an exponential is of, if time is nowhere else.

    An exponential is compared with a positive number only; a logarithm has none of what is not.
    """
    for function, inverse in ((sympy.log, sympy.exp), (sympy.exp, sympy.log)):
        holding = [part for part in difference.atoms(function) if time in part.free_symbols]
        if len(holding) != 1:
            continue
        value = sympy.Dummy(real=True)
        outside = difference.xreplace({holding[0]: value})
        if time in outside.free_symbols or not outside.is_polynomial(value):
            continue
        polynomial = sympy.Poly(outside, value)
        if polynomial.degree() != 1 or not polynomial.LC().is_number:
            continue
        level = -polynomial.coeff_monomial(1) / polynomial.LC()
        if function is sympy.exp and not (level.is_number and level > 0):
            continue
        apart = holding[0].args[0] - inverse(level)
        return compare(kind, apart if polynomial.LC() > 0 else -apart, sympy.S.Zero)
    return None


def _by_roots(
    difference: sympy.Expr, kind: type[sympy.Rel], time: sympy.Symbol
) -> sympy.Basic | None:
    """Where a quadratic polynomial in time is above or below zero, by its roots.

    Without real roots, both stand where it is nearest to zero: nothing lies between them.
    """
    if not difference.is_polynomial(time):
        return None
    polynomial = sympy.Poly(difference, time)
    if polynomial.degree() != 2 or not polynomial.coeff_monomial(time**2).is_number:
        return None
    a, b, c = (polynomial.coeff_monomial(time**n) for n in (2, 1, 0))
    discriminant = sympy.expand(b**2 - 4 * a * c)
    real = compare(sympy.Gt, discriminant, sympy.S.Zero)
    half = sympy.sqrt(Where(real, discriminant, sympy.S.One)) / (2 * sympy.Abs(a))
    apart = Where(real, half, sympy.S.Zero)
    low, high = -b / (2 * a) - apart, -b / (2 * a) + apart
    wants_above = kind in (sympy.Gt, sympy.Ge)
    before, after = compare(sympy.Lt, time, low), compare(sympy.Gt, time, high)
    if bool(a > 0) == wants_above:
        return sympy.Or(before, after)
    return sympy.And(compare(sympy.Gt, time, low), compare(sympy.Lt, time, high))


def _is_on(switch: sympy.Symbol) -> Any:
    return compare(sympy.Gt, switch, HALF)


def changed(
    of: sympy.Symbol, changes: tuple[tuple[sympy.Expr, sympy.Expr], ...], name: str
) -> tuple[sympy.Expr, tuple[Switch, ...]]:
    """What stands for a symbol that takes other values from certain times on: (time, value)…

    The latest of the changes that have happened holds, of simultaneous ones the last in the list.
    """
    expression: sympy.Expr = of
    switches = list[Switch]()
    for i, (time, value) in enumerate(changes):
        switch = Switch(symbol(f"_{name}_change{i}"), time)
        changed_to = value
        for other in switches:
            later = compare(sympy.Gt, other.time, time)
            kept = Where(later, expression, changed_to)
            changed_to = Where(_is_on(other.symbol), kept, changed_to)
        expression = Where(_is_on(switch.symbol), changed_to, expression)
        switches.append(switch)
    return expression, tuple(switches)


@dataclass(frozen=True)
class InputTable:
    """Values (k,) at increasing times (k,): constant from each to the next, or on a line.

    Before the first time, and after the last, it is what it is there.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    linear: bool = False

    def at(self, knot: float) -> tuple[float, float]:
        """Its value at a time, and its slope right after."""
        i = sum(time <= knot for time in self.times) - 1
        if i < 0 or i == len(self.times) - 1 or not self.linear:
            return self.values[max(i, 0)], 0.0
        slope = (self.values[i + 1] - self.values[i]) / (self.times[i + 1] - self.times[i])
        return self.values[i] + slope * (knot - self.times[i]), slope


def tabulated(
    several: Sequence[Mapping[str, InputTable]], time: sympy.Symbol, number: sympy.Expr
) -> tuple[dict[sympy.Symbol, sympy.Expr], Tables]:
    """Expressions that stand for inputs, and the tables of their symbols.

    The same inputs have other tables in each of `several`; `number` says which counts.
    """
    linear = {name: any(each[name].linear for each in several) for name in several[0]}
    if not linear:
        return {}, Tables()
    since = symbol("_since")
    symbols, stands = [since], dict[sympy.Symbol, sympy.Expr]()
    for name, on_line in linear.items():
        level, slope = symbol(f"_{name}_level"), symbol(f"_{name}_slope")
        symbols += [level, slope] if on_line else [level]
        stands[symbol(name)] = level + slope * (time - since) if on_line else level
    knots = [tuple(sorted({t for table in each.values() for t in table.times})) for each in several]
    rows = [
        tuple((max(knot, own[0]), *_values(each, linear, knot)) for knot in (-math.inf, *own))
        for each, own in zip(several, knots, strict=True)
    ]
    return stands, Tables(tuple(symbols), tuple(knots), tuple(rows), number)


def _values(
    inputs: Mapping[str, InputTable], linear: Mapping[str, bool], knot: float
) -> Iterator[float]:
    for name, table in inputs.items():
        value, slope = table.at(knot)
        yield value
        if linear[name]:
            yield slope
