"""Another stage: twice the effort; as much again only where something speaks against a result."""

import numpy as np
import pytest

from nfanneal.anneal.contest import untrained
from nfanneal.anneal.outcome import outcome_of
from nfanneal.anneal.pool import Pool
from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.anneal.settings import MOST_EFFORT, MOST_STAGES, default_flow_settings
from nfanneal.anneal.state import State
from nfanneal.target import Spent


def after(*, effort: int, stage: int, beta: float = 1.0, doubted: bool) -> tuple[int, int] | None:
    """Effort and number of the stage that follows one of such an effort and number, if any."""
    prior, flows = PriorProposal(2), untrained(2, default_flow_settings(2, hidden=(8,)), 1)
    state = State(
        level=5,
        beta=beta,
        rounds=2,
        flows=flows,
        proposal=prior,
        pool=Pool(),
        path=(),
        n_evaluations=100,
        n_gradients=0,
        failed_z=np.empty((0, 2)),
        n_failed=0,
        ladder=((0.0, prior),),
        effort=effort,
        stage=stage,
    )
    further = outcome_of(state, []).going_on(Spent(evaluations=10), 0, None, None, doubted)
    if further is None:
        return None
    assert (further.level, further.rounds, further.n_evaluations) == (6, 0, 110)
    return further.effort, further.stage


@pytest.mark.parametrize("doubted", [False, True])
@pytest.mark.parametrize("effort", [1, 2, MOST_EFFORT // 2])
def test_a_stage_has_twice_the_effort_of_the_one_before(effort: int, doubted: bool) -> None:
    assert after(effort=effort, stage=0, doubted=doubted) == (2 * effort, 1)


def test_the_largest_effort_is_the_last_where_nothing_speaks_against_the_result() -> None:
    assert after(effort=MOST_EFFORT, stage=0, doubted=False) is None


def test_the_largest_effort_is_made_again_where_something_does() -> None:
    stages = [after(effort=MOST_EFFORT, stage=i, doubted=True) for i in range(MOST_STAGES)]
    assert stages == [*((MOST_EFFORT, i + 1) for i in range(MOST_STAGES - 1)), None]


def test_a_path_that_ended_short_of_the_posterior_has_no_further_stage() -> None:
    assert after(effort=1, stage=0, beta=0.5, doubted=True) is None
