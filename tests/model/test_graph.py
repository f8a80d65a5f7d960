"""Derivatives through a graph of shared parts against sympy's own, in numbers."""

import random

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from nfanneal.model.expressions import SCALAR_FUNCTIONS, compile_numpy, parse, symbol
from nfanneal.model.expressions.graph import Graph
from nfanneal.model.expressions.slopes import slopes, tangents
from nfanneal.model.ode.codegen.lines import listing

NAMES = ("x", "y", "k")
SYMBOLS = [symbol(name) for name in NAMES]
POINT = {"x": 0.7, "y": 1.9, "k": 0.45}


def numbers(graph, nodes, point=None, run_length=10**6):
    """What the lines of nodes come to, cut into runs of so many operations."""
    point = POINT if point is None else point
    texts = {graph.symbol(symbol(name)): name for name in point}
    targets = [f"out[{i}]" for i in range(len(nodes))]
    every = listing(graph, texts, targets, nodes)
    runs = every.cut(run_length)
    room = {node: f"room[{i}]" for i, node in enumerate(every.crossing(runs))}
    shared = {"out": np.full(len(nodes), np.nan), "room": {}, **SCALAR_FUNCTIONS}
    for run in runs:
        text = "import math\n" + "\n".join(every.lines(run, room))
        exec(text, {**shared, **point})
    return shared["out"]


def of_sympy(expressions, point=None):
    point = POINT if point is None else point
    values = compile_numpy(expressions, [symbol(name) for name in point])
    return np.array([float(v) for v in values(*point.values())])


SHAPES = [
    "{0}*{1}", "{0} + {1}", "{0} - {1}", "{0}/(1.5 + {1}**2)", "{0}*exp(-{1}**2)",
    "({0} + {1})**3", "sqrt(1 + {0}**2)*{1}", "min({0}, {1})", "max({0}, 2*{1})",
    "where({0} > {1}, {0}**2, {1})", "hill({0}**2, 0.5 + k**2, 1.5)*{1}",
    "log(2 + {0}**2) - 3*{1}", "tanh({0}) + abs({1})", "(1 + {0}**2)**{1}/(2 + sin({1}))",
    "cos({0})*({1} - x)", "-({0} - 2*{1})*{0}",
]  # fmt: skip


def web(rng, size):
    """Expressions with names, each of two before it or of symbols: the whole, and by name."""
    known = list(NAMES)
    named = {}
    for i in range(size):
        shape = rng.choice(SHAPES)
        left, right = (rng.choice(known[-6:] + list(NAMES)) for _ in range(2))
        named[f"v{i}"] = shape.format(left, right)
        known.append(f"v{i}")
    return named


def parsed(named):
    """As a graph's nodes, by name, and written out."""
    graph, whole = Graph(), {}
    for s in SYMBOLS:
        graph.symbol(s)
    for name, text in named.items():
        expression = parse(text, dict.fromkeys([*NAMES, *named]))
        graph.define(symbol(name), expression)
        whole[symbol(name)] = expression.xreplace(whole)
    return graph, list(whole.values())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_webs_have_the_derivatives_that_sympy_finds(seed, size):
    graph, whole = parsed(web(random.Random(seed), size))
    roots = [graph.symbol(symbol(f"v{i}")) for i in range(size)]
    found = slopes(graph, roots, SYMBOLS)
    entries = [row.get(s, graph.zero) for row in found for s in SYMBOLS]
    wanted = of_sympy([*whole, *(e.diff(s) for e in whole for s in SYMBOLS)])
    both = numbers(graph, [*roots, *entries])
    usable = np.isfinite(wanted) & (np.abs(wanted) < 1e100)
    scale = np.abs(wanted[usable]).max(initial=1.0)
    np.testing.assert_allclose(both[usable], wanted[usable], rtol=1e-9, atol=1e-11 * scale)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_slopes_of_tangents_are_second_derivatives(seed, size):
    graph, whole = parsed(web(random.Random(seed), size))
    root, expression = graph.symbol(symbol(f"v{size - 1}")), whole[-1]
    direction = {s: graph.symbol(symbol(f"u_{s}")) for s in SYMBOLS[:2]}
    (along,) = tangents(graph, [root], direction)
    (found,) = slopes(graph, [along], SYMBOLS)
    point = {**POINT, "u_x": 0.3, "u_y": -1.2}
    by_sympy = sum(expression.diff(s) * symbol(f"u_{s}") for s in SYMBOLS[:2])
    wanted = of_sympy([by_sympy, *(by_sympy.diff(s) for s in SYMBOLS)], point)
    nodes = [along, *(found.get(s, graph.zero) for s in SYMBOLS)]
    usable = np.isfinite(wanted) & (np.abs(wanted) < 1e100)
    scale = np.abs(wanted[usable]).max(initial=1.0)
    both = numbers(graph, nodes, point)
    np.testing.assert_allclose(both[usable], wanted[usable], rtol=1e-9, atol=1e-11 * scale)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_pieces_and_company_change_no_bit(seed):
    """A node comes to the same whatever is computed besides, and wherever its lines stand."""
    graph, _ = parsed(web(random.Random(seed), 8))
    roots = [graph.symbol(symbol(f"v{i}")) for i in range(8)]
    found = slopes(graph, roots, SYMBOLS)
    entries = [row.get(s, graph.zero) for row in found for s in SYMBOLS]
    alone, both = numbers(graph, roots), numbers(graph, [*roots, *entries])
    np.testing.assert_array_equal(alone, both[:8])
    np.testing.assert_array_equal(both, numbers(graph, [*roots, *entries], run_length=7))


@pytest.mark.parametrize(
    ("text", "at", "by", "value"),
    [("where(x > 0, log(x), 0)", 0.0, "x", 0.0), ("min(sqrt(x), -1)", 0.0, "x", 0.0),
     ("x**k", 0.0, "k", 0.0), ("k*hill(x, 2, 1)", 0.0, "x", 0.225), ("x**1.5", 0.0, "x", 0.0),
     ("where(x > 1, 1/(x - x), 3*x)", 0.5, "x", 3.0)],
)  # fmt: skip
def test_branches_that_are_not_taken_do_not_spoil_a_slope(text, at, by, value):
    graph = Graph()
    node = graph.of(parse(text.replace("1/(x - x)", "log(x - 0.5)"), dict.fromkeys(NAMES)))
    (row,) = slopes(graph, [node], SYMBOLS)
    slope = row.get(symbol(by), graph.zero)
    texts = {graph.symbol(symbol(name)): name for name in NAMES}
    lines = listing(graph, texts, ["out"], [slope])
    point = {**POINT, "x": np.float64(at)}
    names = {"math": np, **SCALAR_FUNCTIONS, **point}
    with np.errstate(all="ignore"):
        exec("\n".join(lines.lines(range(len(lines.statements)), {})), names)
    assert names["out"] == pytest.approx(value)


def test_shared_parts_are_one_node_and_what_cancels_is_gone():
    graph = Graph()
    x, y = (graph.symbol(symbol(name)) for name in "xy")
    assert graph.product(x, y) == graph.product(y, x)
    assert graph.total([x, y]) == graph.total([y, x])
    assert graph.total([graph.times(2.0, x), graph.times(-2.0, x)]) == graph.zero
    assert graph.total([x, x]) == graph.times(2.0, x)
    assert graph.product(graph.times(-1.0, x), y) == graph.times(-1.0, graph.product(x, y))
    assert graph.of(sympy.sympify(2) * symbol("x")) == graph.times(2.0, x)


def test_derivatives_grow_with_the_graph_and_not_with_what_is_written_out():
    """Written out, the last of these would have 2^60 terms."""
    graph = Graph()
    names = dict.fromkeys(["x", "k", *(f"v{i}" for i in range(61))])
    graph.define(symbol("v0"), parse("k*x", names))
    for i in range(60):
        graph.define(symbol(f"v{i + 1}"), parse(f"sin(v{i}) + cos(v{i})/(2 + v{i}**2)", names))
    before = len(graph.nodes)
    (row,) = slopes(graph, [graph.symbol(symbol("v60"))], [symbol("x"), symbol("k")])
    assert len(row) == 2
    assert len(graph.nodes) < 4 * before
    values = numbers(graph, list(row.values()), {"x": 0.7, "k": 0.45})
    assert values[0] / values[1] == pytest.approx(0.45 / 0.7)  # both are dv/d(kx) times another


def test_a_sum_of_thousands_and_a_long_product():
    graph, names = Graph(), [f"x{i}" for i in range(3000)]
    total = graph.total(graph.symbol(symbol(name)) for name in names)
    product = graph.of(sympy.Mul(*map(symbol, names[:300])))
    found = slopes(graph, [total, product], [symbol("x7")])
    point = dict.fromkeys(names, 1.01)
    values = numbers(graph, [total, product, found[0][symbol("x7")], found[1][symbol("x7")]], point)
    np.testing.assert_allclose(values, [3030.0, 1.01**300, 1.0, 1.01**299], rtol=1e-12)
