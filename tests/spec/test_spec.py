"""The YAML contract: what is read, how it is complained about and where, and what comes back."""

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import script
from specs import BASE, DIRECT, complaints, edited, read

from nfanneal.errors import DataError, SpecError
from nfanneal.model.calls import LogLikelihood
from nfanneal.model.expressions import symbol
from nfanneal.model.noise import NOISE_MODELS
from nfanneal.model.priors import PRIORS, make_prior
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.document import MOST_NODES, parse_document, read_scalar
from nfanneal.spec.json_schema import json_schema
from nfanneal.spec.load import load_spec, spec_from_text

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def file(text):
        content = text if isinstance(text, bytes) else text.encode()
        Path("s.yaml").write_bytes(content)
        Path("d.csv").touch()
        return Path("s.yaml")

    return file


# ---------------------------------------------------------------- what is read


def test_a_spec_and_its_meaning(write):
    checked = load_spec(write(BASE))
    assert checked.spec.name == "decay"
    assert checked.meaning.fixed == {"x0": 2.0}
    assert [p.name for p in checked.meaning.free] == ["k"]
    assert checked.meaning.equations["x"] == -symbol("k") * symbol("x")
    assert checked.meaning.observables == {"x": symbol("x"), "y": symbol("y")}
    (noise,) = checked.meaning.experiments[0].noise
    assert (noise.observable, noise.model, float(noise.arguments[0])) == ("y", "normal", 0.3)
    assert checked.data_file() == Path("d.csv")
    assert checked.warnings == ()


def test_defaults():
    spec = read(BASE).spec
    assert (spec.seed, spec.output.samples, spec.model.time, spec.model.start) == (
        1,
        None,
        "t",
        0,
    )
    solver = spec.model.solver
    assert (solver.method, solver.rtol, solver.atol, solver.max_steps) == (
        "auto",
        1e-6,
        None,
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
    assert load_spec(folder / "s.yaml").data_file() == folder / ".." / "data" / "d.csv"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_examples_load_without_warnings(path):
    assert load_spec(path).warnings == ()


def test_a_preset_gives_way_to_what_stands_beside_it():
    paper = read(BASE + "anneal: {preset: paper, moves: 2}\n").spec.anneal
    assert (paper.objective, paper.scout, paper.moves) == ("reverse_kl", "off", 2)
    plain = read(BASE).spec.anneal
    quick = read(BASE, ["anneal.preset=quick", "anneal.draws=512"]).spec.anneal
    thorough = read(BASE, ["anneal.preset=thorough", "anneal.walkers=512"]).spec.anneal
    assert (quick.draws, quick.walkers, plain.walkers) == (512, 256, None)
    assert (thorough.effort, thorough.walkers, plain.effort) == (4, 512, None)
    assert read(read(BASE + "anneal: {preset: paper}\n").yaml).spec.anneal.moves == 0
    (complaint,) = complaints(BASE + "anneal: {preset: quik}\n")
    assert "did you mean 'quick'?" in complaint


@pytest.mark.parametrize("given", ["{normal: {sigma: s}}", "{normal: s}", '{"normal": "s"}'])
def test_ways_to_write_the_noise(given):
    text = edited(("{normal: 0.3}", given), ("x0: 2", "x0: 2\n  s: {prior: {halfnormal: 1}}"))
    assert read(text).meaning.experiments[0].noise[0].arguments == (symbol("s"),)


@pytest.mark.parametrize("given", ["poisson", "{poisson: }", "{poisson: {}}"])
def test_ways_to_write_noise_without_arguments(given):
    assert read(edited(("{normal: 0.3}", given))).meaning.experiments[0].noise[0].model == "poisson"


@pytest.mark.parametrize("given", ["[0, 1]", "{low: 0, high: 1}", "{high: 1, low: 0}"])
def test_ways_to_write_a_prior(given):
    prior = read(edited(("[0, 1]", given))).meaning.free[0].prior
    assert prior.arguments == {"low": 0.0, "high": 1.0}


def test_bounds_of_a_prior_are_read_and_come_back():
    text = edited(("{uniform: [0, 1]}", "{normal: [1, 2]}, shape: 2, bounds: [0, .inf]"),
                  ("x: -k*x", "x: -k[0]*x"), ("y: k*x", "y: k[1]*x"))  # fmt: skip
    for checked in (read(text), read(read(text).yaml)):
        (parameter,) = checked.meaning.free
        assert (parameter.prior.support, parameter.columns) == ((0.0, math.inf), 2)
        assert parameter.prior.arguments == {"mean": 1.0, "sd": 2.0}
    narrower = read(text, ["parameters.k.bounds=[-.inf, 1.5]"]).meaning.free[0].prior
    assert narrower.support == (-math.inf, 1.5)
    for nothing in ("[-.inf, .inf]", "", "~"):
        whole = read(edited(("[0, .inf]", nothing), base=text)).meaning.free[0].prior
        assert whole == make_prior("normal", [1, 2])


def test_the_scale_of_an_axis_is_read_and_must_fit_the_prior():
    text = edited(("{uniform: [0, 1]}", "{uniform: [0, 1]}, scale: log10"))
    assert read(text).meaning.free[0].scale == "log10"
    assert read(BASE).meaning.free[0].scale == "linear"
    (complaint,) = complaints(text, ["parameters.k.prior={normal: [0, 1]}"])
    assert "9:40: k: a log10 axis has no negative numbers, the prior does" in complaint
    (complaint,) = complaints(edited(("log10", "lg"), base=text))
    assert "9:40: parameters.k.scale must be 'linear', 'log' or 'log10', not 'lg'" in complaint
    above = ["parameters.k.prior={normal: [0, 1]}", "parameters.k.bounds=[0, .inf]"]
    assert read(text, above).meaning.free[0].scale == "log10"


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


def test_keys_are_merged_as_in_yaml():
    """Explicit keys win, then the first of several mappings, then what those were merged of."""
    text = """
x-a: &a {p: 1, q: 1, r: 1, s: 1}
x-b: &b {<<: *a, q: 2, t: 2}
x-c: &c {r: 3, u: 3}
one: {<<: *a, p: 0}
two: {p: 0, <<: [*c, *b]}
"<<": text
"""
    assert parse_document(text, "").data == {
        "one": {"p": 0, "q": 1, "r": 1, "s": 1},
        "two": {"p": 0, "r": 3, "u": 3, "q": 2, "t": 2, "s": 1},
        "<<": "text",
    }


def test_a_merged_prior_is_one_of_the_parameter_with_its_own_place():
    text = edited(
        ("model:", "x-rate: &rate {prior: {uniform: [0, 1]}, unit: 1/h}\nmodel:"),
        ("x0: 2", "x0: {<<: *rate, unit: mg, scale: odd}"),
    )
    with pytest.raises(SpecError, match=r":11:\d+: parameters.x0.scale"):
        read(text)
    found = read(text.replace(", scale: odd", "")).meaning.free
    assert [(p.name, p.unit) for p in found] == [("k", None), ("x0", "mg")]
    assert [p.prior.arguments["high"] for p in found] == [1.0, 1.0]


def test_empty_sections_are_as_good_as_none():
    assert read(BASE + "flow:\nanneal:\noutput:\nseed:\n").spec == read(BASE).spec


def test_nothing_uses_the_parameter():
    text = edited(("x0: 2", "x0: 2\n  a: {prior: {normal: [0, 1]}}\n  b: 3"))
    assert read(text).warnings == ("parameters 'a', 'b' are not used anywhere",)
    many = edited(("x0: 2", "x0: 2" + "".join(f"\n  u{i}: {i}" for i in range(30))))
    (told,) = read(many).warnings
    assert told.endswith("'u7' and 22 more are not used anywhere")
    assert read(DIRECT).warnings == ()


def test_substances_may_be_called_no():
    text = edited(("x0: 2", "NO: 2"), ("x: x0", "x: NO"))
    assert read(text).meaning.initial["x"] == symbol("NO")


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
    start = time.process_time()  # of this process, however busy the machine is
    assert expected in complaints(text)[0]
    assert time.process_time() - start < 20.0


def test_files_that_cannot_be_read(write, tmp_path):
    with pytest.raises(SpecError, match=r"none\.yaml: no such file"):
        load_spec(Path("none.yaml"))
    with pytest.raises(SpecError, match="is a folder, not a spec"):
        load_spec(tmp_path)
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(Path("a\0b"))
    with pytest.raises(SpecError, match=r"s\.yaml:2:\d+: not UTF-8 text"):
        load_spec(write(b"a: 1\nb: \xe9\n"))
    with pytest.raises(SpecError, match=r"a file has at most 5,000,000"):
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


# ------------------------------------------------------------------ what comes back


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_resolved_yaml_is_complete_and_reads_the_same(path, tmp_path):
    checked = load_spec(path)
    again = spec_from_text(checked.yaml, tmp_path)  # paths are absolute: any folder will do
    assert again.yaml == checked.yaml
    assert again.meaning == checked.meaning
    for experiment in checked.data:
        assert again.data_file(experiment) == checked.data_file(experiment).resolve()
    content = yaml.safe_load(checked.yaml)
    assert content["anneal"]["schedule"] == "ess"
    assert content["output"]["checkpoint"] == checked.spec.output.checkpoint


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
        assert read(text).meaning.experiments[0].noise[0].arguments == (2 * symbol("y"),) * len(
            model.arguments
        )


def test_reading_a_spec_does_not_import_torch(write):
    code = (
        "import sys\nfrom pathlib import Path\nfrom nfanneal.spec.load import load_spec\n"
        f"load_spec(Path({str(write(BASE).resolve())!r}))\n"
        "heavy = {'torch', 'numba', 'matplotlib', 'h5py', 'zuko'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = script(code)
    assert done.returncode == 0, done.stderr


TABLE = """\
data:
  table: |
    t,y
    1,0.5
    1,0.7
    2,
    3,1.5
"""


def test_data_in_the_spec_itself_are_those_of_a_file(tmp_path):
    inside = edited(("data: {file: d.csv}\n", TABLE))
    (tmp_path / "d.csv").write_text("t,y\n1,0.5\n1,0.7\n2,\n3,1.5\n")
    theirs = build_problem(spec_from_text(BASE, tmp_path))
    for text in (inside, read(inside).yaml):  # what a result holds reads as it was
        ours = build_problem(read(text))
        theta = np.array([[0.3], [0.6]])
        found, expected = (p.ask(LogLikelihood(), theta) for p in (ours, theirs))
        np.testing.assert_array_equal(found.log_likelihood, expected.log_likelihood)


def test_what_is_wrong_with_data_in_the_spec_is_told_with_its_line():
    wrong = edited(("data: {file: d.csv}\n", TABLE.replace("1,0.7", "1,much")))
    with pytest.raises(DataError, match=r"spec: data.table:3: .*in column 'y': 'much'"):
        build_problem(read(wrong))


def test_axes_are_those_of_observables_and_of_the_time():
    said = "axes: {t: {unit: h}, y: {label: $Y$, unit: nM}}\n"
    checked = read(BASE + said)
    assert checked.spec.axes["y"].label == "$Y$"
    assert checked.spec.time_names == ("t",)
    assert read(checked.yaml).spec.axes == checked.spec.axes
    wrong = complaints(BASE + "axes:\n  k: {unit: 1/h}\n  yy: {unit: nM}\n")
    assert "'k' is neither an observable nor the time" in wrong[0]
    assert "below parameters.k" in wrong[0]
    assert "did you mean 'y'" in wrong[1]
    own = "model: {kind: ode, time: hour, states: {x: 1}, equations: {x: -k*x}}\n"
    rest = "parameters: {k: {prior: {uniform: [0, 1]}}}\ndata: {file: d.csv, time: h}\n"
    spec = read(own + rest + "likelihood: {x: {normal: 1}}\naxes: {hour: {unit: h}}\n").spec
    assert spec.time_names == ("hour", "h")
