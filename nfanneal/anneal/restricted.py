"""A part of the space by itself: annealed there, a tail cannot hide behind the rest.

Where a tail is thin, a flow that learns the whole posterior hardly sees it, nor does a walk get
there. Held to its side of the coordinate, the same posterior has nothing else to offer: annealing
finds what there is of it, in coordinates in which the prior on that side is N(0, I) again. What
comes out is a proposal as good as any other, whose draws join the pool.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nfanneal.anneal.proposals.truncated import Side
from nfanneal.arrays import Array
from nfanneal.target import Evaluation, Target


def restricted(target: Target, side: Side) -> Target:
    """The target on one side of a coordinate, over the whole space again."""
    ask_curvature = target.ask_curvature

    def ask(z: Array, gradient: bool) -> Evaluation:
        there, log_slope = side.into(z)
        return _turned(target.ask(there, gradient), side.column, np.exp(log_slope))

    def ask_part(z: Array, share: float) -> Evaluation:
        assert ask_curvature is not None
        there, log_slope = side.into(z)
        return _turned(ask_curvature(there, share), side.column, np.exp(log_slope))

    def placed(z: Array) -> Array:
        return side.into(z[None])[0][0]

    return replace(
        target,
        ask=ask,
        ask_curvature=None if ask_curvature is None else ask_part,
        in_words=lambda z: target.in_words(placed(z)),
        why_failed=lambda z: target.why_failed(placed(z)),
        exchangeable=(),
        vectors=(),
    )


def _turned(found: Evaluation, column: int, slope: Array) -> Evaluation:
    """Derivatives by z as those by the coordinates of the whole space, slopes (n,) of one column.

    The information is J·Jᵀ of first derivatives, or as good as that of a Hessian needs to be for
    the shape of a proposal.
    """
    gradient, information = found.gradient, found.information
    if gradient is not None:
        gradient = gradient.copy()
        gradient[:, column] *= slope
    if information is not None:
        information = information.copy()
        information[:, column, :] *= slope[:, None]
        information[:, :, column] *= slope[:, None]
    return replace(found, gradient=gradient, information=information)
