"""The table of diagnostics: what each entry shows and where, its limit, and when it warns."""

from __future__ import annotations

import io
import math
import re
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nfanneal.anneal.bridge import Witness
from nfanneal.anneal.weights import PARETO_LIMIT, evidence
from nfanneal.report.summary import print_summary, summary_json
from nfanneal.results import diagnostics
from nfanneal.results.diagnosis import (
    MOMENTS,
    UNCOVERED_LIMIT,
    WITNESSES,
    Diagnostics,
    diagnose,
)
from nfanneal.results.diagnostics import (
    DIAGNOSTICS,
    About,
    Assessment,
    Diagnostic,
    Mark,
    assess,
    warnings_of,
)
from nfanneal.results.draws import WeightedDraws
from nfanneal.results.records import Columns, Counts, NamedParameter, Provenance
from nfanneal.results.result import History, Result, StoredFlow
from nfanneal.results.verdicts import (
    DISAGREEMENT,
    FAILING_LIMIT,
    FEWEST_EFFECTIVE,
    HEAVIEST_SHARE,
    LEAST_GAP,
    MANY_FAILED,
    SOLVER_CHANGE,
    SOLVER_SPREAD,
)

GOOD = {
    "log_evidence": 0.0, "log_evidence_error": 3.0, "ess": 4321.4, "n_samples": 6000,
    "pareto_k": 0.456, "largest_weight": 0.0043, "uncovered_mass": 0.0123, "uncovered_error": 0.0,
    "path_log_evidence": -7.891, "path_log_evidence_error": 4.0, "reached_beta": 1.0,
    "n_likelihood_evaluations": 10_000, "n_gradient_evaluations": 0, "n_failed": 77,
    "n_gradients_dropped": 0, "weighted_log_evidence": 1.0, "weighted_log_evidence_error": 3.0,
    "bridge_log_evidence": 2.0, "bridge_log_evidence_error": 4.0, "walked_uncovered_mass": 0.01,
    "walked_uncovered_error": 0.0, "walked_disagreement": 1.5, "walked_column": 0.0,
    "tightening": 10.0, "solver_change": -0.003, "solver_spread": 0.02, "failing_mass": 0.004,
    "failing_column": 0.0, "failing_above": 1.0, "failing_near": 0.25, "failing_why": "2 × why",
    "whim": "", "thin_mass": 0.0, "thin_effective": 9.0, "thin_drawn": 7000.0, "thin_column": 0.0,
    "thin_above": 0.0, "thin_from": 0.05,
}  # fmt: skip
"""Nothing speaks against these; the errors of two log-evidences make 5 together, both times."""
WALK = ("bridge_log_evidence", "bridge_log_evidence_error", "walked_uncovered_mass",
        "walked_uncovered_error", "walked_disagreement", "walked_column")  # fmt: skip
NO_WALK = dict.fromkeys(WALK, math.nan)
SHOWN = {
    "inverse temperature reached": ("1", "1"),
    "effective sample size": ("4321 of 6000 draws (72.0%)", "4,321 (72.0%)"),
    "Pareto k": ("0.46 (good below 0.7)", "0.46"),
    "largest share of one draw": ("0.43%", "0.43%"),
    "tail that rests on few draws": ("0.00%", "0.00%"),
    "under-covered posterior mass": ("1.23% ± 0.00%", "1.23% ± 0.00%"),
    "path's own log-evidence": ("-7.891 ± 4.000", "-7.891 ± 4.000"),
    "log-evidence by the weights alone": ("1.000 ± 3.000", "1.000 ± 3.000"),
    "a finer solver changes": ("log-evidence -0.003, log L ± 0.02; tolerances / 10",) * 2,
    "a function of its parameters": ("yes", "yes"),
    "failed evaluations": ("77 (0.77%)", "77 (0.77%)"),
    "posterior where the model fails": ("0.40%", "0.40%"),
}
"""The values of GOOD on the terminal and on the page."""
KEYS = {
    "inverse temperature reached": ("reached_beta",),
    "effective sample size": ("ess", "ess_fraction"),
    "Pareto k": ("pareto_k",),
    "largest share of one draw": ("largest_weight",),
    "tail that rests on few draws": (
        "thin_mass",
        "thin_effective",
        "thin_drawn",
        "thin_column",
        "thin_above",
        "thin_from",
    ),
    "under-covered posterior mass": ("uncovered_mass", "uncovered_error"),
    "path's own log-evidence": ("path_log_evidence", "path_log_evidence_error"),
    "log-evidence by the weights alone": (
        "weighted_log_evidence",
        "weighted_log_evidence_error",
        *WALK,
    ),
    "a finer solver changes": ("tightening", "solver_change", "solver_spread"),
    "a function of its parameters": (),
    "failed evaluations": ("n_failed", "failed_fraction"),
    "posterior where the model fails": (
        "failing_mass",
        "failing_column",
        "failing_above",
        "failing_near",
    ),
}


def below(x: float) -> float:
    return float(np.nextafter(x, -np.inf))


def above(x: float) -> float:
    return float(np.nextafter(x, np.inf))


LIMITS = {
    "inverse temperature reached": 1.0,
    "effective sample size": FEWEST_EFFECTIVE,
    "Pareto k": PARETO_LIMIT,
    "tail that rests on few draws": 0.0,
    "under-covered posterior mass": UNCOVERED_LIMIT,
    "path's own log-evidence": DISAGREEMENT,
    "log-evidence by the weights alone": WITNESSES,
    "a finer solver changes": SOLVER_CHANGE,
    "posterior where the model fails": FAILING_LIMIT,
}
EDGES = {
    "inverse temperature reached": lambda x: [{"reached_beta": v} for v in (x, below(x))],
    "effective sample size": lambda x: [{"ess": v} for v in (x, below(x))],
    "Pareto k": lambda x: [{"pareto_k": v, **NO_WALK} for v in (below(x), x)],
    "tail that rests on few draws": lambda x: [{"thin_mass": v} for v in (x, above(x))],
    "under-covered posterior mass": lambda x: [{"uncovered_mass": v} for v in (below(x), x)],
    "path's own log-evidence": lambda x: [
        {"path_log_evidence": v} for v in (5.0 * x, above(5.0 * x))
    ],
    "log-evidence by the weights alone": lambda x: [
        {"weighted_log_evidence": 0.0, "bridge_log_evidence": v} for v in (5.0 * x, above(5.0 * x))
    ],
    "a finer solver changes": lambda x: [{"solver_change": -v} for v in (x, above(x))],
    "posterior where the model fails": lambda x: [{"failing_mass": v} for v in (x, above(x))],
}
"""From a limit, the last numbers that are good and the first that are not."""
LOOKS = {
    "Pareto k": ("pareto_k", below(PARETO_LIMIT), PARETO_LIMIT),
    "largest share of one draw": ("largest_weight", below(HEAVIEST_SHARE), HEAVIEST_SHARE),
    "under-covered posterior mass": ("uncovered_mass", below(UNCOVERED_LIMIT), UNCOVERED_LIMIT),
    "failed evaluations": ("n_failed", int(10_000 * MANY_FAILED), int(10_000 * MANY_FAILED) + 1),
}
"""The last number that is fine and the first that is worth a look, where no reason to distrust goes
before: the walk agrees with a heavy tail, and the error of uncovered mass explains it."""
JUDGED = (
    set(GOOD)
    - {"failing_why", "whim", "failing_column", "walked_column", "thin_column", "n_samples"}
    - {field.name for field in fields(Counts)}
)
every = pytest.mark.parametrize("entry", DIAGNOSTICS, ids=lambda entry: entry.name)
limited = pytest.mark.parametrize(
    "entry", [d for d in DIAGNOSTICS if d.name in LIMITS], ids=lambda entry: entry.name
)


def result_with(**numbers: float) -> Result:
    """A result of one parameter with the numbers of GOOD but for these, and their warnings."""
    known = GOOD | numbers
    d, counts = (
        kind(**{field.name: known[field.name] for field in fields(kind)})
        for kind in (Diagnostics, Counts)
    )
    zeros = np.zeros(3)
    result = Result(
        name="judged",
        spec_yaml="",
        provenance=Provenance(1, 2.0, {}),
        columns=Columns((NamedParameter("a", None, "a", ""),)),
        draws=WeightedDraws(np.zeros((3, 1)), zeros, zeros, zeros, zeros),
        posterior=np.zeros((3, 1)),
        posterior_index=np.arange(3),
        diagnostics=d,
        warnings=(),
        history=History({}, zeros, np.arange(3), zeros),
        observed={},
        flow=StoredFlow({}, {}),
        counts=counts,
        failed_theta=np.zeros((0, 1)),
    )
    return replace(result, warnings=warnings_of(result))


def terminal(result: Result) -> str:
    out = io.StringIO()
    print_summary(result, Console(file=out, width=400))
    return out.getvalue()


def row_of(entry: Diagnostic, result: Result) -> Assessment | None:
    """What the table of a result says of one diagnostic; None where it is silent."""
    rows = {row.name: row for row in assess(result, result.warnings)}
    return rows.get(entry.name)


@every
def test_a_value_is_shown_wherever_results_are(entry):
    """On the terminal, in the table and in JSON; or nowhere, where only the warning tells it."""
    good = result_with()
    on_terminal, in_table = SHOWN[entry.name]
    name, _ = entry.on_terminal(good)
    row = re.search(f"^ *{re.escape(name)} +{re.escape(on_terminal)} *$", terminal(good), re.M)
    assessed = row_of(entry, good)
    found = summary_json(good)
    assert (row is not None, assessed is not None) == (entry.listed, entry.listed)
    if assessed:
        assert (assessed.mark, assessed.value, assessed.told) == (Mark.OK, in_table, "")
    assert tuple(entry.numbers(good)) == KEYS[entry.name]
    assert {key: found[key] for key in KEYS[entry.name] if key in found} == (
        entry.numbers(good) if entry.listed else {}
    )


@limited
def test_it_warns_exactly_beyond_its_limit(entry):
    good, bad = (result_with(**numbers) for numbers in EDGES[entry.name](LIMITS[entry.name]))
    assert good.converged
    assert len(bad.warnings) == 1
    for text in (terminal(bad), *summary_json(bad)["warnings"]):
        assert bad.warnings[0] in text
    assert [(row.name, row.told) for row in assess(bad, bad.warnings) if row.mark is Mark.BAD] == [
        (entry.name, bad.warnings[0])
    ]


@pytest.mark.parametrize("name", LOOKS)
def test_what_is_better_is_no_reason_to_distrust(name):
    """A look is asked for exactly beyond its limit, and the verdict stays."""
    key, fine, odd = LOOKS[name]
    entry = next(d for d in DIAGNOSTICS if d.name == name)
    error = {"uncovered_error": 1.0} if key == "uncovered_mass" else {}
    for value, mark in ((fine, Mark.OK), (odd, Mark.LOOK)):
        result = result_with(**{key: value}, **error)
        assert result.converged
        row = row_of(entry, result)
        assert (row.mark, bool(row.told)) == (mark, mark is Mark.LOOK)
        assert row.better


numbers = st.floats(-1.0, 2.0) | st.floats(-20.0, 20.0) | st.just(math.nan)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(JUDGED), numbers)), st.booleans())
def test_an_entry_is_bad_exactly_if_the_verdict_has_its_sentence(changed, whim):
    result = result_with(**changed, whim="it is none" if whim else "")
    rows = assess(result, result.warnings)
    bad = [row.told for row in rows if row.mark is Mark.BAD]
    assert bad == list(result.warnings)
    assert result.converged == (not bad)
    assert all((row.mark is Mark.OK) == (row.told == "") for row in rows)
    for entry in DIAGNOSTICS:
        row = row_of(entry, result)
        assert (row is not None and row.mark is Mark.BAD) == (entry.warning(result) is not None)


def test_sentences_that_no_diagnostic_says_are_bad_rows_of_their_own():
    """Those of combined runs; and a file of other limits has the verdict that it was given."""
    rows = assess(result_with(), ("the runs disagree",))
    assert (rows[0].mark, rows[0].told) == (Mark.BAD, "the runs disagree")
    assert [row.mark for row in rows[1:]] == [Mark.OK] * (len(rows) - 1)
    few = result_with(ess=3.0)
    assert {row.mark for row in assess(few, ())} == {Mark.OK, Mark.LOOK}


@limited
def test_limits_are_stated_in_words_by_their_constants(entry):
    limit = LIMITS[entry.name]
    assert any(float(n) in (limit, 100.0 * limit) for n in re.findall(r"[\d.]*\d", entry.needed))
    assert "{" not in entry.needed + entry.better
    assert entry.needed != entry.better


@every
def test_an_entry_says_what_is_needed_exactly_if_it_can_warn(entry):
    can = entry.name in LIMITS or entry.name == "a function of its parameters"
    assert bool(entry.needed) == can
    assert bool(entry.better) == (entry.name in LOOKS)


def test_failures_alone_speak_against_nothing():
    assert result_with(n_failed=10_000).converged
    silent = {d.name for d in DIAGNOSTICS} - set(LIMITS) - {"a function of its parameters"}
    assert silent == {"failed evaluations", "largest share of one draw"}
    assert result_with(whim="it is none").warnings == ("it is none",)


def test_log_evidences_that_are_near_agree_however_small_their_errors():
    exact = {"log_evidence_error": 0.0, "path_log_evidence_error": 0.0}
    assert result_with(path_log_evidence=LEAST_GAP, **exact).converged
    assert not result_with(path_log_evidence=above(LEAST_GAP), **exact).converged


def test_a_change_of_log_likelihoods_speaks_against_a_result_too():
    assert result_with(solver_spread=SOLVER_SPREAD).converged
    assert not result_with(solver_spread=above(SOLVER_SPREAD)).converged
    assert result_with(solver_change=math.nan, solver_spread=math.nan).converged


def test_failures_beside_the_posterior_say_where_and_why():
    (told,) = result_with(failing_mass=0.1).warnings
    assert "10.0% of it" in told
    assert "where 'a' is above, around 0.25. 2 × why." in told


def test_mass_within_its_error_is_not_under_covered():
    assert result_with(uncovered_mass=0.5, uncovered_error=0.25).converged
    assert not result_with(uncovered_mass=0.5, uncovered_error=0.2).converged


def test_a_heavy_tail_is_borne_where_the_walk_agrees():
    heavy = {"pareto_k": 0.9}
    assert result_with(**heavy).converged
    for against in (
        {"bridge_log_evidence": 17.0},
        {"walked_uncovered_mass": 0.03},
        {"walked_disagreement": above(MOMENTS)},
        NO_WALK,
    ):
        assert "heavy tail" in result_with(**heavy, **against).warnings[0]


def test_walked_points_that_disagree_say_on_what():
    by_column = result_with(walked_disagreement=above(MOMENTS)).warnings
    assert len(by_column) == 1
    assert "on 'a', by 5.0 standard errors" in by_column[0]
    uncovered = result_with(walked_uncovered_mass=0.03, walked_disagreement=9.0).warnings
    assert len(uncovered) == 1
    assert "spend 3.0% more of their time" in uncovered[0]
    assert result_with(walked_uncovered_mass=0.03, walked_uncovered_error=0.01).converged


def test_all_warnings_come_in_the_order_of_the_table():
    numbers = {}
    for name, edges in EDGES.items():
        numbers |= {key: n for key, n in edges(LIMITS[name])[1].items() if not math.isnan(n)}
    worst = result_with(**numbers)
    words = ("inverse temperature", "effective", "heavy tail", "rests on", "annealing path put",
             "own estimate", "two estimates", "finer solver", "model fails next to")  # fmt: skip
    assert len(worst.warnings) == len(words)
    assert all(word in text for word, text in zip(words, worst.warnings, strict=True))


def test_a_new_diagnostic_is_one_entry(monkeypatch):
    added = Diagnostic(
        name="dropped gradients",
        about=About.MODEL,
        numbers=lambda r: {"dropped_gradients": r.counts.n_gradients_dropped},
        shown=lambda r: f"{r.counts.n_gradients_dropped} of them",
        says="What it says.",
        needed="at most 5",
        warning=lambda r: "too many" if r.counts.n_gradients_dropped > 5 else None,
    )
    monkeypatch.setattr(diagnostics, "DIAGNOSTICS", (*DIAGNOSTICS, added))
    result = result_with(n_gradients_dropped=6)
    assert result.warnings == ("too many",)
    assert re.search("dropped gradients +6 of them", terminal(result))
    row = Assessment(
        Mark.BAD, "dropped gradients", "6 of them", "at most 5", "", "What it says.", "too many"
    )
    assert row in assess(result, result.warnings)
    assert summary_json(result)["dropped_gradients"] == 6


def test_the_reported_error_is_never_smaller_than_that_of_the_weights():
    """However sure the walked points are: they began at these draws."""
    log_weight = np.random.default_rng(3).standard_normal(500)
    own = evidence(log_weight)
    for error in (0.1 * own.error, 3.0 * own.error):
        walked = Witness(own.log_evidence, error, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.zeros(2))
        path = {"uncovered": (0.0, 0.0), "path_evidence": (own.log_evidence, 0.1)}
        found = diagnose(log_weight, **path, reached_beta=1.0, walked=walked)
        assert found.log_evidence_error == pytest.approx(max(error, own.error))
        assert found.bridge_log_evidence_error == error
