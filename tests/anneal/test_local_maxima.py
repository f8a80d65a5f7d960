"""Points that are better than all of their neighbours, where searches begin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from nfanneal.anneal.scout import NEIGHBOURS, local_maxima


@pytest.mark.parametrize("waves", [0.0, 5.0])
@pytest.mark.parametrize("d", [1, 3, 6, 12])
def test_they_are_those_of_a_look_at_all_neighbours(d, waves):
    """The first looks are rough: hardly ever may they take a point away, here none."""
    rng = np.random.default_rng(d)
    z = rng.standard_normal((2000, d))
    value = -0.5 * ((z - 0.5) ** 2).sum(axis=1) + waves * np.sin(5.0 * z).sum(axis=1)
    value[::7] = -np.inf
    finite = np.flatnonzero(np.isfinite(value))
    near = np.argsort(cdist(z[finite], z[finite]), axis=1)[:, 1 : NEIGHBOURS + 1]
    peaks = finite[value[finite] > value[finite][near].max(axis=1)]
    found = local_maxima(z, value)
    np.testing.assert_array_equal(np.sort(found), peaks)
    assert (np.diff(value[found]) <= 0).all()
    assert len(found) >= (5 if waves else 1)


def test_few_points_are_all_of_them():
    z, value = np.arange(5.0)[:, None], np.array([0.0, 2.0, -np.inf, 1.0, 3.0])
    assert local_maxima(z, value).tolist() == [4, 1, 3, 0]
