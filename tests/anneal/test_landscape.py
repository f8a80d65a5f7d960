"""Valleys: which optima are one mode, and which starts need no search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from nfanneal.anneal.archive import as_found
from nfanneal.anneal.landscape import evaluations_uphill, modes_of, rarest, unseen, uphill
from nfanneal.anneal.local import LocalPoints
from nfanneal.target import Evaluation, Target


def ridge(z):
    """A ridge along the first axis from −2 to 2, and a peak at (0, 4) as high."""
    along = np.maximum(np.abs(z[:, 0]) - 2.0, 0.0)
    first = -50.0 * (along**2 + z[:, 1] ** 2)
    second = -50.0 * (z[:, 0] ** 2 + (z[:, 1] - 4.0) ** 2)
    return np.maximum(first, second) + 0.5 * (z**2).sum(axis=1)  # the prior is taken out


def target():
    def ask(z, gradient):
        return Evaluation(ridge(z), np.zeros(len(z), dtype=bool))

    return Target(2, ask)


def archive(*centres, found):
    z = np.array(centres, dtype=float)
    points = LocalPoints(z, ridge(z), np.repeat(100.0 * np.eye(2)[None], len(z), axis=0))
    return as_found(points, np.array(found))


def test_ends_on_a_ridge_are_one_mode_and_a_valley_parts_others():
    known = archive((-1.5, 0), (-0.5, 0), (0.5, 0), (1.5, 0), (0, 4), found=(3, 1, 1, 2, 4))
    mode, spent = modes_of(target(), known)
    assert len(set(mode[:4])) == 1
    assert mode[4] != mode[0]
    assert 0 < spent.evaluations <= 5 * 3 * 3
    assert rarest(known, mode) == 4  # seven ended on the ridge
    assert unseen(known, mode) == 0.0


def test_modes_found_once_say_that_there_may_be_others():
    """Good's estimate: two of eleven searches."""
    known = archive((-1.5, 0), (1.5, 0), (0, 4), found=(9, 1, 1))
    assert unseen(known, np.array([0, 1, 2])) == pytest.approx(2 / 11)
    assert unseen(known, np.array([0, 0, 1])) == pytest.approx(1 / 11)


def test_a_way_that_rises_all_along_needs_no_search():
    """From beside the peak, not from the ridge: there is a valley between it and the peak."""
    known = archive((0, 4), found=(1,))
    z = np.array([[0.3, 3.5], [0.0, 6.0], [0.5, 0.1]])
    optimum, spent = uphill(target(), known, z, ridge(z))
    assert list(optimum) == [0, 0, -1]
    # the slope is asked for where the way rises: two times, of 2·2 + 1 evaluations
    assert spent.evaluations == evaluations_uphill(target()) * 3 - 5


@pytest.mark.parametrize("differentiable", [False, True])
def test_a_far_point_in_many_dimensions_belongs_where_its_slope_points(differentiable):
    """The ways from it to both peaks rise all along: they begin by coming nearer to either."""
    d, width = 50, 0.05
    rng = np.random.default_rng(1)
    peaks = 1.4 * rng.uniform(-1, 1, (2, d))
    z = rng.standard_normal((40, d))

    def log_likelihood(z):
        squares = ((z[:, None] - peaks) ** 2).sum(axis=2) / width**2
        return logsumexp(-0.5 * squares, axis=1) + 0.5 * (z**2).sum(axis=1)

    def ask(z, gradient):
        value, failed = log_likelihood(z), np.zeros(len(z), dtype=bool)
        if not gradient:
            return Evaluation(value, failed)
        squares = ((z[:, None] - peaks) ** 2).sum(axis=2) / width**2
        mean = softmax(-0.5 * squares, axis=1) @ peaks
        return Evaluation(value, failed, (mean - z) / width**2 + z)

    asked = Target(d, ask, differentiable)
    nearest = ((z[:, None] - peaks) ** 2).sum(axis=2).argmin(axis=1)
    for known in (0, 1):
        information = (1.0 / width**2 - 1.0) * np.eye(d)[None]  # the prior has 1
        only = peaks[known : known + 1]
        points = LocalPoints(only, log_likelihood(only), information)
        optimum, _ = uphill(asked, as_found(points, np.ones(1, int)), z, log_likelihood(z))
        np.testing.assert_array_equal(optimum, np.where(nearest == known, 0, -1))


def test_without_an_optimum_there_is_no_way():
    nothing = archive((0, 4), found=(1,))
    none = as_found(
        LocalPoints(np.empty((0, 2)), np.empty(0), np.empty((0, 2, 2))), np.empty(0, int)
    )
    z = np.zeros((3, 2))
    smooth = replace(target(), differentiable=True)
    assert list(uphill(target(), none, z, ridge(z))[0]) == [-1, -1, -1]
    assert len(uphill(target(), nothing, z[:0], np.empty(0))[0]) == 0
    # from no point of the ridge the way rises, and no slope is asked for, nor missed
    assert list(uphill(smooth, nothing, np.array([[1.0, 0.0]]), np.zeros(1))[0]) == [-1]
    assert len(modes_of(target(), none)[0]) == 0
