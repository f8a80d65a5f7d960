"""What results look like elsewhere: exports, figures, the HTML page."""

from __future__ import annotations

import io
import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas
import pytest
from commands import inside

from nfanneal.report.figures import KINDS
from nfanneal.results import store
from nfanneal.results.modes import find_modes


def test_exports_open_where_they_should(folder, capsys):
    result = store.read(folder / "ode.h5")
    for kind in ("netcdf", "csv", "parquet", "getdist", "json"):
        assert inside(capsys, "export", folder / "ode.h5", "--to", kind)[0] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its next version
        import arviz

        data = arviz.from_netcdf(folder / "ode.nc")
        summary = arviz.summary(data)
    assert list(summary.index) == ["n0", "k[0]", "k[1]"]
    table = pandas.read_csv(folder / "ode.csv", comment="#")
    assert table["weight"].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(table["n0"], result.draws.theta[:, 0])
    columns = pandas.read_parquet(folder / "ode.parquet")
    np.testing.assert_array_equal(columns["k[1]"], result.draws.theta[:, 2])
    found = json.loads((folder / "ode.json").read_text())
    assert found["summary"]["log_evidence"] == result.diagnostics.log_evidence
    assert len(found["draws"]["k[0]"]) == 3000


def test_getdist_reads_its_chain(folder, capsys):
    getdist = pytest.importorskip("getdist")
    inside(capsys, "export", folder / "ode.h5", "--to", "getdist", "-o", folder / "chain")
    samples = getdist.loadMCSamples(str(folder / "chain"), settings={"ignore_rows": 0})
    assert samples.getParamNames().list() == ["n0", "k_0", "k_1"]
    expected = store.read(folder / "ode.h5").summaries()["n0"]
    assert samples.mean("n0") == pytest.approx(expected.mean, rel=1e-3)
    assert samples.ranges.getLower("k_0") == 0.0


def test_petab_reads_its_tables(folder, capsys):
    petab = pytest.importorskip("petab.v1", reason="nfanneal[petab] is not installed")
    result = store.read(folder / "ode.h5")
    assert inside(capsys, "export", folder / "ode.h5", "--to", "petab")[0] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # petab's, of what pandas will be
        table = petab.get_parameter_df(str(folder / "ode.parameters.tsv"))
    posterior = result.draws.log_prior + result.draws.log_likelihood
    np.testing.assert_array_equal(table["nominalValue"], result.draws.theta[posterior.argmax()])
    assert list(table.index) == ["n0", "k[0]", "k[1]"]
    assert (table["lowerBound"] < table["nominalValue"]).all()
    samples = pandas.read_csv(folder / "ode.samples.tsv", sep="\t")
    np.testing.assert_array_equal(samples, result.posterior)
    assert inside(capsys, "export", folder / "ode.h5", "--to", "petab", "-o", "-")[0] == 3


def test_csv_goes_to_stdout_with_an_explanation_where_that_is_wanted(folder, capsys):
    export = ("export", folder / "ode.h5", "--to", "csv", "-o", "-")
    code, out, _ = inside(capsys, *export)
    assert code == 0
    assert len(pandas.read_csv(io.StringIO(out))) == 3000
    code, explained, _ = inside(capsys, *export, "--header")
    assert code == 0
    assert explained.startswith("# decay: 3000 weighted posterior draws")
    assert explained.endswith(out)
    assert pandas.read_csv(io.StringIO(explained), comment="#").equals(
        pandas.read_csv(io.StringIO(out))
    )
    assert inside(capsys, "export", folder / "ode.h5", "--to", "json", "--header")[0] == 2
    assert inside(capsys, "export", folder / "ode.h5", "--to", "getdist", "-o", "-")[0] == 3


def test_the_ending_of_the_new_file_says_its_format(folder, capsys, tmp_path):
    for name, kind in (("a.csv", "csv"), ("b.json", "json"), ("c.nc", "netcdf")):
        export = ("export", folder / "ode.h5", "-o", tmp_path / name)
        assert inside(capsys, *export)[0] == 0
        known = ("export", folder / "ode.h5", "--to", kind, "-o", tmp_path / f"named_{name}")
        assert inside(capsys, *known)[0] == 0
        if kind != "netcdf":  # an HDF5 file has times in it
            assert (tmp_path / name).read_bytes() == (tmp_path / f"named_{name}").read_bytes()
    for words in ((), ("-o", tmp_path / "d.txt"), ("-o", "-")):
        code, out, err = inside(capsys, "export", folder / "ode.h5", *words)
        assert (code, out) == (2, ""), words
        assert "which format? --to netcdf|csv|" in err


def with_posterior(result, theta):
    """`result` with these draws (n, d), all of the same weight."""
    draws = replace(result.draws, theta=theta, log_weight=np.zeros(len(theta)))
    return replace(result, posterior=theta, draws=draws)


def test_modes_are_counted_and_weighed(folder):
    """Three Gaussians 10 sd apart with masses 0.5, 0.3, 0.2, and one alone."""
    result = store.read(folder / "line0.h5")
    rng = np.random.default_rng(0)
    which = rng.choice(3, size=1500, p=[0.5, 0.3, 0.2])
    one = rng.standard_normal((1500, 2))
    three = one + np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])[which]
    modes = find_modes(with_posterior(result, three))
    assert len(modes.masses) == 3
    # 4 standard errors of three masses: a false alarm in 5,000
    assert (np.abs(modes.masses - [0.5, 0.3, 0.2]) < 4.0 * modes.errors).all()
    assert modes.masses.sum() == pytest.approx(1.0)
    assert len(set(zip(which, modes.labels, strict=True))) == 3
    # means of 300 draws and more with an sd of 1: four standard errors, a false alarm in 2,500
    np.testing.assert_allclose(modes.means, [[0, 0], [10, 0], [0, 10]], rtol=0.0, atol=0.24)
    assert len(find_modes(with_posterior(result, one)).masses) == 1
    for scale in (1e-250, 1e300):  # of which a square is no number
        again = find_modes(with_posterior(result, three * scale))
        np.testing.assert_allclose(again.masses, modes.masses, rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 8])
def test_a_sparse_mode_is_one_and_so_is_a_tail(folder, d):
    """A twentieth of the draws is far away; exponential draws thin out towards one side."""
    result = store.read(folder / "line0.h5")
    rng = np.random.default_rng(d)
    for _ in range(5):
        two = rng.standard_normal((4000, d))
        far = rng.random(4000) < 0.05
        two[far] += 10.0
        modes = find_modes(with_posterior(result, two))
        np.testing.assert_allclose(modes.masses, [1.0 - far.mean(), far.mean()], atol=1e-12)
        tail = rng.exponential(1.0, (4000, d))
        assert len(find_modes(with_posterior(result, tail)).masses) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["png", "pdf", "svg", "eps"])
def test_every_figure_in_every_format(folder, capsys, kind, ending):
    figure = folder / f"figure.{ending}"
    code, _, err = inside(capsys, "plot", folder / "ode.h5", kind, "-o", figure)
    assert code == 0, err
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "eps": b"%!PS"}[ending]
    assert figure.read_bytes().startswith(start)


def test_figures_of_two_results_truths_and_choices(folder, capsys):
    (folder / "truth.yaml").write_text("a: 0.5\n")
    results = (folder / "line0.h5", folder / "flat.h5")
    figure = folder / "both.svg"
    code, _, _ = inside(
        capsys, "plot", *results, "corner", "history", "predictive", "-o", figure,
        "--truth", folder / "truth.yaml", "--truth", "b=0.8",
    )  # fmt: skip
    assert code == 0
    text = (folder / "both.corner.svg").read_text()
    assert all(word in text for word in ("line", "flat", "truth", "prior"))
    chosen = ("plot", folder / "ode.h5", "corner", "--parameters", "k")
    assert inside(capsys, *chosen)[0] == 0
    assert (folder / "ode.corner.pdf").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ode.h5", "cornr"), 2, "did you mean 'corner'"),
        (("ode.h5",), 2, "which figure"),
        (("corner",), 2, "of which result"),
        (("none.h5", "corner"), 3, "no such file"),
        (("ode.h5", "corner", "-o", "x.gif"), 2, "PDF|pdf"),
        (("ode.h5", "corner", "--width", "8.5"), 2, "8.5cm.*column or page"),
        (("ode.h5", "corner", "--width", "8.5ft"), 2, "8.5cm.*column or page"),
        (("ode.h5", "corner", "--width", "1cm"), 2, "1.5in to 50in wide"),
        (("ode.h5", "corner", "--dpi", "3"), 2, "30<=x<=2400"),
        (("ode.h5", "corner", "--style", "ggplott"), 3, "did you mean 'ggplot'"),
        (("ode.h5", "corner", "--style", "ode.h5"), 3, "not a style sheet"),
        (("ode.h5", "corner", "--parameters", "zz"), 3, "no parameter 'zz'"),
        (("ode.h5", "flat.h5", "corner", "weights"), 2, "'weights' shows one result"),
        (("ode.h5", "corner", "--truth", "nn0=1"), 2, "no parameter 'nn0'"),
        (("ode.h5", "corner", "--truth", "n0=x"), 2, "not a number"),
        (
            ("ode.h5", "corner", "--truth", "n0=1,m=2"),
            2,
            "'m'; there are: n0, k",
        ),
        (("ode.h5", "corner", "--truth", "n0=1,2"), 2, "'1,2' is not a number"),
        (("ode.h5", "corner", "--truth", "none.yaml"), 3, "no such file"),
    ],
)
def test_what_plot_refuses(folder, capsys, monkeypatch, arguments, code, words):
    monkeypatch.chdir(folder)
    before = set(folder.iterdir())
    found, _, err = inside(capsys, "plot", *arguments)
    assert found == code
    assert re.search(words, err)
    assert set(folder.iterdir()) == before
