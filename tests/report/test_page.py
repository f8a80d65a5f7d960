"""The HTML page: what it says, that it is sound HTML, and that it gives nothing away."""

from __future__ import annotations

import html
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from commands import inside, run
from matplotlib.figure import Figure

from nfanneal.errors import ResultError
from nfanneal.report import page_figures, page_result
from nfanneal.report.page import coded, labels_of, page
from nfanneal.report.page_figures import Drawer, experiments_of, pictures_of
from nfanneal.report.page_result import verdict_of
from nfanneal.results import store
from nfanneal.results.diagnostics import Mark, assess
from nfanneal.results.records import Columns, NamedParameter

VOID = {"meta", "link", "input", "img", "br", "hr"}
HOSTILE = "<script>alert(1)</script>&\"'"


class Sound(HTMLParser):
    """A page as a browser reads it; what is wrong with it is in `wrong`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.wanted: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += [f"not closed: {tag}" for tag in self.open]
        self.wrong += [f"twice: {i}" for i in set(self.ids) if self.ids.count(i) > 1]
        self.wrong += [f"leads nowhere: {w}" for w in self.wanted if w not in self.ids]

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "img" and not (found.get("alt") and found["src"].startswith("data:image/")):
            self.wrong.append(f"an image without words or of another place: {found}")
        if tag == "label":
            self.wanted.append(found["for"])
        if href := found.get("href", ""):
            (self.wanted if href.startswith("#") else self.links).append(href.removeprefix("#"))
        self.wrong += [f"runs something: {name}" for name in found if name.startswith("on")]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"closed, but not open: {tag}")


def texts(text: str) -> str:
    """What there is to read, without pictures and tags."""
    return html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r'src="[^"]*"', "", text)))


@pytest.fixture
def bare(monkeypatch):
    """Figures are not drawn: nothing here is about what is in them."""
    monkeypatch.setattr(page_figures, "draw", lambda kind, results, options: Figure((3.0, 2.0)))


def with_experiments(result, names):
    data = next(iter(result.observed.values()))
    return replace(result, observed={f"n[{name}]": data for name in names})


def test_one_result_has_verdict_numbers_figures_methods_and_origin(folder, bare):
    result = store.read(folder / "ode.h5")
    command = f"nfanneal run {folder}/ode.yaml --set data.file={folder}/decay.csv -o ode.h5"
    result = replace(result, provenance=replace(result.provenance, command=command))
    text = page({str(folder / "ode.h5"): result})
    sound, read = Sound(text), texts(text)
    assert sound.wrong == []
    assert "script" not in sound.tags
    assert all(re.match(r"data:|https://(doi|arxiv)\.org/", link) for link in sound.links)
    d = result.diagnostics
    for words in (
        "To be trusted" if result.converged else "Not to be trusted",
        f"{d.log_evidence:.3f} ± {d.log_evidence_error:.3f}",
        f"{d.ess:,.0f}",
        f"{result.counts.n_likelihood_evaluations:,}",
        "n0", "k[1]", "1/h", "arXiv:2505.03652", "@misc{wang2025annealing", "SHA-256",
        result.provenance.host, "nfanneal run ode.yaml --set data.file=decay.csv -o ode.h5",
        "kind: ode", "UTC",
    ):  # fmt: skip
        assert words in read
    assert text.count("<img") == len(page_figures.kinds_of(result))


def test_nothing_tells_where_the_run_was(made, folder, bare):
    """Not in the spec, the command, the sources or the names; the temporary folder is nowhere."""
    results = {str(p): store.read(p) for p in (made / "ode.h5", folder / "line1.h5")}
    for result in results.values():
        assert str(made.parent) in result.spec_yaml  # or there would be nothing to hide
    text = page(results)
    assert str(made.parent) not in text
    assert str(folder.parent) not in text
    assert not re.search(r"(?<![\w./<])/(tmp|home|root|usr)\b", texts(text))
    for name in ("decay.csv", "model.py", "ode.h5", "line1.h5"):
        assert name in text


def test_hostile_names_are_only_names(folder, bare):
    result = store.read(folder / "ode.h5")
    columns = Columns(
        (
            NamedParameter("n0", None, f"label {HOSTILE}", f"unit {HOSTILE}"),
            NamedParameter("k", 2, HOSTILE, HOSTILE),
        )
    )
    made = replace(result.provenance, command=f"nfanneal {HOSTILE}", host=HOSTILE)
    hostile = replace(
        result, name=HOSTILE, columns=columns, provenance=made, warnings=(f"it `x` {HOSTILE}",)
    )
    hostile = with_experiments(hostile, (HOSTILE, "</title>"))
    text = page({f"{HOSTILE}.h5": hostile, "other.h5": hostile})
    sound = Sound(text)
    assert sound.wrong == []
    assert "script" not in sound.tags
    assert texts(text).count(HOSTILE) > 10


def test_every_result_of_several_is_there_and_compared(folder, bare):
    names = ("line0.h5", "line1.h5", "flat.h5")
    results = {str(folder / name): store.read(folder / name) for name in names}
    text = page(results)
    assert Sound(text).wrong == []
    read = texts(text)
    for i, (name, result) in enumerate(zip(names, results.values(), strict=True)):
        assert f'<input type="radio" name="results" id="r{i + 1}"' in text
        assert f'<label class="jump" for="r{i + 1}">{name}</label>' in text
        assert f"{result.diagnostics.log_evidence:.3f}" in read
    assert "Kass & Raftery" in read
    assert "line0.h5, line1.h5 are runs of one problem, and agree" in read
    assert "Runs of one problem share its probability here" in read
    assert "Parameters side by side" in read
    kinds = [page_figures.kinds_of(result) for result in results.values()]
    assert text.count("<img") == sum(map(len, kinds)) + 2  # and corner and data of all


def test_runs_that_disagree_are_told_apart_from_those_that_agree(folder, bare):
    one, other = (store.read(folder / f"line{i}.h5") for i in (0, 1))
    d = other.diagnostics
    moved = replace(d, log_evidence=d.log_evidence + 10.0 * d.log_evidence_error + 1.0)
    read = texts(page({"a.h5": one, "b.h5": replace(other, diagnostics=moved)}))
    assert "a.h5, b.h5 are runs of one problem, and disagree" in read
    assert "there are no models to compare" in read
    assert ("Some run missed a mode" in read) == (one.converged and other.converged)
    bad = replace(other, diagnostics=moved, warnings=("too few",))
    read = texts(page({"a.h5": replace(one, warnings=()), "b.h5": bad}))
    assert "Not to be trusted by themselves: b.h5." in read


def test_results_of_other_data_are_not_compared(folder, bare):
    results = {name: store.read(folder / name) for name in ("line0.h5", "ode.h5")}
    text = page(results)
    assert Sound(text).wrong == []
    assert "No comparison: ode.h5: not the data of line0.h5" in texts(text)
    assert "Parameters side by side" not in text  # they share none


def test_what_cannot_be_drawn_is_told(folder, monkeypatch):
    def refused(kind, results, options):
        raise ResultError(f"cannot read /home/me/{kind}.csv")

    monkeypatch.setattr(page_figures, "draw", refused)
    results = {name: store.read(folder / name) for name in ("line0.h5", "line1.h5")}
    text = page(results)
    assert Sound(text).wrong == []
    kinds = [page_figures.kinds_of(result) for result in results.values()]
    assert text.count("figure: cannot read ") == sum(map(len, kinds)) + 2
    assert "no corner figure: cannot read corner.csv" in text


def test_results_whose_specs_cannot_be_read_any_more_still_have_a_page(folder, bare):
    specs = {"ode.h5": "a: [", "ode2.h5": "b: ["}
    results = {n: replace(store.read(folder / n), spec_yaml=text) for n, text in specs.items()}
    text = page(results)
    assert Sound(text).wrong == []
    assert "Kass" in text  # nothing says that they are of one problem


def test_a_long_table_says_what_it_leaves_out(folder, bare, monkeypatch):
    monkeypatch.setattr(page_result, "SHOWN_ROWS", 2)
    read = " ".join(texts(page({"a.h5": store.read(folder / "ode.h5")})).split())
    assert "1 more are in nfanneal summary --json" in read


def test_the_templates_are_in_the_package():
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["nfanneal"]
    package = root / "nfanneal"
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    templates = set((package / "report" / "templates").iterdir())
    assert templates
    assert templates <= shipped


def test_the_verdict_and_the_table_say_the_same(folder, bare):
    for name in ("ode.h5", "poor.h5"):
        result = store.read(folder / name)
        text = page({name: result})
        assert text.count('class="mark bad"') == len(result.warnings)
        read = " ".join(texts(text).split())
        assert ("Not to be trusted as it is" in read) == bool(result.warnings)
        checks = assess(result, result.warnings)
        verdict = verdict_of(result, checks)
        assert verdict.trusted == result.converged
        assert len(verdict.reasons) == len(result.warnings)
        assert verdict.looks == tuple(row.name for row in checks if row.mark is Mark.LOOK)
    assert not result.converged  # the poor one


def test_a_number_worth_a_look_is_told_and_the_verdict_stays(folder, bare):
    result = store.read(folder / "ode.h5")
    result = replace(
        result, diagnostics=replace(result.diagnostics, largest_weight=0.0134), warnings=()
    )
    read = " ".join(texts(page({"a.h5": result})).split())
    assert "To be trusted" in read
    assert "1 number is worth a look" in read
    assert "Worth a look: largest share of one draw" in read
    assert "One draw carries 1.34% of all weight" in read


def test_data_of_several_experiments_have_a_tab_each(folder, bare):
    result = store.read(folder / "ode.h5")
    several = with_experiments(result, ("low", "high"))
    assert experiments_of(several) == {"low": ["n[low]"], "high": ["n[high]"]}
    found = pictures_of("a.h5", several, Drawer("r1", 10**6))
    assert [tab.label for tab in found.experiments] == ["low", "high"]
    assert [[p.kind for p in tab.pictures] for tab in found.experiments] == [["predictive"]] * 2
    assert "predictive" not in [picture.kind for picture in found.rest]
    text = page({"a.h5": several})
    assert Sound(text).wrong == []
    assert text.count('name="r1-experiments"') == 2
    many = with_experiments(result, [str(i) for i in range(page_figures.MOST_TABS + 1)])
    found = pictures_of("a.h5", many, Drawer("r1", 10**6))
    assert found.experiments == ()
    assert "predictive" in [picture.kind for picture in found.rest]


def test_several_modes_have_a_table_and_a_figure(folder, bare):
    result = store.read(folder / "line0.h5")
    assert "Modes" not in texts(page({"a.h5": result}))
    rng = np.random.default_rng(0)
    n = len(result.posterior)
    two = rng.standard_normal((n, 2)) + 20.0 * (rng.random((n, 1)) < 0.3)
    draws = replace(result.draws, theta=two, log_weight=np.zeros(n))
    read = texts(page({"a.h5": replace(result, posterior=two, draws=draws)}))
    assert "Modes" in read
    assert "mean of a" in read


def test_figures_of_many_points_are_pixels_and_of_few_are_lines(folder):
    result = store.read(folder / "ode.h5")
    drawn = Drawer("r1", 10**6).picture("history", {"a.h5": result})
    assert drawn.source.startswith("data:image/svg+xml;base64,")
    assert drawn == Drawer("r1", 10**6).picture("history", {"a.h5": result})
    coarse = Drawer("r1", 1000).picture("history", {"a.h5": result})
    assert coarse.source.startswith("data:image/png;base64,")


def test_the_command_writes_a_page_of_a_modest_size(folder, capsys):
    output = folder / "report.html"
    results = (folder / "line0.h5", folder / "flat.h5", folder / "ode.h5")
    assert inside(capsys, "report", *results, "-o", output)[0] == 0
    text = output.read_text()
    assert len(text) < 5_000_000
    assert Sound(text).wrong == []
    kinds = [page_figures.kinds_of(store.read(path)) for path in results]
    assert text.count("<img") == sum(map(len, kinds))  # they share no parameter
    assert inside(capsys, "report", *results, "-o", output)[0] == 3  # it is there
    assert inside(capsys, "report", results[0], "-o", output, "--force")[0] == 0


def test_names_of_files_have_folders_only_where_they_must():
    paths = ["/home/me/a/x.h5", "/home/me/b/x.h5", "y.h5", "b/c/z.h5"]
    assert list(labels_of(paths).values()) == ["a/x.h5", "b/x.h5", "y.h5", "z.h5"]
    assert len(set(labels_of(["x.h5", "a/x.h5", "/a/x.h5"]).values())) == 3


def test_words_in_backticks_are_code_and_nothing_else_is():
    assert coded("see `a <b>` & c") == "see <code>a &lt;b&gt;</code> &amp; c"
    assert coded("one ` only <b>") == "one ` only &lt;b&gt;"


def test_no_data_make_no_predictive_figure(folder, bare):
    result = replace(store.read(folder / "ode.h5"), observed={})
    assert page_figures.kinds_of(result) == ["corner", "weights", "history"]
    text = page({"a.h5": result})
    assert Sound(text).wrong == []
    assert "SHA-256" not in text


TWO = """
model: {kind: ode, states: {n: n0}, equations: {n: -k*n}}
parameters: {n0: {prior: {lognormal: [0, 1]}, per: experiment}, k: {prior: {halfnormal: 1}}}
experiments:
  cold: {data: {table: "t,n\\n0,1.1\\n1,0.6\\n2,0.45\\n"}}
  warm: {data: {table: "t,n\\n0,2.1\\n3,0.2\\n"}}
likelihood: {n: {normal: 0.1}}
anneal: {draws: 128, steps: 5, max_rounds: 1, walkers: 0}
output: {samples: 200}
"""


def test_the_page_of_a_model_with_experiments_draws_the_data_of_each(tmp_path):
    """As a user makes it: the model is asked between all data, and each tab shows its own."""
    (tmp_path / "two.yaml").write_text(TWO)
    run("run", tmp_path / "two.yaml", "-o", tmp_path / "two.h5", "--quiet", codes=(0, 5))
    run("report", tmp_path / "two.h5", "-o", tmp_path / "two.html")
    text = (tmp_path / "two.html").read_text()
    for i in (1, 2):
        assert f'id="figure-r1-e{i}-predictive"' in text
    assert "no predictive figure" not in text
