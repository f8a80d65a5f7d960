"""How figures look: colours for the colour-blind, sizes in print, style sheets of others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib as mpl
import matplotlib.style as sheets
import numpy as np
from cycler import cycler
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.figure import Figure

from nfanneal.errors import InputError, nearest

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which the colour-blind can tell apart."""
GREY = "#666666"
WIDTH, PAGE = 3.4, 7.0
"""Inches: a column of a printed page, and both."""
OPAQUE = frozenset({"eps"})
"""Formats that know no transparency."""
MARKER, FEW, SMALLEST = 3.0, 40, 0.9
"""Points: the size of a marker among few data, how many these are, and the smallest size."""

RULES: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.formatter.use_mathtext": True,
    "lines.linewidth": 1.2,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "nfanneal",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "axes.prop_cycle": cycler(color=list(COLORS)),
}
FIXED: dict[str, Any] = {
    "backend": "agg",
    "figure.autolayout": False,
    "figure.constrained_layout.use": True,
}
"""What no style sheet changes: figures have no display, and nothing in them overlaps."""


@contextmanager
def styled(style: str | None = None) -> Iterator[None]:
    """Our look, and a style sheet's on top of it, while a figure is drawn or written.

    Arguments:
        style: the name of a style sheet that matplotlib has, or the path of one.

    Raises:
        InputError: there is no such style sheet, it is none, or it wants LaTeX, which is not there.
    """
    with mpl.rc_context(RULES):
        if style is not None:
            _use(style)
        mpl.rcParams.update(FIXED)
        yield


def _use(style: str) -> None:
    if style not in sheets.available and not Path(style).is_file():
        hint = nearest(style, sheets.available) or f"there are: {', '.join(sheets.available)}"
        raise InputError(f"no style sheet '{style}', neither a name nor a file; {hint}")
    try:
        sheets.use(style)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{style}: not a style sheet of matplotlib: {error}") from error
    if mpl.rcParams["text.usetex"] and shutil.which("latex") is None:
        raise InputError(f"{style}: sets text by LaTeX (text.usetex), which is not installed")


def save(
    figure: Figure,
    target: Path | BinaryIO,
    suffix: str,
    *,
    dpi: float | None = None,
    style: str | None = None,
) -> None:
    """Write a figure in the format of a file's suffix (`.pdf`), in the size it was drawn.

    `dpi`: points per inch of what is no vector graphics; None: those of the style.
    """
    kind = suffix.lower().removeprefix(".")
    with styled(style):
        if kind in OPAQUE:
            _make_opaque(figure)
        figure.savefig(target, format=kind, dpi=mpl.rcParams["savefig.dpi"] if dpi is None else dpi)


def color(i: int) -> str:
    """The i-th colour of the style, and from the first again when all are used."""
    known = mpl.rcParams["axes.prop_cycle"].by_key().get("color", list(COLORS))
    return str(known[i % len(known)])


def ink() -> str:
    """The colour of what is written, and of data."""
    return str(mpl.rcParams["text.color"])


def tint(of: Any, share: float) -> tuple[float, float, float]:
    """A share of a colour on the background of the axes."""
    mixed = share * np.array(to_rgb(of)) + (1.0 - share) * np.array(_background())
    red, green, blue = mixed.tolist()
    return red, green, blue


def marker_size(count: int) -> float:
    """Points: the area that all markers take grows no more once there are many."""
    return max(SMALLEST, MARKER * (FEW / max(count, FEW)) ** 0.5)


def _background() -> tuple[float, float, float]:
    shown = mpl.rcParams["axes.facecolor"]
    red, green, blue = to_rgb("white" if str(shown) == "none" else shown)
    return red, green, blue


def _make_opaque(figure: Figure) -> None:
    """Colours that look the same on the background, in place of transparent ones."""
    artists: list[Any] = figure.findobj(lambda artist: artist.get_alpha() not in (None, 1.0))
    for artist in artists:
        share = float(artist.get_alpha())
        artist.set_alpha(None)
        if not hasattr(artist, "get_facecolor"):
            artist.set_color(tint(artist.get_color(), share))
            continue
        shades = [tint(face[:3], share) for face in to_rgba_array(artist.get_facecolor())]
        artist.set_facecolor(shades if isinstance(artist, Collection) else shades[0])
