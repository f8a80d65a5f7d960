"""The levels of an annealing as columns."""

from __future__ import annotations

import numpy as np

from nfanneal.anneal.progress import LevelInfo
from nfanneal.results.result import History

HISTORY_FIELDS = (
    "level",
    "beta",
    "next_beta",
    "ess",
    "truncated_ess",
    "pool_ess",
    "log_evidence",
    "held_out",
    "n_evaluations",
    "n_gradients",
    "n_failed",
)


def _history(levels: tuple[LevelInfo, ...]) -> History:
    return History(
        levels={name: np.array([getattr(i, name) for i in levels]) for name in HISTORY_FIELDS},
        losses=np.concatenate([info.losses for info in levels]),
        loss_levels=np.repeat([i.level for i in levels], [len(i.losses) for i in levels]),
        seconds=np.array([info.seconds for info in levels]),
    )
