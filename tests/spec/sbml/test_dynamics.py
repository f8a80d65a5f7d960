"""Differential equations of files: closed forms, and derivatives computed by other means."""

import libsbml
import numpy as np
import pytest
from sbml import (
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
from sbml_values import Values
from scipy.integrate import solve_ivp

from nfanneal.errors import SpecError
from nfanneal.model.expressions import compile_numpy, symbol
from nfanneal.spec.sbml.model import to_model_section

TIMES = np.linspace(0.0, 4.0, 9)
TIGHT = {"rtol": 1e-11, "atol": 1e-13}


def derivatives(model, numbers, time):
    """d(id)/dt of all states; assignments are computed one after the other."""
    known = {**numbers, model.time: time}
    for name, expression in model.assignments.items():
        known[name] = _value(expression, known)
    return {name: _value(rate, known) for name, rate in model.rates.items()}


def _value(expression, known):
    (found,) = compile_numpy([expression], [symbol(n) for n in known])(*known.values())
    return float(found)


def starting(model):
    """Numbers at the start of all ids, each after those that it is computed from."""
    known, left = {model.time: 0.0}, {**model.initial, **model.assignments}
    while left:
        now = [n for n, e in left.items() if {s.name for s in e.free_symbols} <= known.keys()]
        assert now, left
        known |= {name: _value(left.pop(name), known) for name in now}
    return known


def solved(text, *wanted):
    """The course of ids, (times, ids), from the values in the file."""
    model = read(text)
    start = starting(model)
    fixed = {n: v for n, v in start.items() if n not in model.states and n in model.initial}

    def slope(time, values):
        at = fixed | dict(zip(model.states, values, strict=True))
        return list(derivatives(model, at, time).values())

    first = [start[n] for n in model.states]
    found = solve_ivp(slope, (0, TIMES[-1]), first, t_eval=TIMES, method="DOP853", **TIGHT)
    rows = []
    for time, values in zip(found.t, found.y.T, strict=True):
        known = {**fixed, **dict(zip(model.states, values, strict=True)), model.time: time}
        for name, expression in model.assignments.items():
            known[name] = _value(expression, known)
        rows.append([known[n] for n in wanted])
    return np.array(rows)


DECAY = reaction("r", ["A"], [], apply("times", "k", "A", "c"))


def test_concentrations_in_a_compartment_that_grows_by_a_rate_rule():
    text = file(
        Compartments=compartment(size=2, constant=False),
        Species=species("A", concentration=3) + species("B", amount=4) + species("D", amount=5,
                only_amount=True) + species("E", amount=6, constant=True),
        Parameters=parameter("k", 0.3),
        Rules=rate("c", "0.5"),
        Reactions=DECAY,
    )  # fmt: skip
    size, left = 2 + 0.5 * TIMES, 6 * np.exp(-0.3 * TIMES)
    a, b, e, c = solved(text, "A", "B", "E", "c").T
    assert c == pytest.approx(size, rel=1e-9)
    assert a == pytest.approx(left / size, rel=1e-9)
    assert b == pytest.approx(4 / size, rel=1e-9)
    assert e == pytest.approx(6 / size, rel=1e-9)
    assert "D" not in read(text).states


def test_concentrations_in_a_compartment_with_an_assignment_rule():
    growth = apply("plus", "2", apply("times", "p", TIME, "q"))
    text = file(
        Compartments=compartment(size=None, constant=False),
        Species=species("A", amount=6),
        Parameters=parameter("k", 0.3) + parameter("p", 0.5) + parameter("q", 1, constant=False)
        + parameter("w", constant=False),
        Rules=assignment("c", apply("plus", "w", "0")) + assignment("w", growth) + rate("q", "0.1"),
        Reactions=DECAY,
    )  # fmt: skip
    size = 2 + 0.5 * TIMES * (1 + 0.1 * TIMES)
    a, c = solved(text, "A", "c").T
    assert c == pytest.approx(size, rel=1e-9)
    assert a == pytest.approx(6 * np.exp(-0.3 * TIMES) / size, rel=1e-9)


def test_a_compartment_that_grows_as_a_power_of_what_changes():
    text = file(
        Compartments=compartment(size=None, constant=False),
        Species=species("A", amount=6),
        Parameters=parameter("k", 0.3) + parameter("n", 1.5) + parameter("q", 1, constant=False),
        Rules=assignment("c", apply("power", "q", "n")) + rate("q", "0.5"),
        Reactions=DECAY,
    )
    (a,) = solved(text, "A").T
    size = (1 + 0.5 * TIMES) ** 1.5
    assert a == pytest.approx(6 * np.exp(-0.3 * TIMES) / size, rel=1e-9)
    assert "equations" in to_model_section(read(text))
    size_of = apply("root", apply("power", "q", "2"))  # |q|, whose derivative is a sign
    with pytest.raises(SpecError, match=r"model.xml:4: the size of 'c' has a derivative that is"):
        read(text.replace(apply("power", "q", "n"), size_of))


def test_compartments_that_jump_or_depend_on_what_is_in_them_are_refused():
    jump = f"<piecewise><piece><cn>1</cn>{apply('lt', TIME, '2')}</piece>"
    jump += "<otherwise><cn>2</cn></otherwise></piecewise>"
    lists = {
        "Compartments": compartment(size=None, constant=False),
        "Species": species("A", concentration=3),
        "Parameters": parameter("k", 1),
    }
    with pytest.raises(SpecError, match=r"model.xml:4: compartment 'c' jumps"):
        read(file(**lists, Rules=assignment("c", jump)))
    with pytest.raises(SpecError, match="depends on a concentration within it"):
        read(file(**lists, Rules=assignment("c", apply("plus", "A", "1")), Reactions=DECAY))


def test_transport_between_compartments_keeps_the_amount():
    text = file(
        Compartments=compartment("c", 2) + compartment("d", 0.5),
        Species=species("A", amount=6) + species("B", "d", concentration=0),
        Parameters=parameter("k", 0.3),
        Reactions=reaction("r", ["A"], ["B"], apply("times", "k", "A", "c")),
    )
    a, b = solved(text, "A", "B").T
    assert 2 * a == pytest.approx(6 * np.exp(-0.3 * TIMES), rel=1e-9)
    assert 2 * a + 0.5 * b == pytest.approx(6, rel=1e-9)


def test_stoichiometries_of_all_kinds():
    lists = {
        "Compartments": compartment(size=1),
        "Parameters": parameter("k", 0.3) + parameter("n", 3),
        "InitialAssignments": initially("s", apply("times", "n", "2")),
        "Rules": rate("v", "0.5"),
    }
    products = [
        reference("B", 2.5), reference("C", None, extra='id="s"'), reference("B", 1),
        reference("D", 1, constant=False, extra='id="v"'),
    ]  # fmt: skip
    text = file(
        **lists,
        Species="".join(species(n, concentration=1) for n in "ABCD"),
        Reactions=reaction("r", [reference("A", 2)], products, "k"),
    )
    a, b, c, d = solved(text, "A", "B", "C", "D").T
    assert a == pytest.approx(1 - 0.6 * TIMES)
    assert b == pytest.approx(1 + 3.5 * 0.3 * TIMES)
    assert c == pytest.approx(1 + 6 * 0.3 * TIMES)
    assert d == pytest.approx(1 + 0.3 * (TIMES + 0.25 * TIMES**2))
    assert read(text).initial["s"] == 2 * symbol("n")


def test_a_stoichiometry_that_is_not_given_is_told():
    text = file(
        Compartments=compartment(), Species=species("A", amount=1),
        Reactions=reaction("r", [reference("A", None)], [], "<cn>1</cn>"),
    )  # fmt: skip
    with pytest.raises(SpecError, match=r"model.xml:6: the stoichiometry of 'A' is not given"):
        read(text)


def test_level_two_has_formulas_for_stoichiometries():
    inner = f"<stoichiometryMath>{math(apply('times', 'k', '2'))}</stoichiometryMath>"
    made = (
        '<reaction id="r" reversible="false"><listOfReactants><speciesReference species="A">'
        f"{inner}</speciesReference></listOfReactants><listOfProducts>"
        '<speciesReference species="B"/></listOfProducts><kineticLaw>'
        f'{math("k")}<listOfParameters><parameter id="k" value="0.1"/></listOfParameters>'
        "</kineticLaw></reaction>"
    )
    for version in (1, 2, 3, 4, 5):
        text = file(
            2, version,
            Compartments='<compartment id="c" size="1"/>',
            Species='<species id="A" compartment="c" initialConcentration="1"/>'
            '<species id="B" compartment="c" initialAmount="2"/>',
            Parameters='<parameter id="k" value="0.5"/>',
            Reactions=made,
        )  # fmt: skip
        model = read(text)
        a, b = solved(text, "A", "B").T
        assert a == pytest.approx(1 - 0.1 * TIMES)
        assert b == pytest.approx(2 + 0.1 * TIMES)
        assert model.kinds["r_k"] == "local parameter"
        assert model.initial["k"] == 0.5


def test_local_parameters_hide_others_and_get_names_that_nothing_has():
    local = '<localParameter id="k" value="0.2"/>'
    text = file(
        Compartments=compartment(),
        Species=species("A", amount=1) + species("B", amount=1),
        Parameters=parameter("k", 5) + parameter("r_k", 7),
        Reactions=reaction("r", ["A"], [], apply("times", "k", "A"), local)
        + reaction("s", ["B"], [], apply("times", "k", "B"), local),
    )
    model = read(text)
    assert model.initial["r_k_"] == model.initial["s_k"] == pytest.approx(0.2)
    a, b = solved(text, "A", "B").T
    assert a == pytest.approx(np.exp(-0.2 * TIMES), rel=1e-9)
    assert b == pytest.approx(np.exp(-0.2 * TIMES), rel=1e-9)


def test_conversion_factors():
    lists = {
        "Compartments": compartment(),
        "Parameters": parameter("k", 0.3) + parameter("f", 2) + parameter("g", 5),
        "Reactions": reaction("r", ["A"], ["B"], "k"),
    }
    text = file(
        attributes='conversionFactor="f"', **lists,
        Species=species("A", amount=9) + species("B", amount=0, extra='conversionFactor="g"'),
    )  # fmt: skip
    a, b = solved(text, "A", "B").T
    assert a == pytest.approx(9 - 0.6 * TIMES)
    assert b == pytest.approx(1.5 * TIMES)


def test_boundary_species_stay_or_follow_their_rule():
    text = file(
        Compartments=compartment(),
        Species=species("A", amount=1, boundary=True) + species("B", amount=1, boundary=True)
        + species("C", amount=0),
        Parameters=parameter("k", 0.3),
        Rules=rate("B", "k"),
        Reactions=reaction("r", ["A", "B"], ["C"], apply("times", "k", "A", "B")),
    )  # fmt: skip
    model = read(text)
    assert model.states == ("B", "C")
    a, b, c = solved(text, "k", "B", "C").T
    assert a == pytest.approx(0.3)
    assert b == pytest.approx(1 + 0.3 * TIMES)
    assert c == pytest.approx(0.3 * (TIMES + 0.15 * TIMES**2))


def test_reactions_and_species_stand_in_rules():
    text = file(
        Compartments=compartment(size=2),
        Species=species("A", amount=6),
        Parameters=parameter("k", 0.3) + parameter("flow", constant=False)
        + parameter("twice", constant=False) + parameter("total", 0, constant=False),
        Rules=assignment("twice", apply("times", "2", "flow")) + assignment("flow", "r")
        + rate("total", "r"),
        Reactions=DECAY,
    )  # fmt: skip
    assert list(read(text).assignments) == ["r", "flow", "twice"]
    amount = 6 * np.exp(-0.3 * TIMES)
    twice, total = solved(text, "twice", "total").T
    assert twice == pytest.approx(0.6 * amount, rel=1e-9)
    assert total == pytest.approx(6 - amount, rel=1e-9, abs=1e-9)


def test_points_have_amounts():
    text = file(
        Compartments='<compartment id="c" spatialDimensions="0" constant="true"/>',
        Species=species("A", amount=6),
        Parameters=parameter("k", 0.3),
        Reactions=reaction("r", ["A"], [], apply("times", "k", "A")),
    )
    assert solved(text, "A")[:, 0] == pytest.approx(6 * np.exp(-0.3 * TIMES), rel=1e-9)


def test_a_compartment_without_a_size_is_taken_as_one_and_that_is_told():
    text = file(
        Compartments=compartment(size=None), Species=species("A", amount=6),
        Parameters=parameter("k", 0.3), Reactions=DECAY,
    )  # fmt: skip
    model = read(text)
    assert model.initial["c"] == 1
    assert model.notes == ("compartment 'c' has no size: 1 is taken",)


def test_derivatives_are_those_that_are_computed_without_sympy():
    hill = function("hill2", ["x", "k"], apply("divide", apply("power", "x", "2"),
                    apply("plus", apply("power", "k", "2"), apply("power", "x", "2"))))  # fmt: skip
    on = (
        f"<piecewise><piece><ci>u</ci>{apply('and', apply('gt', TIME, '1'), apply('lt', 'A', '2'))}"
    )
    on += f"</piece><otherwise>{apply('root', 'u')}</otherwise></piecewise>"
    called = "<apply><ci>hill2</ci><ci>B</ci><ci>k</ci></apply>"
    text = file(
        FunctionDefinitions=hill,
        Compartments=compartment("c", 2, constant=False) + compartment("d", 0.4),
        Species=species("A") + species("B", "d") + species("C", only_amount=True)
        + species("D", boundary=True),
        Parameters=parameter("k", 0.3) + parameter("u", 2) + parameter("on", constant=False),
        Rules=assignment("on", on) + rate("D", apply("minus", "on", "D")) + rate("c", "k"),
        Reactions=reaction("r", [reference("A", 2), "C"], ["B"], apply("times", "c", called, "on"))
        + reaction("s", ["B", "D"], [reference("A", 3), "D"], apply("exp", apply("minus", "r")))
        + reaction("t", ["C"], ["C", "A"], apply("times", "p", "C"),
                   '<localParameter id="p" value="1.7"/>'),
    )  # fmt: skip
    model, rng = read(text), np.random.default_rng(3)
    other = libsbml.readSBMLFromString(text)
    for _ in range(20):
        numbers = dict(zip("cdABCDku", rng.uniform(0.2, 3.0, 8), strict=True)) | {"t_p": 1.7}
        time = rng.uniform(0, 3)
        found = derivatives(model, numbers, time)
        assert found == pytest.approx(Values(other.getModel(), numbers, time).derivatives())
