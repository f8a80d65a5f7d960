"""Where PEtab problems start, what their events and conditions set, and names that could clash."""

import pytest
from petab_tables import MODEL, SECOND, complaints, conversion, log_likelihood, normal, problem

pytest.importorskip("petab", reason="nfanneal[petab] is not installed")
TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>'
V1 = "observableId	simulationConditionId	time	measurement\n"
V2 = "observableId	experimentId	time	measurement\n"
ONLY_K2 = {
    1: "parameterId	parameterScale	lowerBound	upperBound	nominalValue	estimate\n"
    "k2	lin	0.01	10	0.6	1\n",
    2: "parameterId	lowerBound	upperBound	nominalValue	estimate\nk2	0.01	10	0.6	true\n",
}


def math_of(inner):
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{inner}</math>'


def apply(operator, *parts):
    return f"<apply><{operator}/>{''.join(parts)}</apply>"


def with_starts(**starts):
    """The model with a parameter q, and with initial assignments."""
    text = "".join(
        f'<initialAssignment symbol="{name}">{math_of(inner)}</initialAssignment>'
        for name, inner in starts.items()
    )
    return MODEL.replace(
        '<parameter id="k1"', '<parameter id="q" value="1" constant="false"/><parameter id="k1"'
    ).replace(
        "<listOfReactions>",
        f"<listOfInitialAssignments>{text}</listOfInitialAssignments><listOfReactions>"
        if text
        else "<listOfReactions>",
    )


def with_event(model, variable, value, at=2, delay=""):
    return model.replace(
        "</model>",
        '<listOfEvents><event id="e" useValuesFromTriggerTime="true">'
        '<trigger initialValue="true" persistent="true">'
        f"{math_of(apply('geq', TIME, f'<cn>{at}</cn>'))}</trigger>{delay}"
        f'<listOfEventAssignments><eventAssignment variable="{variable}">{math_of(value)}'
        "</eventAssignment></listOfEventAssignments></event></listOfEvents></model>",
    )


def test_a_condition_of_version_2_sets_nothing_that_has_a_row_in_the_table_of_parameters(tmp_path):
    tables = {"conditions": "conditionId	targetId	targetValue\nc0	k1	2\n"}
    (found,) = complaints(problem(tmp_path, SECOND, **tables))
    assert "conditions.tsv:2:4: 'k1' is in the table of parameters: no condition can" in found
    fixed = SECOND["parameters.tsv"].replace(
        "0.8	true	log-uniform	0.01;100", "0.8	false		"
    )
    assert "'k1' is in" in complaints(problem(tmp_path, SECOND, parameters=fixed, **tables))[0]


@pytest.mark.parametrize("version", [1, 2])
def test_events_could_happen_while_a_steady_state_is_found(tmp_path, version):
    model = with_event(with_starts(), "A", "<cn>1</cn>")
    if version == 1:
        table = "observableId	preequilibrationConditionId	simulationConditionId	time	"
        path = problem(
            tmp_path, model=model, measurements=f"{table}measurement\nobs_a	c0	c0	1	1\n"
        )
        place = "conditions.tsv:2:1"
    else:
        periods = "experimentId	time	conditionId\ne0	-inf	c0\ne0	0	c0\n"
        path = problem(tmp_path, SECOND, model=model, experiments=periods)
        place = "experiments.tsv:2:9"
    (found,) = complaints(path)
    assert f"{place}: the model has events ('e'), and they could happen while the st" in found


def test_an_event_that_waits_has_its_values_from_after_a_period_at_its_time(tmp_path):
    wait = f"<delay>{math_of('<cn>0.5</cn>')}</delay>"
    path = problem(
        tmp_path,
        SECOND,
        model=with_event(with_starts(), "q", apply("times", "<cn>2</cn>", "<ci>q</ci>"), 2, wait),
        parameters=ONLY_K2[2],
        conditions="conditionId	targetId	targetValue\nc0	q	1\nc1	q	5\n",
        experiments="experimentId	time	conditionId\ne0	0	c0\ne0	2	c1\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	q	0.5\n",
        measurements=f"{V2}obs_a	e0	1	1\nobs_a	e0	2	5\nobs_a	e0	3	10\n",
    )
    assert log_likelihood(path) == pytest.approx(normal([0] * 3, 0.0, 0.5), abs=1e-9)


def test_a_condition_sets_what_is_computed_at_the_start_elsewhere(tmp_path):
    path = problem(
        tmp_path,
        model=with_starts(q=apply("times", "<cn>2</cn>", "<ci>k1</ci>")),
        parameters=ONLY_K2[1],
        conditions="conditionId	q	k1\nc0	5	0.8\nc1		0.3\nc2		0.8\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	q	0.5\n",
        measurements=f"{V1}obs_a	c0	1	5\nobs_a	c1	1	0.6\nobs_a	c2	1	1.6\n",
    )
    assert log_likelihood(path) == pytest.approx(normal([0] * 3, 0.0, 0.5), abs=1e-9)


def test_a_target_that_is_computed_from_a_state_and_from_another_target(tmp_path):
    """q = k1·A at the start; A is set to the estimated k2."""
    path = problem(
        tmp_path,
        model=with_starts(q=apply("times", "<ci>k1</ci>", "<ci>A</ci>")),
        parameters=ONLY_K2[1],
        conditions="conditionId	q	k1	A\nc0		0.5	k2\nc1	7	0.5	k2\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	q	0.5\n",
        measurements=f"{V1}obs_a	c0	1	0.3\nobs_a	c1	1	7\n",
    )
    assert log_likelihood(path) == pytest.approx(normal([0] * 2, 0.0, 0.5), abs=1e-9)


def test_what_is_computed_from_a_state_that_a_condition_sets(tmp_path):
    path = problem(
        tmp_path,
        model=with_starts(q=apply("times", "<cn>3</cn>", "<ci>A</ci>")),
        parameters=ONLY_K2[1],
        conditions="conditionId	A\nc0	2\nc1	\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	q	0.5\n",
        measurements=f"{V1}obs_a	c0	1	6\nobs_a	c1	1	3\n",
    )
    assert log_likelihood(path) == pytest.approx(normal([0] * 2, 0.0, 0.5), abs=1e-9)


@pytest.mark.parametrize(("first", "total"), [("5", 6.0), ("-inf", 1.0)])
def test_an_initial_value_with_time_is_of_the_first_time_and_of_0_in_equilibrations(
    tmp_path, first, total
):
    """A begins with 1 + time."""
    more = "" if first == "5" else "e0	5	c0\n"
    path = problem(
        tmp_path,
        SECOND,
        model=with_starts(A=apply("plus", "<cn>1</cn>", TIME)),
        parameters=ONLY_K2[2],
        conditions="conditionId	targetId	targetValue\nc0	q	2\n",
        experiments=f"experimentId	time	conditionId\ne0	{first}	c0\n{more}",
        measurements=f"{V2}obs_a	e0	6	1\n",
    )
    a = conversion(1.0, a=total) if first == "5" else total * 0.6 / 1.4
    assert log_likelihood(path) == pytest.approx(normal([1.0], float(a), 0.5), abs=1e-5)


def test_noise_of_a_parameter_that_conditions_replace_and_an_event_changes(tmp_path):
    path = problem(
        tmp_path,
        model=with_event(with_starts(), "q", apply("times", "<cn>2</cn>", "<ci>q</ci>")),
        parameters=ONLY_K2[1] + "q	lin	0.01	10	0.5	1\n",
        conditions="conditionId	q\nc0	0.3\nc1	\n",
        observables="observableId	observableFormula	noiseFormula\nobs_a	A	q\n",
        measurements=V1 + "".join(f"obs_a	c{i}	{t}	1\n" for i in (0, 1) for t in (1, 3)),
    )
    a = conversion([1.0, 3.0])
    expected = sum(normal([1.0], a[i], q * (1 + i)) for q in (0.3, 0.5) for i in (0, 1))
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-5)


def test_a_parameter_called_as_the_importer_would_call_noise(tmp_path):
    path = problem(
        tmp_path,
        parameters=ONLY_K2[1] + "noise_of_obs_a	lin	0.01	10	0.2	1\n",
        observables="observableId	observableFormula	noiseFormula\n"
        "obs_a	A	noise_of_obs_a + 0.1*B\n",
        measurements=f"{V1}obs_a	c0	1	1\n",
    )
    a = float(conversion(1.0))
    assert log_likelihood(path) == pytest.approx(normal([1.0], a, 0.2 + 0.1 * (1 - a)), abs=1e-5)


def test_an_experiment_called_as_that_of_measurements_that_name_none(tmp_path):
    path = problem(
        tmp_path,
        SECOND,
        experiments="experimentId	time	conditionId\nmodel	0	c0\n",
        measurements=f"{V2}obs_a	model	1	1\nobs_a		1	1\n",
    )
    a = conversion(1.0)
    expected = normal([1.0], float(2 * a), 0.5) + normal([1.0], float(a), 0.5)
    assert log_likelihood(path) == pytest.approx(expected, abs=1e-5)
