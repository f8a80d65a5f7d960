"""Hostile files: refused within bounded time and memory, with a place."""

import copy
import time
from importlib import resources
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from fuzz.targets import SEEDS, TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st
from sbml import HERE, TIME, apply, assignment, file, function, parameter, read

from nfanneal.errors import SpecError
from nfanneal.spec.sbml.formulas import MOST_NODES
from nfanneal.spec.sbml.model import read_sbml, sbml_of
from nfanneal.spec.sbml.safety import DEEPEST, LARGEST_FILE, MOST_ELEMENTS, WIDEST

BOUND = 20.0
"""Seconds that nothing may take on a busy machine; what is unbounded takes hours."""


def refused(raw):
    """The complaints about hostile bytes."""
    raw = raw.encode() if isinstance(raw, str) else raw
    began = time.monotonic()
    with pytest.raises(SpecError) as error:
        sbml_of(raw, HERE)
    assert time.monotonic() - began < BOUND
    assert len(str(error.value)) < 50_000
    return error.value.complaints


def with_formula(content, **lists):
    return file(Parameters=parameter("p", constant=False), Rules=assignment("p", content), **lists)


def with_doctype(declared):
    head, _, rest = file(Parameters=parameter("p", 1)).partition("\n")
    return f"{head}\n<!DOCTYPE sbml [\n{declared}\n]>\n{rest}"


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "aaaaaaaaaa">\n<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
        '<!ENTITY % x SYSTEM "http://localhost/x"> %x;',
        "",
    ],
)
def test_entities_and_document_types_are_refused(declared):
    (found,) = refused(with_doctype(declared))
    assert "a document type or an entity is declared here" in found.message
    assert found.location.line in (2, 3)


def test_deep_formulas_are_refused_before_libsbml_sees_them():
    deep = "<apply><sin/>" * 20_000 + "<cn>1</cn>" + "</apply>" * 20_000
    (found,) = refused(with_formula(deep))
    assert f"nested more than {DEEPEST} levels deep" in found.message
    assert found.location.line == 5


def test_formulas_that_are_less_deep_are_refused_by_their_name():
    deep = "<apply><sin/>" * 200 + "<cn>1</cn>" + "</apply>" * 200
    (found,) = refused(with_formula(deep))
    assert "the rule of 'p': nested more than" in found.message


def test_wide_formulas_are_refused_before_libsbml_sees_them():
    (found,) = refused(with_formula(apply("plus", *["<cn>1</cn>"] * 100_000)))
    assert f"more than {WIDEST:,} operands" in found.message


def test_many_elements_are_refused():
    many = "\n".join(['<parameter id="x" constant="true"/>'] * (MOST_ELEMENTS + 1))
    assert len(many) < LARGEST_FILE
    (found,) = refused(file(Parameters=many))
    assert "elements" in found.message


def test_large_files_are_not_even_read(tmp_path):
    path = tmp_path / "large.xml"
    with path.open("wb") as sparse:
        sparse.truncate(10**11)
    with pytest.raises(SpecError, match=r"100,000,000,000 bytes; a model in SBML has at most"):
        read_sbml(path)
    refused(b" " * (LARGEST_FILE + 1))


def test_the_guide_names_these_limits():
    page = " ".join(resources.files("nfanneal").joinpath("guide", "sbml.md").read_text().split())
    assert (
        f"at most {LARGEST_FILE / 1e6:g} MB, {MOST_ELEMENTS:,} elements on {DEEPEST} levels, and "
        f"{MOST_NODES:,} parts of formulas"
    ) in page


def test_functions_that_call_themselves_are_refused():
    call = "<apply><ci>{}</ci><ci>x</ci></apply>"
    itself = function("f", ["x"], apply("plus", call.format("f"), "1"))
    found = refused(with_formula(call.format("f").replace("x", "p"), FunctionDefinitions=itself))
    assert any("function 'f' calls itself: f → f" in c.message for c in found)
    circle = "".join(
        function(f, ["x"], apply("plus", call.format(g), "1")) for f, g in ("fg", "gh", "hf")
    )
    found = refused(with_formula(call.format("g").replace("x", "p"), FunctionDefinitions=circle))
    assert any("calls itself: f → g → h → f" in c.message for c in found)


def test_functions_that_grow_exponentially_are_refused():
    call = "<apply><ci>f{}</ci>{}</apply>"
    functions = function("f0", ["x"], apply("sin", "x"))
    for i in range(1, 45):
        twice = apply("plus", apply("cos", call.format(i - 1, "<ci>x</ci>")),
                      call.format(i - 1, "<ci>x</ci>"))  # fmt: skip
        functions += function(f"f{i}", ["x"], twice)
    found = refused(with_formula(call.format(44, "<ci>p</ci>"), FunctionDefinitions=functions))
    assert any("have more than" in c.message for c in found)
    arguments = "".join(
        function(f"f{i}", ["x"],
                 call.format(i - 1, apply("times", "<ci>x</ci>", apply("sin", "x"))))
        for i in range(1, 60)
    )  # fmt: skip
    functions = function("f0", ["x"], apply("sin", "x")) + arguments
    rule = with_formula(call.format(59, TIME), FunctionDefinitions=functions)
    assert any("have more than" in c.message for c in refused(rule))


def test_long_chains_of_rules_are_read_in_order_and_deep_circles_found():
    names = [f"p{i}" for i in range(1500)]
    ids = "".join(parameter(n, constant=False) for n in names)
    rules = "\n".join(assignment(a, apply("sin", b)) for a, b in pairwise(names))
    model = read(file(Parameters=ids.replace("/>", ' value="1"/>'), Rules=rules))
    assert list(model.assignments) == names[-2::-1]
    rules += assignment(names[-1], names[0])
    found = refused(file(Parameters=ids, Rules=rules))
    assert "these formulas use one another: p" in found[0].message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not well-formed XML"),
        (b"\xff\xfe<\0s\0b\0m\0l\0", "not UTF-8"),
        (b"<sbml>\0</sbml>", "NUL"),
        (
            b'<sbml xmlns="http://www.sbml.org/sbml/level2"><model></sbml>',
            "not well-formed XML: mismatched tag",
        ),
        (b"<html><body/></html>", "the outermost element is <html>"),
        (b'<?xml version="1.0" encoding="UTF-16"?><sbml/>', "encoding UTF-16"),
        (b'<?xml version="1.0" encoding="latin1"?><sbml/>', "encoding latin1"),
        (b"<sbml/>", "the outermost element is <sbml>, not <sbml xmlns="),
        (
            b'<sbml xmlns="http://www.sbml.org/sbml/level3/version9/core" level="3" version="9"/>',
            "",
        ),
        (
            b'<sbml xmlns="http://www.sbml.org/sbml/level2" level="7" version="-3"><model/></sbml>',
            "",
        ),
        (b'<sbml xmlns="http://www.sbml.org/sbml/level2">' * 1000, "levels deep"),
    ],
)
def test_what_is_no_sbml_is_refused(raw, message):
    found = refused(raw)
    assert any(message in c.message for c in found)


def test_control_characters_of_names_do_not_reach_the_terminal():
    text = file(Parameters='<parameter id="p" name="a&#x9b;31m" value="q" constant="true"/>')
    assert "\x9b" not in str(SpecError(refused(text)))


OPERATORS = ["plus", "minus", "times", "power", "root", "ln", "tan", "arctan", "floor", "eq", "and",
             "not", "xor", "piecewise", "max", "implies", "log", "factorial"]  # fmt: skip
WORDS = ["0", "-1", "1e308", "NaN", "INF", "", "2147483648", "true", "false", "A", "c", "k", "p"]
SPACE = "{http://www.w3.org/1998/Math/MathML}"


def changed(raw, edits):
    """A file in which elements are removed, doubled, moved and given other values."""
    tree = ElementTree.fromstring(raw)
    ElementTree.register_namespace("", tree.tag[1:].split("}")[0])
    for kind, place, other, word in edits:
        nodes = list(tree.iter())
        node, pick = nodes[place % len(nodes)], nodes[other % len(nodes)]
        if kind == 0 and len(node):
            node.remove(node[other % len(node)])
        elif kind == 1:
            node.append(copy.deepcopy(pick))
        elif kind == 2 and node.attrib:
            node.set(sorted(node.attrib)[other % len(node.attrib)], WORDS[word % len(WORDS)])
        elif kind == 3 and node.tag == f"{SPACE}apply" and len(node):
            node[0].tag = SPACE + OPERATORS[word % len(OPERATORS)]
        elif kind == 4 and node.tag in (f"{SPACE}ci", f"{SPACE}cn"):
            node.text = WORDS[word % len(WORDS)]
    return ElementTree.tostring(tree)


@settings(max_examples=150)
@given(
    st.sampled_from(SEEDS["sbml"]),
    st.lists(st.tuples(st.integers(0, 4), *[st.integers(0, 1000)] * 3), min_size=1, max_size=4),
)
def test_files_whose_elements_are_changed_are_refused_or_sound(raw, edits):
    TARGETS["sbml"](changed(raw, edits))
