"""Files that are not read: each with the line, and with what would be needed."""

import re

import pytest
from sbml import (
    HERE,
    TIME,
    apply,
    assignment,
    compartment,
    file,
    function,
    initially,
    math,
    parameter,
    rate,
    reaction,
    read,
    reference,
    species,
)

from nfanneal.errors import SpecError
from nfanneal.spec.sbml import library
from nfanneal.spec.sbml.model import read_sbml, resolved, sbml_of

USUAL = {
    "Compartments": compartment(),
    "Species": species("A", amount=1) + species("B", amount=1, constant=True),
    "Parameters": parameter("k", 3) + parameter("p", 1, constant=False),
}


def complaints(text):
    with pytest.raises(SpecError) as error:
        read(text)
    assert all(c.location.file == "model.xml" for c in error.value.complaints)
    return error.value.complaints


REFUSED = {
    "algebraic": ({"Rules": f"<algebraicRule>{math('p')}</algebraicRule>"}, 7,
                  "an algebraic rule", "solve it for one of its ids"),
    "no law": ({"Reactions": reaction("r", ["A"], [], None)}, 7,
               "'r' has no kinetic law", "a reaction without a rate"),
    "no species": ({"Reactions": reaction("r", ["AA"], [], "k")}, 7,
                   "'r': no species 'AA'", "did you mean 'A'?"),
    "constant": ({"Reactions": reaction("r", ["B"], [], "k")}, 7,
                 "'r' changes 'B', which is constant", "is a boundaryCondition missing?"),
    "both": ({"Rules": rate("A", "1"), "Reactions": reaction("r", ["A"], [], "k")}, 8,
             "'r' changes 'A', which has a rule", "is a boundaryCondition missing?"),
    "two rules": ({"Rules": rate("p", "1") + "\n" + assignment("p", "1")}, 8,
                  "'p' has two rules", None),
    "rule of a constant": ({"Rules": rate("k", "1")}, 7, "'k' is constant, but has a rule", None),
    "rule of nothing": ({"Rules": rate("kk", "1")}, 7,
                        "a rule for 'kk', which is no species, compartment or parameter",
                        "did you mean 'k'?"),
    "start of nothing": ({"InitialAssignments": initially("kk", "1")}, 7,
                         "an initial assignment for 'kk', which is no", None),
    "rules in a circle": ({"Parameters": "".join(parameter(n, constant=False) for n in "xyz"),
                           "Rules": assignment("x", "y") + assignment("y", "z")
                           + assignment("z", apply("sin", "x"))}, 6,
                          "these formulas use one another: x → y → z → x", None),
    "starts in a circle": ({"InitialAssignments": initially("k", "p") + initially("p", "k")}, 6,
                           "these values determine one another: k → p → k", None),
    "conversion": ({"Species": species("A", amount=1, extra='conversionFactor="c"'),
                    "Reactions": reaction("r", ["A"], [], "k")}, 5,
                   "the conversion factor 'c' is no parameter", None),
    "compartment": ({"Species": species("A", "z", amount=1),
                     "Reactions": reaction("r", ["A"], [], "k")}, 5,
                    "'A' is in 'z', which is no compartment", None),
    "twice": ({"Parameters": parameter("A", 1)}, 6, "the id 'A' is that of line 5, too", None),
    "infinite": ({"Parameters": parameter("k", "INF")}, 6,
                 "'k' has the value inf, not a finite number", None),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refusals(what):
    lists, line, message, hint = REFUSED[what]
    found = complaints(file(**{**USUAL, **lists}))
    fitting = [c for c in found if message in c.message]
    assert fitting, [str(c) for c in found]
    assert fitting[0].location.line == line
    assert hint is None or hint in fitting[0].hint


def test_fast_reactions_are_refused():
    fast = reaction("r", ["A"], [], "k", extra='fast="true"')
    (found,) = complaints(file(3, 1, **USUAL, Reactions=fast))
    assert "'r' is a fast reaction" in found.message
    slow = reaction("r", ["A"], [], "k", extra='fast="false"')
    assert read(file(3, 1, **USUAL, Reactions=slow)).states == ("A",)


def test_packages_that_are_required_are_refused_others_are_not():
    def needing(name, required):
        uri = f"http://www.sbml.org/sbml/level3/version1/{name}/version1"
        root = f'level="3" version="2" xmlns:p="{uri}" p:required="{required}"'
        return file(**USUAL).replace('level="3" version="2"', root)

    (found,) = complaints(needing("comp", "true"))
    assert "needs the SBML package 'comp'" in found.message
    assert "flatten" in found.hint
    assert found.location.line == 2
    (found,) = complaints(needing("nonesuch", "1"))
    assert "needs the SBML package 'nonesuch'" in found.message
    assert read(needing("layout", "false")).initial["k"] == 3


def test_level_one_is_refused():
    text = (
        '<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="m">'
        '<listOfCompartments><compartment name="c"/></listOfCompartments></model></sbml>'
    )
    (found,) = complaints(text)
    assert "level 1" in found.message


def test_what_libsbml_finds_is_told_with_its_line():
    text = file(**USUAL, Rules='\n<rateRule variable="p" speed="1">' + math("k") + "</rateRule>")
    (found,) = complaints(text)
    assert found.location.line == 8
    assert re.search(r"speed.*SBML rule \d+", found.message)


def test_a_file_without_a_model():
    text = '<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"/>'
    with pytest.raises(SpecError, match="no model in the file"):
        sbml_of(text.encode(), HERE)


def test_what_is_not_looked_at_is_told():
    constraint = f"<constraint>{math(apply('gt', 'A', '0'))}</constraint>"
    text = file(**USUAL, Constraints=constraint)
    assert read(text).notes == ("the constraints of the file are not looked at",)


def test_reserved_names_are_given_others_everywhere_and_that_is_told():
    reserved = ("lambda", "log", "e", "pi", "min", "draw")
    parameters = "".join(parameter(n, i + 1) for i, n in enumerate(reserved))
    text = file(
        FunctionDefinitions=function("exp", ["hill"], apply("plus", "hill", "1")),
        Compartments=compartment("where"),
        Species=species("class", "where", amount=1) + species("lambda_", "where", amount=2),
        Parameters=parameters + parameter("time", 7, constant=False),
        Rules=rate("time", "<apply><ci>exp</ci><ci>pi</ci></apply>"),
        Reactions=reaction("not", ["class"], [reference("lambda_")],
                           apply("times", "lambda", "log", "class", TIME, "<exponentiale/>")),
    )  # fmt: skip
    model = read(text)
    renamed = {**{n: f"{n}_" for n in (*reserved, "where", "class", "not")}, "lambda": "lambda__"}
    assert model.renamed == renamed
    assert model.time == "time_"
    assert set(model.initial) == {renamed.get(n, n) for n in (*reserved, "where", "class")} | {
        "lambda_", "time",
    }  # fmt: skip
    names = {s.name for s in model.assignments["not_"].free_symbols}
    assert names == {"lambda__", "log_", "class_", "time_"}
    assert model.rates["time"] == read(text).rates["time"]
    assert str(model.rates["time"]) == "pi_ + 1"
    assert "'lambda' is called 'lambda__' here: expressions use 'lambda' otherwise" in model.notes
    assert str(resolved(model)["class_"]) == "1/where_"


def test_without_libsbml_the_extra_is_named(monkeypatch, tmp_path):
    path = tmp_path / "model.xml"
    path.write_text(file(**USUAL))
    assert read_sbml(path).initial["k"] == 3
    monkeypatch.setitem(__import__("sys").modules, "libsbml", None)
    library.type_names.cache_clear()
    with pytest.raises(SpecError, match=r"pip install 'nfanneal\[petab\]'"):
        read_sbml(path)
