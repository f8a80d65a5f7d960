"""What a figure may be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nfanneal.model.executors.choice import Workers
from nfanneal.results.result import Prediction


@dataclass(frozen=True)
class Options:
    """Which columns of θ to show (None: the first few), known true values, a model's file.

    `workers` ask that model. `predictions` are those that results hold, by the result's file and
    the observable. `width` of the figure is in inches, None: that of its kind; `style` is a style
    sheet of matplotlib, by its name or path.
    """

    parameters: tuple[str, ...] | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    model_file: Path | None = None
    workers: Workers | None = None
    predictions: Mapping[str, Mapping[str, Prediction]] = field(default_factory=dict)
    width: float | None = None
    style: str | None = None
