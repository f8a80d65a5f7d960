"""PEtab problems as specs: what they mean, what is wrong with them and where, hostile ones."""

import random

import numpy as np
import pytest
import sympy
import yaml
from hypothesis import given
from hypothesis import strategies as st
from petab_tables import (
    FIRST,
    MODEL,
    SECOND,
    complaints,
    conversion,
    edited,
    log_likelihood,
    normal,
    problem,
)  # fmt: skip

from nfanneal.errors import InputError
from nfanneal.model.expressions import compile_numpy, symbol
from nfanneal.spec.load import load_spec
from nfanneal.spec.petab.formulas import FormulaError, formula

pytest.importorskip("petab", reason="nfanneal[petab] is not installed")


# ---------------------------------------------------------------- what it means


def test_both_versions_mean_the_same(tmp_path):
    first = problem(
        tmp_path / "1", **edited("conditions", ("conditionId\nc0", "conditionId	A\nc0	2"))
    )
    second = problem(tmp_path / "2", SECOND)
    expected = normal([0.7, 0.1], conversion([0.0, 10.0], a=2.0), 0.5)
    assert log_likelihood(first) == pytest.approx(expected, abs=1e-6)
    assert log_likelihood(second) == pytest.approx(expected, abs=1e-6)
    specs = [load_spec(path).spec for path in (first, second)]
    assert specs[0].parameters["k1"].prior == {"loguniform": [0.01, 100.0]}
    assert specs[1].parameters["k1"].prior == specs[0].parameters["k1"].prior
    assert specs[0].parameters["k2"].prior == {"uniform": [0.01, 10.0]}


def test_an_estimated_parameter_that_some_conditions_replace(tmp_path):
    path = problem(
        tmp_path,
        conditions="conditionId	k1\nc0	\nc1	0.3\nc2	k2\n",
        measurements="observableId	simulationConditionId	time	measurement\n"
        "obs_a	c0	3	0.7\nobs_a	c1	3	0.5\nobs_a	c2	3	0.4\n",
    )
    # an empty cell is what the model's file says, which here is what is estimated
    k1 = (0.8, 0.3, 0.6)
    predicted = np.array([conversion(3.0, k1=k) for k in k1])
    expected = normal([0.7, 0.5, 0.4], predicted, 0.5)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-6)


def test_noise_that_depends_on_states_and_on_other_observables(tmp_path):
    path = problem(
        tmp_path,
        observables="observableId	observableFormula	noiseFormula\n"
        "obs_a	A	0.1 + B\nobs_b	2*B	0.2 + obs_a\n",
        measurements="observableId	simulationConditionId	time	measurement\n"
        "obs_a	c0	1	0.7\nobs_b	c0	1	0.6\n",
    )
    a = float(conversion(1.0))
    expected = normal([0.7], a, 0.1 + 1.0 - a) + normal([0.6], 2.0 * (1.0 - a), 0.2 + a)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-6)


def test_periods_set_states_and_parameters_one_after_the_other(tmp_path):
    path = problem(
        tmp_path,
        SECOND,
        conditions="conditionId	targetId	targetValue\nc0	A	2\nc1	k1	0.1\nc1	B	0.5*k2\n",
        experiments="experimentId	time	conditionId\ne0	0	c0\ne0	2	c1\n",
        measurements="observableId	experimentId	time	measurement\n"
        "obs_a	e0	1	1\nobs_a	e0	3	1\n",
        parameters="parameterId	lowerBound	upperBound	nominalValue	estimate\n"
        "k2	0.01	10	0.6	true\n",
    )
    before = conversion([1.0, 2.0], a=2.0)
    after = conversion(1.0, a=before[1], b=0.3, k1=0.1)
    expected = normal([1.0, 1.0], np.array([before[0], float(after)]), 0.5)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-6)


def test_noise_that_a_later_period_changes(tmp_path):
    path = problem(
        tmp_path,
        SECOND,
        conditions="conditionId	targetId	targetValue\nc0	A	2\nc1	k2	0.9\n",
        experiments="experimentId	time	conditionId\ne0	0	c0\ne0	2	c1\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	A	k2\n",
        measurements="observableId	experimentId	time	measurement\n"
        "obs_a	e0	1	1\nobs_a	e0	3	1\n",
        parameters="parameterId	lowerBound	upperBound	nominalValue	estimate\n"
        "k1	0.01	10	0.8	true\n",
    )
    before = conversion([1.0, 2.0], a=2.0)
    after = conversion(1.0, a=before[1], b=2.0 - before[1], k2=0.9)
    expected = normal([1.0], before[0], 0.6) + normal([1.0], float(after), 0.9)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-6)


def test_what_an_equilibration_begins_from_is_of_its_own_condition(tmp_path):
    """Initial values that follow from a parameter which both conditions set."""
    model = MODEL.replace(
        '<parameter id="k1"', '<parameter id="a0" value="1" constant="true"/><parameter id="k1"'
    ).replace(
        "<listOfReactions>",
        '<listOfInitialAssignments><initialAssignment symbol="A">'
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><ci>a0</ci></math>'
        "</initialAssignment></listOfInitialAssignments><listOfReactions>",
    )
    path = problem(
        tmp_path,
        model=model,
        conditions="conditionId	a0	k1\nrest	3	0.2\nc0	7	0.8\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	A + a0	0.5\n",
        measurements="observableId	preequilibrationConditionId	simulationConditionId	time	"
        "measurement\nobs_a	rest	c0	1	8\n",
        parameters="parameterId	parameterScale	lowerBound	upperBound	nominalValue	estimate\n"
        "k2	lin	0.01	10	0.6	1\n",
    )
    start = 3.0 * 0.6 / 0.8
    expected = normal([8.0], float(conversion(1.0, a=start, b=3.0 - start)) + 7.0, 0.5)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-6)


ASSIGNED = MODEL.replace(
    '<parameter id="k1"',
    '<parameter id="q" constant="true"/><parameter id="index" value="0.3" constant="true"/>'
    '<parameter id="k1"',
).replace(
    "<listOfReactions>",
    '<listOfInitialAssignments><initialAssignment symbol="q">'
    '<math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><cn>2</cn><ci>k1</ci>'
    "</apply></math></initialAssignment></listOfInitialAssignments><listOfReactions>",
)
"""With a parameter q that is twice k1 at the start, and a constant."""
TWO_TIMES = (
    "observableId	simulationConditionId	time	measurement	observableParameters	"
    "noiseParameters\n"
)


def test_what_is_computed_at_the_start_stays_though_a_period_changes_what_it_is_of(tmp_path):
    path = problem(
        tmp_path,
        SECOND,
        model=ASSIGNED,
        conditions="conditionId	targetId	targetValue\nc0	A	2\nc1	k1	0.1\n",
        experiments="experimentId	time	conditionId\ne0	0	c0\ne0	2	c1\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	q	0.5\n",
        measurements="observableId	experimentId	time	measurement\nobs_a	e0	3	1\n",
        parameters="parameterId	lowerBound	upperBound	nominalValue	estimate\n"
        "k2	0.01	10	0.6	true\n",
    )
    assert log_likelihood(path) == pytest.approx(normal([1.0], 1.6, 0.5), abs=1e-9)


def test_noise_of_an_observable_that_is_there_several_times(tmp_path):
    """By the observable itself, as it is at that time, and beside one that is called alike."""
    path = problem(
        tmp_path,
        observables="observableId	observableFormula	noiseFormula\n"
        "obs_a	observableParameter1_obs_a*A	0.1 + 0.1*obs_a\n"
        "obs_a_2	B	noiseParameter1_obs_a_2\n",
        measurements=TWO_TIMES
        + "obs_a	c0	1	0.7	1	\nobs_a	c0	2	4	10	\n"
        "obs_a_2	c0	1	0.3		0.2\nobs_a_2	c0	2	0.5		0.4\n",
    )
    a = conversion([1.0, 2.0])
    expected = normal([0.7], a[0], 0.1 + 0.1 * a[0]) + normal([4.0], 10 * a[1], 0.1 + a[1])
    expected += normal([0.3], 1 - a[0], 0.2) + normal([0.5], 1 - a[1], 0.4)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-5)


def test_names_that_look_like_those_of_the_importer(tmp_path):
    """A condition called as a pair of two others would be, and a parameter called index."""
    path = problem(
        tmp_path,
        model=ASSIGNED,
        conditions="conditionId	k1	index\nc0	0.8	0.5\np	0.8	0.3\nc0_after_p	0.2	0.9\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	A + index	0.5\n",
        measurements="observableId	preequilibrationConditionId	simulationConditionId	time	"
        "measurement\nobs_a	p	c0	1	1\nobs_a		c0_after_p	1	1\n",
        parameters="parameterId	parameterScale	lowerBound	upperBound	nominalValue	estimate\n"
        "k2	lin	0.01	10	0.6	1\n",
    )
    expected = normal([1.0], 0.6 / 1.4 + 0.5, 0.5)
    expected += normal([1.0], float(conversion(1.0, k1=0.2)) + 0.9, 0.5)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-6)


def test_ids_that_look_like_nothing_and_headers_with_spaces(tmp_path):
    tables = {
        "experiments": "experimentId 	time	conditionId\nNA	5	c0\n",
        "measurements": "observableId	 experimentId	time	measurement\nobs_a	NA	6	0.7\n",
    }
    expected = normal([0.7], conversion(1.0, a=2.0), 0.5)
    assert log_likelihood(problem(tmp_path, SECOND, **tables)) == pytest.approx(expected, abs=1e-6)


def test_a_period_comes_before_an_event_at_its_time(tmp_path):
    event = (
        '<listOfEvents><event id="e" useValuesFromTriggerTime="true">'
        '<trigger initialValue="true" persistent="true">'
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><apply><geq/><csymbol encoding="text" '
        'definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol><cn>2</cn></apply></math>'
        '</trigger><listOfEventAssignments><eventAssignment variable="A">'
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><apply><plus/><ci>A</ci><cn>1</cn>'
        "</apply></math></eventAssignment></listOfEventAssignments></event></listOfEvents></model>"
    )
    path = problem(
        tmp_path,
        SECOND,
        model=MODEL.replace("</model>", event),
        conditions="conditionId	targetId	targetValue\nc0	A	2\nc1	A	5\n",
        experiments="experimentId	time	conditionId\ne0	0	c0\ne0	2	c1\n",
        measurements="observableId	experimentId	time	measurement\nobs_a	e0	2	6\n",
    )
    assert log_likelihood(path) == pytest.approx(normal([6.0], 6.0, 0.5), abs=1e-9)


def test_a_mapping_table_names_what_the_model_calls_otherwise(tmp_path):
    path = problem(
        tmp_path,
        SECOND,
        problem=SECOND["problem.yaml"] + "mapping_files: [mapping.tsv]\n",
        conditions="conditionId	targetId	targetValue\nc0	first	2\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	first	0.5\n",
    )
    (tmp_path / "mapping.tsv").write_text("petabEntityId	modelEntityId\nfirst	A\n")
    expected = normal([0.7, 0.1], conversion([0.0, 10.0], a=2.0), 0.5)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-6)


def test_two_observables_with_one_placeholder_are_refused(tmp_path):
    text = (
        "observableId	observableFormula	noiseFormula	observablePlaceholders\n"
        "obs_a	s*A	0.5	s\nobs_b	s*B	0.5	s\n"
    )
    found = complaints(problem(tmp_path, SECOND, observables=text))
    assert any("'s' is a placeholder of 'obs_a', too" in line for line in found)


def test_a_spec_that_is_written_down_is_the_same(tmp_path):
    """Every spec goes through its own text: comments, tables and numbers with all digits."""
    checked = load_spec(problem(tmp_path))
    again = tmp_path / "again.yaml"
    again.write_text(checked.yaml)
    assert load_spec(again).spec == checked.spec
    assert yaml.safe_load(checked.yaml)["experiments"]["c0"]["data"]["table"].startswith("time,")


# ---------------------------------------------------------------- what is wrong

WRONG = {
    "unknown observable": (
        edited("measurements", ("obs_a	c0	0	", "obs_b	c0	0	")),
        "measurements.tsv:2:1: unknown observable 'obs_b'",
    ),
    "unknown condition": (
        edited("measurements", ("obs_a	c0	0	", "obs_a	c1	0	")),
        "measurements.tsv:2:7: unknown condition 'c1'",
    ),
    "a word for a number": (
        edited("measurements", ("	0.7", "	much")),
        "measurements.tsv:2:12: measurement: 'much' is not a number",
    ),
    "no number": (
        edited("measurements", ("	0.7", "	nan")),
        "measurements.tsv:2:12: measurement must be a finite number",
    ),
    "an infinite one": (
        edited("measurements", ("	0.7", "	inf")),
        "measurements.tsv:2:12: measurement must be a finite number",
    ),
    "formula": (
        edited("observables", ("	A	", "	A +	")),
        "observables.tsv:2:7: observableFormula: ",
    ),
    "unknown name": (
        edited("observables", ("	A	", "	A*scale	")),
        "observables.tsv:2:1: observableFormula of 'obs_a': there is no 'scale'",
    ),
    "unknown function": (
        edited("observables", ("	A	", "	arcsin(A)	")),
        "observables.tsv:2:7: observableFormula: there is no function 'asin'",
    ),
    "missing column": (
        edited(
            "parameters",
            ("	estimate", ""),
            ("	0.8	1", "	0.8"),
            ("	0.6	1", "	0.6"),
        ),
        "parameters.tsv:1:1: the column 'estimate' is missing",
    ),
    "scale": (
        edited("parameters", ("k1	log10", "k1	log2")),
        "parameters.tsv:2:4: unknown parameterScale 'log2'",
    ),
    "bounds": (
        edited("parameters", ("log10	0.01", "log10	-1")),
        "parameters.tsv:2:10: k1: a prior that is uniform in logarithms needs bounds above 0",
    ),
    "what an observable takes": (
        edited("observables", ("	A	", "	A*observableParameter1_obs_a	")),
        "measurements.tsv:2:12: obs_a takes 1 observableParameters, not 0",
    ),
    "a value of a condition": (
        {"conditions": "conditionId	k1\nc0	fast\n"},
        "conditions.tsv:2:1: the value of 'k1': there is no parameter 'fast'",
    ),
    "a target": (
        {"conditions": "conditionId	C\nc0	1\n"},
        "conditions.tsv:2:1: there is nothing called 'C' in the model or in formulas",
    ),
    "files": (
        edited("problem", ("observables.tsv", "absent.tsv")),
        "problem.yaml:6:21: no such file: ",
    ),
    "a name twice": (
        {"observables": FIRST["observables.tsv"] + "obs_a	B	0.5\n"},
        "observables.tsv:3:1: 'obs_a' is there twice: in line 2 as well",
    ),
    "ragged": (
        edited("measurements", ("	0.7\n", "	0.7	1	2\n")),
        "measurements.tsv:2:1: 6 cells, but the header has 4",
    ),
}


WRONG |= {
    "a prior of no width": (
        {
            "parameters": FIRST["parameters.tsv"]
            .replace("estimate", "estimate	objectivePriorType	objectivePriorParameters")
            .replace("0.6	1", "0.6	1	normal	0;-1")
        },
        "parameters.tsv:3:1: k2: normal: sd must be positive, not -1",
    ),
    "bounds without anything of a prior": (
        {
            "parameters": FIRST["parameters.tsv"]
            .replace("estimate", "estimate	objectivePriorType	objectivePriorParameters")
            .replace("0.6	1", "0.6	1	normal	1e9;1")
        },
        "parameters.tsv:3:1: k2: bounds: normal has nothing within [0.01, 10]",
    ),
}
"""What the reader of specs finds is told at its place in the problem, too."""


@pytest.mark.parametrize("case", WRONG)
def test_complaints_stand_where_something_is_wrong(tmp_path, case):
    changed, expected = WRONG[case]
    found = complaints(problem(tmp_path, **changed))
    assert any(expected in line for line in found), found


def test_everything_is_told_at_once(tmp_path):
    changed = {}
    for case in ("unknown condition", "scale", "unknown function"):
        changed |= WRONG[case][0]
    found = complaints(problem(tmp_path, **changed))
    for case in ("unknown condition", "scale", "unknown function"):
        assert any(WRONG[case][1] in line for line in found)


def test_what_is_no_version_that_is_known(tmp_path):
    changed = edited("problem", ("format_version: 1", "format_version: 7"))
    assert complaints(problem(tmp_path, **changed)) == [
        f"{tmp_path}/problem.yaml:1:17: PEtab 7 is not known: 1 and 2 are"
    ]


@pytest.mark.parametrize("seed", range(40))
def test_damaged_tables_are_read_or_refused(tmp_path, seed):
    """Bytes that are lost, doubled or exchanged: complaints, never another exception."""
    chance = random.Random(seed)
    files = dict(FIRST if seed % 2 else SECOND)
    files["model.xml"] = MODEL
    name = chance.choice(sorted(files))
    text = list(files[name])
    for _ in range(chance.randint(1, 4)):
        i = chance.randrange(len(text))
        text[i] = chance.choice(["", "\t", "\n", "0", "-", "é", "\x00", ";", text[i] * 2, "("])
    path = problem(
        tmp_path, {k: v for k, v in files.items() if k != "model.xml"}, model=files["model.xml"]
    )
    (tmp_path / name).write_text("".join(text))
    try:
        load_spec(path)
    except InputError as error:
        assert error.complaints


# ---------------------------------------------------------------- formulas

NUMBERS = st.floats(0.1, 3.0).map(lambda x: round(x, 3))


def _terms(inner):
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda p: f"({p[0]} + {p[1]})"), two.map(lambda p: f"({p[0]} * {p[1]})"),
        two.map(lambda p: f"({p[0]} / (1 + {p[1]}^2))"), inner.map(lambda x: f"exp(-abs({x}))"),
        inner.map(lambda x: f"log10(1 + {x}^2)"), two.map(lambda p: f"max({p[0]}, {p[1]})"),
        two.map(lambda p: f"piecewise({p[0]}, {p[1]} < x, {p[1]})"),
        inner.map(lambda x: f"tanh({x})"),
    )  # fmt: skip


@given(st.recursive(st.sampled_from(["x", "y"]) | NUMBERS.map(str), _terms, max_leaves=8))
def test_formulas_have_the_values_that_petab_gives_them(text):
    from petab.v1.math import sympify_petab

    x, y = 0.7, -1.3
    theirs = sympify_petab(text)
    there = {sympy.Symbol("x", real=True): x, sympy.Symbol("y", real=True): y}
    ours = compile_numpy([formula(text)], (symbol("x"), symbol("y")))
    (found,) = ours(np.array([x]), np.array([y]))
    assert float(np.ravel(found)[0]) == pytest.approx(float(theirs.subs(there)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "text", ["", "a b", "f(x)", "1/0", "x == 1", "piecewise(x == 1, 1, 2)", "inf"]
)
def test_what_is_no_formula(text):
    with pytest.raises(FormulaError):
        formula(text)


def test_a_period_without_a_change_changes_nothing(tmp_path):
    def value(experiments):
        return log_likelihood(problem(tmp_path, SECOND, experiments=experiments))

    head = "experimentId	time	conditionId\ne0	0	c0\n"
    assert value(head + "e0	2	\n") == pytest.approx(value(head), abs=1e-9)


def test_a_value_at_the_start_may_be_of_the_time(tmp_path):
    path = problem(
        tmp_path,
        SECOND,
        conditions="conditionId	targetId	targetValue\nc0	A	0.1*time\n",
        experiments="experimentId	time	conditionId\ne0	10	c0\n",
        measurements="observableId	experimentId	time	measurement\nobs_a	e0	10	0.7\n",
    )
    assert log_likelihood(path) == pytest.approx(normal([0.7], 1.0, 0.5), abs=1e-9)
