"""Differential equations: from reactions and rate rules, for compartments that vary as well."""

from __future__ import annotations

import sympy

from nfanneal.model.expressions import differentiate, symbol
from nfanneal.model.expressions.functions import Power, PowerSlope, SafeLog, Where
from nfanneal.spec.sbml.quantities import compartment_of
from nfanneal.spec.sbml.reactions import Reactions
from nfanneal.spec.sbml.replacing import written_out
from nfanneal.spec.sbml.rules import Rules
from nfanneal.spec.sbml.source import Source
from nfanneal.spec.sbml.text import text_of


def rates_of(source: Source, rules: Rules, reactions: Reactions) -> dict[str, sympy.Expr]:
    """d(id)/dt of all ids that have one, in the order of the file.

    A concentration n/V of a species whose amount n reactions change by n' has (n' − S·V')/V, with
    V' from the rate rule of the compartment, or from all that its assignment rule depends on.
    """
    equations = _Equations(source, rules, reactions)
    found = {}
    for name in source.elements:
        if name in rules.assignments:
            continue
        rate = equations.rate(name)
        if rate is not None:
            found[name] = rate
    return found


class _Equations:
    def __init__(self, source: Source, rules: Rules, reactions: Reactions) -> None:
        self._source, self._rules, self._reactions = source, rules, reactions
        self._known: dict[str, sympy.Expr | None] = dict(rules.rates)
        self._growth: dict[str, sympy.Expr | None] = {}

    def rate(self, name: str) -> sympy.Expr | None:
        """d(name)/dt, None of what does not change."""
        if name not in self._known:
            self._known[name] = self._of_species(name)
        return self._known[name]

    def _of_species(self, name: str) -> sympy.Expr | None:
        if self._source.kinds[name] != "species":
            return None
        amount = self._reactions.changes.get(name)
        by = compartment_of(self._source, self._source.elements[name])
        if by is None:
            return amount
        growth = self._growth_of(by)
        if growth is None:
            return None if amount is None else amount / symbol(by)
        return ((amount or sympy.S.Zero) - symbol(name) * growth) / symbol(by)

    def _growth_of(self, compartment: str) -> sympy.Expr | None:
        """dV/dt of a compartment; None if its size does not change but by events."""
        if compartment not in self._growth:
            self._growth[compartment] = None  # ends circles; they are complained about below
            rule = self._rules.assignments.get(compartment)
            self._growth[compartment] = (
                self._rules.rates.get(compartment) if rule is None
                else self._along(compartment, rule)
            )  # fmt: skip
        return self._growth[compartment]

    def _along(self, compartment: str, rule: sympy.Expr) -> sympy.Expr | None:
        """The derivative by time of an assignment rule, through all that it depends on."""
        terms: list[sympy.Expr] = []
        line = self._source.lines[compartment]
        whole = self._written_out(rule)
        if whole is None or whole.has(Where):
            message = f"compartment '{compartment}' jumps, or is too long to be differentiated"
            hint = "a size that changes by a rate rule is read"
            self._source.complaints.at(line, message, hint)
            return None
        for by in sorted(whole.free_symbols, key=str):
            if by.name == self._source.formulas.time:
                terms.append(differentiate(whole, by))
                continue
            if self._is_inside(by.name, compartment):
                message = f"the size of '{compartment}' depends on a concentration within it"
                self._source.complaints.at(line, message)
                return None
            rate = self.rate(by.name) if by.name in self._source.elements else None
            if rate is not None:
                terms.append(differentiate(whole, by) * rate)
        total = _plain(sympy.Add(*terms))
        if total is None:
            message = f"the size of '{compartment}' has a derivative that is no expression"
            self._source.complaints.at(line, message, "a size that changes by a rate rule is read")
        return None if total == 0 else total

    def _is_inside(self, name: str, compartment: str) -> bool:
        if self._source.kinds.get(name) != "species" or name in self._rules.rates:
            return False
        by = compartment_of(self._source, self._source.elements[name])
        return by is not None and (by == compartment or by in self._rules.assignments)

    def _written_out(self, expression: sympy.Expr) -> sympy.Expr | None:
        """The expression without ids of assignment rules and reactions; None if too large."""
        return written_out(expression, self._rules.assignments | self._reactions.rates)


def _plain(derivative: sympy.Expr) -> sympy.Expr | None:
    """A derivative without functions that only derivatives have; None if that cannot be."""
    plain = derivative.replace(PowerSlope, lambda x, n: n * Power(x, n - 1))
    plain = plain.replace(SafeLog, sympy.log)
    try:
        text_of(plain)
    except TypeError:
        return None
    return plain
