"""Events at one time: which comes first, which values they take, and which are given up."""

import numpy as np
import pytest
from piecewise import TIMES, agree, simulator_of, write

from nfanneal.errors import SpecError
from nfanneal.runs.remarks import remarks
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec

TIGHT = {"rtol": 1e-11, "atol": 1e-13, "max_steps": 100_000}
NAMES = "a0 fall swap late"
THETA = [2.0, 0.4, 1.7, 0.9]


def still(events, **states):
    """A model whose other states change by events alone; those of a and b decay and grow."""
    moving = {"a": "a0", "b": 1.0, **states}
    rates = {"a": "-fall*a", "b": "0.1*b", "x": "1"}
    return {
        "states": moving,
        "equations": {name: rates.get(name, 0) for name in moving},
        "events": events,
        "solver": TIGHT,
    }


def constants(tmp_path, model):
    """The last values of all observables at THETA."""
    values, _ = simulator_of(tmp_path, model, NAMES)(THETA)
    return dict(zip(model["states"], values[-1].tolist(), strict=True))


@pytest.mark.parametrize("method", ["tsit5", pytest.param("stiff", marks=pytest.mark.long)])
def test_two_events_that_swap_what_they_found(tmp_path, method):
    events = [
        {"when": "t >= swap", "set": {"a": "b"}, "values": "at_trigger"},
        {"when": "t >= swap", "set": {"b": "a*t"}, "delay": 0},
        {"when": "t >= swap", "set": {"sum": "sum + a"}, "delay": "late",
         "values": "at_assignment"},
    ]  # fmt: skip

    def truth(theta):
        a0, fall, swap, late = theta
        rows = []
        for t in TIMES:
            a, b = a0 * np.exp(-fall * min(t, swap)), np.exp(0.1 * min(t, swap))
            after = b * np.exp(-fall * late)
            if t >= swap:
                a, b = b * np.exp(-fall * (t - swap)), a * swap * np.exp(0.1 * (t - swap))
            rows.append([a, b, after if t >= swap + late else 0.0])
        return np.array(rows)

    model = still(events, sum=0)
    model["solver"] = TIGHT | {"method": method}
    agree(simulator_of(tmp_path, model, NAMES), truth, THETA)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, 1.0),
        ({"persistent": False}, 0.0),
        ({"persistent": False, "priority": 2}, 1.0),
        ({"persistent": False, "priority": -2}, 0.0),
    ],
)
def test_an_event_whose_condition_another_ends(tmp_path, more, expected):
    events = [
        {"when": "t >= 2", "set": {"c": 0}},
        {"when": "t >= 2 and c > 0.5", "set": {"n": "n + 1"}, **more},
    ]
    assert constants(tmp_path, still(events, c=1, n=0))["n"] == expected


@pytest.mark.parametrize(("persistent", "expected"), [(True, 2.0), (False, 1.0)])
def test_what_waits_is_given_up_where_the_condition_ends(tmp_path, persistent, expected):
    """x is above 1 from 1 to 2, and from 3 on: what is due at 2.5 is given up, at 4.5 not."""
    events = [
        {"when": "t >= 2", "set": {"x": 0}},
        {"when": "x > 1", "set": {"n": "n + 1"}, "delay": 1.5, "persistent": persistent},
    ]
    assert constants(tmp_path, still(events, x=0, n=0))["n"] == expected


def test_the_last_of_several_is_that_of_the_lowest_priority(tmp_path):
    events = [
        {"when": "t >= 2", "set": {"n": "10*n + 1"}, "priority": -1},
        {"when": "t >= 2", "set": {"n": "10*n + 2"}},
        {"when": "t >= 2", "set": {"n": "10*n + 3"}, "priority": 0.5},
        {"when": "n > 2 and t > 1", "set": {"n": "10*n + 4"}, "priority": 1},
    ]
    assert constants(tmp_path, still(events, n=0))["n"] == 3421


def test_others_look_after_what_comes_first(tmp_path):
    events = [
        {"when": "t >= 2", "set": {"q": "p"}, "delay": 1},
        {"when": "t >= 2 and p < 1", "set": {"r": 1}},
        {"when": "p > 1", "set": {"s": "p"}, "values": "at_trigger"},
        {"when": "t >= 2", "set": {"p": 7}, "priority": "first"},
    ]
    found = constants(tmp_path, still(events, p=0, q=0, r=0, s=0))
    assert [found[name] for name in "pqrs"] == [7, 7, 0, 7]
    told = remarks(build_problem(load_spec(tmp_path / "spec.yaml")))
    assert [text.split(";")[0] for text in told] == [
        f"data at the time of an event that sets '{name}' (2) see the state after it"
        for name in "pr"
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"priority": "first", "delay": 1}, "an event that comes first has no delay"),
        ({"priority": "high"}, "priority"),
        ({"values": "later"}, "values must be 'at_trigger' or 'at_assignment'"),
    ],
)
def test_what_is_refused(tmp_path, more, message):
    model = still([{"when": "t >= 2", "set": {"a": 0}, **more}])
    with pytest.raises(SpecError, match=message):
        load_spec(write(tmp_path, model, NAMES))
