"""Names of PEtab problems: parameters that are called otherwise in a spec, columns of tables."""

import pytest
from petab_tables import FIRST, SECOND, edited, problem

from nfanneal.errors import PointError, SpecError
from nfanneal.spec.document import read_document
from nfanneal.spec.load import load_spec
from nfanneal.spec.petab.importing import petab_spec
from nfanneal.spec.point import point_of

pytest.importorskip("petab", reason="nfanneal[petab] is not installed")


def renamed(folder):
    """A problem with a parameter whose id is a word of expressions."""
    return problem(
        folder,
        observables="observableId	observableFormula	noiseFormula\nobs_a	A*lambda	0.5\n",
        parameters=FIRST["parameters.tsv"] + "lambda	lin	0.1	10	3	1\n",
    )


def test_the_nominal_value_of_a_parameter_that_is_called_otherwise_in_a_spec(tmp_path):
    checked = load_spec(renamed(tmp_path))
    assert checked.nominal == {"k1": 0.8, "k2": 0.6, "lambda_": 3.0}


def test_a_nominal_value_that_is_missing_is_not_made_up(tmp_path):
    path = problem(tmp_path, **edited("parameters", ("10	0.6	1", "10		1")))
    checked = load_spec(path)
    assert checked.nominal == {"k1": 0.8}
    with pytest.raises(PointError, match="no value is given for k2"):
        point_of(checked, None, checked.nominal)
    assert point_of(checked, {"k2": 0.5}, checked.nominal).tolist() == [0.8, 0.5]


@pytest.mark.parametrize(
    ("table", "column", "meant", "files"),
    [
        ("observables", "noiseDistribtion", "noiseDistribution", FIRST),
        ("observables", "observableTransformaton", "observableTransformation", FIRST),
        ("parameters", "objectivePriorTyp", "objectivePriorType", FIRST),
        ("measurements", "noiseParameter", "noiseParameters", FIRST),
        ("parameters", "priorDistributions", "priorDistribution", SECOND),
    ],
)
def test_a_column_that_is_nearly_one_that_matters(tmp_path, table, column, meant, files):
    header, *rows = files[f"{table}.tsv"].splitlines()
    if meant in header:
        header = header.replace(meant, column)
    else:
        header, rows = f"{header}\t{column}", [f"{row}\t1" for row in rows]
    path = problem(tmp_path, files, **{table: "\n".join([header, *rows]) + "\n"})
    with pytest.raises(SpecError, match=f"'{column}' is none that PEtab knows") as caught:
        load_spec(path)
    assert f"{table}.tsv:1:" in str(caught.value)
    assert f"write '{meant}'" in str(caught.value)


def test_a_renamed_parameter_keeps_its_id_as_a_label(tmp_path):
    path = renamed(tmp_path)
    checked = load_spec(path)
    labels = {p.name: p.label for p in checked.meaning.free}
    assert labels["lambda_"] == "lambda"
    text = petab_spec(read_document(path), tmp_path).text
    (line,) = [line for line in text.splitlines() if line.strip().startswith("lambda_:")]
    assert line.endswith("# nominal 3.0; parameters.tsv:4")
    assert checked.place("parameters", "lambda_").line == 4
