"""How a spec is complained about: in which words and where, in files and in overrides."""

import re

import pytest
from specs import BASE, DIRECT, complaints, edited, read

from nfanneal.spec.json_schema import json_schema

# ------------------------------------------------- where and how it is complained about

ONE = {
    "unknown key": (("name: decay", "nmae: decay"), "1:1: unknown key 'nmae' in the spec"),
    "unknown key, hint": (("name: decay", "nmae: decay"), "hint: did you mean 'name'?"),
    "unknown key, list": (("name: decay", "zz: 1"), "hint: known keys: name, model, parameters"),
    "unknown section key": (
        ("kind: ode", "kind: ode\n  solver: {rtl: 1}"),
        "4:12: unknown key 'rtl' in model.solver\n  hint: did you mean 'rtol'?",
    ),
    "kind": (
        ("kind: ode", "kind: odee"),
        "3:9: model needs kind: ode or kind: python or kind: program, not 'odee'",
    ),
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
    **{
        f"bounds: {given}": (("{uniform: [0, 1]}", f"{{uniform: [0, 1]}}, bounds: {given}"), told)
        for given, told in (
            ("[1]", "9:41: parameters.k.bounds must be two numbers, [low, high]"),
            ("{low: 0}", "9:41: parameters.k.bounds must be two numbers, [low, high]"),
            ("[0, a]", "9:45: parameters.k.bounds.1 must be a number, not 'a'"),
            ("[1, 0]", "9:41: k: bounds: the first must be below the second, not [1, 0]"),
            ("[2, 3]", "9:41: k: bounds: uniform has nothing within [2, 3], its support is"),
        )
    },
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
    "state beside observables": (
        ("kind: ode", "kind: ode\n  observables: {z: 2*y}"),
        "14:3: no observable 'y'\n  hint: add `y: y` to model.observables, which replace",
    ),
    "no likelihood": (("likelihood:\n  y: {normal: 0.3}\n", ""), "1:1: a likelihood is needed"),
    "a file and a table": (
        ("{file: d.csv}", "{file: d.csv, table: 't,y'}"),
        "11:1: data need one of the two: file, or table",
    ),
    "neither file nor table": (
        ("{file: d.csv}", "{time: t}"),
        "11:1: data need one of the two: file, or table",
    ),
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
    "merged text": (("{x: x0, y: 0}", "{x: x0, <<: 0}"), "4:19: << takes mappings"),
    "merged with itself": (("name: decay", "name: decay\nx-a: &a {<<: *a}"), "nested too deeply"),
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
    assert found == [f"spec:{at}" for at in ("4:18", "5:20", "8:8", "11:14", "13:8")]


def test_every_misspelt_key_has_its_own_place():
    known = json_schema()["$defs"]["AnnealSpec"]["properties"]
    text = BASE + "anneal:\n" + "".join(f"  {key}q: 1\n" for key in known)
    found = complaints(text)
    assert len(found) == len(known)
    for line, (key, complaint) in enumerate(zip(known, found, strict=True), start=15):
        assert complaint == (
            f"spec:{line}:3: unknown key '{key}q' in anneal\n  hint: did you mean '{key}'?"
        )


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
        ("name=a\ufffe", "not valid YAML: the character"),
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
