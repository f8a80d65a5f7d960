"""`nfanneal import`: a spec of an SBML file, which says what is missing until it is filled in."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import inside
from sbml import apply, assignment, compartment, file, initially, parameter, rate, reaction, species
from scipy import stats

from nfanneal.cli.main import MODULES
from nfanneal.errors import SpecError
from nfanneal.spec.importers import IMPORTERS, imported
from nfanneal.spec.load import spec_from_text

UNIT = '<unitDefinition id="per_day" name="1/day"><listOfUnits/></unitDefinition>'
MODEL = {
    "UnitDefinitions": UNIT,
    "Compartments": compartment(size=2),
    "Species": species("A", amount=10, extra='name="glucose"') + species("log", concentration=0),
    "Parameters": parameter("k", 0.3, extra='units="per_day"') + parameter("off", 0),
    "Reactions": reaction("r", ["A"], ["log"], apply("times", "c", "k", "A")),
}


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.xml"
    path.write_text(file(attributes='name="A &amp; B: #1"', **MODEL))
    return path


def test_every_number_has_a_comment_that_says_where_it_is_from(model, capsys):
    code, out, err = inside(capsys, "import", model)
    assert code == 0
    assert "note: 'log' is called 'log_' here" in err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        "A: 10/c # species, glucose, line 6",
        "log_: 0 # species log, line 6",
        "c: 2 # compartment, line 5",
        "r: A*c*k # rate of a reaction, line 8",
        "A: -r/c",
        "k: 0.3 # TODO prior, such as {prior: {loguniform: [0.03, 3]}}; parameter, in 1/day, "
        "line 7",
        "'off': 0.0 # TODO prior, such as {prior: {normal: [0, 1]}}; parameter, line 7",
    ):
        assert line in lines
    found = yaml.safe_load(out)
    assert found["name"] == "A & B: #1"
    assert found["parameters"] == {"k": 0.3, "off": 0.0}
    assert found["model"]["constants"] == {"c": 2}


def test_without_what_is_missing_a_run_says_what_that_is(model, capsys):
    code, out, _ = inside(capsys, "import", model, "-o", "model.yaml")
    assert (code, "fill in what is marked TODO" in out) == (0, True)
    code, _, err = inside(capsys, "run", "model.yaml")
    assert code == 3
    for words in (
        "a likelihood is needed",
        "data are needed",
        "no parameter has a prior",
        "k: {prior: {loguniform: [0.1, 10]}}",
    ):
        assert words in err


def filled(text):
    """The text with the TODOs done as its comments say."""
    text = re.sub(r"k: 0.3 +# TODO prior, such as ({prior: .*}); .*", r"k: \1", text)
    head, data = text.split("# TODO data and likelihood")
    data = data.split("\n", 1)[1].replace("#", "", 1)
    return head + re.sub(r"^#", "", data, flags=re.MULTILINE)


def test_a_spec_that_is_filled_in_as_its_comments_say_is_complete(model):
    decay = rate("A", apply("minus", apply("times", "k", "A")))
    lists = {name: MODEL[name] for name in ("UnitDefinitions", "Compartments", "Species")}
    model.write_text(file(**lists, Parameters=MODEL["Parameters"], Rules=decay))
    checked = spec_from_text(filled(imported(model).text))
    assert [p.name for p in checked.meaning.free] == ["k"]
    assert list(checked.spec.likelihood) == ["A"]


def test_the_likelihood_of_an_imported_model_is_that_of_its_closed_form(model, capsys):
    """A concentration that decays in a compartment that grows: amount and size are known."""
    growth = rate("c", "g")
    dilution = apply("divide", apply("times", "A", "g"), "c")
    decay = rate("A", apply("minus", apply("minus", apply("times", "k", "A")), dilution))
    ids = parameter("k", 0.3) + parameter("g", 0.5)
    lists = {"Species": species("A", amount=10, boundary=True), "Parameters": ids}
    sized = compartment(size=2, constant=False)
    model.write_text(file(**lists, Compartments=sized, Rules=growth + decay))
    times, measured = np.array([0.0, 1.0, 2.5, 4.0]), np.array([4.9, 3.0, 1.4, 0.8])
    rows = [f"{t},{y}" for t, y in zip(times, measured, strict=True)]
    Path("data.csv").write_text("\n".join(["time,A", *rows]))
    Path("model.yaml").write_text(filled(imported(model).text))
    tight = ("--set", "model.solver.rtol=1e-10", "--set", "model.solver.atol=1e-12")
    code, out, _ = inside(capsys, "evaluate", "model.yaml", "--at", "k=0.4", "--json", *tight)
    assert code == 0
    truth = 10 * np.exp(-0.4 * times) / (2 + 0.5 * times)
    expected = stats.norm.logpdf(measured, truth, 0.1).sum()
    assert json.loads(out)["log_likelihood"] == pytest.approx(expected, rel=1e-7)


def test_a_parameter_without_a_value_is_to_be_filled_in(model):
    model.write_text(file(**MODEL | {"Parameters": MODEL["Parameters"].replace('value="0.3"', "")}))
    text = imported(model).text
    (line,) = (line for line in text.splitlines() if line.startswith("  k:"))
    assert "TODO a value or a prior: the file has none; parameter" in line
    with pytest.raises(SpecError, match=r"parameters.k must be a number, or \{prior"):
        spec_from_text(text)


def test_names_of_the_file_stay_in_their_comments(model):
    hostile = 'name="x&#xa;  evil: 1&#x2028;more: 2&#x85;b: 3&#x202e;"'
    model.write_text(file(**MODEL | {"Species": species("A", amount=1, extra=hostile)
                                     + species("log", amount=0)}))  # fmt: skip
    found = yaml.safe_load(imported(model).text)
    assert set(found["model"]["states"]) == {"A", "log_"}
    assert set(found) == {"name", "model", "parameters"}


def test_a_model_without_parameters_says_where_numbers_are(model):
    lists = {**MODEL, "Parameters": parameter("k", constant=False)}
    lists["Rules"] = assignment("k", "<cn>2</cn>")
    model.write_text(file(**lists))
    text = imported(model).text
    assert "take numbers from model.constants" in text
    lists["Parameters"] = parameter("k")
    lists.pop("Rules")
    lists["InitialAssignments"] = initially("k", "c")
    model.write_text(file(**lists))
    assert yaml.safe_load(imported(model).text)["model"]["expressions"]["k"] == "c"


def test_complaints_have_lines_and_exit_code_three(model, capsys):
    model.write_text(file(**MODEL | {"Reactions": reaction("r", ["A"], [], None)}))
    code, out, err = inside(capsys, "import", model)
    assert (code, out) == (3, "")
    assert f"{model}:8: 'r' has no kinetic law" in err


def test_files_that_nothing_imports_are_refused(tmp_path, capsys):
    path = tmp_path / "model.txt"
    path.write_text("nothing of the kind")
    code, _, err = inside(capsys, "import", path)
    assert code == 3
    assert all(importer.what in err for importer in IMPORTERS)
    for missing in (tmp_path, tmp_path / "no.xml"):
        code, _, err = inside(capsys, "import", missing)
        assert (code, "Traceback" in err) == (3, False)


def test_nothing_is_overwritten_unless_that_is_said(model, capsys):
    (model.parent / "model.yaml").write_text("mine")
    code, _, err = inside(capsys, "import", model, "-o", "model.yaml")
    assert (code, "already exists" in err) == (3, True)
    code, _, err = inside(capsys, "import", model, "-o", model, "--force")
    assert (code, "is what the command reads" in err) == (3, True)
    code, _, _ = inside(capsys, "import", model, "-o", "model.yaml", "--force")
    assert code == 0
    assert MODULES["import"] == "import_"
