"""What annealing came to, and from where another stage goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nfanneal.anneal.archive import Archive
from nfanneal.anneal.final_mixture import final_mixture
from nfanneal.anneal.patches import Patched
from nfanneal.anneal.pool import Generation
from nfanneal.anneal.progress import LevelInfo
from nfanneal.anneal.proposals.base import Mixture, Proposal
from nfanneal.anneal.proposals.flow import FlowProposal
from nfanneal.anneal.proposals.truncated import Side
from nfanneal.anneal.settings import LEAST_ROUNDS, MOST_EFFORT, MOST_STAGES
from nfanneal.anneal.state import State, pool_weights
from nfanneal.arrays import Array
from nfanneal.errors import ModelError
from nfanneal.target import Spent

FINAL_LEVELS = 4
"""The final proposal is a mixture of the proposals of so many last levels.

Each flow overfits its own few effective points, in places of its own; their mixture does not.
"""
ARCHIVED_SHARE = 0.05
"""Share of the final draws that the archived optima get alike, whatever mass they have."""
MOST_PARTS = 3
"""Parts of the space that are annealed by themselves, at most."""


@dataclass(frozen=True)
class AnnealResult:
    """The final proposal, the path's thinned generations, and what was seen on the way.

    `state` is that of the last level, from which another stage may go on.
    """

    proposal: Proposal
    path: tuple[Generation, ...]
    history: tuple[LevelInfo, ...]
    reached: float
    n_evaluations: int
    n_gradients: int
    n_failed: int
    failed_z: Array
    n_dropped: int
    archive: Archive | None
    state: State

    def after_patch(self, found: Patched) -> AnnealResult:
        """This, with a patch for the levels to come, if one was of use, and what that took."""
        state = replace(self.state, patch=found.patch or self.state.patch)
        return replace(self, state=state).having_spent(found.spent, found.n_failed)

    def having_spent(self, spent: Spent, n_failed: int) -> AnnealResult:
        """This after so much was asked, and so many points failed, for what is not kept."""
        return replace(
            self,
            n_evaluations=self.n_evaluations + spent.evaluations,
            n_gradients=self.n_gradients + spent.gradients,
            n_dropped=self.n_dropped + spent.dropped,
            n_failed=self.n_failed + n_failed,
            state=replace(self.state.spending(spent), n_failed=self.state.n_failed + n_failed),
        )

    def going_on(
        self, spent: Spent, n_failed: int, walked: Array | None, side: Side | None, doubted: bool
    ) -> State | None:
        """Where another stage begins, with twice the effort; None if that is not possible.

        With as much effort again only for a result that is `doubted`; or where one `side` of a
        coordinate is to be looked into, which may be all that is amiss.

        `spent` and `n_failed` are what was asked since, `walked` (m, d) points of the posterior.
        """
        state = self.state
        most = MOST_STAGES if doubted else 0
        side = side if self._by_itself(len(state.parts)) else None
        if (state.effort >= MOST_EFFORT and state.stage + 1 >= most) or state.beta < 1.0:
            return None
        return replace(
            state.spending(spent),
            stage=state.stage + 1,
            level=state.level + 1,
            effort=min((2 if side is None else 1) * state.effort, MOST_EFFORT),
            rounds=0,
            n_failed=state.n_failed + n_failed,
            walked=state.walked if walked is None else walked,
            side=side,
        )

    def _by_itself(self, parts: int) -> bool:
        """Whether another part is annealed by itself, sooner than all with twice the effort.

        It takes as many levels as the path did, while a stage of twice the effort may mend it in a
        few: the longer the path, the more of these are tried first.
        """
        levels = sum(info.beta < 1.0 for info in self.history)
        effort = self.state.effort
        dear = effort < MOST_EFFORT and levels > LEAST_ROUNDS * 2 * effort
        return parts < MOST_PARTS and not dear


def result_of(state: State, history: Sequence[LevelInfo]) -> AnnealResult:
    """What annealing came to, with the final mixture of its last proposals.

    Raises:
        ModelError: no flow was trained.
    """
    if not isinstance(state.proposal, FlowProposal):
        raise ModelError("the budget ended before the first level was trained")
    proposal = final_mixture(state.pool, state.beta, FINAL_LEVELS, state.hot)
    if state.archive is not None and len(state.archive):
        archived = state.archive.components(state.pool.z, pool_weights(state))
        shares = (ARCHIVED_SHARE, *((1.0 - ARCHIVED_SHARE) * w for w in proposal.weights))
        proposal = Mixture((archived, *proposal.components), shares)  # hot ones stay the last
    return replace(outcome_of(state, history), proposal=proposal)


def outcome_of(state: State, history: Sequence[LevelInfo]) -> AnnealResult:
    """What annealing came to, if it ends with this state."""
    return AnnealResult(
        proposal=state.proposal,
        path=state.path,
        history=tuple(history),
        reached=state.beta,
        n_evaluations=state.n_evaluations,
        n_gradients=state.n_gradients,
        n_failed=state.n_failed,
        failed_z=state.failed_z,
        n_dropped=state.n_dropped,
        archive=state.archive,
        state=state,
    )
