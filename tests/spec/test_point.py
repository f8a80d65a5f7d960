"""Points of the parameters by name, and a point that what is not given is taken from."""

import numpy as np
import pytest
from specs import DIRECT, read

from nfanneal.errors import ExitCode, PointError
from nfanneal.spec.point import point_of

CHECKED = read(DIRECT.replace("}}}", "}}, y: {prior: {lognormal: [0, 1]}}, c: 4}"))


def test_a_default_point_stands_for_what_is_not_given():
    nominal = {"x": [1, 2, 3], "y": 4.0, "c": 5.0}  # c is fixed
    np.testing.assert_array_equal(point_of(CHECKED, default=nominal), [1, 2, 3, 4])
    given = {"x[1]": 7, "y": 5}
    np.testing.assert_array_equal(point_of(CHECKED, given, nominal), [1, 7, 3, 5])
    np.testing.assert_array_equal(point_of(CHECKED), [0, 0, 0, 1])
    np.testing.assert_array_equal(point_of(CHECKED, {"y": 2, "x": (1, 2, 3)}), [1, 2, 3, 2])


@pytest.mark.parametrize(
    ("given", "default", "said"),
    [
        ({"x": [1, 2, 3]}, None, "no value is given for y"),
        ({"y": 1}, {"x": [1, 2]}, r"no value is given for x\[2\]"),
        ({"y": 1}, {"x": [1, 2, 3, 4]}, r"no parameter 'x\[3\]'"),
        ({"x": {"a": 1}, "y": 1}, None, r"no parameter 'x\[a\]'"),
        ({"y": True}, None, "y: 'True' is not a number"),
        ({"y": "1"}, None, "y: '1' is not a number"),
        ({"y": None}, None, "y: 'None' is not a number"),
        ({"y": float("nan")}, None, "y must be finite"),
        ({"c": 3}, None, "'c' is fixed: the spec sets it to 4"),
    ],
)
def test_all_that_is_no_point_is_told(given, default, said):
    with pytest.raises(PointError, match=said) as caught:
        point_of(CHECKED, given, default)
    assert caught.value.exit_code == ExitCode.USAGE


def test_all_complaints_are_told_at_once():
    with pytest.raises(PointError) as caught:
        point_of(CHECKED, {"z": 1, "x": 1, "y": "a"})
    assert len(caught.value.complaints) == 3
