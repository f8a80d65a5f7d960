"""Numbers that a spec gives, in the place of names in expressions."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from nfanneal.errors import Complaint, Location, SpecError
from nfanneal.model.expressions import symbol, with_numbers
from nfanneal.spec.checked import CheckedSpec

Differences = dict[sympy.Symbol, tuple[sympy.Expr, ...]]
"""What stands for a symbol in each experiment."""


def known_numbers(checked: CheckedSpec) -> dict[str, float]:
    """Constants and fixed parameters, also those that an experiment has to itself."""
    constants = checked.spec.model.names_of("constants")
    own = [experiment.numbers for experiment in checked.meaning.experiments]
    return {**constants, **checked.meaning.fixed, **{k: v for part in own for k, v in part.items()}}


def substituted(
    expression: sympy.Expr, known: Mapping[str, float], where: Location | None = None
) -> sympy.Expr:
    """The expression with numbers for names.

    Raises:
        SpecError: some part of it is not a finite real number then.
    """
    used = {k: v for k, v in known.items() if symbol(k) in expression.free_symbols}
    try:
        return with_numbers(expression, {symbol(k): v for k, v in used.items()}, {})
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        numbers = ", ".join(f"{k} = {v:g}" for k, v in used.items())
        shown = str(expression)[:200]
        message = f"with {numbers}, '{shown}' is not a finite real number"
        raise SpecError([Complaint(message, where)]) from None
