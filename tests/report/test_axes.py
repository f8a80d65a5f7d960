"""Logarithmic axes: densities of the logarithm, ticks that say θ, figures drawn on them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from problems import EXAMPLES
from scipy import integrate

from nfanneal.model.bounded import bounded
from nfanneal.model.priors import make_prior
from nfanneal.report.figures import Options, draw
from nfanneal.report.figures.axes import MOST_TICKS, Axis
from nfanneal.results import store

PRIORS = {name: make_prior(name, arguments) for name, arguments in EXAMPLES.items()}
POSITIVE = {name: p for name, p in PRIORS.items() if p.support[0] >= 0}
POSITIVE["normal above 0"] = bounded(PRIORS["normal"], 0.0, math.inf)


@pytest.mark.parametrize("name", POSITIVE)
def test_the_density_on_a_logarithmic_axis_is_that_of_the_logarithm(name):
    prior = POSITIVE[name]
    axis = Axis(prior, logarithmic=True)
    ends = axis.place(prior.from_latent(np.array([-6.0, -1.0, 0.0, 1.0, 6.0])))
    total, _ = integrate.quad(
        lambda x: float(axis.prior_density(np.array(x))), ends[0], ends[-1], points=ends[1:-1],
        epsabs=1e-9, limit=200,
    )  # fmt: skip
    assert total == pytest.approx(1.0, abs=1e-6)


def test_a_linear_axis_is_as_it_was():
    axis, theta = Axis(PRIORS["normal"], logarithmic=False), np.array([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(axis.place(theta), theta)
    np.testing.assert_allclose(
        axis.prior_density(theta), np.exp(PRIORS["normal"].log_density(theta))
    )
    assert axis.support == (-math.inf, math.inf)


def value(text):
    """What the words of a tick say."""
    plain = text.strip("$").replace("\\times", "*").replace("{", "").replace("}", "")
    factor, _, power = plain.rpartition("10^")
    return float(plain) if not power or "^" not in plain else (
        float(factor.rstrip("*") or 1) * 10.0 ** int(power)
    )  # fmt: skip


@given(st.floats(-30, 30), st.floats(1e-3, 20))
def test_ticks_are_few_and_say_where_they_are(low, width):
    places, words = Axis(POSITIVE["lognormal"], logarithmic=True).ticks(low, low + width)
    assert 1 <= len(places) <= MOST_TICKS + 1
    assert len(set(words)) == len(words)
    assert all(low <= place <= low + width for place in places)
    np.testing.assert_allclose([math.log10(value(text)) for text in words], places, atol=1e-6)


@pytest.fixture
def scaled(folder):
    """A result, and the same with n0 and k on logarithmic axes."""
    result = store.read(folder / "ode.h5")
    spec = yaml.safe_load(result.spec_yaml)
    spec["parameters"]["n0"]["scale"] = "log10"
    spec["parameters"]["k"]["scale"] = "log"
    return result, replace(result, spec_yaml=yaml.safe_dump(spec, sort_keys=False))


def test_a_corner_is_drawn_where_the_scales_say(scaled):
    linear, logarithmic = (
        draw("corner", {"ode.h5": result}, Options(truth={"n0": 1.5, "k[0]": -1.0}))
        for result in scaled
    )
    for figure, place in ((linear, lambda t: t), (logarithmic, np.log10)):
        first = figure.axes[0]
        low, high = first.get_xlim()
        result = scaled[0]
        weights = np.exp(result.draws.log_weight - result.draws.log_weight.max())
        weights /= weights.sum()
        places = place(result.draws.theta[:, 0])
        (posterior,) = (line for line in first.lines if line.get_linestyle() == "-")
        x, drawn = posterior.get_data()
        inside = weights[(places >= low) & (places <= high)].sum()
        assert integrate.trapezoid(drawn, x) == pytest.approx(inside, abs=0.005)
        # the mean is that of the draws, but for the tails beyond the axis
        mean = integrate.trapezoid(drawn * x, x) / inside
        assert mean == pytest.approx(weights @ places, abs=0.05 * (high - low))
        (prior,) = (line for line in first.lines if line.get_linestyle() == "--")
        x, drawn = prior.get_data()
        ends = np.array([low, high]) if place is not np.log10 else 10.0 ** np.array([low, high])
        share = np.diff(0.5 * (1 + np.vectorize(math.erf)(np.log(ends) / math.sqrt(2.0))))[0]
        # the trapezoidal rule with 400 points
        assert integrate.trapezoid(drawn, x) == pytest.approx(share, rel=1e-3)
        truths = [line.get_xdata()[0] for line in first.lines if line.get_linestyle() == ":"]
        assert truths == [pytest.approx(place(1.5))]
    # a truth below zero has no place on a logarithmic axis
    marked = [
        sum(line.get_linestyle() == ":" for line in figure.axes[2].lines)
        for figure in (linear, logarithmic)
    ]
    assert marked == [1, 0]
    bottom = logarithmic.axes[3].get_xticklabels()
    places = [value(text.get_text()) for text in bottom]
    np.testing.assert_allclose(np.log10(places), logarithmic.axes[3].get_xticks(), atol=1e-6)


def test_modes_are_drawn_where_the_scales_say(scaled):
    scales = [
        [figure.axes[0].get_xscale(), figure.axes[0].get_yscale()]
        for figure in (draw("modes", {"ode.h5": result}, Options()) for result in scaled)
    ]
    assert scales == [["linear", "linear"], ["log", "log"]]
