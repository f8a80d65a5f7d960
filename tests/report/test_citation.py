"""What to write of a result in a paper: true of it, and references only to what was used."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import inside

from nfanneal.report import references as known
from nfanneal.report.citation import bibtex, methods_paragraph, references
from nfanneal.report.quantities import counted, duration, sentence
from nfanneal.report.references import Reference
from nfanneal.results import store
from nfanneal.results.prune import METHODS, prune
from nfanneal.results.result import Combination

ALL = [
    *(r for r in vars(known).values() if isinstance(r, Reference)),
    *known.SOLVERS.values(),
    *known.LIBRARIES.values(),
    known.software("1.2.3"),
]


def keys(result):
    return {reference.key for reference in references(result)}


def test_the_paragraph_has_the_numbers_and_settings_of_the_result(folder):
    result = store.read(folder / "ode.h5")
    d, text = result.diagnostics, methods_paragraph(result)
    for words in (
        "'decay' (3 free parameters and 5 data points)",
        f"nfanneal {result.provenance.versions['nfanneal']}",
        counted(len(result.history.levels["level"]), "level"),
        "relative tolerance of 1e-06",
        "3,000 fresh draws",
        f"{d.log_evidence:.3f} ± {d.log_evidence_error:.3f}",
        f"worth {d.ess:,.0f} independent ones",
        f"{result.counts.n_likelihood_evaluations:,} evaluations of the likelihood",
        f"seed {result.provenance.seed}",
    ):
        assert words in text
    assert "\n" not in text
    assert "  " not in text
    assert text.endswith(".")


def test_it_says_what_the_verdict_says(folder):
    result = store.read(folder / "ode.h5")
    good = replace(result, warnings=())
    bad = replace(result, warnings=("too few",))
    assert "no diagnostic speaks against the result" in methods_paragraph(good)
    assert "say not to trust the result" in methods_paragraph(bad)


def test_every_work_that_the_paragraph_cites_is_a_reference(folder):
    for name in ("ode.h5", "line0.h5", "flat.h5", "poor.h5"):
        result = store.read(folder / name)
        text, listed = methods_paragraph(result), references(result)
        cited = {r for r in ALL if r.short in text and r.key != "nfanneal"}
        assert cited <= set(listed)
        assert len(cited) > 2


def test_only_what_was_used_is_cited(folder):
    ode, line = keys(store.read(folder / "ode.h5")), keys(store.read(folder / "line0.h5"))
    assert {"wang2025annealing", "nfanneal", "durkan2019splines", "rozet2022zuko"} <= ode & line
    assert ode - line >= {"tsitouras2011tsit5", "steinebach2023rodas5p", "meurer2017sympy"}
    assert not {"papamakarios2017masked", "dinh2017realnvp", "veach1995combining"} & (ode | line)


@pytest.mark.parametrize(
    ("method", "solvers"),
    [("tsit5", {"tsitouras2011tsit5"}), ("stiff", {"steinebach2023rodas5p"})],
)
def test_a_solver_is_cited_where_it_could_be_used(folder, method, solvers):
    result = store.read(folder / "ode.h5")
    spec = yaml.safe_load(result.spec_yaml)
    spec["model"]["solver"] = {"method": method}
    found = keys(replace(result, spec_yaml=yaml.safe_dump(spec)))
    assert found & {r.key for r in known.SOLVERS.values()} == solvers


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("nsf", "durkan2019splines"),
        ("coupling_nsf", "durkan2019splines"),
        ("maf", "papamakarios2017masked"),
        ("realnvp", "dinh2017realnvp"),
    ],
)
def test_the_kind_of_flow_is_cited(folder, kind, key):
    result = store.read(folder / "ode.h5")
    layout = {"kind": "symmetrized", "base": {"kind": "flow", "flow": {"kind": kind}}}
    changed = replace(result, flow=replace(result.flow, layout=layout))
    flows = {known.SPLINES.key, known.MASKED.key, known.COUPLING.key}
    assert keys(changed) & flows == {key}
    odd = replace(result, flow=replace(result.flow, layout={"flow": {"kind": "unheard of"}}))
    assert not keys(odd) & flows
    without = replace(result, flow=replace(result.flow, layout={"kind": "student"}))
    assert not keys(without) & {*flows, "rozet2022zuko"}


def test_what_was_done_afterwards_is_told(folder):
    result = store.read(folder / "ode.h5")
    for method in METHODS:
        assert "largest weights" in methods_paragraph(prune(result, method))
    assert "ionides2008truncated" in keys(prune(result, "truncate"))
    pooled = replace(result, combination=Combination(np.zeros(4), np.ones(4), 0.0, 1.0))
    assert "4 runs with different seeds" in methods_paragraph(pooled)
    assert "veach1995combining" in keys(pooled)


def test_a_spec_that_is_none_any_more_still_has_its_numbers(folder):
    result = store.read(folder / "ode.h5")
    text = methods_paragraph(replace(result, spec_yaml="model: {kind: none}"))
    assert f"{result.diagnostics.log_evidence:.3f}" in text
    assert "tolerance" not in text


def test_every_entry_is_bibtex_that_can_be_found_again():
    assert len({reference.key for reference in ALL}) == len(ALL)
    for reference in ALL:
        text = reference.bibtex
        assert re.fullmatch(r"@\w+\{[a-z0-9]+,\n(  [a-z]+ = \{.+\},\n)+\}", text)
        assert text.count("{") == text.count("}")
        assert text.isascii()
        assert not re.search(r"(?<!\\)[&%#$]", text)
        fields = dict(reference.where)
        findable = {"doi", "eprint", "pages", "note"} & fields.keys()
        assert findable
        assert re.fullmatch(r"10\.\d{4,}/\S+|", fields.get("doi", ""))
        assert reference.short.rpartition(" ")[2] in (reference.year, "1.2.3")
        assert reference.plain.endswith(".")


def test_the_method_is_cited_as_the_project_asks():
    cff = yaml.safe_load(Path(__file__).parents[2].joinpath("CITATION.cff").read_text())
    paper = cff["preferred-citation"]
    authors = [f"{a['family-names']}, {a['given-names']}" for a in paper["authors"]]
    assert (known.METHOD.title, list(known.METHOD.authors)) == (paper["title"], authors)
    assert (known.METHOD.link, known.METHOD.year) == (paper["url"], str(paper["year"]))
    assert cff["authors"][0]["name"] == known.software("1").authors[0]


def test_cite_prints_paragraph_references_and_bibtex(folder, capsys):
    result = store.read(folder / "ode.h5")
    code, both, _ = inside(capsys, "cite", folder / "ode.h5")
    assert code == 0
    assert inside(capsys, "cite", folder / "ode.h5", "--bibtex")[1] == bibtex(result)
    text = inside(capsys, "cite", folder / "ode.h5", "--text")[1]
    assert text.startswith(methods_paragraph(result))
    assert text.count("\n") == len(references(result)) + 2
    assert both == f"{text}\n{bibtex(result)}"
    assert inside(capsys, "cite", folder / "none.h5")[0] == 3


def test_quantities_in_words():
    assert [duration(s) for s in (0.44, 9.94, 9.96, 119, 120, 7140, 7200, 11_040)] == [
        "0.4 s", "9.9 s", "10 s", "119 s", "2 min", "119 min", "2 h", "3 h 4 min",
    ]  # fmt: skip
    assert [counted(n, "draw") for n in (0, 1, 2000)] == ["0 draws", "1 draw", "2,000 draws"]
    assert sentence("two are one") == "Two are one."
    assert sentence("Is it?") == "Is it?"
    assert sentence("a.h5: no data") == "a.h5: no data."
