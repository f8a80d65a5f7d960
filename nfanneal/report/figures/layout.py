"""What must not lie on each other: labels of ticks, and a legend with what is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    SymmetricalLogLocator,
)
from matplotlib.transforms import Bbox

MOST_TICKS = 6
GAP = 3.0
"""Pixels between labels of ticks."""
ROOM = 0.05
"""Of the height of axes: above and below a legend."""


def uncrowd(figure: Figure) -> None:
    """Take ticks away until no label of one lies on another's, be it that of a neighbour.

    Labels along x are turned where even the fewest lie on each other.
    """
    for _ in range(MOST_TICKS):
        figure.draw_without_rendering()
        crowded = _crowded(figure)
        if not crowded:
            return
        for axis in crowded:
            _thin(axis)


def tick_labels(axis: Any) -> list[Any]:
    """The labels of an axis that are seen, after it was drawn."""
    low, high = sorted(axis.get_view_interval())
    margin = 1e-6 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [
        label
        for tick in ticks
        for label in (tick.label1, tick.label2)
        if label.get_visible()
        and tick.get_visible()
        and label.get_text()
        and low - margin <= tick.get_loc() <= high + margin
    ]


def _crowded(figure: Figure) -> list[Any]:
    """Axes with labels that lie on each other; of two neighbours, the one with more."""
    found: dict[int, Any] = {}
    for name in ("xaxis", "yaxis"):
        axes = [getattr(a, name) for a in figure.axes if a.get_visible() and a.axison]
        boxes = [(axis, label.get_window_extent()) for axis in axes for label in tick_labels(axis)]
        counts = Counter(id(axis) for axis, _ in boxes)
        for (one, a), (other, b) in combinations(boxes, 2):
            if _touch(a, b):
                axis = one if counts[id(one)] >= counts[id(other)] else other
                found[id(axis)] = axis
    return list(found.values())


def _touch(a: Bbox, b: Bbox) -> bool:
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    along = min(a.y1, b.y1) - max(a.y0, b.y0)
    return bool(across > -GAP and along > -GAP)


def _thin(axis: Any) -> None:
    """Fewer ticks; where there are two and they still collide, labels upright."""
    axis.set_minor_formatter(NullFormatter())
    locator, shown = axis.get_major_locator(), len(tick_labels(axis))
    if shown <= 2 and axis.axis_name == "x":
        axis.set_tick_params(rotation=90)
    elif isinstance(locator, FixedLocator):
        axis.set_ticks(list(axis.get_majorticklocs())[::2], _texts(axis)[::2])
    elif isinstance(locator, LogLocator | SymmetricalLogLocator):
        low, high = sorted(axis.get_view_interval())
        inside = [value for value in axis.get_majorticklocs() if low <= value <= high]
        axis.set_major_locator(FixedLocator(inside[::2]))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(max(shown - 2, 2)))


def _texts(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_majorticklabels()]


def legend_above(axes: Axes, handles: Sequence[Any] | None = None, columns: int = 1) -> None:
    """A legend at the top of the axes, whose y axis is drawn out so that nothing lies below it.

    Call it when all is drawn.
    """
    known, words = axes.get_legend_handles_labels()
    if handles is not None:
        known, words = list(handles), [handle.get_label() for handle in handles]
    if not known:
        return
    figure: Any = axes.get_figure()
    for count in range(columns, 0, -1):
        legend = axes.legend(
            known, words, loc="upper center", ncols=count, columnspacing=1.0, handlelength=1.6,
            borderaxespad=0.2, handletextpad=0.5,
        )  # fmt: skip
        figure.draw_without_rendering()
        if legend.get_window_extent().width <= axes.get_window_extent().width:
            break
    share = legend.get_window_extent().height / axes.get_window_extent().height
    _raise_top(axes, min(share + ROOM, 0.6))
    legend.set_in_layout(False)


def _raise_top(axes: Axes, share: float) -> None:
    """So much of the height is above all that was within the limits."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform([*axes.get_ylim()])
    top = low + (high - low) / (1.0 - share)
    axes.set_ylim(top=float(scale.inverted().transform([top])[0]))
