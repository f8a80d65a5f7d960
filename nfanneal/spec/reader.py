"""What the readers of a spec's sections share: names, placed complaints, expressions."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sympy

from nfanneal.errors import Complaint, Location
from nfanneal.model.expressions import (
    FUNCTIONS,
    Cost,
    ExpressionError,
    Names,
    cost_of,
    parse,
    parse_condition,
)
from nfanneal.model.latent import element_names
from nfanneal.spec.document import Document, KeyPath
from nfanneal.spec.named import NamedExpressions, in_order
from nfanneal.spec.schema import ParameterSpec, Spec

MOST_COMPLAINTS = 100
"""Nobody reads more: expressions after so many complaints are not looked at."""
LONGEST_SHOWN = 100
"""Of formulas in messages."""
MOST_OPERATIONS, MOST_DERIVATIVES = 20_000, 100_000
"""Of all expressions together: a model so large takes minutes to be compiled. Derivatives take a

few operations for each operation, and one for all that an expression holds through a name."""
OF_AN_OPERATION = 3
MOST_TERMS = 300_000
"""Of the derivatives of one expression, written out: what is worth it should be in parts."""
DEEPEST = 150


class Reader:
    """Collects complaints while sections are read."""

    def __init__(self, spec: Spec, document: Document) -> None:
        self.complaints: list[Complaint] = []
        self._cost, self._derivatives = Cost(), 0
        self._named_expressions = NamedExpressions()
        self._plain: dict[str, int | None] = {}
        """Names of expressions that hold parameters and constants only, or that are wrong."""
        self._spec = spec
        self._document = document
        self._parameters: dict[str, int | None] = {
            name: p.shape if isinstance(p, ParameterSpec) else None
            for name, p in spec.parameters.items()
        }
        self._constants: dict[str, int | None] = dict.fromkeys(spec.model.names_of("constants"))

    @property
    def _anywhere(self) -> dict[str, int | None]:
        """What may stand in every expression."""
        return self._parameters | self._constants

    @property
    def _named(self) -> dict[str, sympy.Expr]:
        return self._named_expressions.kept

    @property
    def element_names(self) -> tuple[str, ...]:
        """The parameters, and the elements of those that are vectors, as `x[0]`."""
        pairs = self._parameters.items()
        return tuple(name for key, size in pairs for name in element_names(key, size))

    def complain(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        """Something is wrong with the value at `path`."""
        self.complaints.append(Complaint(message, self._document.place(path).value, hint))

    def complain_key(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        """Something is wrong with the key at `path`."""
        self.complaints.append(Complaint(message, self._document.place(path).key, hint))

    def _check_names(self, names: Iterable[str], path: KeyPath) -> None:
        for name in names:
            if not name.isidentifier() or keyword.iskeyword(name):
                self.complain_key(
                    (*path, name), f"'{name}' is not a name: use letters, digits and _"
                )
            elif name in FUNCTIONS:
                self.complain_key((*path, name), f"'{name}' is a function of expressions")

    def _read_named(
        self, given: Mapping[str, Any], path: KeyPath, names: Names, states: Iterable[str]
    ) -> None:
        """Expressions with a name, which may hold each other's in any order."""
        known, operations = dict[str, sympy.Expr](), 0
        for key, text in given.items():
            if operations > MOST_OPERATIONS:
                self._complain_size((*path, key))
                break
            expression = self._parsed(parse, text, (*path, key), names)
            if expression is not None:
                known[key] = expression
                operations += cost_of(expression).operations
        order, circles = in_order(known)
        for key, circle in circles.items():
            message = f"{'.'.join((*map(str, path), key))} holds itself: {' → '.join(circle)}"
            self.complain((*path, key), message)
        good = set[str]()
        for key in order:
            held = {s for s in map(str, known[key].free_symbols) if s in given}
            expression = self._affordable(known[key], (*path, key)) if held <= good else None
            if expression is not None:
                self._named_expressions.add(key, expression, set(states))
                good.add(key)
        moving = {*names} - {*self._anywhere}
        plain = {*self._named_expressions.constant(moving)}
        self._plain = {key: None for key in given if key in plain or key not in good}

    def _expressions(
        self, given: Mapping[str, Any], path: KeyPath, names: Names
    ) -> dict[str, sympy.Expr]:
        found = {}
        for key, text in given.items():
            expression = self._expression(text, (*path, key), names)
            if expression is not None:
                found[key] = expression
        return found

    def _expression(self, text: Any, path: KeyPath, names: Names) -> sympy.Expr | None:
        """Parse one expression, and write out what has a name and holds no state."""
        return self._written_out(self._parsed(parse, text, path, names), path)

    def _condition(self, text: Any, path: KeyPath, names: Names) -> Any:
        """The same for a condition."""
        return self._written_out(self._parsed(parse_condition, text, path, names), path)

    def _written_out(self, expression: Any, path: KeyPath) -> Any:
        if expression is not None:
            expression = self._affordable(expression, path)
        return None if expression is None else expression.xreplace(self._named_expressions.written)

    def _parsed(
        self, parsing: Callable[[Any, Names], Any], text: Any, path: KeyPath, names: Names
    ) -> Any:
        """Parse one expression; errors are placed at the exact column where that is known."""
        if len(self.complaints) >= MOST_COMPLAINTS or self._cost.operations > MOST_OPERATIONS:
            return None
        try:
            return parsing(text, names)
        except ExpressionError as error:
            place = self._document.place(path)
            where = place.value
            if place.plain and where.column is not None:
                where = Location(where.file, where.line, where.column + error.column - 1)
            shown = f"'{error.text}': " if error.text not in error.message else ""
            dotted = ".".join(map(str, path))
            hint = error.hint
            if error.text == getattr(self._spec.model, "time", None) and error.text not in names:
                hint = "the time stands in equations and observables only"
            if error.text in self._spec.model.names_of("expressions") and error.text not in names:
                hint = self._why_unknown(error.text, path)
            self.complaints.append(Complaint(f"{dotted}: {shown}{error.message}", where, hint))
            return None

    def _why_unknown(self, name: str, path: KeyPath) -> str:
        """Why one of the named expressions is not known somewhere, and what to write."""
        if {"states", "likelihood"} & {*path}:  # where those are known that are
            return f"'{name}' is not made of parameters and constants alone"
        formula = str(getattr(self._spec.model, "expressions", {}).get(name, ""))
        instead = f"({formula})" if len(formula) <= LONGEST_SHOWN else "its formula"
        return f"expressions are not known here: write {instead} in place of '{name}'"

    def _affordable(self, expression: sympy.Expr, path: KeyPath) -> sympy.Expr | None:
        """The expression, if those so far can be differentiated and compiled within minutes."""
        if self._cost.operations > MOST_OPERATIONS:
            return None
        named = self._named_expressions
        cost = named.cost(expression)
        dotted = ".".join(map(str, path))
        if cost.depth > DEEPEST:
            self.complain(path, f"{dotted}: nested more than {DEEPEST} levels deep, once expanded")
            return None
        if cost.derivatives > MOST_TERMS:
            hint = "make parts of it expressions with a name"
            message = f"the derivatives of this would have more than {MOST_TERMS:,} terms"
            self.complain(path, f"{dotted}: {message}", hint)
            return None
        self._derivatives += OF_AN_OPERATION * cost.operations + named.products(expression)
        if self._derivatives > MOST_DERIVATIVES:
            message = "the derivatives up to here would take more than"
            self.complain(path, f"{dotted}: {message} {MOST_DERIVATIVES:,} operations")
            return None
        self._cost += cost
        if self._cost.operations > MOST_OPERATIONS:
            self._complain_size(path)
            return None
        return expression

    def _complain_size(self, path: KeyPath) -> None:
        message = f"the expressions up to here have more than {MOST_OPERATIONS:,} operations"
        self.complain(path, f"{'.'.join(map(str, path))}: {message}")
