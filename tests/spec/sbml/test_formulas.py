"""MathML: every operator against Python's own mathematics, and what formulas may not do."""

import math as m
import operator

import numpy as np
import pytest
from sbml import TIME, apply, assignment, file, function, math, parameter, read

from nfanneal.errors import SpecError
from nfanneal.model.expressions import compile_numpy, symbol

NAMES = ("x", "y", "z")
POINTS = [(0.7, 2.3, 5.0), (2.0, 0.4, -1.0), (-1.5, 3.0, 0.0), (0.2, 0.2, 12.0)]


def with_formula(content, **lists):
    ids = "".join(parameter(name, 1) for name in NAMES) + parameter("out", constant=False)
    return file(Parameters=ids, Rules=assignment("out", content), **lists)


def formula(content, **lists):
    """The expression that a formula of x, y and z becomes."""
    return read(with_formula(content, **lists)).assignments["out"]


def at(expression, x, y, z, time=0.0):
    symbols = [symbol(name) for name in (*NAMES, "time")]
    (value,) = compile_numpy([expression], symbols)(x, y, z, time)
    return float(value)


ONE = {
    "exp": m.exp, "ln": m.log, "log": m.log10, "root": m.sqrt, "abs": abs, "minus": operator.neg,
    "sin": m.sin, "cos": m.cos, "tan": m.tan, "sec": lambda x: 1 / m.cos(x),
    "csc": lambda x: 1 / m.sin(x), "cot": lambda x: 1 / m.tan(x), "sinh": m.sinh, "cosh": m.cosh,
    "tanh": m.tanh, "sech": lambda x: 1 / m.cosh(x), "csch": lambda x: 1 / m.sinh(x),
    "coth": lambda x: 1 / m.tanh(x), "arcsinh": m.asinh, "arccosh": m.acosh, "arctanh": m.atanh,
    "arccsch": lambda x: m.asinh(1 / x), "arcsech": lambda x: m.acosh(1 / x),
    "arccoth": lambda x: m.atanh(1 / x), "plus": lambda x: x, "times": lambda x: x,
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number(name):
    expression, tried = formula(apply(name, "x")), 0
    for x in (-3.0, -0.6, 1e-7, 0.3, 0.9, 1.1, 2.5, 9.0):
        try:
            expected = ONE[name](x)
        except (ValueError, ZeroDivisionError):
            continue
        tried += 1
        # cosh, and logarithms of numbers near 1, lose what they are small against
        assert at(expression, x, 1, 1) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert tried >= 3


OF_NUMBERS = {
    ("floor", "-2.5"): -3, ("ceiling", "2.1"): 3, ("factorial", "5"): 120,
    ("arcsin", "0.5"): m.pi / 6,
    ("arccos", "0.5"): m.pi / 3, ("arctan", "1"): m.pi / 4, ("arccot", "2"): m.atan(0.5),
    ("arcsec", "2"): m.pi / 3, ("arccsc", "2"): m.pi / 6, ("rem", "-7", "3"): -1,
    ("quotient", "-7", "3"): -2, ("power", "2", "-2"): 0.25, ("divide", "1", "8"): 0.125,
}  # fmt: skip


@pytest.mark.parametrize("call", OF_NUMBERS, ids="-".join)
def test_functions_of_numbers_are_computed(call):
    found = formula(apply("plus", "0", apply(*call)))
    assert found.is_Number
    assert float(found) == pytest.approx(OF_NUMBERS[call], rel=1e-14)


@pytest.mark.parametrize("name", ["floor", "ceiling", "factorial", "arctan", "rem", "quotient"])
def test_functions_that_the_grammar_has_not_are_refused_elsewhere(name):
    operands = ("x", "2") if name in ("rem", "quotient") else ("x",)
    with pytest.raises(SpecError, match=rf"model.xml:5: the rule of 'out': {name} of something"):
        formula(apply(name, *operands))


def test_operators_of_several_operands():
    for content, expected in {
        apply("plus", "x", "y", "z", "1.5"): lambda x, y, z: x + y + z + 1.5,
        apply("times", "x", "y", "z"): lambda x, y, z: x * y * z,
        apply("minus", "x", "y"): lambda x, y, z: x - y,
        apply("divide", "x", "y"): lambda x, y, z: x / y,
        apply("power", "y", "x"): lambda x, y, z: y**x,
        apply("max", "x", "y", "z"): max,
        apply("min", "x", "y", "z"): min,
        "<apply><root/><degree><cn>3</cn></degree><ci>y</ci></apply>": lambda x, y, z: y ** (1 / 3),
        "<apply><log/><logbase><cn>3</cn></logbase><ci>y</ci></apply>": lambda x, y, z: m.log(y, 3),
        "<apply><plus/></apply>": lambda x, y, z: 0,
        "<apply><times/></apply>": lambda x, y, z: 1,
    }.items():
        expression = formula(content)
        for x, y, z in POINTS:
            assert at(expression, x, y, z) == pytest.approx(expected(x, y, z), rel=1e-14)


RELATIONS = {"lt": operator.lt, "leq": operator.le, "gt": operator.gt, "geq": operator.ge,
             "eq": operator.eq, "neq": operator.ne}  # fmt: skip
LOGICAL = {"and": all, "or": any, "xor": lambda values: sum(values) % 2 == 1}


def chosen(condition):
    pieces = f"<piece><cn>1</cn>{condition}</piece><otherwise><cn>0</cn></otherwise>"
    return f"<piecewise>{pieces}</piecewise>"


@pytest.mark.parametrize("name", RELATIONS)
def test_relations_choose(name):
    expression = formula(chosen(apply(name, "x", "y")))
    for x, y, z in POINTS:
        assert at(expression, x, y, z) == RELATIONS[name](x, y)


def test_relations_of_several_hold_for_each_pair():
    expression = formula(chosen(apply("lt", "x", "y", "z")))
    assert [at(expression, *p) for p in POINTS] == [x < y < z for x, y, z in POINTS]


@pytest.mark.parametrize("name", LOGICAL)
def test_logical_operators(name):
    relations = [apply("gt", n, "1") for n in NAMES]
    expression = formula(chosen(apply(name, *relations)))
    for signs in np.ndindex(2, 2, 2):
        x, y, z = (0.5 + s for s in signs)
        assert at(expression, x, y, z) == LOGICAL[name]([bool(s) for s in signs])


def test_not_implies_and_equal_truths():
    x, y = apply("gt", "x", "1"), apply("gt", "y", "1")
    for content, expected in {
        apply("not", x): lambda a, b: not a,
        apply("implies", x, y): lambda a, b: not a or b,
        apply("eq", x, y): lambda a, b: a == b,
        apply("neq", x, y): lambda a, b: a != b,
        apply("and", x, "<true/>"): lambda a, b: a,
        apply("or", x, "<false/>", y): lambda a, b: a or b,
        apply("xor"): lambda a, b: False,
        apply("and"): lambda a, b: True,
    }.items():
        expression = formula(chosen(content))
        for a, b in np.ndindex(2, 2):
            assert at(expression, 0.5 + a, 0.5 + b, 0) == expected(bool(a), bool(b))


def test_truth_values_are_numbers_and_numbers_are_truth_values():
    counted = formula(apply("plus", apply("gt", "x", "1"), apply("gt", "y", "1"), "<true/>"))
    assert [at(counted, *p) for p in POINTS] == [1 + (x > 1) + (y > 1) for x, y, _ in POINTS]
    nonzero = formula(chosen(apply("and", "x", "z")))
    assert [at(nonzero, *p) for p in POINTS] == [bool(x and z) for x, _, z in POINTS]
    assert formula("<false/>") == 0


def test_the_first_piece_that_holds_counts():
    pieces = "".join(
        f"<piece><ci>{value}</ci>{apply('lt', TIME, limit)}</piece>"
        for value, limit in (("x", "1"), ("y", "2"))
    )
    whole = formula(f"<piecewise>{pieces}<otherwise><ci>z</ci></otherwise></piecewise>")
    assert [at(whole, 1, 2, 3, time) for time in (0, 1, 1.5, 2, 5)] == [1, 2, 2, 3, 3]


def test_without_otherwise_the_last_piece_is_taken_and_that_is_told():
    pieces = f"<piece><ci>x</ci>{apply('lt', TIME, '1')}</piece>"
    pieces += f"<piece><ci>y</ci>{apply('geq', TIME, '1')}</piece>"
    model = read(with_formula(f"<piecewise>{pieces}</piecewise>"))
    assert at(model.assignments["out"], 1, 2, 3, 5.0) == 2
    (note,) = model.notes
    assert "line 5, the rule of 'out'" in note
    assert "without otherwise" in note


def test_constants_and_numbers_of_all_kinds():
    for content, expected in {
        "<pi/>": m.pi,
        "<exponentiale/>": m.e,
        '<cn type="integer"> 12 </cn>': 12,
        '<cn type="e-notation">1.5<sep/>-7</cn>': 1.5e-7,
        '<cn type="rational">2<sep/>3</cn>': 2 / 3,
        "<cn> 6.25e-3 </cn>": 6.25e-3,
        '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/avogadro">N'
        "</csymbol>": 6.02214179e23,
    }.items():
        assert float(formula(content)) == pytest.approx(expected, rel=1e-15)


NO_NUMBERS = [
    "<infinity/>", "<notanumber/>", "<cn>1e999</cn>", apply("divide", "x", "0"), apply("ln", "0"),
    apply("root", "-1"), apply("exp", apply("exp", apply("exp", "9"))), apply("factorial", "171"),
    apply("factorial", "0.5"),
]  # fmt: skip


@pytest.mark.parametrize("content", NO_NUMBERS)
def test_numbers_that_are_none_are_refused_at_their_line(content):
    with pytest.raises(SpecError, match=r"^model.xml:5: "):
        formula(content)


def test_functions_are_written_out():
    functions = function("f", ["x", "k"], apply("divide", "x", apply("plus", "k", "x")))
    functions += function("g", ["a"], apply("f", "a", "2").replace("<f/>", "<ci>f</ci>"))
    called = f"<apply><ci>g</ci>{apply('times', 'y', 'z')}</apply>"
    expression = formula(called, FunctionDefinitions=functions)
    for x, y, z in POINTS:
        assert at(expression, x, y, z) == pytest.approx(y * z / (2 + y * z))


def test_arguments_hide_ids_and_functions_see_no_others():
    functions = function("f", ["x"], apply("plus", "x", "1"))
    assert formula("<apply><ci>f</ci><ci>y</ci></apply>",
                   FunctionDefinitions=functions) == symbol("y") + 1  # fmt: skip


def test_functions_without_arguments():
    called = "<apply><ci>f</ci></apply>"
    assert formula(called, FunctionDefinitions=function("f", [], "<cn>4</cn>")) == 4


def test_long_sums_are_not_deep():
    terms = [f"<ci>{n}</ci>" for n in NAMES] * 400
    assert formula(apply("plus", *terms)) == 400 * sum(map(symbol, NAMES))
    nested = "x"
    for _ in range(100):
        nested = apply("plus", nested, "y")
    assert formula(nested) == symbol("x") + 100 * symbol("y")


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("q", "unknown id 'q'", None),
        ("<apply><ci>h</ci><ci>x</ci></apply>", "unknown function 'h'", None),
        (apply("sin", "x", "y"), "", None),
        (
            '<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">'
            "d</csymbol><ci>x</ci><cn>1</cn></apply>",
            "a delay differential equation", "only ordinary ones are solved",
        ),
        (
            '<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">'
            "d</csymbol><ci>x</ci></apply>",
            r"rateOf\(…\)", "write the rate out",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(content, message, hint):
    with pytest.raises(SpecError, match=rf"model.xml:5: .*{message}") as error:
        formula(content)
    assert hint is None or hint in str(error.value)


def test_a_formula_that_is_missing_is_told():
    text = with_formula("x").replace(math("x"), "")
    with pytest.raises(SpecError, match=r"model.xml:5: .*(has no formula|math)"):
        read(text)


def test_all_complaints_come_at_once():
    ids = "".join(parameter(name, 1) for name in NAMES)
    ids += "".join(parameter(f"out{i}", constant=False) for i in range(3))
    rules = "\n".join(assignment(f"out{i}", "q") for i in range(3))
    with pytest.raises(SpecError) as error:
        read(file(Parameters=ids, Rules=rules))
    assert [c.location.line for c in error.value.complaints] == [5, 6, 7]
