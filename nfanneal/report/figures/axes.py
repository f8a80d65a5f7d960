"""Axes of parameters: linear, or logarithmic, on which a density is that of the logarithm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from nfanneal.arrays import Array
from nfanneal.model.bounded import AnyPrior
from nfanneal.model.latent import Parameter
from nfanneal.results.result import Result
from nfanneal.spec.load import spec_from_text

LOG_10 = math.log(10.0)
MOST_TICKS = 3
"""Of a small figure: more labels run into each other."""
DIGITS = ((1,), (1, 3), (1, 2, 5))
"""First digits of ticks: the first of these of which at least two are on the axis."""
PLAIN = (-2, 3)
"""Powers of ten that are written out."""


@dataclass(frozen=True)
class Axis:
    """Where a column of θ is drawn: at θ, or at log10 θ with ticks that say θ."""

    prior: AnyPrior
    logarithmic: bool

    def place(self, theta: Array) -> Array:
        """Coordinates x of θ, any shape; nan or −inf where a logarithmic axis has none."""
        if not self.logarithmic:
            return theta
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log10(theta))

    @property
    def support(self) -> tuple[float, float]:
        """The coordinates of the ends of the prior's support."""
        low, high = self.place(np.array(self.prior.support))
        return float(low), float(high)

    def prior_density(self, x: Array) -> Array:
        """The prior's density of x: p(θ)·dθ/dx."""
        if not self.logarithmic:
            return np.asarray(np.exp(self.prior.log_density(x)))
        theta = 10.0**x
        return np.asarray(np.exp(self.prior.log_density(theta)) * theta * LOG_10)

    def ticks(self, low: float, high: float) -> tuple[list[float], list[str]]:
        """Coordinates between two others, and what is written there, of a logarithmic axis."""
        values = _values(low, high)
        return [math.log10(value) for value in values], [_written(value) for value in values]

    def power(self, low: float, high: float) -> int:
        """The power of ten that is taken out of a linear axis' ticks; 0 where they can be read."""
        size = max(abs(low), abs(high))
        if self.logarithmic or size == 0.0 or PLAIN[0] <= math.log10(size) < PLAIN[1] + 1:
            return 0
        return math.floor(math.log10(size))

    def set_ticks(self, axis: Any, low: float, high: float, *, labelled: bool) -> None:
        """Put few ticks on matplotlib's axis, without the power of ten that is taken out."""
        if self.logarithmic:
            places, words = self.ticks(low, high)
            axis.set_ticks(places, words if labelled else [""] * len(places))
            return
        unit = 10.0 ** self.power(low, high)
        axis.set_major_locator(MaxNLocator(MOST_TICKS, prune="both"))
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value / unit:.6g}" if labelled else "")
        )

    def set_ticks_of_log(self, axis: Any) -> None:
        """Put few ticks on matplotlib's logarithmic axis of θ itself."""
        low, high = axis.get_view_interval()
        places, words = self.ticks(math.log10(low), math.log10(high))
        axis.set_minor_locator(NullLocator())
        axis.set_ticks([10.0**place for place in places], words)

    def named(self, label: str, low: float, high: float) -> str:
        """The label of what the ticks say: 10³·k where a power of ten is taken out."""
        power = self.power(low, high)
        return f"$10^{{{-power}}}\\,$ {label}" if power else label


def axes_of_columns(result: Result) -> dict[str, Axis]:
    """The axis of each column of θ."""
    free = spec_from_text(result.spec_yaml).meaning.free
    return {name: Axis(p.prior, is_logarithmic(p)) for p in free for name in p.column_names}


def is_logarithmic(parameter: Parameter) -> bool:
    """Whether a parameter's axis is: natural and decimal logarithms are drawn alike."""
    return parameter.scale != "linear"


def _values(low: float, high: float) -> list[float]:
    """Round θ between powers of ten: decades, with 3 or 2 and 5 between, or evenly spaced ones."""
    decades = [10.0**k for k in range(max(math.floor(low), -300), min(math.ceil(high), 300) + 1)]
    for digits in DIGITS:
        within = _inside([m * d for d in decades for m in digits], low, high)
        if len(within) >= 2:
            return within[:: math.ceil(len(within) / MOST_TICKS)]
    even = MaxNLocator(MOST_TICKS).tick_values(10.0**low, 10.0**high)
    return _inside([float(value) for value in even if value > 0], low, high)


def _inside(values: Sequence[float], low: float, high: float) -> list[float]:
    return [value for value in values if low <= math.log10(value) <= high]


def _written(value: float) -> str:
    power = round(math.log10(value))
    if PLAIN[0] <= math.log10(value) <= PLAIN[1]:
        return f"{value:.8g}"
    if math.isclose(value, 10.0**power, rel_tol=1e-9):
        return f"$10^{{{power}}}$"
    power = math.floor(math.log10(value))
    return f"${value / 10.0**power:.8g}\\times10^{{{power}}}$"
