"""A side of a coordinate annealed by itself: what is there, and a proposal that joins the pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from problems import FLOW, QUICK, Array, final_evidence, gaussian_target, seed
from scipy import stats

from nfanneal.anneal import loop, searches
from nfanneal.anneal.loop import anneal
from nfanneal.anneal.outcome import AnnealResult
from nfanneal.anneal.progress import Activity, Event
from nfanneal.anneal.proposals.truncated import Side
from nfanneal.anneal.restricted import restricted
from nfanneal.anneal.state import Means, State
from nfanneal.target import Evaluation, Spent, Target

SIDES = [Side(0, 1.1, True), Side(0, 0.95, False), Side(1, -0.7, False)]
BOLD = replace(QUICK, steps=10, max_rounds=1)


def share(side: Side) -> float:
    """What of the posterior of `gaussian_target` is on that side."""
    noise = 0.01 * np.array([[1.0, 0.8], [0.8, 1.0]])
    gain = np.linalg.inv(np.eye(2) + noise)
    mean, covariance = gain @ np.array([1.0, -0.5]), noise @ gain
    column = stats.norm(mean[side.column], np.sqrt(covariance[side.column, side.column]))
    return float(column.sf(side.edge) if side.above else column.cdf(side.edge))


@pytest.mark.parametrize("side", SIDES)
def test_derivatives_are_those_by_the_coordinates_of_the_whole_space(side: Side) -> None:
    target, _ = gaussian_target(scale=0.5)
    part = restricted(target, side)
    z = np.random.default_rng(0).standard_normal((50, 2))
    gradient = part.evaluate(z, True).gradient
    for column, step in enumerate(1e-5 * np.eye(2)):
        up, down = (part.evaluate(z + s, False).log_likelihood for s in (step, -step))
        expected = (up - down) / 2e-5
        np.testing.assert_allclose(gradient[:, column], expected, rtol=1e-4, atol=1e-4)


def test_the_information_is_that_of_first_derivatives_by_these() -> None:
    slopes = np.array([[1.0, 2.0], [-1.0, 0.5]])

    def curvature(z: Array, share: float) -> Evaluation:
        information = np.broadcast_to(slopes.T @ slopes, (len(z), 2, 2)).copy()
        value = -0.5 * ((z @ slopes.T) ** 2).sum(axis=1)
        return Evaluation(value, np.zeros(len(z), bool), -(z @ slopes.T) @ slopes, information)

    part = restricted(Target(2, lambda z, g: curvature(z, 1.0), ask_curvature=curvature), SIDES[0])
    z, step = np.random.default_rng(1).standard_normal((20, 2)), 1e-5
    jacobian = np.stack(
        [
            (SIDES[0].into(z + s)[0] - SIDES[0].into(z - s)[0]) @ slopes.T / (2 * step)
            for s in step * np.eye(2)
        ],
        axis=2,
    )
    expected = np.swapaxes(jacobian, 1, 2) @ jacobian
    information = part.curvature(z)[0].information
    np.testing.assert_allclose(information, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("side", SIDES)
def test_its_evidence_is_that_of_the_part(side: Side) -> None:
    target, whole = gaussian_target()
    part = restricted(target, side)
    found = final_evidence(anneal(part, FLOW, QUICK, seed(1)), part)
    expected = whole + np.log(share(side)) - side.log_share
    assert abs(found.log_evidence - expected) < 4.0 * found.error  # one in 16,000
    assert found.error < 0.05


def gone_on(first: AnnealResult, target: Target, side: Side, **settings: object) -> AnnealResult:
    """Another stage that begins with that side."""
    state = first.going_on(Spent(), 0, None, side, True)
    assert state is not None
    seen: list[Event] = []
    further = (state, first.history)
    found = anneal(target, FLOW, replace(BOLD, **settings), seed(2), seen.append, further=further)
    levels = [event.level for event in seen if not isinstance(event, Activity)]
    assert levels == list(range(len(first.history), len(found.history)))  # none of the part's own
    return found


def test_a_part_joins_the_pool_and_the_final_proposal() -> None:
    target, exact = gaussian_target()
    side = SIDES[1]
    first = anneal(target, FLOW, BOLD, seed(1))
    found = gone_on(first, target, side)
    assert [part.side for part in found.state.parts] == [side]
    assert found.state.effort == first.state.effort
    drawn = [g for g in found.state.pool.generations if g.proposal in found.state.parts]
    assert drawn
    assert all(side.holds(g.z).all() for g in drawn)
    estimate = final_evidence(found, target)
    assert abs(estimate.log_evidence - exact) < 4.0 * estimate.error
    again = found.going_on(Spent(), 0, None, None, True)
    assert again is not None
    assert (again.parts, again.side) == (found.state.parts, None)
    assert again.effort == 2 * found.state.effort


@pytest.mark.parametrize("looks", [None, 4096])
def test_a_part_looks_at_the_prior_as_often_at_most_as_the_whole_did_at_first(
    looks: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[int, int]] = []

    def scout_prior(state: State, means: Means) -> State:
        looked.append(searches._looks(means))
        return searches.scout_prior(state, means)

    monkeypatch.setattr(loop, "scout_prior", scout_prior)
    target, _ = gaussian_target()
    settings = {"scout": "auto", "looks": looks}
    gone_on(anneal(target, FLOW, replace(BOLD, **settings), seed(1)), target, SIDES[0], **settings)
    (of_the_whole, most), (of_the_part, at_most) = looked
    assert of_the_part < of_the_whole
    assert at_most <= of_the_whole < most


def test_the_budget_is_kept_and_leaves_no_room_for_a_part() -> None:
    target, _ = gaussian_target()
    first = anneal(target, FLOW, BOLD, seed(1))
    for more in (10_000, 60_000):
        budget = first.n_evaluations + more
        found = gone_on(first, target, SIDES[0], max_evaluations=budget)
        assert found.n_evaluations <= budget
        assert len(found.state.parts) == (more == 60_000)


def test_a_side_without_any_likelihood_has_no_part() -> None:
    good, _ = gaussian_target()

    def ask(z: Array, gradient: bool) -> Evaluation:
        found = good.ask(z, gradient)
        nothing = z[:, 0] > 1.05
        return replace(found, log_likelihood=np.where(nothing, -np.inf, found.log_likelihood))

    target = Target(2, ask)
    first = anneal(target, FLOW, BOLD, seed(1))
    found = gone_on(first, target, SIDES[0])
    assert found.state.parts == ()
    z = found.proposal.draw(100, torch.Generator().manual_seed(1))
    assert np.isfinite(found.proposal.log_density(z)).all()
