"""Figures as they stand inside a page: vector graphics where these are small, else pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

SHARPEST, COARSEST = 2000, 1000
"""Pixels across: what is sharp enlarged on a wide screen, and what still is on a narrow one."""


@dataclass(frozen=True)
class Inline:
    """A picture's bytes and their type; its width and height in inches."""

    content: bytes
    media_type: str
    width: float
    height: float


def inline(figure: Figure, most_bytes: int) -> Inline:
    """The figure as SVG with letters as outlines; as PNG if that takes more than `most_bytes`.

    A PNG that takes more has fewer pixels. The same figure gives the same bytes.
    """
    vector = _saved(figure, "svg", metadata={"Date": None})
    size = figure.get_size_inches()
    if len(vector) <= most_bytes:
        return Inline(vector, "image/svg+xml", *map(float, size))
    pixels = _saved(figure, "png", dpi=SHARPEST / size[0])
    if len(pixels) > most_bytes:
        pixels = _saved(figure, "png", dpi=COARSEST / size[0])
    return Inline(pixels, "image/png", *map(float, size))


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    rules = {"svg.fonttype": "path", "svg.hashsalt": "nfanneal", "backend": "agg"}
    with mpl.rc_context(rules):
        figure.savefig(buffer, format=kind, bbox_inches="tight", **options)
    return buffer.getvalue()
