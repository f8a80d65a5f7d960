"""Data under their posterior predictive bands, and single trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nfanneal.errors import ResultError
from nfanneal.report.figures.labels import note_few, shown_name
from nfanneal.report.figures.layout import legend_above
from nfanneal.report.figures.options import Options
from nfanneal.report.figures.panels import add_data, panels
from nfanneal.report.figures.predicted import Bands, bands_of, trajectories_of
from nfanneal.report.figures.style import GREY, MARKER, color, ink, tint
from nfanneal.results.result import Result

SHOWN_TRAJECTORIES = 60
BANDS = (("q05", "q95", 0.25), ("q25", "q75", 0.5))
"""Ends of the bands, and how dark they are."""


def predictive_figure(results: Mapping[str, Result], options: Options) -> Figure:
    """A panel per observable: data, and the 50 % and 90 % bands of what would be measured.

    Raises:
        ResultError: a result holds no data.
    """
    for source, result in results.items():
        if not result.observed:
            raise ResultError(f"{source}: the result holds no data to show predictions beside")
    names = list(dict.fromkeys(n for r in results.values() for n in r.observed))
    figure, axes = panels(names, results, options.width)
    for i, (source, result) in enumerate(results.items()):
        for name, bands in bands_of(source, result, options).items():
            _add_bands(axes[name], bands, color(i), alone=len(results) == 1)
    for result in results.values():
        for name, data in result.observed.items():
            add_data(axes[name], data)
    handles: list[Any] = [Line2D([], [], marker="o", ls="", ms=MARKER, color=ink(), label="data")]
    if len(results) > 1:
        handles += [
            Line2D([], [], color=color(i), label=shown_name(source, results))
            for i, source in enumerate(results)
        ]
    for (_, _, share), words in zip(BANDS, ("90 %", "50 %"), strict=True):
        handles.append(Patch(color=tint(color(0), share), lw=0, label=words))
    _legend(figure, list(axes.values()), axes[names[0]], handles)
    note_few(figure, results)
    return figure


def _add_bands(axis: Any, bands: Bands, shade: str, *, alone: bool) -> None:
    """Bands of one result are solid colours; those of several can be seen through each other."""
    if not len(bands.times):
        return
    for low, high, share in BANDS:
        ends = bands.quantiles[low], bands.quantiles[high]
        fill = {"color": tint(shade, share)} if alone else {"color": shade, "alpha": share}
        axis.fill_between(bands.times, *ends, lw=0, zorder=1, **fill)
        if not alone:  # what another band hides where nothing is transparent
            axis.plot(bands.times, np.column_stack(ends), color=shade, lw=0.3, zorder=1.4)
    axis.plot(bands.times, bands.quantiles["median"], color=shade, lw=1.0, zorder=2)


def trajectories_figure(results: Mapping[str, Result], options: Options) -> Figure:
    """A panel per observable: noise-free trajectories of posterior draws, and the data.

    Raises:
        ResultError: the model does not predict, or is a Python file that was not given.
    """
    ((source, result),) = results.items()
    found = trajectories_of(source, result, options, SHOWN_TRAJECTORIES)
    figure, axes = panels(list(found), results, options.width)
    for name, prediction in found.items():
        axes[name].plot(
            prediction.times, prediction.clean.T, color=color(0), lw=0.4, alpha=0.4, zorder=1.2
        )
        if name in result.observed:
            add_data(axes[name], result.observed[name])
        else:
            _say_unobserved(axes[name])
    handles = [
        Line2D([], [], marker="o", ls="", ms=MARKER, color=ink(), label="data"),
        Line2D([], [], color=color(0), lw=0.8, label="posterior draws"),
    ]
    seen = [name for name in found if name in result.observed]
    if seen:
        _legend(figure, list(axes.values()), axes[seen[0]], handles)
    note_few(figure, results)
    return figure


def _legend(figure: Figure, axes: Sequence[Any], chosen: Any, handles: Sequence[Any]) -> None:
    """In the chosen axes where these are as wide as the figure; otherwise above all of them."""
    if len({axis.get_subplotspec().colspan.start for axis in axes}) == 1:
        legend_above(chosen, handles, columns=3)
    else:
        figure.legend(handles=handles, loc="outside upper center", ncols=3)


def _say_unobserved(axis: Any) -> None:
    """Above the axes, where no trajectory is."""
    where = {"xycoords": "axes fraction", "ha": "right", "va": "bottom", "fontsize": "small"}
    axis.annotate("not observed", (1.0, 1.0), color=GREY, **where)
