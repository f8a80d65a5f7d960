"""The YAML contract: what is read, how it is complained about and where, and what comes back."""

import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nfanneal.errors import SpecError
from nfanneal.expressions import symbol
from nfanneal.noise import NOISE_MODELS
from nfanneal.priors import PRIORS
from nfanneal.spec import json_schema, load_spec, spec_from_text
from nfanneal.spec.document import MOST_NODES, parse_document, read_scalar

CONFIGS = Path(__file__).parent.parent / "configs"

BASE = """\
name: decay
model:
  kind: ode
  states: {x: x0, y: 0}
  equations:
    x: -k*x
    y: k*x
parameters:
  k: {prior: {uniform: [0, 1]}}
  x0: 2
data: {file: d.csv}
likelihood:
  y: {normal: 0.3}
"""
DIRECT = """\
model: {kind: python, file: m.py, log_likelihood: f}
parameters: {x: {shape: 3, prior: {normal: [0, 1]}}}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def file(text):
        content = text if isinstance(text, bytes) else text.encode()
        Path("s.yaml").write_bytes(content)
        Path("d.csv").touch()
        return Path("s.yaml")

    return file


def complaints(text, overrides=()):
    """(line, column, message) of every complaint; the text is in a file called spec."""
    with pytest.raises(SpecError, match=r".") as caught:
        spec_from_text(text, Path(), overrides)
    return [str(complaint) for complaint in caught.value.complaints]


def edited(*changes, base=BASE):
    for old, new in changes:
        assert base.count(old) == 1
        base = base.replace(old, new)
    return base


def read(text, overrides=()):
    return spec_from_text(text, Path(), overrides)


# ---------------------------------------------------------------- what is read


def test_a_spec_and_its_meaning(write):
    checked = load_spec(write(BASE))
    assert checked.spec.name == "decay"
    assert checked.meaning.fixed == {"x0": 2.0}
    assert [p.name for p in checked.meaning.free] == ["k"]
    assert checked.meaning.equations["x"] == -symbol("k") * symbol("x")
    assert checked.meaning.observables == {"x": symbol("x"), "y": symbol("y")}
    (noise,) = checked.meaning.noise
    assert (noise.observable, noise.model, float(noise.arguments[0])) == ("y", "normal", 0.3)
    assert checked.data_file == Path("d.csv")
    assert checked.warnings == ()


def test_defaults():
    spec = read(BASE).spec
    assert (spec.seed, spec.output.samples, spec.model.time, spec.model.start) == (
        1,
        10_000,
        "t",
        0,
    )
    solver = spec.model.solver
    assert (solver.method, solver.rtol, solver.atol, solver.max_steps) == (
        "auto",
        1e-6,
        1e-8,
        10_000,
    )
    assert (spec.anneal.schedule, spec.anneal.objective) == ("ess", "forward_kl")
    assert spec.flow.kind is None
    assert spec.data.time == "t"


def test_paths_are_relative_to_the_file(tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "s.yaml").write_text(edited(("d.csv", "../data/d.csv")))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "d.csv").touch()
    assert load_spec(folder / "s.yaml").data_file == folder / ".." / "data" / "d.csv"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_examples_load_without_warnings(path):
    assert load_spec(path).warnings == ()


def test_a_preset_gives_way_to_what_stands_beside_it():
    paper = read(BASE + "anneal: {preset: paper, moves: 2}\n").spec.anneal
    assert (paper.objective, paper.scout, paper.moves) == ("reverse_kl", "off", 2)
    plain = read(BASE).spec.anneal
    quick = read(BASE, ["anneal.preset=quick", "anneal.draws=512"]).spec.anneal
    assert (quick.draws, quick.max_rounds, plain.max_rounds) == (512, 2, None)
    assert read(read(BASE + "anneal: {preset: paper}\n").yaml).spec.anneal.moves == 0
    (complaint,) = complaints(BASE + "anneal: {preset: quik}\n")
    assert "did you mean 'quick'?" in complaint


@pytest.mark.parametrize("given", ["{normal: {sigma: s}}", "{normal: s}", '{"normal": "s"}'])
def test_ways_to_write_the_noise(given):
    text = edited(("{normal: 0.3}", given), ("x0: 2", "x0: 2\n  s: {prior: {halfnormal: 1}}"))
    assert read(text).meaning.noise[0].arguments == (symbol("s"),)


@pytest.mark.parametrize("given", ["poisson", "{poisson: }", "{poisson: {}}"])
def test_ways_to_write_noise_without_arguments(given):
    assert read(edited(("{normal: 0.3}", given))).meaning.noise[0].model == "poisson"


@pytest.mark.parametrize("given", ["[0, 1]", "{low: 0, high: 1}", "{high: 1, low: 0}"])
def test_ways_to_write_a_prior(given):
    prior = read(edited(("[0, 1]", given))).meaning.free[0].prior
    assert prior.arguments == {"low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-3", -3), ("+3", 3), ("010", 10), ("1_000", 1000), ("0x1F", 31), ("1.5", 1.5),
        ("1.", 1.0), (".5", 0.5), ("1e-6", 1e-6), ("1E6", 1e6), ("-2.5e+3", -2500.0),
        (".inf", math.inf), ("-.Inf", -math.inf), ("true", True), ("False", False),
        ("", None), ("~", None), ("null", None),
        ("yes", "yes"), ("NO", "NO"), ("on", "on"), ("y", "y"), ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"), ("1e999", "1e999"), ("1__0", "1__0"), ("=", "="), ("x", "x"),
        ("9" * 5000, "9" * 5000), ("inf", "inf"), ("nan", "nan"), ("e5", "e5"), ("٣", "٣"),
    ],
)  # fmt: skip
def test_scalars(text, value):
    found = read_scalar(text)
    assert found == value
    assert type(found) is type(value)
    assert parse_document(f"a: {text}", "").data["a"] == value


def test_quoted_text_is_text():
    assert parse_document("a: '1'\nb: \"true\"\nc: ''\nd: |\n  2\n", "").data == {
        "a": "1", "b": "true", "c": "", "d": "2\n",
    }  # fmt: skip
    assert math.isnan(read_scalar(".nan"))


def test_anchors_are_allowed():
    text = edited(
        ("uniform: [0, 1]}", "uniform: &range [0, 1]}"),
        ("x0: 2", "x0: {prior: {uniform: *range}}"),
    )
    assert [p.prior.arguments["high"] for p in read(text).meaning.free] == [1.0, 1.0]


def test_empty_sections_are_as_good_as_none():
    assert read(BASE + "flow:\nanneal:\noutput:\nseed:\n").spec == read(BASE).spec


def test_nothing_uses_the_parameter():
    text = edited(("x0: 2", "x0: 2\n  a: {prior: {normal: [0, 1]}}\n  b: 3"))
    assert read(text).warnings == (
        "parameter 'a' is not used anywhere",
        "parameter 'b' is not used anywhere",
    )
    assert read(DIRECT).warnings == ()


def test_substances_may_be_called_no():
    text = edited(("x0: 2", "NO: 2"), ("x: x0", "x: NO"))
    assert read(text).meaning.initial["x"] == symbol("NO")


# ------------------------------------------------- where and how it is complained about

ONE = {
    "unknown key": (("name: decay", "nmae: decay"), "1:1: unknown key 'nmae' in the spec"),
    "unknown key, hint": (("name: decay", "nmae: decay"), "hint: did you mean 'name'?"),
    "unknown key, list": (("name: decay", "zz: 1"), "hint: known keys: name, model, parameters"),
    "unknown section key": (
        ("kind: ode", "kind: ode\n  solver: {rtl: 1}"),
        "4:12: unknown key 'rtl' in model.solver\n  hint: did you mean 'rtol'?",
    ),
    "kind": (("kind: ode", "kind: odee"), "3:9: model needs kind: ode or kind: python, not 'odee'"),
    "kind, hint": (("kind: ode", "kind: pyhton"), "hint: did you mean 'python'?"),
    "no kind": (("  kind: ode\n", ""), "2:1: model needs kind: ode or kind: python"),
    "model": (
        (
            "model:\n  kind: ode\n  states: {x: x0, y: 0}\n  equations:\n    x: -k*x\n    y: k*x\n",
            "model: 3\n",
        ),
        "2:8: model must hold keys and values",
    ),
    "no states": (("  states: {x: x0, y: 0}\n", ""), "2:1: model needs the key 'states'"),
    "empty states": (("{x: x0, y: 0}", "{}"), "4:11: model.states must not be empty"),
    "number": (
        ("kind: ode", "kind: ode\n  solver: {rtol: tiny}"),
        "4:18: model.solver.rtol must be a number, not 'tiny'",
    ),
    "bool": (("kind: ode", "kind: ode\n  start: true"), "4:10: model.start must be a number"),
    "nan": (("kind: ode", "kind: ode\n  start: .nan"), "4:10: model.start must be a finite number"),
    "overflow": (("kind: ode", "kind: ode\n  start: 1e999"), "4:10: model.start must be a number"),
    "constant": (
        ("kind: ode", "kind: ode\n  constants: {c: [1]}"),
        "4:18: model.constants.c must be a number",
    ),
    "infinite constant": (
        ("kind: ode", "kind: ode\n  constants: {c: .inf}"),
        "4:18: model.constants.c must be a finite number",
    ),
    "bound": (("name: decay", "seed: -1"), "1:7: seed must be at least 0, not '-1'"),
    "strict bound": (
        ("kind: ode", "kind: ode\n  solver: {atol: 0}"),
        "4:18: model.solver.atol must be above 0, not '0",
    ),
    "choice": (("name: decay", "flow: {kind: nfs}"), "1:14: flow.kind must be 'nsf', 'maf'"),
    "time in the noise": (
        ("{normal: 0.3}", "{normal: 0.1*t}"),
        "the time stands in equations and observables only",
    ),
    "choice, hint": (("name: decay", "anneal: {schedule: linar}"), "hint: did you mean 'linear'?"),
    "whole": (("name: decay", "seed: 1.5"), "1:7: seed must be a whole number, not '1.5'"),
    "list item": (
        ("name: decay", "flow: {hidden: [64, wide]}"),
        "1:21: flow.hidden.1 must be a whole number, not 'wide'",
    ),
    "list": (("name: decay", "flow: {hidden: 64}"), "1:16: flow.hidden must be a list, not '64'"),
    "text": (("name: decay", "name: [decay]"), "1:7: name must be text"),
    "expression type": (
        ("x: -k*x", "x: [1]"),
        "6:8: model.equations.x must be a number or an expression",
    ),
    "expression": (
        ("x: -k*x", "x: -kk*x"),
        "6:9: model.equations.x: unknown name 'kk'\n  hint: did you mean 'k'?",
    ),
    "double quoted": (("x: -k*x", 'x: "-kk*x"'), "6:10: model.equations.x: unknown name 'kk'"),
    "single quoted": (("x: -k*x", "x: '-kk*x'"), "6:10: model.equations.x: unknown name 'kk'"),
    "anchored": (("x: -k*x", "x: &a -kk*x"), "6:12: model.equations.x: unknown name 'kk'"),
    "anchored and quoted": (("x: -k*x", "x: &a '-kk*x'"), "6:13: model.equations.x: unknown"),
    "escaped": (("x: -k*x", 'x: "\\x2dkk*x"'), "6:8: model.equations.x: unknown name 'kk'"),
    "block": (("x: -k*x", "x: |\n      -k*x\n      - kk*x"), "6:8: model.equations.x: unknown"),
    "folded": (("x: -k*x", "x: -k*x\n      - kk*x"), "6:8: model.equations.x: unknown name 'kk'"),
    "comment in a block": (("x: -k*x", "x: |\n      -k*x # loss\n      + k"), "no comments"),
    "flow style": (
        ("{x: x0, y: 0}", "{x: x0, y: 2*zz}"),
        "4:24: model.states.y: unknown name 'zz'",
    ),
    "greek": (("{x: x0, y: 0}", "{x: x0, y: 'µ'}"), "4:23: model.states.y: 'µ': unknown"),
    "initial value uses a state": (
        ("{x: x0, y: 0}", "{x: x0, y: x}"),
        "4:22: model.states.y: unknown",
    ),
    "vector": (
        ("uniform: [0, 1]}", "uniform: [0, 1]}, shape: 2"),
        "6:9: model.equations.x: 'k' is a vec",
    ),
    "shape": (
        ("uniform: [0, 1]}", "uniform: [0, 1]}, shape: 0"),
        "9:40: parameters.k.shape must be at least 1",
    ),
    "state without equation": (("    y: k*x\n", ""), "4:19: state 'y' has no equation"),
    "equation without state": (
        ("    y: k*x\n", "    y: k*x\n    yy: 1\n"),
        "8:5: an equation for 'yy'",
    ),
    "name": (("x0: 2", "x0: 2\n  2a: 3"), "11:3: '2a' is not a name"),
    "keyword": (("x0: 2", "x0: 2\n  lambda: 3"), "11:3: 'lambda' is not a name"),
    "function": (("x0: 2", "x0: 2\n  exp: 3"), "11:3: 'exp' is a function"),
    "name of the time": (("x0: 2", "x0: 2\n  t: 3"), "11:3: 't' is the time's name"),
    "taken name": (("x0: 2", "x0: 2\n  x: 3"), "4:12: 'x' is already a parameter"),
    "unknown prior": (
        ("uniform: [", "unifrom: ["),
        "9:15: k: unknown prior 'unifrom'\n  hint: did you mean 'uniform'?",
    ),
    "bad prior": (("[0, 1]", "[1, 0]"), "9:24: k: uniform: low must be below high, not 1 and 0"),
    "prior with text": (("[0, 1]", "[0, a]"), "9:24: k: expected numbers, uniform: [low, high]"),
    "prior with too few": (
        ("[0, 1]", "[0]"),
        "9:24: k: expected uniform: [low, high], 2 number(s)",
    ),
    "prior without arguments": (
        ("{uniform: [0, 1]}", "uniform"),
        "9:14: parameters.k.prior must hold",
    ),
    "two priors": (
        ("uniform: [0, 1]", "uniform: [0, 1], normal: [0, 1]"),
        "9:14: k: a prior is one name",
    ),
    "parameter": (
        ("{prior: {uniform: [0, 1]}}", "abc"),
        "9:6: parameters.k must be a number, or {prior: …}, not 'abc'",
    ),
    "nothing free": (("{prior: {uniform: [0, 1]}}", "1"), "8:1: no parameter has a prior"),
    "unknown noise": (("normal:", "nromal:"), "13:7: unknown noise model 'nromal'"),
    "unknown noise, hint": (("normal:", "nromal:"), "hint: did you mean 'normal'?"),
    "noise argument": (("0.3", "{sgima: 1}"), "13:16: normal has no 'sgima'"),
    "noise expression": (
        ("0.3", "{sigma: 2*kk}"),
        "13:25: likelihood.y.normal.sigma: unknown name 'kk'",
    ),
    "noise argument missing": (
        ("normal: 0.3", "student_t: {df: 3}"),
        "13:7: student_t needs sigma",
    ),
    "noise argument empty": (("0.3", "{sigma: }"), "not a number or an expression"),
    "noise argument list": (("0.3", "{sigma: [1]}"), "not a number or an expression"),
    "observable": (
        ("  y: {normal", "  z: {normal"),
        "13:3: no observable 'z'\n  hint: observables: x, y",
    ),
    "no likelihood": (("likelihood:\n  y: {normal: 0.3}\n", ""), "1:1: a likelihood is needed"),
    "no data": (("data: {file: d.csv}\n", ""), "1:1: data are needed"),
    "data column": (
        ("{file: d.csv}", "{file: d.csv, columns: {yy: Y}}"),
        "11:31: 'yy' has a column",
    ),
    "duplicate key": (("x0: 2", "x0: 2\n  x0: 3"), "11:3: the key 'x0' stands here twice"),
    "key": (("x0: 2", "x0: 2\n  [a]: 3"), "11:3: a key must be a word"),
    "python tag": (
        ("decay", "!!python/object/apply:os.system [ls]"),
        "1:7: the tag !!python/object",
    ),
    "tuple tag": (
        ("[0, 1]", "!!python/tuple [0, 1]"),
        "9:24: the tag !!python/tuple is not allowed",
    ),
    "own tag": (("decay", "!own decay"), "1:7: the tag !own is not allowed"),
    "set tag": (("{x: x0, y: 0}", "!!set {x, y}"), "4:11: the tag !!set is not allowed"),
    "YAML": (("[0, 1]", "[0, 1"), "9:29: not valid YAML: expected ',' or ']'"),
    "two documents": (("likelihood:", "---\nlikelihood:"), "12:1: not valid YAML"),
    "unknown anchor": (("[0, 1]", "*zz"), "9:24: not valid YAML: found undefined alias"),
    "tab": (("  x0: 2", "\tx0: 2"), "10:1: not valid YAML"),
    "NUL": (("decay", "de\0cay"), "1:9: not valid YAML: the character '\\x00'"),
}


@pytest.mark.parametrize(("change", "expected"), ONE.values(), ids=ONE)
def test_complaints_say_what_and_where(change, expected):
    found = "\n".join(complaints(edited(change)))
    assert expected in found
    if re.match(r"\d", expected):
        assert f"spec:{expected}" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: a spec is a mapping"),
        ("# nothing\n", "1:1: a spec is a mapping"),
        ("- a\n", "1:1: a spec is a mapping"),
        ("text", "1:1: a spec is a mapping"),
        ("parameters: {k: 1}", "1:1: the spec needs the key 'model'"),
        (DIRECT + "data: {file: d.csv}", "3:1: 'data' is not used with model.log_likelihood"),
        (DIRECT + "likelihood: {y: poisson}", "3:1: 'likelihood' is not used"),
        (DIRECT.replace(", log_likelihood: f", ""), "either log_likelihood or simulate"),
        (DIRECT.replace("f}", "f, simulate: g}"), "either log_likelihood or simulate"),
        (DIRECT.replace("f}", "f, array: nmupy}"), "hint: did you mean 'numpy'?"),
        (DIRECT.replace("file", "flie"), "1:23: unknown key 'flie' in model\n  hint: did you mean"),
    ],
)
def test_other_complaints(text, expected):
    assert expected in "\n".join(complaints(text))


def test_all_complaints_come_at_once_and_in_order():
    """Duplicate keys, wrong types and wrong expressions are found by three different readers."""
    text = edited(
        ("name: decay", "nam: decay\nseed: 1\nseed: 2"),
        ("kind: ode", "kind: ode\n  solver: {rtol: tiny}"),
        ("x: -k*x", "x: -kk*x"),
        ("[0, 1]", "[1, 0]"),
        ("x0: 2", "x0: two"),
        ("normal: 0.3", "normal: sgima"),
    )
    found = complaints(text + "output: {samples: 3}\n")
    assert [line.split(": ")[0] for line in found] == [
        "spec:1:1", "spec:3:1", "spec:6:18", "spec:9:9", "spec:12:24", "spec:13:7", "spec:16:15",
        "spec:17:19",
    ]  # fmt: skip


def test_a_wrong_value_does_not_make_its_name_unknown():
    """The rest is checked with placeholders: no complaint follows from another."""
    text = edited(
        ("kind: ode", "kind: ode\n  constants: {c: abc}\n  observables: {o: [], p: x + c}"),
        ("x: -k*x", "x: true"),
        ("k: {prior: {uniform: [0, 1]}}", "k: {prior: 3, shape: 2}"),
        ("  y: {normal: 0.3}", "  o: {normal: c}\n  p: poisson"),
        ("y: k*x", "y: k[1]*x"),
        ("{file: d.csv}", "{fil: d.csv}"),
    )
    found = [line.split(": ")[0] for line in complaints(text)]
    assert found == [f"spec:{at}" for at in ("4:18", "5:20", "8:8", "11:14", "13:1", "13:8")]


def test_every_misspelt_key_has_its_own_place():
    known = json_schema()["$defs"]["AnnealSpec"]["properties"]
    text = BASE + "anneal:\n" + "".join(f"  {key}q: 1\n" for key in known)
    found = complaints(text)
    assert len(found) == len(known)
    for line, (key, complaint) in enumerate(zip(known, found, strict=True), start=15):
        assert complaint == (
            f"spec:{line}:3: unknown key '{key}q' in anneal\n  hint: did you mean '{key}'?"
        )


# --------------------------------------------------------------------- hostile files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n"
            for i in range(9)), "too many values"),
        ("a: &a [*a]", "nested too deeply"),
        ("a: &a {b: *a}", "nested too deeply"),
        ("[" * 20_000, "nested too deeply"),
        ("a: " + "{a: " * 5_000, "nested too deeply"),
        ("- " * 3_000, "nested too deeply"),
        (f"a: [{'1,' * MOST_NODES}]", "too many values"),
    ],
    ids=["laughs", "cycle", "cycle of keys", "brackets", "braces", "dashes", "long"],
)  # fmt: skip
def test_hostile_files_are_refused_soon(text, expected):
    start = time.perf_counter()
    assert expected in complaints(text)[0]
    assert time.perf_counter() - start < 20.0


def test_files_that_cannot_be_read(write, tmp_path):
    with pytest.raises(SpecError, match=r"none\.yaml: no such file"):
        load_spec(Path("none.yaml"))
    with pytest.raises(SpecError, match="is a folder, not a spec"):
        load_spec(tmp_path)
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(Path("a\0b"))
    with pytest.raises(SpecError, match=r"s\.yaml:2: not UTF-8 text"):
        load_spec(write(b"a: 1\nb: \xe9\n"))
    with pytest.raises(SpecError, match=r"a spec has at most 5,000,000"):
        load_spec(write(b"#" * 5_000_001))


def test_byte_order_mark_and_windows_lines(write):
    checked = load_spec(write(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode()))
    assert checked.spec == read(BASE).spec


@settings(deadline=None)
@given(st.text(alphabet="ab:{}[],-&*!|>'\"#%@ \n\t01.e?", max_size=80))
def test_any_text_is_read_or_refused(text):
    with pytest.raises(SpecError, match=r"."):  # there is no model in it
        read(text)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=5), st.lists(st.integers()),
    st.floats(-1e6, 1e6), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
places = st.sampled_from(
    ["name", "model", "model.kind", "model.time", "model.start", "model.states", "model.states.x",
     "model.equations", "model.equations.x", "model.constants", "model.observables",
     "model.observables.x", "model.solver", "model.solver.rtol", "model.solver.method",
     "parameters", "parameters.k", "parameters.k.prior", "parameters.k.prior.uniform",
     "parameters.k.shape", "parameters.k.label", "data", "data.file", "data.columns",
     "data.columns.y", "likelihood", "likelihood.y", "likelihood.y.normal",
     "likelihood.y.normal.sigma", "flow", "flow.hidden", "anneal", "anneal.draws", "output", "seed"]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(changes=st.lists(st.tuples(places, scalars), min_size=1, max_size=3))
def test_any_value_anywhere_is_read_or_refused(changes):
    data = yaml.safe_load(BASE)
    for place, value in changes:
        *path, last = place.split(".")
        target = data
        for key in path:
            target = target.setdefault(key, {}) if isinstance(target, dict) else {}
        if isinstance(target, dict):
            target[last] = value
    try:
        checked = read(yaml.safe_dump(data, allow_unicode=True))
    except SpecError as error:
        assert error.complaints
        assert len(set(error.complaints)) == len(error.complaints)
    else:
        assert read(checked.yaml).yaml == checked.yaml


# ----------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("anneal.draws=4096", {"anneal": {"draws": 4096}}),
        ("flow.hidden=[32, 32]", {"flow": {"hidden": [32, 32]}}),
        ("seed=1e1", {"seed": 10}),
        ("name=#5 = a", {"name": "#5 = a"}),
        ("name='a: b'", {"name": "a: b"}),
        ("output={samples: 500}", {"output": {"samples": 500}}),
        ("model.solver.rtol=1e-9", {"model": {"solver": {"rtol": 1e-9}}}),
        ("parameters.x0=3.5", {"parameters": {"x0": 3.5}}),
        ("parameters.k.prior={normal: [0, 1]}",
         {"parameters": {"k": {"prior": {"normal": [0, 1]}}}}),
    ],
)  # fmt: skip
def test_overrides(override, expected):
    def agrees(found, wanted):
        if not isinstance(wanted, dict):
            return found == wanted
        return all(agrees(found[key], value) for key, value in wanted.items())

    checked = read(BASE, [override])
    assert agrees(checked.spec.model_dump(), expected)
    assert checked.spec != read(BASE).spec


def test_later_overrides_win():
    assert read(BASE, ["seed=5", "seed=6"]).spec.seed == 6
    assert read(BASE + "flow:\n", ["flow.bins=4"]).spec.flow.bins == 4


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("anneal.draws=abc", "anneal.draws must be a whole number, not 'abc'"),
        ("anneal.drws=3", "unknown key 'drws' in anneal\n  hint: did you mean 'draws'?"),
        ("aneal.draws=3", "unknown key 'aneal' in the spec\n  hint: did you mean 'anneal'?"),
        (
            "model.equations.x=-kk*x",
            "model.equations.x: unknown name 'kk'\n  hint: did you mean 'k'?",
        ),
        ("parameters.k.prior.uniform=[1, 0]", "k: uniform: low must be below high, not 1 and 0"),
        ("anneal", "not of the form key=value\n  hint: write --set section.key=value"),
        ("=3", "not of the form key=value"),
        ("a..b=3", "not of the form key=value"),
        ("model.states.x.y=3", "'model.states.x' holds no keys"),
        ("name=[1", "not valid YAML: expected ',' or ']'"),
        ("name=a\0", "not valid YAML: the character"),
        ("model.constants={a: 1, a: 2}", "the key 'a' stands here twice"),
        ("name=!!python/name:os.system x", "the tag !!python/name:os.system is not allowed"),
    ],
)
def test_complaints_about_overrides_name_them(override, expected):
    assert complaints(BASE, [override])[0].startswith(f"--set {override}: {expected}")


def test_complaints_about_overrides_come_after_those_about_the_file():
    found = complaints(edited(("x: -k*x", "x: -kk*x")), ["seed=abc", "name=[1", "anneal.draws=8"])
    assert [line.split(" ")[0] for line in found] == ["spec:6:9:", "--set", "--set", "--set"]


def test_an_override_can_mend_the_file():
    text = edited(("x: -k*x", "x: -kk*x"))
    assert read(text, ["model.equations.x=-k*x"]).spec == read(BASE).spec


# ------------------------------------------------------------------ what comes back


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_resolved_yaml_is_complete_and_reads_the_same(path, tmp_path):
    checked = load_spec(path)
    again = spec_from_text(checked.yaml, tmp_path)  # paths are absolute: any folder will do
    assert again.yaml == checked.yaml
    assert again.meaning == checked.meaning
    if checked.data_file is not None:
        assert again.data_file == checked.data_file.resolve()
    content = yaml.safe_load(checked.yaml)
    assert content["anneal"]["schedule"] == "ess"
    assert content["output"]["samples"] == checked.spec.output.samples


names = st.from_regex(r"[a-zA-Z][a-z0-9_]{0,3}", fullmatch=True).filter(
    lambda s: s not in {"k", "x", "y", "x0", "t", "exp", "log", "sqrt", "sin", "cos", "tan", "tanh",
                        "abs", "min", "max", "hill", "as", "if", "in", "is", "or", "and", "def",
                        "del", "for", "not", "try", "from", "elif", "else", "pass", "with", "draw",
                        "None", "True"}
)  # fmt: skip
positive = st.floats(1e-12, 1e12)


@settings(deadline=None)
@given(
    title=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
                  min_size=1, max_size=8),
    label=st.one_of(st.none(), st.sampled_from(["1e-6", "010", "null", "yes", "$\\alpha$", " a "])),
    extra=st.dictionaries(names, positive, max_size=3),
    rtol=st.floats(1e-12, 0.1), atol=positive, seed=st.integers(0, 2**40),
    mean=st.floats(-1e6, 1e6), sd=positive,
    hidden=st.one_of(st.none(), st.lists(st.integers(1, 512), min_size=1, max_size=3)),
)  # fmt: skip
def test_any_spec_survives_being_resolved(title, label, extra, rtol, atol, seed, mean, sd, hidden):
    data = yaml.safe_load(BASE)
    data |= {"name": title, "seed": seed, "flow": {"hidden": hidden}}
    data["data"]["file"] = "/data/d.csv"
    data["model"]["solver"] = {"rtol": rtol, "atol": atol}
    data["model"]["constants"] = extra
    data["parameters"]["k"] = {"prior": {"normal": [mean, sd]}, "label": label}
    checked = read(yaml.safe_dump(data, allow_unicode=True))
    again = read(checked.yaml)
    assert again.spec == checked.spec
    assert again.yaml == checked.yaml


def test_text_that_looks_like_a_number_stays_text():
    checked = read(edited(("decay", "'1e-6'")))
    assert checked.spec.name == "1e-6"
    assert read(checked.yaml).spec.name == "1e-6"


def test_specs_cannot_be_changed():
    spec = read(BASE).spec
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 2
    with pytest.raises(ValueError, match="frozen"):
        spec.anneal.draws = 2


def test_json_schema_is_complete():
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"].startswith("https://json-schema.org/")
    for definition in (schema, *schema["$defs"].values()):
        if definition.get("type") == "object":
            assert definition["additionalProperties"] is False
    text = json.dumps(schema)
    assert all(f'"{name}"' in text for name in (*PRIORS, *NOISE_MODELS))


def test_every_field_is_described():
    definitions = json_schema()["$defs"]
    sections = {"OdeSpec", "PythonSpec", "SolverSpec", "ParameterSpec", "DataSpec", "OutputSpec",
                "FlowSpec", "AnnealSpec"}  # fmt: skip
    assert sections <= set(definitions)
    for section in sections:
        assert definitions[section]["description"]
        for name, entry in definitions[section]["properties"].items():
            described = "description" in entry or "$ref" in entry or name == "kind"
            assert described, f"{section}.{name}"


def test_every_prior_and_noise_model_can_be_written():
    for name, kind in PRIORS.items():
        given_ = dict(zip(kind.arguments, (1.0, 2.0, 3.0, 4.0), strict=False))
        text = edited(("{uniform: [0, 1]}", json.dumps({name: given_})))
        assert read(text).meaning.free[0].prior.name == name
    for name, model in NOISE_MODELS.items():
        text = edited(("{normal: 0.3}", json.dumps({name: dict.fromkeys(model.arguments, "2*y")})))
        assert read(text).meaning.noise[0].arguments == (2 * symbol("y"),) * len(model.arguments)


def test_reading_a_spec_does_not_import_torch(write):
    code = (
        "import sys\nfrom pathlib import Path\nfrom nfanneal.spec import load_spec\n"
        f"load_spec(Path({str(write(BASE).resolve())!r}))\n"
        "heavy = {'torch', 'numba', 'matplotlib', 'h5py', 'zuko'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
