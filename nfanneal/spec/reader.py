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
from nfanneal.spec.schema import ParameterSpec, Spec

MOST_COMPLAINTS = 100
"""Nobody reads more: expressions after so many complaints are not looked at."""
MOST_OPERATIONS, MOST_DERIVATIVES = 20_000, 300_000
"""Of all expressions together: a model so large takes minutes to be compiled."""
DEEPEST = 150


class Reader:
    """Collects complaints while sections are read."""

    def __init__(self, spec: Spec, document: Document) -> None:
        self.complaints: list[Complaint] = []
        self._cost = Cost()
        self._spec = spec
        self._document = document
        self._parameters: dict[str, int | None] = {
            name: p.shape if isinstance(p, ParameterSpec) else None
            for name, p in spec.parameters.items()
        }
        self._constants: dict[str, int | None] = dict.fromkeys(spec.model.names_of("constants"))

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
        """Parse one expression; errors are placed at the exact column where that is known."""
        return self._parsed(parse, text, path, names)

    def _condition(self, text: Any, path: KeyPath, names: Names) -> Any:
        """The same for a condition."""
        return self._parsed(parse_condition, text, path, names)

    def _parsed(
        self, parsing: Callable[[Any, Names], Any], text: Any, path: KeyPath, names: Names
    ) -> Any:
        if len(self.complaints) >= MOST_COMPLAINTS or self._cost.operations > MOST_OPERATIONS:
            return None
        try:
            return self._affordable(parsing(text, names), path)
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
            self.complaints.append(Complaint(f"{dotted}: {shown}{error.message}", where, hint))
            return None

    def _affordable(self, expression: sympy.Expr, path: KeyPath) -> sympy.Expr | None:
        """The expression, if those so far can be differentiated and compiled within minutes."""
        cost = cost_of(expression)
        dotted = ".".join(map(str, path))
        if cost.depth > DEEPEST:
            self.complain(path, f"{dotted}: nested more than {DEEPEST} levels deep, once expanded")
            return None
        if self._cost.derivatives + cost.derivatives > MOST_DERIVATIVES:
            hint = "split long products, or make parts of them states"
            message = f"the derivatives up to here would have more than {MOST_DERIVATIVES:,} terms"
            self.complain(path, f"{dotted}: {message}", hint)
            return None
        self._cost += cost
        if self._cost.operations > MOST_OPERATIONS:
            message = f"the expressions up to here have more than {MOST_OPERATIONS:,} operations"
            self.complain(path, f"{dotted}: {message}")
        return expression
