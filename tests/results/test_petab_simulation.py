"""PEtab's table of simulations, from a result of a PEtab problem."""

import csv

import numpy as np
import pytest
from commands import inside
from petab_tables import conversion, problem

pytest.importorskip("petab", reason="nfanneal[petab] is not installed")
MEASURED = """\
observableId	simulationConditionId	measurement	time	observableParameters	datasetId
obs_a	c1	1.4	1	2	one
obs_a	c0	0.6	1	1	two
obs_b	c0	0.4	1		two

obs_a	c0	9	4	10	three
"""
QUICK = ("anneal.preset=quick", "output.samples=200", "output.error=0.5")


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def test_rows_and_columns_are_those_of_the_measurements(tmp_path, capsys):
    tables = {
        "conditions": "conditionId	k1\nc0	0.8\nc1	0.3\n",
        "parameters": "parameterId	parameterScale	lowerBound	upperBound	nominalValue	"
        "estimate\nk2	lin	0.3	1	0.6	1\nlambda	lin	0.3	1	0.5	1\n",
        "observables": "observableId	observableFormula	noiseFormula\n"
        "obs_a	observableParameter1_obs_a*A	0.5\nobs_b	B	lambda\n",
    }
    path = problem(tmp_path, measurements=MEASURED, **tables)
    result = tmp_path / "r.h5"
    settings = [word for text in QUICK for word in ("--set", text)]
    code, _, err = inside(capsys, "run", path, "-o", result, "--quiet", *settings)
    assert result.exists(), err
    assert inside(capsys, "predict", result, "--times", "1,2", "--petab", path)[0] == 0
    assert inside(capsys, "export", result, "--to", "petab", "-o", tmp_path / "best")[0] == 0
    best = {row["parameterId"]: row for row in rows_of(next(tmp_path.glob("*.parameters.tsv")))}
    assert set(best) == {"k2", "lambda"}  # which is a word of expressions: lambda_ in a spec
    assert set(rows_of(next(tmp_path.glob("*.samples.tsv")))[0]) == {"k2", "lambda"}
    k2 = float(best["k2"]["nominalValue"])
    found = rows_of(tmp_path / "r.predictions.simulations.tsv")
    given = list(csv.DictReader(MEASURED.replace("\n\n", "\n").splitlines(), delimiter="\t"))
    expected = [
        2 * conversion(1.0, k1=0.3, k2=k2), conversion(1.0, k2=k2), 1 - conversion(1.0, k2=k2),
        10 * conversion(4.0, k2=k2),
    ]  # fmt: skip
    simulated = [float(row.pop("simulation")) for row in found]
    np.testing.assert_allclose(simulated, expected, rtol=1e-4)
    assert found == [{k: v for k, v in row.items() if k != "measurement"} for row in given]
    later = MEASURED.replace("	1	1	two", "	3	1	two")
    other = problem(tmp_path / "other", measurements=later, **tables)
    code, _, err = inside(capsys, "predict", result, "--petab", other, "--force")
    assert code != 0
    assert "the result is of another problem: it has no data of 'obs_a' of 'c0' at 3" in err
