"""Events of files: what they assign, when they fire, and what they do to concentrations."""

import pytest
import sympy
from sbml import (
    TIME,
    apply,
    assignment,
    compartment,
    event,
    file,
    parameter,
    read,
    species,
)

from nfanneal.errors import SpecError
from nfanneal.model.expressions import symbol

A, C, K = map(symbol, ("A", "c", "k"))
T = symbol("time")
LATE = apply("geq", TIME, "k")


def with_events(*events, **lists):
    usual = {
        "Compartments": compartment(size=2, constant=False),
        "Species": species("A", amount=4) + species("B", amount=3, only_amount=True),
        "Parameters": parameter("k", 3) + parameter("p", 1, constant=False),
    }
    return file(**{**usual, **lists}, Events="\n".join(events))


def test_what_an_event_says():
    text = with_events(
        event("e", LATE, {"A": apply("plus", "A", "1"), "p": "k"}, after="k", priority="p",
              flags='initialValue="false" persistent="false"')
    )  # fmt: skip
    (found,) = read(text).events
    assert found.name == "e"
    assert found.trigger == sympy.Ge(T, K)
    assert found.assignments == {"A": A + 1, "p": K}
    assert (found.delay, found.priority) == (K, symbol("p"))
    assert (found.persistent, found.initially, found.values_from_trigger) == (False, False, True)
    assert found.line == 7


def test_level_two_has_defaults():
    inner = event("e", LATE, {"A": "1"}, flags=" ").replace('useValuesFromTriggerTime="true"', "")
    text = file(
        2, 4,
        Compartments='<compartment id="c" size="2"/>',
        Species='<species id="A" compartment="c" initialAmount="4"/>',
        Parameters='<parameter id="k" value="0"/>',
        Events=inner,
    )  # fmt: skip
    (found,) = read(text).events
    assert (found.persistent, found.initially, found.values_from_trigger) == (True, True, True)


def test_a_compartment_that_is_resized_dilutes_what_is_in_it():
    (found,) = read(with_events(event("e", LATE, {"c": apply("times", "c", "k")}))).events
    assert found.assignments == {"c": C * K, "A": A / K}
    (both,) = read(with_events(event("e", LATE, {"c": "5", "A": "7"}))).events
    assert both.assignments == {"c": 5, "A": 7}
    with pytest.raises(SpecError, match=r"model.xml:7: an event makes compartment 'c' vanish"):
        read(with_events(event("e", LATE, {"c": "0"})))
    with pytest.raises(SpecError, match=r"model.xml:7: a delayed event resizes a compartment"):
        read(with_events(event("e", LATE, {"c": "5"}, after="1")))


def test_a_size_by_a_rule_dilutes_when_an_event_changes_what_the_rule_is_of():
    rules = assignment("c", apply("plus", "1", "q")) + assignment("q", apply("times", "2", "p"))
    resized = {
        "Compartments": compartment(size=None, constant=False),
        "Parameters": parameter("k", 3) + parameter("p", 1, constant=False)
        + parameter("q", constant=False),
        "Rules": rules,
    }  # fmt: skip
    (found,) = read(with_events(event("e", LATE, {"p": "k"}), **resized)).events
    assert found.assignments == {"p": K, "A": A * C / (2 * K + 1)}
    (other,) = read(with_events(event("e", LATE, {"A": "1", "p": "k"}), **resized)).events
    assert other.assignments == {"A": 1, "p": K}
    with pytest.raises(SpecError, match=r"event makes compartment 'c' vanish"):
        read(with_events(event("e", LATE, {"p": "-0.5"}), **resized))


def test_events_without_an_id_get_one():
    text = with_events(
        event("", LATE, {"p": "2"}).replace('id=""', ""), event("event1", LATE, {"p": "2"})
    )
    assert [e.name for e in read(text).events] == ["event1_", "event1"]


@pytest.mark.parametrize(
    ("target", "why"),
    [("k", "is constant"), ("q", "has an assignment rule"), ("z", "is no species")],
)
def test_what_cannot_be_assigned_is_told(target, why):
    lists = {
        "Parameters": parameter("k", 3) + parameter("q", constant=False),
        "Rules": assignment("q", "1"),
    }
    with pytest.raises(
        SpecError, match=rf"model.xml:8: event 'e' assigns to '{target}', which {why}"
    ):
        read(with_events(event("e", LATE, {target: "1"}), **lists))
