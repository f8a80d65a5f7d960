"""Another stage: twice the effort; as much again only where something speaks against a result."""

import numpy as np
import pytest

from nfanneal.anneal.contest import untrained
from nfanneal.anneal.outcome import outcome_of
from nfanneal.anneal.pool import Pool
from nfanneal.anneal.progress import LevelInfo
from nfanneal.anneal.proposals.base import PriorProposal
from nfanneal.anneal.proposals.truncated import Side
from nfanneal.anneal.settings import MOST_EFFORT, MOST_STAGES, default_flow_settings
from nfanneal.anneal.state import State
from nfanneal.target import Spent

SIDE = Side(0, 2.0, True)


def after(
    *,
    effort: int,
    stage: int,
    beta: float = 1.0,
    doubted: bool,
    side: Side | None = None,
    levels: int = 0,
) -> State | None:
    """The state that follows one of such an effort and number, after so many hot levels, if any."""
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
    history = [*(info(i, 0.5) for i in range(levels)), *[info(levels, beta)] * 3]
    further = outcome_of(state, history).going_on(Spent(evaluations=10), 0, None, side, doubted)
    if further is not None:
        assert (further.level, further.rounds, further.n_evaluations) == (6, 0, 110)
    return further


def info(level: int, beta: float) -> LevelInfo:
    return LevelInfo(level, beta, 0.5, 0.5, 0.5, 0.1, 0.0, 100, 0, 0, 1.0)


def effort_and_stage(state: State | None) -> tuple[int, int] | None:
    return None if state is None else (state.effort, state.stage)


@pytest.mark.parametrize("doubted", [False, True])
@pytest.mark.parametrize("effort", [1, 2, MOST_EFFORT // 2])
def test_a_stage_has_twice_the_effort_of_the_one_before(effort: int, doubted: bool) -> None:
    further = after(effort=effort, stage=0, doubted=doubted)
    assert effort_and_stage(further) == (2 * effort, 1)


def test_the_largest_effort_is_the_last_where_nothing_speaks_against_the_result() -> None:
    assert after(effort=MOST_EFFORT, stage=0, doubted=False) is None


def test_the_largest_effort_is_made_again_where_something_does() -> None:
    further = [after(effort=MOST_EFFORT, stage=i, doubted=True) for i in range(MOST_STAGES)]
    assert [effort_and_stage(state) for state in further] == [
        *((MOST_EFFORT, i + 1) for i in range(MOST_STAGES - 1)),
        None,
    ]


def test_a_path_that_ended_short_of_the_posterior_has_no_further_stage() -> None:
    assert after(effort=1, stage=0, beta=0.5, doubted=True) is None


@pytest.mark.parametrize(
    ("effort", "levels"), [(1, 5), (1, 33), (2, 9), (MOST_EFFORT // 2, 33)], ids=str
)
def test_a_tail_waits_for_twice_the_effort_where_the_path_was_longer(effort, levels) -> None:
    further = after(effort=effort, stage=0, doubted=True, side=SIDE, levels=levels)
    assert further is not None
    assert (further.side, further.effort) == (None, 2 * effort)


@pytest.mark.parametrize(("effort", "levels"), [(1, 4), (4, 13), (MOST_EFFORT, 33)], ids=str)
def test_a_tail_is_annealed_by_itself_where_that_is_no_longer(effort, levels) -> None:
    further = after(effort=effort, stage=0, doubted=True, side=SIDE, levels=levels)
    assert further is not None
    assert (further.side, further.effort) == (SIDE, effort)
