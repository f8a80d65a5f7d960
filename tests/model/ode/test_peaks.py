"""Peaks in time a millionth of the span wide are not stepped over, whatever they are made of."""

import math
import re

import numpy as np
import pytest
import sympy
from piecewise import TIMES, simulator_of

from nfanneal.model.expressions import parse
from nfanneal.model.ode.peaks import MOST, peak_times

WIDTH, MIDDLE = 1e-5, 3.1416
FORMS = {  # a peak about `c` of height one, and its area in units of its width
    "exp(-((t - c)/w)^2)": math.sqrt(math.pi),
    "exp(-(t - c)**2/w**2)": math.sqrt(math.pi),
    "exp(-(t - c)*(t - c)/w/w)": math.sqrt(math.pi),
    "exp(-abs((t - c)/w))": 2.0,
    "1 - tanh((t - c)/w)^2": 2.0,
    "4*exp(-abs((t - c)/w))/(1 + exp(-abs((t - c)/w)))^2": 4.0,
    "1/(1 + ((t - c)/w)^2)": math.pi,
    "1/(1 + (c - t)^4/w^4)": math.pi / math.sqrt(2.0),
}


def test_what_narrow_peaks_leave_is_there(tmp_path):
    """x' = peak/w − k·x for each form, at c and later and later: what is left, and its slopes."""
    middles = [f"(c + {i}/20)" for i in range(len(FORMS))]
    model = {
        "states": {f"x{i}": 0 for i in range(len(FORMS))},
        "equations": {
            f"x{i}": f"({re.sub(r'(?<![a-z])c(?![a-z])', middles[i], form)})/w - k*x{i}"
            for i, form in enumerate(FORMS)
        },
    }
    values, slopes = simulator_of(tmp_path, model, "k c w")([0.5, MIDDLE, WIDTH])
    before, after = (int(np.flatnonzero(t == TIMES)[0]) for t in (2.0, 4.5))
    for i, (form, area) in enumerate(FORMS.items()):
        left = area * math.exp(-0.5 * (4.5 - MIDDLE - i / 20))
        assert values[before, i] == pytest.approx(0.0, abs=1e-4), form
        assert values[after, i] == pytest.approx(left, rel=2e-5), form
        assert slopes[after, i, 1] == pytest.approx(0.5 * left, rel=1e-3), form


def middles(text, unforeseen=()):
    names = dict.fromkeys(("t", "c", "w", "x"))
    found = peak_times([parse(text, names)], sympy.Symbol("t", real=True),
                       {sympy.Symbol(name, real=True) for name in unforeseen})  # fmt: skip
    return [str(each) for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp(-((t - c)/w)^2)", ["c"]),
        ("exp(-(t^2 - 2*c*t + c^2)/w^2)", ["c", "0"]),
        ("where((t - c)^4 < w, 1, 0)", ["c"]),
        ("x*(t - 3)^2", ["3"]),
        ("exp(x*(t - c))", []),
        ("(t - c)^3", []),
        ("sin(w*t + c)", []),
        ("c*t + w", []),
    ],
)
def test_middles_are_told_from_the_form(text, expected):
    assert middles(text, unforeseen="x") == expected


def test_where_nothing_turns_there_is_a_number_all_the_same():
    (middle,) = peak_times(
        [parse("tanh(w*t - c)", dict.fromkeys(("t", "c", "w")))],
        sympy.Symbol("t", real=True),
        set(),
    )
    w, c = (sympy.Symbol(name, real=True) for name in ("w", "c"))
    assert middle.subs({w: 2.0, c: 1.0}) == pytest.approx(0.5)
    assert np.isfinite(float(middle.subs({w: 0, c: 1})))


def test_many_peaks_are_left_to_the_grid():
    assert not middles("+".join(f"exp(-(t - {i})^2)" for i in range(1, MOST + 3)))
    assert len(middles("+".join(f"exp(-(t - {i})^2)" for i in range(1, MOST)))) == MOST - 1
