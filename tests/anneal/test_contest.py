"""Flows side by side: the simpler one alone for as long as it is no worse on points held out."""

import numpy as np
import pytest

from nfanneal.anneal.contest import LONGEST_REST, Flows, trained, untrained
from nfanneal.anneal.settings import FEW_DIMENSIONS, FlowSettings, default_flow_settings
from nfanneal.anneal.training import Training
from nfanneal.target import Spent

RICH = FlowSettings("nsf", 1, 4, (16,), simpler=FlowSettings("maf", 1, 4, (16,)))
WHITENED = np.full(3, 2.0), 3.0 * np.eye(3)


def levels(held_out: list[dict[str, float]]) -> tuple[list[list[str]], list[str]]:
    """Which kinds are trained at each level, and which is kept, for given held-out losses."""
    flows, asked, kept = untrained(3, RICH, 1), [], []
    for losses in held_out:
        seen: list[str] = []

        def train(proposal, losses=losses, seen=seen):
            seen.append(proposal.settings.kind)
            return Training(np.zeros(1), losses[proposal.settings.kind], Spent(gradients=5))

        flows, proposal, training = trained(flows, WHITENED, train)
        assert training.spent.gradients == 5 * len(seen)
        assert training.held_out == losses[proposal.settings.kind]
        assert proposal in flows.newest
        asked.append(seen)
        kept.append(proposal.settings.kind)
    return asked, kept


def test_the_simpler_flow_is_alone_for_ever_longer_where_it_is_no_worse() -> None:
    asked, kept = levels([{"maf": 1.0, "nsf": 1.0}] * 30)
    both = [i for i, kinds in enumerate(asked) if len(kinds) == 2]
    assert both == [0, 2, 5, 10, 19, 28]  # rests of 1, 2, 4, and of 8 at most
    assert np.diff(both).max() == LONGEST_REST + 1
    assert set(kept) == {"maf"}


def test_the_richer_flow_is_kept_where_it_is_better_and_both_go_on() -> None:
    asked, kept = levels([{"maf": 1.0, "nsf": 0.9}] * 5)
    assert asked == [["maf", "nsf"]] * 5
    assert kept == ["nsf"] * 5


def test_a_rest_is_short_again_after_the_richer_flow_was_better() -> None:
    simple, rich = {"maf": 1.0, "nsf": 2.0}, {"maf": 1.0, "nsf": 0.5}
    asked, _ = levels([simple] * 5 + [rich] + [simple] * 3)
    assert [len(kinds) for kinds in asked] == [2, 1, 2, 1, 1, 2, 2, 1, 2]


def test_copies_are_trained_in_the_coordinates_that_were_asked_for() -> None:
    before = untrained(3, RICH, 1)
    flows, proposal, _ = trained(before, WHITENED, lambda q: Training(np.zeros(1), 1.0, Spent()))
    np.testing.assert_array_equal(proposal.mean, WHITENED[0])
    np.testing.assert_array_equal(proposal.cholesky, WHITENED[1])
    assert [q.settings.kind for q in flows.newest] == ["maf", "nsf"]
    assert all(
        new.flow is not old.flow for new, old in zip(flows.newest, before.newest, strict=True)
    )


@pytest.mark.parametrize("kind", ["nsf", "maf", "coupling_nsf"])
def test_a_kind_that_is_asked_for_is_alone(kind: str) -> None:
    assert default_flow_settings(40, kind=kind).simpler is None


def test_few_dimensions_have_one_kind_and_many_two() -> None:
    def kinds(dimension: int) -> list[str]:
        flows: Flows = untrained(dimension, default_flow_settings(dimension, hidden=(8,)), 1)
        return [q.settings.kind for q in flows.newest]

    assert kinds(FEW_DIMENSIONS) == ["nsf"]
    assert kinds(FEW_DIMENSIONS + 1) == ["maf", "nsf"]
