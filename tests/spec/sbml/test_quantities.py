"""Amounts and concentrations, compartments of any size, and values at the start."""

from itertools import pairwise

import pytest
import sympy
from sbml import apply, compartment, file, initially, parameter, reaction, read, species

from nfanneal.errors import SpecError
from nfanneal.model.expressions import symbol
from nfanneal.spec.sbml.model import resolved

A, B, C, K, R = map(symbol, ("A", "B", "c", "k", "r"))


def conversion(**flags):
    """A → B at k·A per volume, in a compartment of size 2."""
    return file(
        Compartments=compartment(size=2),
        Species=species("A", amount=10, **flags) + species("B", concentration=0),
        Parameters=parameter("k", 0.3),
        Reactions=reaction("r", ["A"], ["B"], apply("times", "c", "k", "A")),
    )


def test_a_concentration_changes_by_the_amount_per_size():
    model = read(conversion())
    assert model.states == ("A", "B")
    assert model.rates == {"A": -R / C, "B": R / C}
    assert model.assignments == {"r": C * K * A}
    assert model.initial == {"c": 2, "A": 10 / C, "B": 0, "k": pytest.approx(0.3)}
    assert resolved(model, {})["A"] == 10 / C
    assert model.lines == {"c": 4, "A": 5, "B": 5, "k": 6, "r": 7}


def test_an_amount_changes_by_the_amount():
    model = read(conversion(only_amount=True))
    assert model.rates == {"A": -R, "B": R / C}
    assert model.initial["A"] == 10


def test_overrides_come_before_what_depends_on_them():
    text = file(
        Compartments=compartment(size=2),
        Species=species("A") + species("B", only_amount=True, concentration=3),
        Parameters=parameter("k", 0.3) + parameter("m"),
        InitialAssignments=initially("A", apply("times", "k", "B")) + initially("m", "A"),
    )
    model = read(text)
    assert resolved(model)["m"] == 3 * C * K
    theta = symbol("theta")
    assert resolved(model, {"k": theta})["m"] == 3 * C * theta
    assert resolved(model, {"A": theta})["m"] == theta
    assert resolved(model, {"k": K})["m"] == 3 * C * K
    assert resolved(model, {"c": theta, "k": sympy.Integer(2)})["A"] == 3 * theta * K
    with pytest.raises(SpecError, match="no such id"):
        resolved(model, {"z": theta})
    with pytest.raises(SpecError, match="determine one another: A → k → A"):
        resolved(model, {"k": A})


def test_what_has_no_value_is_needed_only_where_it_is_used():
    text = file(
        Parameters=parameter("k") + parameter("m") + parameter("n", 1),
        InitialAssignments=initially("m", "k"),
    )
    model = read(text)
    assert model.unset == ("k",)
    with pytest.raises(SpecError, match=r"model.xml:4: 'm' starts from 'k', which has no value"):
        resolved(model)
    assert resolved(model, {"k": symbol("q")})["m"] == symbol("q")


def test_long_ways_to_an_initial_value_are_written_out_unless_they_double_each_time():
    def chain(step):
        names = [f"p{i}" for i in range(41)]
        starts = "".join(initially(b, step(a)) for a, b in pairwise(names))
        return read(file(Parameters="".join(map(parameter, names)), InitialAssignments=starts))

    first = {"p0": symbol("q")}
    found = resolved(chain(lambda a: apply("plus", apply("times", "2", a), "1")), first)
    assert found["p40"].subs(symbol("q"), 1) == 2**41 - 1
    with pytest.raises(SpecError, match="is too long, written out"):
        resolved(chain(lambda a: apply("plus", apply("sin", a), apply("cos", a))), first)


def test_units_are_shown_as_the_file_has_them():
    unit = '<unit kind="{}" exponent="{}" scale="{}" multiplier="{}"/>'
    inner = unit.format("mole", 1, -9, 1) + unit.format("litre", -1, 0, 1)
    units = f'<unitDefinition id="nM"><listOfUnits>{inner}</listOfUnits></unitDefinition>'
    hostile = unit.format("second", 1, 2147483647, 2)
    units += f'<unitDefinition id="x"><listOfUnits>{hostile}</listOfUnits></unitDefinition>'
    units += '<unitDefinition id="y" name="per day"><listOfUnits/></unitDefinition>'
    keys = {"a": "nM", "b": "second", "c": "x", "d": "y"}
    ids = "".join(parameter(k, 1, extra=f'units="{u}"') for k, u in keys.items())
    assert read(file(UnitDefinitions=units, Parameters=ids)).units == {
        "a": "(1e-09 mole) litre^-1", "b": "second", "c": "(2e+300 second)", "d": "per day",
    }  # fmt: skip
