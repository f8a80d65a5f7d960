"""What is wrong with events is told with its place."""

import pytest
from specs import complaints, edited, read

from nfanneal.errors import SpecError
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.json_schema import json_schema
from nfanneal.spec.load import load_spec, spec_from_text

FINE = "events: [{when: x > 1, set: {x: x/2, k: 2*k}, delay: 0.5}]"


def with_events(section):
    return edited(("  equations:", f"  {section}\n  equations:"))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("events: [{when: x + 1, set: {x: 1}}]", "spec:5:19: model.events.0.when: 'x + 1': not a"),
        ("events: [{when: 3, set: {x: 1}}]", "spec:5:19: model.events.0.when: not a condition"),
        ("events: [{when: -x, set: {x: 1}}]", "spec:5:19: model.events.0.when: '-x': not a"),
        ("events: [{when: true, set: {x: 1}}]", "spec:5:19: model.events.0.when must be a number"),
        (
            "events: [{when: xx > 1, set: {x: 1}}]",
            "spec:5:19: model.events.0.when: unknown name 'xx'",
        ),
        (
            "events: [{when: x == 1, set: {x: 1}}]",
            "spec:5:19: model.events.0.when: 'x == 1': only <",
        ),
        (
            "events: [{when: x > 1, set: {z: 1}}]",
            "spec:5:32: this event sets 'z': no state, constant",
        ),
        ("events: [{when: x > 1, set: {t: 1}, name: up}]", "the event 'up' sets 't': no state"),
        (
            "events: [{when: x > 1, set: {x: q}}]",
            "spec:5:35: model.events.0.set.x: unknown name 'q'",
        ),
        ("events: [{when: x > 1, set: {}}]", "spec:5:31: model.events.0.set must not be empty"),
        ("events: [{when: x > 1}]", "model.events.0 needs the key 'set'"),
        ("events: [{set: {x: 1}}]", "model.events.0 needs the key 'when'"),
        (
            "events: [{when: x > 1, sets: {x: 1}}]",
            "spec:5:26: unknown key 'sets' in model.events.0",
        ),
        (
            "events: [{when: k > 0.5, set: {x: 1}}]",
            "spec:5:19: this event: nothing in this condition",
        ),
        (
            "events: [{when: 2 > 1, set: {x: 1}}]",
            "5:19: this event: nothing in this condition ever",
        ),
        ("events: [{when: x > 1, set: {x: 1}, delay: -1}]", "spec:5:46: this event: a delay of -1"),
        ("events: [{when: x > 1, set: {x: 1}, at_start: yes}]", "must be 'fire' or 'nothing'"),
        (
            "events: {when: x > y > 1, set: {x: 1}, delay: dd}",
            "5:49: model.events.delay: unknown name",
        ),
        ("events: 5", "spec:5:11: model.events must be {when: …, set: {…}}, or a list of such"),
        (
            "changes: {k: {time: 1, value: 2}}\n  events: [{when: x > 1, set: {k: 1}}]",
            "spec:6:32: this event sets 'k', which has changes: both would set it",
        ),
        (
            "doses: {x: {time: 1, amount: k}}\n  events: [{when: x > 1, set: {k: 1}}]",
            "spec:5:3: model.doses need 'k' beforehand, but an event sets it",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(section, words):
    found = complaints(with_events(section))
    assert any(words in complaint for complaint in found), found


def test_events_of_experiments_are_checked_and_other_kinds_have_none():
    text = edited(("data: {file: d.csv}\n", "experiments:\n  one: {data: {file: d.csv}, EVENTS}\n"))
    wrong = text.replace("EVENTS", "events: [{when: x > 1, set: {q: 1}}]")
    assert any("spec:12:59: this event sets 'q'" in told for told in complaints(wrong))
    fine = read(text.replace("EVENTS", "events: {when: x > 1, set: {k: 1}}"))
    assert fine.meaning.timing.events[0].experiment == "one"
    other = "model: {kind: python, file: m.py, simulate: f}\n"
    other += "parameters: {x: {prior: {normal: [0, 1]}}}\n"
    other += "likelihood: {y: {normal: 1}}\n"
    other += "experiments: {one: {data: {file: d.csv}, events: {when: x > 1, set: {x: 1}}}}\n"
    assert any("a python model has no events" in told for told in complaints(other))


def test_the_resolved_spec_and_the_schema_have_them():
    checked = read(with_events(FINE))
    again = spec_from_text(checked.yaml)
    assert again.spec.model.events == checked.spec.model.events
    assert again.spec.model.events[0].at_start == "nothing"
    assert "events:" not in read(edited()).yaml
    keys = {"when", "set", "delay", "at_start", "name", "values", "persistent", "priority"}
    assert keys == set(json_schema()["$defs"]["EventSpec"]["properties"])


def test_events_that_wait_for_a_state_do_not_go_with_data_at_infinity(tmp_path):
    (tmp_path / "d.csv").write_text("t,y\n1,1\ninf,1\n")
    section = "events: [{when: x < 1, set: {k: 0.5}}]"
    (tmp_path / "spec.yaml").write_text(with_events(section))
    words = (
        r"spec.yaml:5:11: events that wait for a state or a delay do not go with data at time inf"
    )
    with pytest.raises(SpecError, match=words):
        build_problem(load_spec(tmp_path / "spec.yaml"))
