"""Arrays, as annotations name them, and records of arrays, whose rows belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Numbers of double precision; shapes stand in docstrings."""
Bools = NDArray[np.bool_]
"""Which of several."""
Record = TypeVar("Record")


def concatenated(parts: Sequence[Record]) -> Record:
    """Records of consecutive rows as one: their arrays follow one another, their counts add up.

    Arguments:
        parts: at least one, all with the same fields: arrays (n, …), None, counts, or counts or
            arrays by name.
    """
    if len(parts) == 1:
        return parts[0]
    kind: Any = type(parts[0])
    return kind(**{f.name: _together([getattr(p, f.name) for p in parts]) for f in fields(kind)})


def rows_of(record: Record, which: Any) -> Record:
    """Some rows of a record whose fields are arrays (n, …), by an index, a slice or a mask."""
    kind: Any = type(record)
    return kind(**{f.name: getattr(record, f.name)[which] for f in fields(kind)})


def _together(values: Sequence[Any]) -> Any:
    if values[0] is None:
        return None
    if isinstance(values[0], int):
        return sum(values)
    if isinstance(values[0], Mapping):
        if any(isinstance(value, np.ndarray) for value in values[0].values()):
            return {name: np.concatenate([v[name] for v in values]) for name in values[0]}
        total = Counter[str]()
        for counts in values:
            total.update(counts)
        return dict(total)
    return np.concatenate(values)
