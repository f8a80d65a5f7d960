"""Expressions of models: text → sympy → derivatives → Python source."""

from nfanneal.model.expressions.cost import Cost, cost_of
from nfanneal.model.expressions.functions import SCALAR_FUNCTIONS, VECTOR_FUNCTIONS, symbol
from nfanneal.model.expressions.grammar import (
    CONSTANTS,
    FUNCTIONS,
    ExpressionError,
    Names,
    parse,
    parse_condition,
    with_numbers,
)
from nfanneal.model.expressions.printing import compile_numpy, differentiate, to_python

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "SCALAR_FUNCTIONS",
    "VECTOR_FUNCTIONS",
    "Cost",
    "ExpressionError",
    "Names",
    "compile_numpy",
    "cost_of",
    "differentiate",
    "parse",
    "parse_condition",
    "symbol",
    "to_python",
    "with_numbers",
]
