"""The grammar of model expressions: values, derivatives, printed source, and their limits."""

import math
import operator
from functools import reduce

import numba
import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nfanneal.model.expressions import (
    SCALAR_FUNCTIONS,
    VECTOR_FUNCTIONS,
    ExpressionError,
    compile_numpy,
    differentiate,
    parse,
    symbol,
    to_python,
)

SCALARS = ("x", "y", "t", "k", "n")
NAMES = dict.fromkeys(SCALARS) | {"v": 3}
SYMBOLS = [symbol(name) for name in SCALARS]
RENAME = {s: s.name for s in SYMBOLS}


def scalar(expression, **values):
    """The value of printed scalar source, in numpy floats: 1/0 is inf, as in compiled code."""
    names = {name: np.float64(value) for name, value in values.items()}
    with np.errstate(all="ignore"):
        return float(
            eval(to_python(expression, RENAME), {"math": math, **SCALAR_FUNCTIONS, **names})
        )


def vector(expression, **values):
    """The value from `compile_numpy`; warnings are errors here."""
    symbols = [symbol(name) for name in values]
    (value,) = compile_numpy([expression], symbols)(*values.values())
    return value


def both(text, **values):
    """The value of an expression, which scalar and vectorised source must agree on."""
    expression = parse(text, NAMES)
    first, second = scalar(expression, **values), float(vector(expression, **values))
    assert second == pytest.approx(first, rel=1e-14, abs=1e-300, nan_ok=True)
    return first


def slope(text, by, **values):
    expression = differentiate(parse(text, NAMES), symbol(by))
    first, second = scalar(expression, **values), float(vector(expression, **values))
    assert second == pytest.approx(first, rel=1e-13, abs=1e-300, nan_ok=True)
    return first


VALUES = [
    ("1 + 2*3 - 4/8", {}, 6.5),
    ("2^3", {}, 8.0),
    ("-2^2", {}, -4.0),
    ("2^-1", {}, 0.5),
    ("2^3^2", {}, 512.0),
    ("x + y^2", {"x": 1.0, "y": 3.0}, 10.0),
    ("x^2 + y", {"x": 3.0, "y": 1.0}, 10.0),
    ("x - y - t", {"x": 1.0, "y": 2.0, "t": 4.0}, -5.0),
    ("x / y / t", {"x": 1.0, "y": 2.0, "t": 4.0}, 0.125),
    ("x - (y - t)", {"x": 1.0, "y": 2.0, "t": 4.0}, 3.0),
    ("+x * -y", {"x": 2.0, "y": 3.0}, -6.0),
    ("exp(x)", {"x": 1.5}, math.exp(1.5)),
    ("log(x)", {"x": 1.5}, math.log(1.5)),
    ("log10(x)", {"x": 1500.0}, math.log10(1500.0)),
    ("sqrt(x)", {"x": 1.5}, math.sqrt(1.5)),
    ("sin(x)", {"x": 1.5}, math.sin(1.5)),
    ("cos(x)", {"x": 1.5}, math.cos(1.5)),
    ("tan(x)", {"x": 1.5}, math.tan(1.5)),
    ("tanh(x)", {"x": 1.5}, math.tanh(1.5)),
    ("abs(x)", {"x": -1.5}, 1.5),
    ("min(x, y, 3)", {"x": 5.0, "y": 4.0}, 3.0),
    ("max(x, y, 3)", {"x": 5.0, "y": 4.0}, 5.0),
    ("exp(2) + log(3) + sqrt(2) + abs(-1) + max(1, 2) + hill(1, 2, 2)", {},
     math.exp(2) + math.log(3) + math.sqrt(2) + 1 + 2 + 0.2),
    ("hill(x, k, n)", {"x": 2.0, "k": 3.0, "n": 2.5}, 2**2.5 / (3**2.5 + 2**2.5)),
    ("hill(x, k, n)", {"x": 3.0, "k": 2.0, "n": 2.5}, 3**2.5 / (3**2.5 + 2**2.5)),
    ("hill(x, 2, 1)", {"x": 0.0}, 0.0),
    ("x**n", {"x": 0.0, "n": 2.5}, 0.0),
    ("where(x < 1, y, t)", {"x": 0.5, "y": 1.0, "t": 2.0}, 1.0),
    ("where(x < 1, y, t)", {"x": 1.0, "y": 1.0, "t": 2.0}, 2.0),
    ("where(x <= 1, y, t)", {"x": 1.0, "y": 1.0, "t": 2.0}, 1.0),
    ("where(0 < x <= 1 and not (t > 3 or y >= 7), 1, 2)", {"x": 1.0, "y": 1.0, "t": 2.0}, 1.0),
    ("where(0 < x <= 1 and not (t > 3 or y >= 7), 1, 2)", {"x": 1.0, "y": 7.0, "t": 2.0}, 2.0),
    ("where(x > 0, log(x), 0)", {"x": 0.0}, 0.0),
    ("where(x > 0, 1/x, 0)", {"x": 0.0}, 0.0),
    ("where(1 < 2, x, y)", {"x": 3.0, "y": 4.0}, 3.0),
    ("pi + e", {}, math.pi + math.e),
    ("1e-6 * .5e3", {}, 5e-4),
    ("  x\n + 1\t", {"x": 1.0}, 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "expected"), VALUES)
def test_values(text, values, expected):
    assert both(text, **values) == pytest.approx(expected, rel=1e-14)


def test_numbers_are_expressions():
    assert scalar(parse(2.5, {})) == 2.5
    assert scalar(parse(3, {})) == 3.0
    assert scalar(parse(-1e-6, {})) == -1e-6


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_numbers_must_be_finite(value):
    with pytest.raises(ExpressionError, match="not a finite number"):
        parse(value, {})


def test_names_of_the_user_come_first():
    assert parse("e*pi", {"e": None, "pi": None}) == symbol("e") * symbol("pi")


def test_names_may_be_greek():
    """The micro sign of keyboards is another character than the letter that Python reads."""
    for name in ("µ", "μ", "Δx", "ﬁx"):
        assert parse(f"2*{name}", {name: None}) == 2 * symbol(name)


def test_vector_parameters():
    assert parse("v[0] + 2*v[2]", NAMES) == symbol("v[0]") + 2 * symbol("v[2]")


def test_all_symbols_are_real():
    assert all(s.is_real for s in parse("x*v[1] + hill(y, k, n)", NAMES).free_symbols)


def test_long_sums_and_products_are_not_deep():
    assert parse("+".join(["x"] * 2000), NAMES) == 2000 * symbol("x")
    assert parse("x" + "*x" * 50, NAMES) == symbol("x") ** 51
    assert scalar(parse("x" + "-1" * 1000, NAMES), x=1.0) == -999.0


def test_the_deepest_expression_can_be_differentiated_and_compiled():
    text = "where(x < 1, min(x, " * 39 + "y" + "), 2)" * 39
    expression = parse(text, NAMES)
    for part in (expression, differentiate(expression, symbol("y"))):
        assert scalar(part, x=0.5, y=0.25) == vector(part, x=0.5, y=0.25)


def test_long_integers_do_not_reach_the_source():
    """Compiled code has integers of 64 bits."""
    source = to_python(parse("x*1000000*1000000*1000000*1000000/999983", NAMES), RENAME)
    assert "1000000000" not in source
    assert eval(source, {"x": 1.0}) == pytest.approx(1e24 / 999983, rel=1e-15)


SLOPES = [
    "x**3 - 2*x*y + t/y", "x**n", "x**2.5", "x**(n - 1)", "2**x", "x**y**n", "(x*y)**n", "x**-n",
    "exp(-x*t)*sin(y)", "log(x + y)", "log10(x)", "sqrt(x*y)", "sqrt(x**2 + y**2)", "sqrt(x**2)",
    "tan(x)*cos(y)", "tanh(x - t)", "abs(x - y)", "min(x, y, t)", "max(x*y, t, 1)", "max(x, y)*x",
    "hill(x, k, n)", "hill(k, x, n)", "hill(x*y, k + x, n)", "1/(1 + (x/k)**n)", "y*hill(x, k, 2)",
    "where(x < y, x*t, y**2)", "where(x < y and t > 0, x**2, where(t > x, y, t))*x",
    "exp(min(x, y))**n", "abs(x)**n", "(x**n)**2 + sqrt(x**n)",
]  # fmt: skip


@pytest.mark.parametrize("by", SCALARS)
@pytest.mark.parametrize("text", SLOPES)
def test_derivatives_match_finite_differences(text, by):
    values = {"x": 0.7, "y": 1.3, "t": 0.9, "k": 1.1, "n": 2.3}
    expression = parse(text, NAMES)
    step = 1e-5
    up, down = ({**values, by: values[by] + s} for s in (step, -step))
    expected = (scalar(expression, **up) - scalar(expression, **down)) / (2 * step)
    # central differences of step h: error h²·f'''/6 + eps/h, below 1e-8 here
    assert slope(text, by, **values) == pytest.approx(expected, rel=1e-7, abs=1e-7)


AT_ZERO = [
    ("x**n", "x", {"x": 0.0, "n": 2.5}, 0.0),
    ("x**n", "x", {"x": 0.0, "n": 1.0}, 1.0),
    ("x**n", "x", {"x": 0.0, "n": 0.0}, 0.0),
    ("x**n", "n", {"x": 0.0, "n": 2.5}, 0.0),
    ("x**n", "n", {"x": 0.0, "n": 0.5}, 0.0),
    ("x**2", "x", {"x": 0.0}, 0.0),
    ("x**2.5", "x", {"x": 0.0}, 0.0),
    ("(x*y)**n", "y", {"x": 0.0, "y": 2.0, "n": 1.5}, 0.0),
    ("1/(1 + x**n)", "x", {"x": 0.0, "n": 3.0}, 0.0),
    ("1/(1 + x**n)", "n", {"x": 0.0, "n": 3.0}, 0.0),
    ("x**n/(k**n + x**n)", "n", {"x": 0.0, "k": 2.0, "n": 3.0}, 0.0),
    ("x**n/(k**n + x**n)", "k", {"x": 0.0, "k": 2.0, "n": 3.0}, 0.0),
    ("hill(x, k, n)", "x", {"x": 0.0, "k": 2.0, "n": 3.0}, 0.0),
    ("hill(x, k, n)", "x", {"x": 0.0, "k": 2.0, "n": 1.0}, 0.5),
    ("hill(x, k, n)", "k", {"x": 0.0, "k": 2.0, "n": 0.5}, 0.0),
    ("hill(x, k, n)", "n", {"x": 0.0, "k": 2.0, "n": 3.0}, 0.0),
    ("hill(x, k, n)", "x", {"x": -0.1, "k": 2.0, "n": 1.0}, 0.0),
    ("hill(x, k, n)*x", "x", {"x": -0.1, "k": 2.0, "n": 2.0}, 0.0),
    ("sqrt(x)*x", "x", {"x": 0.0}, 0.0),
    ("where(x > 0, log(x), 0)", "x", {"x": 0.0}, 0.0),
    ("where(x > 0, x*log(x), 0)", "x", {"x": -1.0}, 0.0),
    ("max(x, 0)**n", "x", {"x": -1.0, "n": 1.5}, 0.0),
]


@pytest.mark.parametrize(("text", "by", "values", "expected"), AT_ZERO)
def test_derivatives_are_finite_where_the_true_ones_are(text, by, values, expected):
    assert slope(text, by, **values) == expected


EXTREME = [1e-300, 1e-30, 1e-3, 1.0, 1e3, 1e30, 1e300]


@pytest.mark.parametrize("n", [0.5, 1.0, 2.0, 20.0])
@pytest.mark.parametrize("k", EXTREME)
@pytest.mark.parametrize("x", [0.0, *EXTREME])
def test_hill_never_overflows(x, k, n):
    value = both("hill(x, k, n)", x=x, k=k, n=n)
    assert 0.0 <= value <= 1.0
    if x == k:
        assert value == 0.5
    if n < 1.0:
        return  # the slopes have a pole
    for by in ("x", "k", "n"):
        assert math.isfinite(slope("hill(x, k, n)", by, x=x, k=k, n=n))


@given(
    x=st.floats(1e-3, 1e3), k=st.floats(1e-3, 1e3), n=st.floats(0.1, 20),
)  # fmt: skip
def test_hill_laws(x, k, n):
    """hill(x, k, n) + hill(k, x, n) = 1, so ∂h/∂x of one is −∂h/∂k of the other."""
    value, other = SCALAR_FUNCTIONS["Hill"](x, k, n), SCALAR_FUNCTIONS["Hill"](k, x, n)
    assert value + other == pytest.approx(1.0, rel=1e-14)
    slopes = SCALAR_FUNCTIONS["HillSlope"]
    assert slopes(x, k, n, 1) == pytest.approx(-slopes(k, x, n, 2), rel=1e-12)
    assert slopes(x, k, n, 3) == pytest.approx(-slopes(k, x, n, 3), rel=1e-12)
    # h depends on x and k by x/k only
    assert x * slopes(x, k, n, 1) == pytest.approx(-k * slopes(x, k, n, 2), rel=1e-12)


def test_scalar_functions_compile_and_agree_with_the_vectorised_ones():
    x = np.array([0.0, 0.3, 1.0, 1e150])
    for name, function in SCALAR_FUNCTIONS.items():
        compiled = numba.njit(error_model="numpy")(function)
        count = function.__code__.co_argcount
        arguments = (x, x[::-1].copy(), x + 1.0, np.full(4, 3.0), np.full(4, 1.0))[:count]
        expected = [compiled(*cell) for cell in zip(*arguments, strict=True)]
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(VECTOR_FUNCTIONS[name](*arguments), expected, rtol=1e-14)


def test_where_has_no_deltas():
    found = differentiate(parse("where(x < y, x**2, y)*abs(x)*max(x, t)", NAMES), symbol("x"))
    assert not found.has(sympy.DiracDelta, sympy.Heaviside, sympy.Derivative)


def test_compiled_functions_broadcast():
    texts = ["where(x > 1 and y < 2, x, y)", "where(x > 1 or y < 2, x, y)", "hill(x, y, 2)",
             "min(x, y)", "where(not (x > 1 and y < 2), 1, x)", "x**y",
             "where(x > 1, y, 0)"]  # fmt: skip
    x, y = np.array([[0.5], [2.0]]), np.array([[1.0, 2.5, 1.5]])
    expressions = [parse(text, NAMES) for text in texts]
    expressions += [differentiate(e, symbol("x")) for e in expressions[1:4]]
    found = compile_numpy(expressions, SYMBOLS[:2])(x, y)
    for expression, values in zip(expressions, found, strict=True):
        expected = [[scalar(expression, x=a, y=b) for b in y[0]] for a in x[:, 0]]
        np.testing.assert_allclose(np.broadcast_to(values, (2, 3)), expected, rtol=1e-14)
        assert values.dtype == np.float64


def test_compiled_functions_take_integers_scalars_and_empty_arrays():
    function = compile_numpy([parse("x**-2 + hill(x, 2, 3)", NAMES)], SYMBOLS[:1])
    assert function(np.array([2, 4]))[0] == pytest.approx([0.75, 0.0625 + 64 / 72])
    assert function(2.0)[0] == pytest.approx(0.75)
    assert function(np.empty((0, 3)))[0].shape == (0, 3)


def test_branches_not_taken_are_silent():
    values = vector(parse("where(x > 0, log(x)/x, -1)", NAMES), x=np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(values, [-1.0, -1.0, 0.0])


def test_constants_may_make_nonsense_of_an_expression_but_not_of_the_source():
    """Numbers are put in after parsing: the value is then inf or nan, and the draw fails."""
    for text, value in [("x**n", -1.0), ("log(x)", -1.0), ("log(x)", 0.0), ("exp(x)", 1e4),
                        ("-exp(x)", 1e4), ("1/x", 0.0)]:  # fmt: skip
        put_in = parse(text, NAMES).subs({symbol("x"): value, symbol("n"): 0.5})
        for vectorized in (False, True):
            source = to_python(put_in, RENAME, vectorized=vectorized)
            names = {"math": math, "numpy": np, **VECTOR_FUNCTIONS}
            with np.errstate(all="ignore"):
                assert not np.isfinite(eval(source, names))


# Random trees: (text, function of an environment), built together.


def leaf(value):
    text = repr(value) if value >= 0 else f"({value!r})"
    return text, lambda env: float(value)


LEAVES = st.one_of(
    st.sampled_from(SCALARS).map(lambda name: (name, lambda env: env[name])),
    st.integers(0, 20).map(leaf),
    st.floats(0.01, 10).map(lambda v: leaf(round(v, 3))),
)


def binary(sign, function):
    return lambda pair: (
        f"({pair[0][0]} {sign} {pair[1][0]})",
        lambda env: function(pair[0][1](env), pair[1][1](env)),
    )


def unary(name, function):
    # in brackets: -(x)**0 is -1
    return lambda tree: (f"({name}({tree[0]}))", lambda env: function(tree[1](env)))


def hill(x, k, n):
    return 0.0 if x <= 0 else 1.0 / (1.0 + (k / x) ** n)


def branches(children):
    pairs = st.tuples(children, children)
    condition = st.tuples(
        st.sampled_from(SCALARS), st.sampled_from(["<", "<=", ">", ">="]), st.integers(0, 3)
    )
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
    return st.one_of(
        pairs.map(binary("+", operator.add)),
        pairs.map(binary("-", operator.sub)),
        pairs.map(binary("*", operator.mul)),
        pairs.map(binary("/", operator.truediv)),
        st.tuples(children, st.integers(0, 4).map(leaf)).map(binary("^", operator.pow)),
        st.tuples(children, LEAVES).map(binary("**", operator.pow)),
        children.map(unary("-", operator.neg)),
        *(children.map(unary(name, getattr(math, name)))
          for name in ("exp", "log", "log10", "sqrt", "sin", "cos", "tanh")),
        children.map(unary("abs", abs)),
        st.lists(children, min_size=2, max_size=4).map(
            lambda trees: (
                f"min({', '.join(tree[0] for tree in trees)})",
                lambda env: reduce(min, [tree[1](env) for tree in trees]),
            )
        ),
        st.tuples(children, children, st.integers(1, 4)).map(
            lambda args: (
                f"hill({args[0][0]}, {args[1][0]}, {args[2]})",
                lambda env: hill(args[0][1](env), args[1][1](env), args[2]),
            )
        ),
        st.tuples(condition, children, children).map(
            lambda args: (
                f"where({args[0][0]} {args[0][1]} {args[0][2]}, {args[1][0]}, {args[2][0]})",
                lambda env: (
                    args[1][1](env)
                    if compare[args[0][1]](env[args[0][0]], args[0][2])
                    else args[2][1](env)
                ),
            )
        ),
    )  # fmt: skip


TREES = st.recursive(LEAVES, branches, max_leaves=8)
POINTS = st.fixed_dictionaries({name: st.floats(0.125, 4.0) for name in SCALARS})


def evaluated(tree, env):
    """The tree's value, and how much it moves when the point moves in the last digits."""
    try:
        value = tree[1](env)
        spread = [tree[1]({n: v * (1 + s) for n, v in env.items()}) for s in (1e-9, -1e-9)]
    except (ArithmeticError, ValueError):
        return None
    numbers = [value, *spread]
    if any(isinstance(v, complex) or not math.isfinite(v) or abs(v) > 1e12 for v in numbers):
        return None
    return value, max(abs(v - value) for v in spread)


@settings(deadline=None, max_examples=150)
@given(tree=TREES, point=POINTS)
def test_random_trees_keep_their_value(tree, point):
    found = evaluated(tree, point)
    assume(found is not None)
    value, spread = found
    # sympy reorders sums and products; a well-conditioned value moves by rounding only
    assume(spread <= 1e-6 * max(1e-3, abs(value)))
    expression = parse(tree[0], NAMES)
    assert scalar(expression, **point) == pytest.approx(value, rel=1e-6, abs=1e-8)
    arrays = {name: np.full(2, v) for name, v in point.items()}
    got = np.broadcast_to(vector(expression, **arrays), 2)
    np.testing.assert_allclose(got, value, rtol=1e-6, atol=1e-8)


@settings(deadline=None, max_examples=100)
@given(tree=TREES, point=POINTS, by=st.sampled_from(SCALARS))
def test_random_trees_have_derivatives_that_compile(tree, point, by):
    try:
        expression = parse(tree[0], NAMES)
    except ExpressionError:
        return  # 1/0, log(0) and the like of numbers
    found = differentiate(expression, symbol(by))
    assert not found.has(sympy.DiracDelta, sympy.Derivative, sympy.Subs)
    compile(to_python(found, RENAME), "<scalar>", "eval")
    assert vector(found, **point).dtype == np.float64
