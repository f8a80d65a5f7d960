"""Flows of two kinds side by side: the simpler one alone for as long as it is no worse.

In many dimensions few points stand for a posterior, and splines overfit to them; where it has one
mode, affine maps learn as much in a fifth of the time. Where it has several they do not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nfanneal.anneal.proposals.architectures import make_flow
from nfanneal.anneal.proposals.flow import FlowProposal
from nfanneal.anneal.settings import FlowSettings
from nfanneal.anneal.training import Training
from nfanneal.arrays import Array
from nfanneal.target import Spent

LONGEST_REST = 8
"""After so many levels, at most, the richer flow is trained again."""


@dataclass(frozen=True)
class Flows:
    """The `newest` flow of every kind, the simplest first: the next level goes on from these.

    For `rest` levels more only the simplest is trained; `rested` is how long that was the last
    time.
    """

    newest: tuple[FlowProposal, ...]
    rest: int = 0
    rested: int = 0


def untrained(dimension: int, settings: FlowSettings, seed: int) -> Flows:
    """Flows of `settings`, and of the simpler ones beside them, that are the identity."""
    kinds = [settings] if settings.simpler is None else [settings.simpler, settings]
    mean, cholesky = np.zeros(dimension), np.eye(dimension)
    return Flows(
        tuple(FlowProposal(make_flow(dimension, k, seed), mean, cholesky, k) for k in kinds)
    )


def trained(
    flows: Flows, whitened_by: tuple[Array, Array], train: Callable[[FlowProposal], Training]
) -> tuple[Flows, FlowProposal, Training]:
    """Train those that are due, and which of them is the best on the points that are held out.

    Arguments:
        whitened_by: mean (d,) and lower Cholesky factor (d, d) of the coordinates that they learn.
        train: trains one of them in place.
    """
    due = flows.newest[:1] if flows.rest else flows.newest
    mean, cholesky = whitened_by
    own = [replace(q, flow=copy.deepcopy(q.flow), mean=mean, cholesky=cholesky) for q in due]
    trainings = [train(proposal) for proposal in own]
    best = min(range(len(own)), key=lambda i: trainings[i].held_out)
    newest = (*own, *flows.newest[len(own) :])
    rest, rested = flows.rest, flows.rested
    if rest:
        rest -= 1
    elif len(own) > 1:
        rested = min(max(2 * rested, 1), LONGEST_REST) if best == 0 else 0
        rest = rested
    spent = sum((training.spent for training in trainings), Spent())
    return Flows(newest, rest, rested), own[best], replace(trainings[best], spent=spent)
