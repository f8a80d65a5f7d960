"""Cells of PEtab's tables: numbers and formulas, or a complaint at their place."""

from __future__ import annotations

import sympy

from nfanneal.spec.collecting import Complaints
from nfanneal.spec.petab.formulas import FormulaError, formula
from nfanneal.spec.petab.tables import Row


def number_at(row: Row, column: str, wrong: Complaints) -> float | None:
    """A cell that must be a number, where it is not empty."""
    cell = row.get(column)
    if cell is None or cell == "":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        wrong.add(f"{column}: '{cell}' is not a number", row.place(column))
        return None


def formula_at(row: Row, column: str, wrong: Complaints) -> sympy.Expr:
    """A cell that must be a formula."""
    cell = row.get(column)
    if cell is None or cell == "":
        wrong.add(f"{column} is empty", row.place(column))
        return sympy.S.One
    try:
        return formula(cell)
    except FormulaError as error:
        wrong.add(f"{column}: {error}", row.place(column))
        return sympy.S.One


def formulas_at(row: Row, column: str, wrong: Complaints) -> tuple[sympy.Expr, ...]:
    """A cell that holds formulas with semicolons between them."""
    cell, found = row.get(column), []
    if cell is None:
        return ()
    for part in str(cell).split(";") if isinstance(cell, str) else [cell]:
        try:
            found.append(formula(part.strip() if isinstance(part, str) else part))
        except FormulaError as error:
            wrong.add(f"{column}: {error}", row.place(column))
    return tuple(found)
