"""The section of a spec that a file becomes: what is in it means what the file means."""

import pytest
import sympy
from sbml import (
    TIME,
    apply,
    assignment,
    compartment,
    event,
    file,
    initially,
    parameter,
    reaction,
    read,
    species,
)

from nfanneal.errors import SpecError
from nfanneal.model.expressions import parse, symbol
from nfanneal.spec.sbml.model import to_model_section

LATE = apply("geq", TIME, "k")
PLAIN = {
    "Compartments": compartment(size=2),
    "Species": species("A", amount=10) + species("B", concentration=0.5),
    "Parameters": parameter("k", 0.3) + parameter("p", 1, constant=False)
    + parameter("twice") + parameter("kb", constant=False),
    "InitialAssignments": initially("twice", apply("times", "2", "k")),
    "Rules": assignment("kb", apply("times", "k", "B")),
    "Reactions": reaction("r", ["A"], ["B"], apply("times", "c", "k", "A")),
}  # fmt: skip


def section(**options):
    return to_model_section(read(file(**PLAIN)), **options)


def test_all_of_a_model():
    assert section() == {
        "kind": "ode",
        "time": "time",
        "states": {"A": "10/c", "B": 0.5},
        "expressions": {"twice": "2*k", "r": "A*c*k", "kb": "B*k"},
        "equations": {"A": "-r/c", "B": "r/c"},
        "constants": {"c": 2, "k": 0.3, "p": 1},
    }


def test_what_is_estimated_is_no_constant_and_what_is_replaced_has_its_value():
    theta = symbol("theta")
    found = section(
        parameters=["k"],
        overrides={"A": theta / 2, "p": sympy.Integer(5)},
        observables={"both": symbol("A") + symbol("B")},
    )
    assert found["constants"] == {"c": 2, "p": 5}
    assert found["states"] == {"A": "theta/2", "B": 0.5}
    assert found["observables"] == {"both": "A + B"}


def test_text_is_parsed_to_what_was_read():
    model, found = read(file(**PLAIN)), section()
    names = dict.fromkeys([*model.initial, *model.assignments, model.time])
    for name, text in found["equations"].items():
        assert parse(text, names) == model.rates[name]
    for name, text in found["expressions"].items():
        assert parse(text, names) == model.assignments.get(name, model.initial.get(name))


def test_events_change_states_and_what_only_they_change_becomes_one():
    events = event("e", LATE, {"A": apply("plus", "A", "1"), "p": "k"}, after="2",
                   flags='initialValue="false" persistent="true"')  # fmt: skip
    events += event("f", apply("and", LATE, apply("gt", "A", "p")), {"p": "0"})
    found = to_model_section(read(file(**PLAIN, Events=events)))
    assert found["states"] == {"A": "10/c", "B": 0.5, "p": 1}
    assert found["equations"]["p"] == 0
    assert "p" not in found["constants"]
    first, second = found["events"]
    assert first == {
        "name": "e", "when": "time >= k", "set": {"A": "A + 1", "p": "k"}, "delay": 2,
        "at_start": "fire",
    }  # fmt: skip
    assert set(second["when"].split(" and ")) == {"time >= k", "A > p"}
    assert "delay" not in second


def test_an_event_at_the_start_fires():
    trigger = apply("geq", TIME, "0")
    early = event("e", trigger, {"p": "k"}, flags='initialValue="false" persistent="true"')
    (found,) = to_model_section(read(file(**PLAIN, Events=early)))["events"]
    assert found["at_start"] == "fire"


LATE_VALUES = ('FromTriggerTime="true"', 'FromTriggerTime="false"')
ENDING = 'initialValue="true" persistent="false"'


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (event("e", LATE, {"p": "k"}), {}),
        (event("e", LATE, {"p": "k"}, flags=ENDING, priority="1"), {}),
        (event("e", LATE, {"p": "k"}, after="1", flags=ENDING), {"persistent": False}),
        (event("e", LATE, {"p": "A"}, after="1").replace(*LATE_VALUES),
         {"values": "at_assignment"}),
        (event("e", LATE, {"p": "1"}, after="1").replace(*LATE_VALUES), {}),
        (event("e", LATE, {"p": "k"}, flags=ENDING, priority="-2") + event("f", LATE, {"p": "0"}),
         {"persistent": False, "priority": -2, "values": "at_trigger"}),
        (event("e", LATE, {"p": "k"}).replace(*LATE_VALUES) + event("f", LATE, {"p": "0"}), {}),
    ],
)  # fmt: skip
def test_what_is_said_of_events_at_one_time_and_until_they_are_due(events, said):
    first = to_model_section(read(file(**PLAIN, Events=events)))["events"][0]
    assert {k: v for k, v in first.items() if k in ("values", "persistent", "priority")} == said


def test_a_priority_that_is_no_number_is_refused_at_its_line():
    events = event("e", LATE, {"p": "k"}, priority="k") + event("f", LATE, {"p": "0"})
    with pytest.raises(SpecError, match=r"model.xml:10: event 'e' has a priority that is no num"):
        to_model_section(read(file(**PLAIN, Events=events)))


def test_what_has_no_value_is_refused_unless_it_is_estimated_or_unused():
    lists = PLAIN | {"Parameters": PLAIN["Parameters"].replace('value="0.3"', "")}
    model = read(file(**lists, Constraints=""))
    with pytest.raises(SpecError, match=r"model.xml:6: .*'k'"):
        to_model_section(model)
    assert "k" not in to_model_section(model, parameters=["k"])["constants"]
    unused = PLAIN["Parameters"] + parameter("unused")
    found = to_model_section(read(file(**PLAIN | {"Parameters": unused})))
    assert "unused" not in found["constants"]


def test_a_model_in_which_nothing_changes_is_refused():
    with pytest.raises(SpecError, match="nothing changes in this model"):
        to_model_section(read(file(Parameters=parameter("k", 1))))


def test_a_formula_that_is_too_long_is_refused_at_its_line():
    long = apply("plus", *(apply("times", "A", f"{i}.25", apply("sin", "B")) for i in range(700)))
    powers = apply("plus", *(apply("sin", apply("times", str(i), "A")) for i in range(1, 1000)))
    found = file(**PLAIN | {"Rules": assignment("kb", apply("plus", long, powers))})
    with pytest.raises(SpecError, match=r"model.xml:6: the formula of 'kb' has .* characters"):
        to_model_section(read(found))
