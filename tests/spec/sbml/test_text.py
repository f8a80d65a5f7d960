"""Text of expressions: what is parsed from it has the same value everywhere."""

import numpy as np
import pytest
import sympy
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from nfanneal.model.expressions import ExpressionError, compile_numpy, parse, symbol
from nfanneal.model.expressions.functions import PowerSlope
from nfanneal.spec.sbml.text import condition_text, text_of, value_of

NAMES = dict.fromkeys(("x", "y", "k", "t"))
SYMBOLS = [symbol(name) for name in NAMES]
POINTS = np.random.default_rng(1).uniform(0.2, 3.0, (4, 50)) * np.array([[1], [1], [1], [4]])

atoms = st.one_of(
    st.sampled_from(list(NAMES)),
    st.integers(0, 12).map(str),
    st.floats(0.01, 100).map(repr),
    st.sampled_from(["1e-7", "2.5e12", "1234567", "pi", "0.5"]),
)


def larger(inner):
    two = st.tuples(inner, inner)
    condition = st.one_of(
        st.tuples(inner, st.sampled_from(["<", "<=", ">", ">="]), inner).map(" ".join),
        st.tuples(inner, inner, inner).map(lambda p: f"{p[0]} < {p[1]} and not ({p[2]} > 1)"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} < 1 or {p[1]} > 2) and t > 3"),
    )
    return st.one_of(
        st.tuples(two, st.sampled_from("+-*/")).map(lambda p: f"({p[0][0]}) {p[1]} ({p[0][1]})"),
        st.tuples(inner, st.integers(-3, 3)).map(lambda p: f"({p[0]})**{p[1]}"),
        two.map(lambda p: f"({p[0]})**({p[1]})"),
        inner.map(lambda x: f"-({x})"),
        st.tuples(
            st.sampled_from(["exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "abs", "log10"]),
            inner,
        ).map(lambda p: f"{p[0]}({p[1]})"),
        two.map(lambda p: f"min({p[0]}, {p[1]})"),
        two.map(lambda p: f"max({p[0]}, {p[1]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"hill({', '.join(p)})"),
        st.tuples(condition, inner, inner).map(lambda p: f"where({', '.join(p)})"),
    )


def values(expression):
    (found,) = compile_numpy([expression], SYMBOLS)(*POINTS)
    return np.broadcast_to(found, POINTS.shape[1:])


def parsed(text):
    try:
        return parse(text, NAMES)
    except ExpressionError:
        assume(False)


@settings(max_examples=300)
@given(st.recursive(atoms, larger, max_leaves=12))
@example("(x + 1)**2/(3*k)*sqrt(2*x)**3")
@example("1/sqrt(x)/(y*k)")
@example("-x**2 - (-x)**3 + (-2)*x")
@example("-(x + y) - 1/(x + y)")
@example("0.1*(x - y)/7")
def test_text_is_parsed_to_the_same_values(text):
    expression = parsed(text)
    again = parse(text_of(expression), NAMES)
    before, after = values(expression), values(again)
    steep = np.maximum(1, np.abs(before))
    usual = np.isfinite(before) & (steep < 1e100)
    assert after[usual] == pytest.approx(before[usual], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("k*x/(1 + y)", "k*x/(y + 1)"),
        ("x - y", "x - y"),
        ("-k*x", "-k*x"),
        ("x**(k + 1)", "x**(k + 1)"),
        ("x**-1", "1/x"),
        ("(x/y)**2.5", "(x/y)**2.5"),
        ("where(t > 5 and x < 1, 2, y)", "where(t > 5 and x < 1, 2, y)"),
        ("max(x, 3)", "-min(-x, -3)"),
        ("0.1*x", "0.1*x"),
        ("x/3", "x/3"),
        ("-2*x/3 - 1.5", "-2*x/3 - 1.5"),
    ],
)
def test_text_is_what_one_would_write(text, written):
    assert text_of(parse(text, NAMES)) == written


def test_numbers_are_numbers_of_yaml():
    assert value_of(sympy.Integer(3)) == 3
    assert value_of(sympy.Rational(1, 4)) == 0.25
    assert value_of(symbol("x") / 4) == "x/4"


def test_conditions_that_are_decided_can_be_written():
    assert parse(f"where({condition_text(sympy.true)}, 1, 2)", {}) == 1
    assert parse(f"where({condition_text(sympy.false)}, 1, 2)", {}) == 2


def test_what_is_not_in_the_grammar_is_refused():
    with pytest.raises(TypeError, match="no function of the grammar"):
        text_of(PowerSlope(*SYMBOLS[:2]))
    with pytest.raises(TypeError, match="no condition"):
        condition_text(sympy.Eq(*SYMBOLS[:2]))
