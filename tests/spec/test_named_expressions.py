"""Expressions with a name: what they may hold, where they may stand, what they cost."""

import re
import time
from importlib import resources

import numpy as np
import pytest
from specs import complaints, edited, read

from nfanneal.model.expressions import parse, symbol
from nfanneal.model.latent import LatentMap
from nfanneal.model.observations import Observations
from nfanneal.spec.build.ode_model import ode_simulator
from nfanneal.spec.named import in_order
from nfanneal.spec.reader import MOST_DERIVATIVES


def with_names(named, *changes):
    """The basic spec, whose state x decays by a flux with a name."""
    lines = "".join(f"    {name}: {text}\n" for name, text in named.items())
    place = ("  equations:\n", f"  expressions:\n{lines}  equations:\n")
    return edited(place, ("    x: -k*x", "    x: -flux"), *changes)


def test_names_stand_in_any_order_and_hold_each_other():
    checked = read(with_names({"flux": "twice*half", "half": "x/2", "twice": "2*k"}))
    assert list(checked.meaning.named) == ["half", "flux"]
    assert checked.meaning.named["flux"] == 2 * symbol("k") * symbol("half")
    assert checked.meaning.equations["x"] == -symbol("flux")
    assert checked.warnings == ()


def test_those_of_parameters_stand_in_initial_values_and_noise():
    changes = (
        ("{x: x0, y: 0}", "{x: start, y: 0}"),
        ("{normal: 0.3}", "{normal: {sigma: start*k}}"),
    )
    named = {"flux": "k*x", "start": "3*half", "half": "x0/2"}
    checked = read(with_names(named, *changes))
    assert checked.meaning.initial["x"] == 3 * symbol("x0") / 2
    (noise,) = checked.meaning.experiments[0].noise
    assert noise.arguments[0] == 3 * symbol("x0") * symbol("k") / 2


def test_an_observable_may_be_an_expression_and_have_its_name():
    shown = ("parameters:", "  observables: {flux: flux, y: y + flux}\nparameters:")
    checked = read(with_names({"flux": "k*x"}, shown))
    assert checked.meaning.observables["flux"] == symbol("flux")
    noisy = ("{normal: 0.3}", "{normal: {sigma: 0.1*flux}}")
    assert read(with_names({"flux": "k*x"}, shown, noisy))


@pytest.mark.parametrize(
    ("named", "changes", "words"),
    [
        ({"flux": "2*a", "a": "b*x", "b": "1 + flux"}, (),
         ["spec:6:11: model.expressions.flux holds itself: flux → a → b → flux"]),
        ({"flux": "flux"}, (), ["spec:6:11: model.expressions.flux holds itself: flux → flux"]),
        ({"flux": "k*z"}, (), ["spec:6:13: model.expressions.flux: unknown name 'z'"]),
        ({"flux": "k*x", "k": "1"}, (), ["spec:7:5: 'k' is already a parameter"]),
        ({"flux": "k*x", "x": "1"}, (), ["spec:7:5: 'x' is already one of the states"]),
        ({"flux": "k*x", "t": "1"}, (), ["spec:7:5: 't' is already the time"]),
        ({"flux": "k*x", "exp": "1"}, (), ["spec:7:5: 'exp' is a function of expressions"]),
        ({"flux": "k*x"}, (("{x: x0, y: 0}", "{x: flux, y: 0}"),),
         ["spec:4:15: model.states.x: unknown name 'flux'\n  hint: 'flux' is not made of "
          "parameters and constants alone"]),
        ({"flux": "k*x"}, (("{normal: 0.3}", "{normal: flux}"),),
         ["spec:15:15: likelihood.y.normal: unknown name 'flux'\n  hint: 'flux' is not made of "
          "parameters and constants alone"]),
        ({"flux": "k*x"}, (("parameters:", "  observables: {flux: 2*flux, y: y}\nparameters:"),),
         ["spec:10:17: 'flux' is one of the expressions"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_its_place(named, changes, words):
    assert complaints(with_names(named, *changes)) == words


@pytest.mark.parametrize(
    ("section", "name", "formula"),
    [
        ("  doses: {x: {time: 1, amount: twice}}\n", "twice", "(2*k)"),
        ("  events: [{when: x > 3, set: {x: half}}]\n", "half", "(x/2)"),
    ],
)
def test_where_none_is_known_what_to_write_is_told(section, name, formula):
    changes = [("  equations:\n", f"{section}  equations:\n")]
    told = complaints(with_names({"flux": "k*x", "twice": "2*k", "half": "x/2"}, *changes))
    expected = f"expressions are not known here: write {formula} in place of '{name}'"
    assert any(expected in line for line in told), told


def test_all_circles_are_found_and_what_hangs_on_them_is_left_out():
    names = dict.fromkeys("abcdefg")
    texts = {"a": "b", "b": "a + c", "c": "d", "d": "1", "e": "a", "f": "f*c", "g": "c + d"}
    order, circles = in_order({k: parse(v, names) for k, v in texts.items()})
    assert order == ["d", "c", "g"]
    assert circles == {"a": ["a", "b", "a"], "f": ["f", "f"]}


HOSTILE = {
    "doubling": ({"flux": "x*w0", **{f"w{i}": f"sin(w{i + 1})*cos(w{i + 1})" for i in range(60)},
                  "w60": "k"}, "would have more than 300,000 terms"),
    "powers": ({"flux": "x*w0", **{f"w{i}": f"(1 + w{i + 1})*w{i + 1}" for i in range(60)},
                "w60": "t"}, "would have more than 300,000 terms"),
    "many": ({"flux": "x", **{f"w{i}": f"sin(w{i + 1})*cos(w{i + 1})" for i in range(6000)},
              "w6000": "x"}, "more than 20,000 operations"),
    "deep": ({"flux": "x*w0", **{f"w{i}": f"sin(w{i + 1})" for i in range(400)}, "w400": "k"},
             "nested more than 150 levels deep"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_webs_that_are_too_costly_are_refused_at_once(name):
    named, words = HOSTILE[name]
    began = time.process_time()
    found = complaints(with_names(named))
    assert any(words in complaint for complaint in found)
    assert time.process_time() - began < 30  # without limits some would not end


def test_names_of_many_symbols_count_where_they_are_used():
    """Each use of a sum of all states costs as many products as there are states."""
    states = [f"z{i}" for i in range(600)]
    uses = MOST_DERIVATIVES // len(states) + 1
    text = edited(
        ("{x: x0, y: 0}", f"{{{', '.join(f'{s}: x0' for s in states)}, y: 0}}"),
        ("  equations:\n    x: -k*x\n", "  expressions:\n    all: " + " + ".join(states) + "\n"
         + "".join(f"    u{i}: sin({i + 1}*all)\n" for i in range(uses)) + "  equations:\n"
         + "".join(f"    {s}: -k*{s}\n" for s in states)),
        ("    y: k*x", "    y: k*x0"),
    )  # fmt: skip
    found = complaints(text)
    assert f"derivatives up to here would take more than {MOST_DERIVATIVES:,}" in found[0]


def test_the_example_of_the_guide_is_compiled(tmp_path):
    page = (resources.files("nfanneal") / "guide" / "models.md").read_text()
    example = re.search(r"```yaml\n(model:\n  kind: ode\n.*?)```", page, re.DOTALL).group(1)
    priors = "".join(f"  {p}: {{prior: {{lognormal: [0, 1]}}}}\n" for p in
                     ("kon", "koff", "kcat", "E0", "S0"))  # fmt: skip
    rest = f"parameters:\n{priors}data: {{file: d.csv}}\nlikelihood:\n  S: {{normal: error}}\n"
    checked = read(f"name: enzyme\n{example}{rest}")
    assert list(checked.meaning.named) == ["bind", "back", "made", "total"]
    latent = LatentMap(checked.meaning.free)
    at_one = (np.zeros(1, dtype=np.int64),)
    observations = Observations(np.array([1.0]), ("S",), at_one, (np.ones(1),))
    simulator = ode_simulator(checked, checked.spec.model, latent, [observations])
    system = simulator.experiments[0].system.system
    assert len(system.named) == 4
    written_out = system.written_out
    assert not written_out.named
    kon, e, s = map(symbol, ("kon", "E", "S"))
    assert written_out.equations[0].coeff(kon) == -e * s
