"""Benches of several problems together: how many times as long the best rival takes on each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nfanneal.bench.samplers.results import Bench, Score


@dataclass(frozen=True)
class Ratio:
    """nfanneal beside the rival that is best on a problem, by time and by effective draws.

    `seconds` are nfanneal's to a log-evidence of sd 0.1, `faster` how many times as many the
    `rival` takes; `ess_rate` are its effective draws a second, `more` how many times those of the
    `ess_rival`. `calls` are what a run asks, a gradient for two. nan where nobody has a number.
    """

    problem: str
    seconds: float
    rival: str
    faster: float
    ess_rate: float
    ess_rival: str
    more: float
    calls: float


def ratios(benches: Sequence[Bench]) -> list[Ratio]:
    """A row for each problem."""
    return [_ratio(bench) for bench in benches]


def geometric_mean(values: Sequence[float]) -> float:
    """Of the numbers among the values; nan if there are none."""
    numbers = [value for value in values if math.isfinite(value) and value > 0.0]
    return float(np.exp(np.mean(np.log(numbers)))) if numbers else math.nan


def _ratio(bench: Bench) -> Ratio:
    own, *others = bench.scores
    rivals = [score for score in others if not score.sampler.startswith("nfanneal")]
    best = _best(rivals, lambda score: -score.seconds_to_wanted_sd)
    richest = _best(rivals, lambda score: score.ess_per_second)
    return Ratio(
        problem=bench.name,
        seconds=own.seconds_to_wanted_sd,
        rival=best.sampler if best else "",
        faster=best.seconds_to_wanted_sd / own.seconds_to_wanted_sd if best else math.nan,
        ess_rate=own.ess_per_second,
        ess_rival=richest.sampler if richest else "",
        more=own.ess_per_second / richest.ess_per_second if richest else math.nan,
        calls=own.n_likelihood + 2.0 * own.n_gradient,
    )


def _best(scores: Sequence[Score], merit: Callable[[Score], float]) -> Score | None:
    known = [score for score in scores if math.isfinite(merit(score))]
    return max(known, key=merit, default=None)
