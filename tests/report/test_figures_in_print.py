"""Figures as a paper takes them: sizes, fonts, labels that can be read, legends beside data."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from itertools import combinations

import matplotlib.image
import numpy as np
import pytest
import yaml
from commands import inside
from scipy.special import logsumexp

from nfanneal.report.figures import KINDS, PAGE, WIDTH, Options, draw, notes, save
from nfanneal.report.figures.layout import tick_labels
from nfanneal.report.figures.marginals import interval
from nfanneal.report.figures.style import SMALLEST, marker_size
from nfanneal.results import store
from nfanneal.results.summaries import ParameterSummary


@pytest.fixture
def result(made):
    return store.read(made / "ode.h5")


def drawn(result, kind, **options):
    return draw(kind, {"ode.h5": result}, Options(**options))


def axis_names(figure):
    return {axis.get_xlabel() for axis in figure.axes} | {axis.get_ylabel() for axis in figure.axes}


def with_axes(result, axes, **model):
    """The result with labels of axes."""
    spec = yaml.safe_load(result.spec_yaml)
    spec["axes"] = axes
    spec["model"] |= model
    return replace(result, spec_yaml=yaml.safe_dump(spec, sort_keys=False))


def with_columns(result, count):
    """The result with so many parameters: the first again and again."""
    spec = yaml.safe_load(result.spec_yaml)
    name = "a_long_name_of_a_parameter"
    spec["parameters"] = {"n0": spec["parameters"]["n0"], "k": spec["parameters"]["k"]}
    for i in range(count - 3):
        spec["parameters"][f"{name}_{i}"] = {"prior": {"lognormal": [0, 1]}, "unit": "1/(h kg)"}
    columns = result.columns.parameters
    more = tuple(
        replace(columns[0], name=f"{name}_{i}", label=f"{name}_{i}", unit="1/(h kg)")
        for i in range(count - 3)
    )
    theta = np.hstack([result.draws.theta, np.tile(result.draws.theta[:, :1], count - 3)])
    equal = np.hstack([result.posterior, np.tile(result.posterior[:, :1], count - 3)])
    return replace(
        result,
        spec_yaml=yaml.safe_dump(spec, sort_keys=False),
        columns=replace(result.columns, parameters=(*columns, *more)),
        draws=replace(result.draws, theta=theta),
        posterior=equal,
    )


def overlapping(texts):
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [
        (a, b)
        for (a, one), (b, two) in combinations(boxes, 2)
        if one.shrunk(0.98, 0.98).overlaps(two.shrunk(0.98, 0.98))
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [WIDTH, PAGE])
def test_labels_lie_apart_and_inside_at_the_width_of_a_column(result, kind, width):
    figure = drawn(result, kind, width=width)
    assert figure.get_figwidth() == width
    figure.draw_without_rendering()
    ticks = [t for a in figure.axes for x in (a.xaxis, a.yaxis) for t in tick_labels(x)]
    assert ticks
    assert overlapping(ticks) == []
    names = [x.label for a in figure.axes for x in (a.xaxis, a.yaxis) if x.label.get_text()]
    assert overlapping([label for label in names if label.get_visible()]) == []
    page = figure.bbox.padded(1.0)
    said = [text for legend in figure.legends for text in legend.get_texts()]
    titles = [t for a in figure.axes for t in (a.title, a._left_title)]
    said += [title for title in titles if title.get_text()]
    for label in (*ticks, *names, *said):
        box = label.get_window_extent()
        assert page.x0 <= box.x0, label.get_text()
        assert box.x1 <= page.x1, label.get_text()
        assert page.y0 <= box.y0, label.get_text()
        assert box.y1 <= page.y1, label.get_text()


def test_many_parameters_at_the_width_of_a_column(result):
    figure = drawn(with_columns(result, 11), "corner", width=WIDTH)
    figure.draw_without_rendering()
    ticks = [t for a in figure.axes for x in (a.xaxis, a.yaxis) for t in tick_labels(x)]
    assert overlapping(ticks) == []


def test_no_parameter_is_left_out_without_a_word(result, tmp_path, capsys):
    eleven = with_columns(result, 11)
    figure = drawn(eleven, "corner")
    assert len(figure.axes) == 11 * 12 // 2
    assert notes(figure) == []
    fifteen = with_columns(result, 15)
    figure = drawn(fifteen, "corner")
    assert len(figure.axes) == 12 * 13 // 2
    assert notes(figure) == ["12 of 15 parameters; others by --parameters"]
    assert len(drawn(fifteen, "corner", parameters=fifteen.columns.names).axes) == 15 * 16 // 2
    store.write(fifteen, tmp_path / "r.h5")
    code, _, err = inside(capsys, "plot", tmp_path / "r.h5", "corner", "--width", "column")
    assert code == 0
    assert "corner: 6 of 15 parameters; others by --parameters" in err


@pytest.mark.parametrize("kind", ["corner", "forest", "modes", "predictive", "trajectories"])
def test_few_effective_draws_are_told_of(result, kind):
    weights = result.draws.log_weight.copy()
    weights[7] = weights.max() + math.log(1000.0)
    heavy = replace(result, draws=replace(result.draws, log_weight=weights))
    assert any(re.match(r"only \d+ effective draws", note) for note in notes(drawn(heavy, kind)))
    assert not any("effective" in note for note in notes(drawn(result, kind)))


def test_peaks_without_a_gap_are_told_of(made):
    result = store.read(made / "line0.h5")
    rng = np.random.default_rng(0)
    theta = rng.standard_normal((3000, 2))
    theta[:, 0] += np.where(rng.random(3000) < 0.4, 4.0, 0.0)
    bridge = rng.random(3000) < 0.1  # a tenth lies between
    theta[bridge, 0] = rng.uniform(0.0, 4.0, bridge.sum())
    draws = replace(result.draws, theta=theta[:2000], log_weight=np.zeros(2000))
    figure = drawn(replace(result, posterior=theta, draws=draws), "modes")
    assert notes(figure) == ["one group of draws; a has 2 peaks"]
    assert figure.axes[0].get_xlabel() == "a"
    one = rng.standard_normal((2000, 2))
    draws = replace(draws, theta=one)
    figure = drawn(replace(result, posterior=one, draws=draws), "modes")
    assert figure.axes[0].get_title(loc="left") == "1 mode"


def test_axes_have_names_and_units(result):
    figure = drawn(result, "predictive")
    assert axis_names(figure) == {"time", "n"}
    named = with_axes(result, {"t": {"unit": "h"}, "n": {"label": "$N$", "unit": "mg"}})
    for kind in ("predictive", "trajectories"):
        assert {"time (h)", "$N$ (mg)"} <= axis_names(drawn(named, kind))
    assert drawn(named, "ppc").axes[0].get_title(loc="left") == "$N$ (mg)"
    assert {"$n_0$ (mg)", "k[0] (1/h)"} <= axis_names(drawn(result, "corner", width=PAGE))


def test_bands_are_drawn_between_the_data(result):
    figure = drawn(result, "predictive")
    (median,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "-")
    times = median.get_xdata()
    assert len(times) > 100
    assert set(result.observed["n"].times) <= set(times)
    # the band is that of the replicates, where these are
    at_data = np.interp(4.0, times, median.get_ydata())
    replicates = result.observed["n"].replicates[:, -1]
    assert at_data == pytest.approx(np.median(replicates), abs=0.02)


def test_stored_predictions_are_drawn(folder, capsys):
    assert inside(capsys, "predict", folder / "ode.h5", "--times", "0:9:0.5")[0] == 0
    stored = folder / "ode.predictions.h5"
    predictions = store.read_predictions(stored)
    assert store.read_predictions(folder / "ode.h5") == {}
    figure = draw("predictive", {"p": store.read(stored)}, Options(predictions={"p": predictions}))
    (median,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "-")
    np.testing.assert_allclose(median.get_xdata(), np.arange(0.0, 9.1, 0.5))
    np.testing.assert_allclose(
        median.get_ydata(), np.median(predictions["n"].noisy, axis=0), rtol=1e-12
    )


def test_a_python_model_is_asked_between_its_data_only_if_it_can_be(made, tmp_path):
    """A line can; models that know of the data's times alone say something else, or fail."""
    result = store.read(made / "line0.h5")
    n = len(result.observed["y"].times)
    for name, slope, dense in (
        ("line.py", "times", True),
        ("places.py", "times if len(times) == 12 else np.arange(len(times))", False),
        ("table.py", "np.linspace(0.0, 1.0, 12) + 0.0 * times", False),
    ):
        path = tmp_path / name
        path.write_text(
            "import numpy as np\ndef line(p, times):\n"
            f"    return {{'y': p['a'][:, None] + p['b'][:, None] * ({slope})}}\n"
        )
        figure = draw("predictive", {"r": result}, Options(model_file=path))
        (median,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "-")
        assert (len(median.get_xdata()) > n) == dense
    figure = draw("predictive", {"r": result}, Options())  # no code is run unasked
    (median,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "-")
    assert len(median.get_xdata()) == n


@pytest.mark.parametrize("kind", ["predictive", "trajectories", "evidence", "history"])
def test_no_legend_lies_on_data(result, kind):
    figure = drawn(result, kind)
    figure.draw_without_rendering()
    legends = [axis for axis in figure.axes if axis.get_legend()]
    assert legends
    for axis in legends:
        box = axis.get_legend().get_window_extent()
        frame = axis.get_window_extent()
        assert frame.y0 < box.y0
        assert box.y1 <= frame.y1 + 1.0
        for line in axis.lines:
            points = line.get_transform().transform(np.column_stack(line.get_data()))
            inside_box = (points > [box.x0, box.y0]).all(axis=1)
            inside_box &= (points < [box.x1, box.y1]).all(axis=1)
            assert not inside_box.any()


def test_markers_shrink_where_there_are_many():
    sizes = [marker_size(n) for n in (1, 40, 160, 801, 10**6)]
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3] >= sizes[4] == SMALLEST


@pytest.mark.parametrize(
    ("median", "down", "up", "words"),
    [
        (0.5434, 0.085, 0.118, "$0.543_{-0.085}^{+0.118}$"),
        (34.12, 4.3, 5.1, "$34.1_{-4.3}^{+5.1}$"),
        (1234.0, 210.0, 340.0, "$1234_{-210}^{+340}$"),
        (2.4e-5, 1e-6, 2e-6, r"$2.40_{-0.10}^{+0.20}\times10^{-5}$"),
        (-1.0, 0.0, 0.0, "$-1.0_{-0.0}^{+0.0}$"),
    ],
)
def test_intervals_have_two_digits(median, down, up, words):
    summary = ParameterSummary(median, 1.0, median, median - down, median + up)
    assert interval(summary) == words


def test_sizes_are_those_that_are_asked_for(folder, capsys):
    figure = folder / "f.png"
    arguments = ("plot", folder / "ode.h5", "predictive", "-o", figure, "--force")
    for width, inches in (("8.5cm", 8.5 / 2.54), ("3.4in", 3.4), ("column", WIDTH), ("page", PAGE)):
        assert inside(capsys, *arguments, "--width", width, "--dpi", "100")[0] == 0
        pixels = matplotlib.image.imread(figure).shape
        assert pixels[1] == pytest.approx(100 * inches, abs=1)
    assert inside(capsys, *arguments, "--width", "72pt")[0] == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".pdf", ".eps"])
def test_fonts_are_truetype_and_embedded(result, kind, ending):
    """Journals refuse fonts of type 3."""
    file = io.BytesIO()
    save(drawn(result, kind), file, ending)
    written = file.getvalue()
    if ending == ".pdf":
        assert b"/Subtype /Type3" not in written
        assert b"/CIDFontType2" in written  # TrueType, by its glyphs
        assert b"/FontFile2" in written
    else:
        assert b"/FontType 3" not in written
        assert b"/FontType 42" in written


def test_style_sheets_go_on_top_of_ours(folder, capsys):
    (folder / "mine.mplstyle").write_text(
        "axes.prop_cycle: cycler('color', ['ff0000'])\nfont.size: 5\nfigure.autolayout: True\n"
    )
    figure = folder / "f.svg"
    arguments = ("plot", folder / "ode.h5", "predictive", "-o", figure, "--force")
    assert inside(capsys, *arguments)[0] == 0
    assert "#ff0000" not in figure.read_text()
    assert inside(capsys, *arguments, "--style", folder / "mine.mplstyle")[0] == 0
    assert "#ff0000" in figure.read_text()
    assert inside(capsys, *arguments, "--style", "dark_background")[0] == 0
    code, _, err = inside(capsys, *arguments, "--style", folder / "none.mplstyle")
    assert code == 3
    assert "neither a name nor a file" in err


def test_the_help_lists_every_kind(capsys):
    code, out, _ = inside(capsys, "plot", "--help")
    assert code == 0
    for name, kind in KINDS.items():
        assert re.search(rf"^ +{name} +{re.escape(kind.words.split()[0])}", out, re.MULTILINE)
        assert kind.caption.endswith(".")


def test_a_forest_stands_for_all_results(made, result):
    other = store.read(made / "ode2.h5")
    figure = draw("forest", {"a": result, "b": other}, Options())
    assert len(figure.axes) == 3
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["prior", "a", "b"]
    medians = [line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    expected = [1.0, *(r.summaries()["n0"].median for r in (result, other))]  # lognormal [0, 1]
    np.testing.assert_allclose(medians, expected, rtol=1e-6)


def test_a_prior_that_runs_out_of_a_forest_has_marks_there(result):
    theta = 1.0 + 1e-3 * result.draws.theta
    narrow = replace(result, draws=replace(result.draws, theta=theta))
    for shown, cut in ((result, ">"), (narrow, "<>")):
        lines = draw("forest", {"a": shown}, Options()).axes[0].lines
        marks = "".join(line.get_marker() for line in lines if line.get_marker() in ("<", ">"))
        assert marks == cut


def test_weights_too_small_for_the_histogram_are_counted_in_words(result):
    log_weight = result.draws.log_weight.copy()
    log_weight[:3] -= 40.0
    light = replace(result, draws=replace(result.draws, log_weight=log_weight), pruning=None)
    axis = drawn(light, "weights").axes[0]
    told = int(re.search(r"(\d+) lie below -15", axis.get_title("left")).group(1))
    assert told == np.sum(log_weight - logsumexp(log_weight) + math.log(len(log_weight)) < -15.0)
    assert told >= 3
    assert sum(bar.get_height() for bar in axis.patches) == len(log_weight) - told


def test_the_evidence_stands_at_its_time(result):
    figure = drawn(result, "evidence")
    assert figure.axes[1].get_xlabel() == "time (s)"
    ends = [line.get_xydata()[-1] for line in figure.axes[1].lines if len(line.get_xdata()) == 1]
    at = [result.provenance.wall_time, result.diagnostics.log_evidence]
    assert any(np.allclose(end, at) for end in ends)
    (trace,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "-")
    np.testing.assert_array_equal(trace.get_xdata(), result.history.seconds)
