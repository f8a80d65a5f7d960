"""Tails that rest on few draws: found where weights have no mean, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nfanneal.anneal.proposals.truncated import Side
from nfanneal.anneal.tails import (
    FAR_MORE,
    FARTHEST,
    HOPELESS,
    MANY,
    MORE,
    MOST_MASS,
    Drawn,
    Tail,
    mass_in_vain,
    uncertain_tail,
)
from nfanneal.anneal.weights import PARETO_LIMIT, pareto_k

DRAWS = 20_000


def covered(dimension: int, wide: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws of a wider normal density, and their weights under the standard one."""
    z = wide * np.random.default_rng(seed).standard_normal((DRAWS, dimension))
    log_q = stats.norm(scale=wide).logpdf(z).sum(axis=1)
    return z, stats.norm.logpdf(z).sum(axis=1) - log_q


def neck(
    seed: int, *, above: bool = False, share: float = 0.1, median: float = -6.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of which a share has its first coordinate beyond −2: there others are hardly hit.

    Their log-weights have a spread of 3 there: most of what they sum up to is in a few.
    """
    rng = np.random.default_rng(seed)
    z, log_weight = covered(4, 1.1, seed)
    inside = np.arange(DRAWS) < share * DRAWS
    z[inside, 0] = -2.0 - rng.exponential(1.0, inside.sum())
    log_weight[inside] = rng.normal(median, 3.0, inside.sum())
    z[~inside, 0] = np.abs(z[~inside, 0] + 1.99) - 1.99
    if above:
        z[:, 0] *= -1.0
    rows = rng.permutation(DRAWS)
    return z[rows], log_weight[rows]


def drawn(*annealed: Side, everywhere: int = 0) -> Drawn:
    """All draws are of what was fitted, but for the last that are `everywhere`."""
    return Drawn(lambda: (np.arange(DRAWS) < DRAWS - everywhere).astype(float), annealed)


@pytest.mark.parametrize("wide", [1.0, 1.1, 1.3])
@pytest.mark.parametrize("dimension", [1, 2, 8, 20])
def test_tails_that_are_covered_are_not_uncertain(dimension: int, wide: float) -> None:
    # no false alarm in 240 of them
    for seed in range(20):
        assert uncertain_tail(*covered(dimension, wide, seed), 1e-3, drawn()) is None


def found(z: np.ndarray, log_weight: np.ndarray, error: float = 0.02) -> Tail:
    tail = uncertain_tail(z, log_weight, error, drawn())
    assert tail is not None
    return tail


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_a_neck_is_found_with_its_column_and_side(seed: int, above: bool) -> None:
    z, log_weight = neck(seed, above=above)
    tail = found(z, log_weight)
    assert (tail.side.column, tail.side.above) == (0, above)
    assert pareto_k(log_weight[tail.side.holds(z)]) > PARETO_LIMIT
    beside = FAR_MORE * MOST_MASS  # no error of the log-evidence that large is made larger
    assert uncertain_tail(z, log_weight, beside, drawn()) is None


def in_vain(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A neck that a third of all draws are in, and a few heavy draws elsewhere."""
    z, log_weight = neck(seed, share=0.3, median=-9.0)
    log_weight[np.random.default_rng(seed).choice(DRAWS, 3)] = np.log(0.005 * DRAWS)
    return z, log_weight


@pytest.mark.parametrize("seed", range(5))
def test_a_neck_that_is_drawn_in_vain_is_found_though_others_have_the_variance(seed: int) -> None:
    z, log_weight = in_vain(seed)
    tail = found(z, log_weight)
    assert (tail.side.column, tail.side.above) == (0, False)
    assert tail.drawn >= MANY
    assert tail.effective < HOPELESS * tail.drawn


@pytest.mark.parametrize("seed", range(5))
def test_draws_of_the_prior_are_nowhere_in_vain(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, log_weight = rng.standard_normal((DRAWS, 20)), rng.normal(-40.0, 10.0, DRAWS)
    own = np.arange(DRAWS) < DRAWS // 4  # where the posterior is; those of the prior never are
    z[own] *= 0.25
    log_weight[own] = rng.normal(0.0, 1.0, own.sum())
    outermost = np.argmax(np.where(own, z[:, 0], -np.inf))
    log_weight[outermost] = log_weight[own].max() + 1.0
    assert found(z, log_weight).drawn >= MANY
    assert uncertain_tail(z, log_weight, 0.02, drawn(everywhere=3 * DRAWS // 4)) is None
    # nor do they hide those that are
    assert uncertain_tail(*in_vain(seed), 0.02, drawn(everywhere=DRAWS // 10)) is not None


@pytest.mark.parametrize("seed", range(5))
def test_draws_in_vain_say_nothing_where_an_annealing_has_been(seed: int) -> None:
    z, log_weight = in_vain(seed)
    tail = found(z, log_weight)
    side, error = tail.side, 1.01 * MORE * tail.mass  # its share of the variance says nothing
    wider, elsewhere = replace(side, edge=side.edge + 0.5), Side(3, 2.0, True)
    assert uncertain_tail(z, log_weight, error, drawn(side)) is None
    assert uncertain_tail(z, log_weight, error, drawn(elsewhere, wider)) is None
    for other in (elsewhere, replace(side, above=True), replace(side, edge=-7.0)):
        assert uncertain_tail(z, log_weight, error, drawn(other)) is not None


def test_what_is_told_of_a_tail_is_that_of_the_draws_in_it() -> None:
    z, log_weight = neck(1)
    tail, weights = found(z, log_weight), np.exp(log_weight)
    inside = tail.side.holds(z)
    assert inside.sum() == tail.drawn
    assert z[tail.row, tail.side.column] == tail.side.edge
    np.testing.assert_allclose(weights[inside].sum() / weights.sum(), tail.mass)
    effective = weights[inside].sum() ** 2 / (weights[inside] ** 2).sum()
    np.testing.assert_allclose(effective, tail.effective)


def test_a_single_heavy_draw_is_no_tail() -> None:
    z, log_weight = covered(4, 1.1, 1)
    log_weight[np.argmin(z[:, 0])] = np.log(0.02 * DRAWS)
    assert uncertain_tail(z, log_weight, 1e-3, drawn()) is None


def test_few_draws_or_none_of_weight_have_no_tail() -> None:
    assert uncertain_tail(np.zeros((99, 1)), np.zeros(99), 0.0, drawn()) is None
    assert uncertain_tail(np.zeros((1000, 1)), np.full(1000, -np.inf), 0.0, drawn()) is None


@pytest.mark.parametrize("seed", range(5))
def test_mass_in_vain_is_that_of_the_tail_that_was_annealed(seed: int) -> None:
    z, log_weight = in_vain(seed)
    side, weights = Side(0, -2.0, False), np.exp(log_weight)
    mass = mass_in_vain(z, log_weight, drawn(side))
    assert 0.0 < mass <= weights[side.holds(z)].sum() / weights.sum()
    assert mass_in_vain(z, log_weight, drawn()) == 0.0
    assert mass_in_vain(z, log_weight, drawn(Side(3, 2.0, True))) == 0.0
    assert mass_in_vain(*covered(4, 1.1, seed), drawn(side)) == 0.0


def test_a_bound_of_the_prior_is_no_edge_of_a_tail() -> None:
    z, log_weight = in_vain(1)
    z[z[:, 0] < -2.0, 0] = np.nan_to_num(-np.inf)
    tail = uncertain_tail(z, log_weight, 1e-3, drawn())
    assert tail is None or abs(tail.side.edge) < FARTHEST
