"""What the grammar of model expressions refuses: where, in which words, and without being hurt."""

import time
import warnings

import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nfanneal.errors import nearest
from nfanneal.model.expressions import ExpressionError, parse, symbol, to_python

NAMES = dict.fromkeys(("x", "y", "t", "k", "n")) | {"v": 3}
RENAME = {symbol(name): name for name in NAMES}


def complaint(text, names=NAMES):
    with pytest.raises(ExpressionError, match=r".") as caught:
        parse(text, names)
    return caught.value


REFUSED = [
    # text, column, offending text, words of the message
    ("", 1, "(empty)", "not an expression"),
    ("   ", 1, "(empty)", "not an expression"),
    ("x +", 4, "x +", "not an expression"),
    ("x y", 3, "y", "not an expression"),
    ("(x", 1, "(x", "never closed"),
    ("x)", 2, ")", "unmatched"),
    ("x = 3", 3, "= 3", "not an expression"),
    ("x; y", 2, "; y", "not an expression"),
    ("1 + alpah", 5, "alpah", "unknown name 'alpah'"),
    ("y^2 + zz", 7, "zz", "unknown name 'zz'"),
    ("x^2^2 + zz*3", 9, "zz", "unknown name 'zz'"),
    ("µ + zz", 1, "µ", "unknown name"),
    ("  zz", 3, "zz", "unknown name 'zz'"),
    ("x +\n zz", 6, "zz", "unknown name 'zz'"),
    ("__import__('os')", 1, "__import__('os')", "unknown function '__import__'"),
    ("x + __import__('os').system('ls')", 5, "__import__('os').system('ls')", "unknown function"),
    ("x*eval('1')", 3, "eval('1')", "unknown function 'eval'"),
    ("x*(y)(t)", 3, "(y)(t)", "unknown function 'y'"),
    ("x.real", 1, "x.real", "not allowed"),
    ("1 + x.__class__.__mro__", 5, "x.__class__.__mro__", "not allowed"),
    ("(lambda: 1)()", 1, "(lambda: 1)()", "unknown function"),
    ("lambda: 1", 1, "lambda: 1", "not allowed"),
    ("[x]", 1, "[x]", "not allowed"),
    ("[i for i in x]", 1, "[i for i in x]", "not allowed"),
    ("{x: 1}", 1, "{x: 1}", "not allowed"),
    ("(x, y)", 1, "(x, y)", "not allowed"),
    ("2*(z := 1)", 4, "z := 1", "not allowed"),
    ("f'{x}'", 1, "f'{x}'", "not allowed"),
    ("1 + 'x'", 5, "'x'", "not allowed"),
    ("b'x'", 1, "b'x'", "not allowed"),
    ("True", 1, "True", "not allowed"),
    ("None", 1, "None", "not allowed"),
    ("...", 1, "...", "not allowed"),
    ("2j", 1, "2j", "not allowed"),
    ("await x", 1, "await x", "not allowed"),
    ("~x", 1, "~x", "not allowed"),
    ("x % 2", 1, "x % 2", "operator"),
    ("x // 2", 1, "x // 2", "operator"),
    ("x @ y", 1, "x @ y", "operator"),
    ("1 + (x | y)", 6, "x | y", "operator"),
    ("x if y else 2", 1, "x if y else 2", "where"),
    ("1 + (x < y)", 6, "x < y", "where"),
    ("x and y", 1, "x and y", "where"),
    ("not x", 1, "not x", "where"),
    ("where(x, 1, 2)", 7, "x", "comparison"),
    ("where(x == 1, 1, 2)", 7, "x == 1", "< <= > >="),
    ("where(x < 1, 2)", 1, "where(x < 1, 2)", "where takes 3"),
    ("where(x < 1, y < 2, 3)", 14, "y < 2", "where"),
    ("exp()", 1, "exp()", "exp takes 1"),
    ("exp(x, y)", 1, "exp(x, y)", "exp takes 1"),
    ("min(x)", 1, "min(x)", "at least 2"),
    ("hill(x, 1)", 1, "hill(x, 1)", "hill takes 3"),
    ("exp(x=1)", 1, "exp(x=1)", "no named arguments"),
    ("hill(x, k, n=2)", 1, "hill(x, k, n=2)", "no named arguments"),
    ("min(*v)", 1, "min(*v)", "at least 2"),
    ("min(x, *v)", 8, "*v", "not allowed"),
    ("exp + 1", 1, "exp", "'exp' is a function"),
    ("v", 1, "v", "vector of 3"),
    ("v[3]", 1, "v[3]", "0 … 2"),
    ("v[-1]", 1, "v[-1]", "0 … 2"),
    ("v[x]", 1, "v[x]", "0 … 2"),
    ("v[True]", 1, "v[True]", "0 … 2"),
    ("v[0:1]", 1, "v[0:1]", "0 … 2"),
    ("x[0]", 1, "x[0]", "only vector parameters"),
    ("v[0][1]", 1, "v[0][1]", "only vector parameters"),
    ("x / 0", 1, "x / 0", "division by zero"),
    ("x / (1 - 1)", 1, "x / (1 - 1)", "division by zero"),
    ("1 + log(0)", 5, "log(0)", "finite"),
    ("log(-1)", 1, "log(-1)", "finite"),
    ("sqrt(-1)", 1, "sqrt(-1)", "finite"),
    ("(-1)**0.5", 1, "(-1)**0.5", "finite"),
    ("0**-1", 1, "0**-1", "finite"),
    ("1e999", 1, "1e999", "finite"),
    ("1e300*1e300", 1, "1e300*1e300", "finite"),
    ("x*1e300*1e300", 1, "x*1e300*1e300", "finite"),
    ("x + (2e200*y)**2", 5, "(2e200*y)**2", "finite"),
    ("where(log(-1) < 2, 1, 2)", 7, "log(-1)", "finite"),
    ("exp(1000)", 1, "exp(1000)", "finite"),
    ("x # + y", 3, "# + y", "no comments"),
    ("x  # production\n + y", 4, "# production\n + y", "no comments"),
    ("x\0", 3, "x\0", "not an expression"),
    ("x" * 10_001, 1, "x" * 20, "longer than 10000"),
    ("9" * 5000, 5001, "9" * 5000, "not an expression"),
]


@pytest.mark.parametrize(("text", "column", "shown", "words"), REFUSED, ids=lambda v: str(v)[:30])
def test_refusals_name_the_column_and_the_text(text, column, shown, words):
    error = complaint(text)
    assert words in error.message
    assert error.text == shown
    assert error.column == column
    assert error.message == str(error)
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("alpah", "did you mean 'alpha'?"),
        ("sqr(alpha)", "did you mean 'sqrt'?"),
        ("hlil(alpha, 1, 2)", "did you mean 'hill'?"),
        ("alpha(1 - alpha)", "write * to multiply"),
        ("2(alpha)", "write * to multiply"),
        ("wxyz", None),
    ],
)
def test_refusals_give_the_nearest_name(text, hint):
    assert complaint(text, {"alpha": None, "rate": None}).hint == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ln(x)", "the natural logarithm is log(x)"),
        ("np.exp(x)", "write exp(…)"),
        ("1 + NaN", "finite"),
        ("Inf", "finite"),
        ("True", "where(condition, a, b)"),
        ("true", "where(condition, a, b)"),
        ("sinh(x)", "there are exp, "),
        ("alpha", None),
        ("expp(x)", "did you mean 'exp'?"),
    ],
)
def test_what_other_languages_write_gets_a_hint(text, hint):
    found = complaint(text).hint
    assert found is None if hint is None else hint in found


def test_nearest_lists_nothing_that_is_far():
    assert nearest("quux", ["alpha", "beta"]) is None


HOSTILE = [
    "9**9**9**9",
    "9**9**9**9*x",
    "((((2*x)**64)**64)**64)**64",
    "exp(exp(exp(10.5)))",
    "where(exp(exp(1000)) < 1, x, y)",
    "exp(exp(exp(exp(x))))**64**64",
    "1000000*" * 1000 + "x",
    "(" * 5000 + "x" + ")" * 4000,
    "-" * 9000 + "x",
    "not " * 2000 + "x",
    "where(" + "not " * 1500 + "(x < 1), 1, 2)",
    "sin(" * 1500 + "x" + ")" * 1500,
    "x**" * 3000 + "x",
    "x+" * 4900 + "x",
    "[" * 9000,
    "hill(" * 100 + "x,2,3" + "),2,3)" * 100,
    "x<" * 3000 + "x",
    "where(" + " and ".join(["x*y < t"] * 600) + ", 1, 2)",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_hostile_text_is_answered_at_once(text):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            to_python(parse(text, NAMES), RENAME)
        except ExpressionError as error:
            assert 1 <= error.column <= len(text) + 1
    assert time.process_time() - start < 2.0  # milliseconds


ALPHABET = st.sampled_from(
    [*"xyt0123456789.e+-*/^()[], <>='\"#%:\\\n\0_µ", "**", "where(", "exp(", "log(", "min(", "v[",
     "hill(", " and ", " not ", " or ", " if ", " else ", "lambda ", "<=", "1e", "import "]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(max_size=40), st.lists(ALPHABET, max_size=25).map("".join)))
@example("1or x")
@example("1if x else 2")
@example('"\\d"')
@example("x\\\n+y")
@example("\ud800")
def test_random_text_raises_nothing_else(text):
    try:
        found = parse(text, NAMES)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.message
    else:
        assert isinstance(found, sympy.Expr)
        to_python(found, RENAME | {symbol(f"v[{i}]"): f"v{i}" for i in range(3)})
