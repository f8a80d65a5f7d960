"""Where the trajectories of experiments begin: given values, steady states, resets after them."""

import numpy as np
import pytest
import yaml
from commands import inside
from piecewise import differences
from scipy.linalg import expm
from specs import complaints

from nfanneal.errors import SpecError
from nfanneal.results.identity import run_identity
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.load import load_spec, spec_from_text

TIMES = np.array([0.0, 0.7, 2.0, 5.0])
CYCLE = {
    "kind": "ode",
    "states": {"a": "a0", "b": "1", "m": "0.1"},
    "equations": {"a": "-on*a + off*b", "b": "on*a - off*b", "m": "s*b + light - d*m"},
    "constants": {"off": 0.5},
    "changes": {"s": {"time": 1, "value": "3*s"}},
    "inputs": {"light": {"times": [-1, 2], "values": [0.2, 0.6]}},
    "pre_equilibration": {"on": "0.1*on", "s": 0},
    "solver": {"rtol": 1e-10, "atol": 1e-12, "max_steps": 100_000},
}
TABLE = "t,a,b,m\n" + "".join(f"{t},1,1,1\n" for t in TIMES)
PARAMETERS = ["a0", "on", "s", "d"]
THETA = [2.0, 0.9, 0.7, 0.4]


def spec_of(model, experiments, table=TABLE, names=PARAMETERS, **more):
    """The text of a spec with several experiments."""
    prior = {"prior": {"uniform": [0.01, 20]}}
    spec = {
        "model": model,
        "parameters": dict.fromkeys(names, prior),
        "likelihood": {name: {"normal": 1.0} for name in table.split("\n")[0].split(",")[1:]},
        "experiments": {e: {"data": {"table": table}} | said for e, said in experiments.items()},
    }
    return yaml.safe_dump(spec | more, sort_keys=False)


def predicted(problem, theta):
    """Values (m, k) and derivatives (m, k, p) of each experiment; the same without gradients."""
    simulator, times = problem.likelihood.simulator, problem.likelihood.times
    assert len({id(e.system) for e in simulator.experiments}) == 1
    rows = np.array([theta])
    plain, sloped = (simulator.predict(rows, times, gradient) for gradient in (False, True))
    assert not sloped.failed[0], sloped.reasons
    np.testing.assert_array_equal(plain.values, sloped.values)
    cuts = np.cumsum([len(t) for t in times])[:-1]
    return np.split(sloped.values[0], cuts), np.split(sloped.jacobian[0], cuts)


def agree(found, theta, truths):
    """Each experiment's values and derivatives are those of its truth(θ)."""
    for values, slopes, truth in zip(*found, truths, strict=True):
        np.testing.assert_allclose(values, truth(theta), rtol=1e-8, atol=1e-9)
        expected = differences(truth, list(theta))
        np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-8)


def cycle(begin, off=0.5, factor=1.0):
    """The truth of CYCLE by matrix exponentials; `begin` gives its state at the start."""

    def truth(theta):
        a0, on, s, d = theta
        on = on * factor

        def course(y, time, s, light):
            flow = [[-on, off, 0, 0], [on, -off, 0, 0], [0, s, -d, light], [0, 0, 0, 0]]
            return expm(np.array(flow, dtype=float) * time) @ y

        found, y = [], np.array([*begin(a0, on, s, d), 1.0])
        for t in TIMES:
            now = course(y, min(t, 1.0), s, 0.2)
            now = course(now, min(max(t - 1, 0), 1.0), 3 * s, 0.2)
            found.append(course(now, max(t - 2, 0), 3 * s, 0.6)[:3])
        return np.array(found)

    return truth


def at_rest(total, on, off, s, d):
    b = total * on / (on + off)
    return [total - b, b, (s * b + 0.2) / d]


EXPERIMENTS = {
    "as_the_model": {},
    "given": {"initial": "given"},
    "empty": {"pre_equilibration": {}, "states": {"m": "d"}},
    "other": {"pre_equilibration": {"on": "a0*on"}, "constants": {"off": 0.8}},
    "more": {"pre_equilibration": {"off": 2}},
    "own": {"initial": "steady_state", "pre_equilibration": {}, "parameters": {"on": "2*on"}},
}
TRUTHS = [
    cycle(lambda a0, on, s, d: at_rest(a0 + 1, 0.1 * on, 0.5, 0, d)),
    cycle(lambda a0, on, s, d: [a0, 1, 0.1]),
    cycle(lambda a0, on, s, d: [a0, 1, d]),
    cycle(lambda a0, on, s, d: at_rest(a0 + 1, a0 * on, 0.8, 0, d), off=0.8),
    cycle(lambda a0, on, s, d: at_rest(a0 + 1, 0.1 * on, 2.0, 0, d)),
    cycle(lambda a0, on, s, d: at_rest(a0 + 1, on, 0.5, s, d), factor=2.0),
]


def test_each_experiment_has_a_start_of_its_own_in_one_compiled_system():
    checked = spec_from_text(spec_of(CYCLE, EXPERIMENTS))
    problem = build_problem(checked)
    agree(predicted(problem, THETA), THETA, TRUTHS)
    again = build_problem(spec_from_text(checked.yaml))  # as a result keeps it
    for one, other in zip(predicted(problem, THETA), predicted(again, THETA), strict=True):
        np.testing.assert_array_equal(one, other)
    assert run_identity(checked, problem).digest == run_identity(checked, again).digest


@pytest.mark.long
def test_one_experiment_alone_can_have_a_steady_state(tmp_path, capsys):
    model = {k: v for k, v in CYCLE.items() if k != "pre_equilibration"}
    experiments = {"given": {}, "steady": {"pre_equilibration": {"s": 0}}}
    path = tmp_path / "spec.yaml"
    path.write_text(spec_of(model, experiments))
    problem = build_problem(load_spec(path))
    truths = [TRUTHS[1], cycle(lambda a0, on, s, d: at_rest(a0 + 1, on, 0.5, 0, d))]
    agree(predicted(problem, THETA), THETA, truths)
    code, out, err = inside(capsys, "check", path)
    assert code == 0, out + err


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"initial": "steady"}, "did you mean 'steady_state'?"),
        ({"pre_equilibration": {"of": 1}}, "no constant or parameter 'of'\n  hint: did you mean"),
        ({"pre_equilibration": {"on": "ofd"}}, "unknown name 'ofd'"),
        ({"pre_equilibration": 3}, "experiments.x.pre_equilibration"),
        ({"initial": "given", "pre_equilibration": {"on": 1}}, "nothing to equilibrate"),
    ],
)
def test_what_is_wrong_with_a_start_is_told(said, words):
    told = complaints(spec_of(CYCLE, {"x": said}))
    assert any(words in each for each in told), told


def test_python_models_have_no_starts():
    text = spec_of({"kind": "python", "file": "m.py", "simulate": "f"}, {"x": {"initial": "given"}})
    assert any("a python model has no initial" in each for each in complaints(text))


RESETS = {
    "none": {"reset": {}},
    "as_the_model": {},
    "own": {"reset": {"a": "a0*d", "m": 0.3}},
    "of_states": {"reset": {"b": "a", "a": "b + s*m", "m": "m"}, "initial": "given"},
}


def test_states_are_reset_after_the_steady_state_to_what_each_experiment_says():
    """Simultaneously: two that are exchanged see each other as they were before."""
    model = CYCLE | {"reset": {"m": "2*d"}, "doses": {"m": {"time": 0, "amount": "s"}}}

    def start(reset, begin=lambda a0, on, s, d: at_rest(a0 + 1, 0.1 * on, 0.5, 0, d)):
        def dosed(a0, on, s, d):
            a, b, m = reset(*begin(a0, on, s, d), a0, s, d)
            return [a, b, m + s]

        return cycle(dosed)

    truths = [
        start(lambda a, b, m, a0, s, d: (a, b, m)),
        start(lambda a, b, m, a0, s, d: (a, b, 2 * d)),
        start(lambda a, b, m, a0, s, d: (a0 * d, b, 0.3)),
        start(lambda a, b, m, a0, s, d: (b + s * m, a, m), lambda a0, on, s, d: (a0, 1, 0.1)),
    ]
    checked = spec_from_text(spec_of(model, RESETS))
    agree(predicted(build_problem(checked), THETA), THETA, truths)
    again = build_problem(spec_from_text(checked.yaml))
    agree(predicted(again, THETA), THETA, truths)


@pytest.mark.long
def test_logarithms_are_reset_to_positive_values():
    """x' = −k·x from c²·x0, where x0 is what it starts from."""
    model = {"kind": "ode", "states": {"x": "k"}, "equations": {"x": "-k*x"}, "positive": True}
    model |= {"solver": {"rtol": 1e-10}, "reset": {"x": "c**2*x"}}
    table = "t,x\n0,1\n2,1\n"
    checked = spec_from_text(spec_of(model, {"one": {}}, table, ["k", "c"]))

    def truth(theta):
        k, c = theta
        return c**2 * k * np.exp(-k * np.array([[0.0], [2.0]]))

    agree(predicted(build_problem(checked), [0.4, 1.3]), [0.4, 1.3], [truth])
    wrong = spec_of(model | {"reset": {"x": -1}}, {"one": {}}, table, ["k", "c"])
    with pytest.raises(SpecError, match="initial value of 'x' must be above 0"):
        build_problem(spec_from_text(wrong))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"z": 1}, "there is no state 'z'"),
        ({"m": "t"}, "the time stands in equations and observables only"),
        ({"m": "mm"}, "unknown name 'mm'"),
    ],
)
def test_what_is_wrong_with_a_reset_is_told(said, words):
    for text in (
        spec_of(CYCLE | {"reset": said}, {"x": {}}),
        spec_of(CYCLE, {"x": {"reset": said}}),
    ):
        assert any(words in each for each in complaints(text)), complaints(text)
