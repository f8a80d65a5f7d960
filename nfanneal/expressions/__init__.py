"""Expressions of models: text → sympy → derivatives → Python source."""

from nfanneal.expressions.functions import SCALAR_FUNCTIONS, VECTOR_FUNCTIONS, symbol
from nfanneal.expressions.grammar import (
    CONSTANTS,
    FUNCTIONS,
    ExpressionError,
    Names,
    nearest,
    parse,
)
from nfanneal.expressions.printing import compile_numpy, differentiate, to_python

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "SCALAR_FUNCTIONS",
    "VECTOR_FUNCTIONS",
    "ExpressionError",
    "Names",
    "compile_numpy",
    "differentiate",
    "nearest",
    "parse",
    "symbol",
    "to_python",
]
