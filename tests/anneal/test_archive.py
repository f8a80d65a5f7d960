"""The archive of modes: what is distinct, what an optimum weighs, and that no mode starves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nfanneal.anneal.archive import AT_ONCE, EXPLAINED, as_found, distinct
from nfanneal.anneal.local import DF, NARROWEST, LocalPoints
from nfanneal.anneal.schedule import LevelView, ess_schedule
from nfanneal.anneal.settings import default_anneal_settings
from nfanneal.anneal.weighing import weighed
from nfanneal.arrays import concatenated
from nfanneal.target import Evaluation, Target

MASSES, SDS = np.array([0.7, 0.3]), np.array([0.3, 0.05])
CENTRES = np.array([[1.0, 0.0], [-1.0, 0.5]])


def log_density(z):
    """log of 0.7·N(z; m₁, 0.3²) + 0.3·N(z; m₂, 0.05²) in two dimensions."""
    square = ((z[:, None] - CENTRES) ** 2).sum(axis=2) / SDS**2
    parts = np.log(MASSES) - 0.5 * square - 2.0 * np.log(SDS) - math.log(2.0 * math.pi)
    return np.logaddexp(parts[:, 0], parts[:, 1])


def gaussians():
    """A target whose posterior is that density: log L is it over the prior's."""

    def ask(z, gradient):
        log_prior = -0.5 * (z**2).sum(axis=1) - math.log(2.0 * math.pi)
        return Evaluation(log_density(z) - log_prior, np.zeros(len(z), bool))

    return Target(2, ask)


def ends(z):
    """Ends of searches at z (k, 2) with the curvature of the nearer mode."""
    nearer = ((z[:, None] - CENTRES) ** 2).sum(axis=2).argmin(axis=1)
    information = np.eye(2) * (1.0 / SDS[nearer] ** 2 - 1.0)[:, None, None]
    log_likelihood = gaussians().ask(z, False).log_likelihood
    return as_found(LocalPoints(z, log_likelihood, information), np.ones(len(z), dtype=np.int64))


def test_ends_within_a_standard_deviation_are_one_optimum():
    near = CENTRES[[0, 0, 1, 1, 1]] + 0.01 * np.arange(5)[:, None] / np.sqrt(2)
    archive = distinct(ends(near))
    assert sorted(archive.found) == [2, 3]
    assert len(distinct(ends(CENTRES[[1, 1]] + [[0.0, 0.0], [0.2, 0.0]]))) == 2


def test_all_optima_at_once_are_nearest_to_and_explain_what_one_by_one_are():
    """More points and optima than are looked at together."""
    rng = np.random.default_rng(1)
    k, d, n = 40, 6, 2000
    roots = rng.normal(size=(k, d, d))
    points = LocalPoints(rng.normal(size=(k, d)), rng.normal(size=k), roots @ roots.mT)
    archive, z = as_found(points, np.ones(k, dtype=np.int64)), 1.5 * rng.normal(size=(n, d))
    assert n * k * d > AT_ONCE
    away = z[:, None] - points.z
    for beta, what in ((1.0, "explains"), (1.0, "modes"), (0.2, "modes")):
        square = np.einsum("nki,kij,nkj->nk", away, points.precisions(beta), away)
        density = 0.5 * np.linalg.slogdet(points.precisions(beta))[1]
        density = density - 0.5 * (DF + d) * np.log1p(square / DF)
        nearest = density[:, archive.matters].argmax(axis=1)
        if what == "modes":
            np.testing.assert_array_equal(archive.modes(z, beta), nearest)
        else:
            inside = (square < d + EXPLAINED * np.sqrt(2.0 * d)).any(axis=1)
            assert 0.1 < inside.mean() < 0.9
            np.testing.assert_array_equal(archive.explains(z), inside)


def test_laplace_masses_are_those_of_gaussians():
    archive = distinct(ends(CENTRES.copy()))
    np.testing.assert_allclose(np.exp(archive.log_masses), MASSES, rtol=1e-3)
    assert not archive.sound.any()  # before draws have said so


def test_draws_confirm_a_mode_and_expose_what_is_none():
    """With 64 draws a mass has an error of some 5 %: 20 % is beyond a false alarm in 10,000.

    A point in a tail of the wide mode, said to be as narrow as the other, is no mode.
    """
    false = CENTRES[0] + [0.6, 0.0]
    points = ends(np.concatenate([CENTRES, false[None]]))
    points.information[2] = np.eye(2) / 0.002**2
    archive, spent, failed = weighed(
        distinct(points), gaussians(), torch.Generator().manual_seed(1)
    )
    rank = [int(np.abs(archive.z - c).sum(axis=1).argmin()) for c in (*CENTRES, false)]
    np.testing.assert_allclose(np.exp(archive.log_masses[rank[:2]]), MASSES, rtol=0.2)
    assert archive.sound[rank[:2]].all()
    assert not archive.sound[rank[2]] or not archive.matters[rank[2]]
    assert spent.evaluations == 64 * int((~np.isnan(archive.drawn)).sum())
    assert failed == 0


def known():
    return weighed(distinct(ends(CENTRES.copy())), gaussians(), torch.Generator().manual_seed(2))[0]


def test_an_optimum_that_draws_showed_to_be_none_takes_no_draws_from_modes():
    """By its curvature it has e^30 times the mass of the others: they would not be plausible."""
    archive = known()
    false = ends(CENTRES[:1] + 9.0)
    false.log_likelihood[0] += 2000.0
    laplace = distinct(concatenated([archive, false]))
    shown = replace(laplace, drawn=np.where(laplace.z[:, 0] > 5.0, -50.0, laplace.drawn),
                    effective=np.where(laplace.z[:, 0] > 5.0, 9.0, laplace.effective))  # fmt: skip
    rng = np.random.default_rng(5)
    assert (laplace.chosen(1.0, 100, rng).z[:, 0] > 5.0).all()
    assert not (shown.chosen(1.0, 100, rng).z[:, 0] > 5.0).any()


def test_points_belong_to_the_nearer_mode_in_its_own_units():
    archive = known()
    wide = int(np.abs(archive.z - CENTRES[0]).sum(axis=1).argmin())
    z = np.array([CENTRES[0], CENTRES[1], CENTRES[1] + [0.06, 0.0], CENTRES[1] + [0.9, 0.0]])
    assert list(archive.modes(z)) == [wide, 1 - wide, 1 - wide, wide]
    assert list(archive.explains(np.array([CENTRES[0], [5.0, 5.0]]))) == [True, False]


def test_a_training_keeps_a_share_for_a_rare_mode():
    archive, rng = known(), np.random.default_rng(3)
    z = np.concatenate([CENTRES[k] + SDS[k] * rng.standard_normal((1000, 2)) for k in (0, 1)])
    weights = np.repeat([1.0, 1e-6], 1000)
    raised = archive.balanced(weights / weights.sum(), z, 1.0)
    assert raised.sum() == pytest.approx(1.0)
    assert 0.1 < raised[1000:].sum() < 0.2
    few = np.where(np.arange(2000) < 1005, weights, 0.0)  # five points stand for the rare mode
    assert archive.balanced(few / few.sum(), z, 1.0)[1000:].sum() < 0.01


def test_a_step_of_beta_waits_for_every_mode():
    """The wide mode's points would bear a step to 1; the others' weights would be one point's."""
    rng = np.random.default_rng(4)
    log_l = np.concatenate([np.zeros(5000), 40.0 * rng.standard_normal(5000) - 200.0])
    mode = np.repeat([0, 1], 5000)
    settings = default_anneal_settings(2)
    view = LevelView(1, 0.0, np.zeros(10_000), log_l, 2)
    blind = ess_schedule(view, settings)
    seeing = ess_schedule(LevelView(1, 0.0, np.zeros(10_000), log_l, 2, mode), settings)
    assert blind == 1.0
    assert 0.0 < seeing < 0.2
    counted = LevelView(1, 0.0, np.zeros(10_000), log_l, 2, mode).effective_by_mode(seeing)
    assert counted.min() > 100.0
    without = LevelView(1, 0.0, np.zeros(10_000), log_l, 2, np.where(mode == 1, -1, 0))
    assert ess_schedule(without, settings) == 1.0


@pytest.mark.parametrize("stiffest", [1e4, 1e12])
def test_a_component_has_the_shape_of_an_optimum_however_stiff_that_is(stiffest):
    rng = np.random.default_rng(3)
    d = 23
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    values = np.geomspace(1.0, stiffest, d)
    stiff = LocalPoints(np.zeros((1, d)), np.zeros(1), ((axes * values) @ axes.T)[None])
    mixture = as_found(stiff, np.ones(1, dtype=np.int64)).components(np.zeros((0, d)), np.zeros(0))
    precisions = np.minimum(1.0 + values, NARROWEST)
    draws = mixture.draw(1000, torch.Generator().manual_seed(1))
    spread = ((draws @ axes) ** 2 * precisions).mean(axis=0) * (DF - 2.0) / DF
    np.testing.assert_array_less(np.abs(spread[precisions < 1e9] - 1.0), 5.0 * np.sqrt(8.0 / 1000))
    assert np.isfinite(mixture.log_density(draws)).all()
